import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isClientToken, sha256Of } from '../../src/lib/clienttoken.ts'
import { at, parsed } from './json.ts'
import { run } from './process.ts'

test('token new prints a token alone on standard output, and beside it the lines of configuration', async () => {
  const { code, out, err } = await run(['token', 'new', '--name', 'gateway-2', '--role', 'gateway'])
  assert.equal(code, 0, err)
  const token = out.trim()
  assert.ok(isClientToken(token), out)
  assert.match(err, new RegExp(`- name: gateway-2\\n +role: gateway\\n +tokenSha256: ${sha256Of(token)}`))
  assert.doesNotMatch(err, /idpb_/)
})

test('token new --json is one object, and each token another', async () => {
  const [one, other] = await Promise.all([run(['token', 'new', '--json']), run(['token', 'new', '--json'])])
  const found = parsed(one.out)
  const token = String(at(found, 'token'))
  assert.ok(isClientToken(token))
  assert.equal(at(found, 'tokenSha256'), sha256Of(token))
  assert.notEqual(token, at(parsed(other.out), 'token'))
  const { code, out } = await run(['token', 'new', '--name', 'a b', '--json'])
  assert.deepEqual([code, out], [64, ''])
})
