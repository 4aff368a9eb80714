import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, bob, minute, runtime, second, World } from './harness.ts'

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

test('a read that fails with a long Retry-After puts off no suspension that was asked for meanwhile', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  await world.clock.advance(second)
  await world.ring('north', { delivery: '1', principal: 'a' })
  world.north.latencyMs = second
  world.north.reads.add({ mode: 'throttled', times: 1, retryAfterMs: 10 * minute })
  const reading = world.runner('north').mirror.workOnce(world.signal)
  while (world.clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve))
  await world.kill(did)
  await world.clock.advance(second)
  await reading
  world.north.latencyMs = 0
  await world.run(second)
  assert.equal(world.north.enabled('a'), false)
})
