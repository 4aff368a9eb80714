import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, bob, runtime, World } from './harness.ts'

test('a kill denies at its commit, and switches the account off in every directory', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  assert.deepEqual(await world.codes(did), [])
  const { holdId } = await world.kill(did)
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), world.south.enabled('a')], [false, false])
  assert.deepEqual(
    [(await world.account('north', 'a')).mark, (await world.account('south', 'a')).mark],
    ['ours', 'ours'],
  )
  await world.releaseByTwo(did, holdId, alice, bob)
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), world.south.enabled('a')], [true, true])
  assert.deepEqual(
    [world.writes('north'), world.writes('south')],
    [
      ['disable', 'enable'],
      ['disable', 'enable'],
    ],
  )
  assert.deepEqual(await world.origins(did), [])
  assert.equal((await world.account('north', 'a')).mark, 'none')
  assert.equal((await world.bridge.verifyAudit()).ok, true)
  assert.equal(runtime.name, 'agt-1')
})
