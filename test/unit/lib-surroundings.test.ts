import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressesOf, reachOf } from '../../src/lib/surroundings.ts'

test('an address is told to be reachable from everywhere only when it is routed on the internet', () => {
  const of = (reach: string, ...addresses: string[]) => {
    for (const address of addresses) assert.equal(reachOf(address), reach, address)
  }
  of('loopback', '127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1')
  of('private', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0')
  of('private', 'fd00::1', 'fe80::1', '::', '::ffff:10.0.0.1')
  of('public', '172.32.0.1', '100.128.0.1', '20.50.2.1', '2603:1020::1', '::ffff:20.50.2.1')
})

test('an address is its own, in brackets too', async () => {
  assert.deepEqual(await addressesOf('[::1]'), ['::1'])
  assert.deepEqual(await addressesOf('10.0.0.7'), ['10.0.0.7'])
})
