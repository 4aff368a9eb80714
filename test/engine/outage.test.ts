import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, World } from './harness.ts'

const agents = 250
const minute = 60_000

test('a directory that is down is waited for once, not once for each account, and all is done when it is back', async () => {
  await using world = await World.open()
  const ids = Array.from({ length: agents }, (_, number) => `a${number}`)
  for (const id of ids) await world.agent(id, {}, ['north'])
  world.north.writes.add({ mode: 'auth' })
  for (const id of ids) await world.kill(`did:mesh:${id}`, alice)
  await world.run(5 * minute)
  const tried = world.north.written.length
  assert.ok(tried >= agents, `every suspension is tried at once (${tried})`)
  assert.ok(tried < 5 * agents, `the directory is left alone while it is down (${tried} writes)`)
  assert.ok((world.runner('north').mirror.recall.outages ?? 0) > 1)

  world.north.writes.clear()
  await world.run(2 * minute)
  assert.deepEqual(
    ids.filter((id) => world.north.enabled(id)),
    [],
  )
  assert.equal(world.runner('north').mirror.recall.outages, 0)
})
