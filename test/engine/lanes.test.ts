import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bridge, change } from '../../src/engine/change.ts'
import { storeFull } from '../../src/store/database.ts'
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
    await until('the hinted account is held', async () => (await world.codes(hinted)).includes('R_SUSPENDED'))
  } finally {
    stopping.abort()
    held.resolve({ entries: [], completeUntil: 0 })
    await running
  }
})

test('what is tried again after a failure is not put off by readings that come faster than its backoff', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  world.north.writes.add({ mode: 'refused' })
  await world.kill(did)
  await world.run(10 * minute)
  world.north.writes.clear()
  for (let times = 0; times < 90 && world.north.enabled('a'); times++) {
    await world.full()
    await world.kill(did)
    await world.run(10_000)
  }
  assert.equal(world.north.enabled('a'), false, 'read every ten seconds for a quarter of an hour')
})

test('a release that waits for a log that fails is not put off by readings either', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  await world.run(30 * minute)
  world.north.logFaults.add({ mode: 'down' })
  await world.bridge.release(did, hold.id, 'r', soc)
  await world.run(10 * minute)
  world.north.logFaults.clear()
  assert.equal(world.north.enabled('a'), false)
  for (let times = 0; times < 90 && !world.north.enabled('a'); times++) {
    await world.full()
    await world.run(10_000)
  }
  assert.equal(world.north.enabled('a'), true)
})

test('a hold that comes while an enable waits for its turn on the wire keeps it from being sent', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  await world.run(30 * minute)
  const { accounts } = world.runner('north').mount.adapter
  assert.ok(accounts !== undefined)
  const { enable } = accounts
  let late: string | undefined
  Object.assign(accounts, {
    enable: async (...given: Parameters<typeof enable>) => {
      if (late === undefined) late = (await world.kill(did)).holdId
      return enable(...given)
    },
  })
  await world.bridge.release(did, hold.id, 'r', soc)
  await world.run(30 * minute)
  assert.ok(late !== undefined, 'the enable was about to be sent')
  assert.deepEqual(world.writes('north', 'a'), ['disable'])
  assert.equal(world.north.enabled('a'), false)
  await world.releaseByTwo(did, late)
  await world.run(30 * minute)
  assert.equal(world.north.enabled('a'), true)
})

test('readings do not make what waits for the log of the directory ask it more often', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  world.north.set('a', false)
  await world.settleAll(minute)
  const [own] = await world.open(did)
  assert.ok(own !== undefined)
  await world.releaseByTwo(did, own.id)
  const log = world.runner('north').mount.adapter.accounts?.log
  assert.ok(log !== undefined)
  const { read } = log
  let asked = 0
  Object.assign(log, {
    read: (...given: Parameters<typeof read>) => {
      asked += 1
      return read(...given)
    },
  })
  for (let times = 0; times < 60; times++) {
    await world.full()
    await world.run(10_000)
  }
  assert.ok(asked > 0 && asked <= 4, `asked ${asked} times in ten minutes, once in five is enough`)
})

test('a store that takes no writes is not asked for one in a hot loop; the kill that waits goes out once it does', async () => {
  await using world = await World.open()
  await world.kill(await world.agent('a', {}, ['north']))
  const { store } = world
  const { write } = store
  let refused = 0
  Object.assign(store, {
    write: async () => {
      refused += 1
      throw storeFull(undefined)
    },
  })
  const { mirror } = world.runner('north')
  const look = async () => {
    await mirror.suspendOnce()
    await mirror.drained()
  }
  for (let looks = 0; looks < 20; looks++) await look()
  assert.equal(refused, 1)
  await world.clock.advance(1_001)
  await look()
  assert.equal(refused, 2)
  Object.assign(store, { write })
  await world.clock.advance(1_001)
  await look()
  assert.equal(world.north.enabled('a'), false)
})
