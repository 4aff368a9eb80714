import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bridge, change } from '../../src/engine/change.ts'
import { until } from '../e2e/until.ts'
import { minute, soc, World } from './harness.ts'

test('a resume that waits for the log of its directory delays no reading: what it shows is held at once', async () => {
  await using world = await World.open()
  const [resuming, hinted] = [await world.agent('a', {}, ['north']), await world.agent('b', {}, ['north'])]
  const hold = await world.bridge.place(resuming, { severity: 'suspend', reason: 'r' }, soc)
  await world.run(30 * minute)
  const { mirror, mount } = world.runner('north')
  const log = mount.adapter.accounts?.log
  assert.ok(log !== undefined)
  const held = Promise.withResolvers<{ entries: []; completeUntil: number }>()
  const asked = Promise.withResolvers<void>()
  Object.assign(log, {
    read: () => {
      asked.resolve()
      return held.promise
    },
  })

  const stopping = new AbortController()
  const running = mirror.run(stopping.signal)
  try {
    await world.bridge.release(resuming, hold.id, 'r', soc)
    await asked.promise
    world.north.set('b', false)
    await change(world.deps, bridge, async (c) => {
      await c.tx.askRead({ adapter: 'north', id: 'b' }, c.now, undefined)
      c.wakeWork('north')
    })
    await until('the hinted account is held', async () => (await world.codes(hinted)).includes('R_SUSPENDED'), 5_000)
  } finally {
    stopping.abort()
    held.resolve({ entries: [], completeUntil: 0 })
    await running
  }
})
