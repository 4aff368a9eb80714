import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fleetOf } from './fleet.ts'
import { minute, World } from './harness.ts'

const hour = 60 * minute

/** Switches off one account after the other until the guard trips; says at which. */
const tripsAt = async (world: World, accounts: number): Promise<number | undefined> => {
  for (let n = 0; n < accounts; n++) {
    world.north.set(`a${n}`, false)
    await world.poll()
    if ((await world.bridge.guard('north')).suspend.tripped) return n + 1
  }
  return undefined
}

for (const [size, first] of [
  [1, undefined],
  [4, undefined],
  [19, undefined],
  [50, 11],
  [5_000, 51],
] as const) {
  test(`the defaults, ${size} agents: ${first === undefined ? 'none trips' : `suspension ${first} trips`}`, async () => {
    await using world = await World.open()
    const dids = await fleetOf(world, size, ['north'])
    assert.equal(await tripsAt(world, Math.min(size, 60)), first)
    const seen = first ?? size
    for (const did of dids.slice(0, seen)) assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
    const guarded = (await world.store.openHoldsWithOrigin('adapter:north/', 100)).filter((hold) => hold.guarded)
    assert.equal(guarded.length, first === undefined ? 0 : 1)
    assert.equal((await world.store.signalsAfter(0, 999)).length, first === undefined ? size : first - 1)
  })
}

test('51 of 5,000 in one page: the 51st waits, whatever the page holds beside it', async () => {
  await using world = await World.open()
  const dids = await fleetOf(world, 5_000, ['north'])
  for (let n = 0; n < 5_000; n += 98) world.north.set(`a${n}`, false)
  await world.poll()
  const view = (await world.bridge.guard('north')).suspend
  // 5,000 / 98 is 51 and a bit: 52 accounts.
  assert.deepEqual([view.tripped, view.count, view.plan?.rows.length], [true, 52, 2])
  assert.equal((await world.store.signalsAfter(0, 999)).length, 50)
  assert.deepEqual(await world.codes(dids[0] ?? ''), ['R_SUSPENDED'])
})

for (const [size, first] of [
  [1, undefined],
  [4, undefined],
  [19, 11],
  [50, 3],
  [5_000, 11],
] as const) {
  test(`the defaults, ${size} agents: ${first === undefined ? 'every resume passes' : `resume ${first} waits`}`, async () => {
    await using world = await World.open({ policy: { resume: 'automatic' } })
    await fleetOf(world, size, ['north'])
    const count = Math.min(size, 12)
    // Far enough apart that switching off is no mass change itself.
    for (let n = 0; n < count; n++) {
      world.north.set(`a${n}`, false)
      await world.poll()
      if (size === 50) await world.clock.advance(2 * minute)
    }
    await world.run(hour)
    assert.equal((await world.bridge.guard('north')).suspend.tripped, false)
    assert.equal(await world.store.countOpenHolds(), count)
    for (let n = 0; n < count; n++) world.north.set(`a${n}`, true)
    await world.settleAll(5 * minute)
    const { plan, tripped } = (await world.bridge.guard('north')).resume
    assert.equal(tripped, first !== undefined)
    assert.equal(await world.store.countOpenHolds(), first === undefined ? 0 : count - first + 1)
    assert.equal(plan?.rows.length, first === undefined ? undefined : count - first + 1)
  })
}
