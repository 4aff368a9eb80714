import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './harness.ts'

test('an allowed decision is activity, a refused one is not; it is written at the next flush', async () => {
  await using world = await World.open()
  const [did, held] = [await world.agent('a'), await world.agent('b')]
  await world.kill(held)
  assert.equal((await world.bridge.decide({ did })).allow, true)
  assert.equal((await world.bridge.decide({ did: held })).allow, false)
  assert.equal((await world.store.agent(did))?.lastActivity, undefined)
  await world.activity.flush()
  const noted = await world.store.agent(did)
  assert.equal(typeof noted?.lastActivity, 'number')
  assert.equal(noted?.revision, 1)
  assert.equal((await world.store.agent(held))?.lastActivity, undefined)
})
