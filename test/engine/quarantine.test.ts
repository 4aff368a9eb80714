import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fleetOf } from './fleet.ts'
import { carol, dave, minute, policyOf, second, settleMs, World, type WorldOptions } from './harness.ts'

const automatic: WorldOptions = { policy: { resume: 'automatic' } }

const why = async (world: World): Promise<readonly string[]> =>
  (await world.bridge.status()).adapters.find(({ adapter }) => adapter === 'north')?.quarantine?.why ?? []

/** The entries of the chain, oldest first. */
const edges = async (world: World): Promise<string[]> =>
  (await world.bridge.audit({ limit: 10_000 })).items
    .filter(({ type }) => type.startsWith('quarantine.'))
    .map(({ details, type }) => `${type.slice('quarantine.'.length)} ${details?.['why']}`)

const alerts = (world: World): string[] => world.alerts.map(({ code }) => code)

const held = async (world: World, dids: readonly string[]): Promise<number> => {
  let n = 0
  for (const did of dids) if ((await world.codes(did)).includes('R_SUSPENDED')) n += 1
  return n
}

const removeAll = (world: World, count: number): void => {
  for (let n = 0; n < count; n++) world.north.remove(`a${n}`)
}

for (const [size, gone, doubted] of [
  [1, 1, false],
  [4, 2, false],
  [4, 3, true],
  [19, 9, false],
  [19, 10, true],
  [60, 12, false],
  [60, 13, true],
] as const) {
  test(`${gone} of ${size} accounts deleted at once: ${doubted ? 'read twice before' : 'believed'}`, async () => {
    await using world = await World.open(automatic)
    const dids = await fleetOf(world, size, ['north'])
    removeAll(world, gone)
    await world.poll()
    await world.work()
    assert.equal(await held(world, dids), doubted ? 0 : gone)
    assert.deepEqual(await why(world), doubted ? ['absent'] : [])
    await world.run(settleMs + second)
    assert.equal(await held(world, dids), gone, 'said twice, it is so')
    const cause = (await world.open(dids[0] ?? ''))[0]?.evidence['cause']
    assert.equal(cause, 'deleted')
  })
}

test('all deleted, says the directory once: nothing is held, no mark is lost, and it ends without a trace', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 60)
  await world.kill(dids[0] ?? '')
  await world.run(minute)
  const before = await world.store.countOpenHolds()
  const { mark } = await world.account('north', 'a0')
  assert.equal(mark, 'ours')
  world.north.reads.add({ mode: 'gone', times: 60 })
  for (let n = 0; n < 60; n++) await world.ring('north', { delivery: `d${n}`, principal: `a${n}` })
  await world.work()
  assert.deepEqual(await why(world), ['absent'])
  assert.match(await world.metrics.text(), /directory_quarantined\{adapter="north",why="absent"\} 1/)
  assert.equal(await world.store.countOpenHolds(), before)
  assert.equal((await world.store.countAbsences('north', 0)).pending, 60)
  world.north.reads.clear()
  await world.settleAll(5 * minute)
  await world.poll()
  assert.equal(await world.store.countOpenHolds(), before)
  assert.equal((await world.account('north', 'a0')).mark, 'ours')
  assert.deepEqual(await why(world), [])
  assert.deepEqual(await edges(world), ['entered absent', 'left absent'])
  assert.deepEqual(alerts(world), ['quarantined'])
  assert.match(await world.metrics.text(), /directory_quarantined\{adapter="north",why="absent"\} 0/)
  assert.equal((await world.bridge.guard('north')).suspend.count, 0)
})

test('really deleted: after the second read they are holds, those past the guard wait for its plan', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 100)
  removeAll(world, 100)
  await world.poll()
  await world.work()
  assert.equal(await held(world, dids), 0)
  await world.run(settleMs - second)
  assert.equal(await held(world, dids), 0, 'the second read is past settle')
  await world.run(3 * second)
  assert.equal(await held(world, dids), 100)
  await world.run(minute)
  const off = () => dids.filter((_, n) => !world.south.enabled(`a${n}`)).length
  assert.equal(off(), 20)
  const { plan } = (await world.bridge.guard('north')).suspend
  assert.equal(plan?.rows.length, 80)
  await world.bridge.approveGuard('north', plan?.hash ?? '', carol)
  assert.equal((await world.bridge.approveGuard('north', plan?.hash ?? '', dave)).applied, 80)
  await world.run(minute)
  assert.equal(off(), 100)
  // One that goes later is believed only at its second read, as long as the others were within the window.
  assert.deepEqual(await why(world), ['absent'])
  await world.settleAll(11 * minute)
  await world.poll()
  assert.deepEqual(await why(world), [])
  assert.deepEqual(await edges(world), ['entered absent', 'left absent'])
})

test('deleted and restored: every hold ends, every account is on again, nothing is left behind', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 8)
  removeAll(world, 8)
  await world.settleAll(2 * minute)
  assert.equal(await held(world, dids), 8)
  assert.equal(world.south.enabled('a7'), false)
  for (let n = 0; n < 8; n++) world.north.add({ id: `a${n}` })
  await world.settleAll(15 * minute)
  await world.poll()
  assert.equal(await held(world, dids), 0)
  assert.equal(await world.store.countOpenHolds(), 0)
  for (let n = 0; n < 8; n++) {
    assert.deepEqual([world.north.enabled(`a${n}`), world.south.enabled(`a${n}`)], [true, true], `a${n}`)
    assert.equal((await world.account('south', `a${n}`)).mark, 'none')
    assert.equal(await world.store.absence({ adapter: 'north', id: `a${n}` }), undefined)
  }
  assert.deepEqual(await why(world), [])
})

test('deleted one after the other, each in a pass of its own: the count is of the window', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 4, ['north'])
  for (let n = 0; n < 4; n++) {
    world.north.remove(`a${n}`)
    await world.poll()
    await world.work()
    assert.equal(await held(world, dids), Math.min(n + 1, 2))
  }
  await world.run(settleMs + second)
  assert.equal(await held(world, dids), 4)
})

test('a doubted read that came with a write is repeated too, when nothing is to be written any more', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 5, ['north'])
  world.north.reads.add({ mode: 'gone', times: 5 })
  const kills: string[] = []
  for (const did of dids) kills.push((await world.kill(did)).holdId)
  await world.runner('north').mirror.suspendOnce()
  await world.runner('north').mirror.drained()
  assert.deepEqual(await why(world), ['absent'])
  world.north.reads.clear()
  for (const [n, did] of dids.entries()) await world.releaseByTwo(did, kills[n] ?? '')
  await world.settleAll(5 * minute)
  await world.full()
  await world.poll()
  assert.equal((await world.store.countAbsences('north', 0)).pending, 0)
  assert.deepEqual(await why(world), [])
})

test('a restart between the two reads: the first one still counts', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 5, ['north'])
  removeAll(world, 5)
  await world.poll()
  await world.work()
  await world.clock.advance(settleMs + second)
  await world.restart()
  assert.deepEqual(await why(world), ['absent'])
  await world.work()
  assert.equal(await held(world, dids), 5)
})

test('a clock set back between the two reads: the second one is not waited for until it catches up', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 5, ['north'])
  removeAll(world, 5)
  await world.poll()
  await world.work()
  world.clock.jump(-24 * 60 * minute)
  await world.work()
  await world.run(2 * (settleMs + second))
  assert.equal(await held(world, dids), 5)
})

test('absent when we are about to write: doubted as well, and written when it is back', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 30, ['north'])
  world.north.reads.add({ mode: 'gone', times: 60 })
  for (const did of dids) await world.kill(did)
  await world.work()
  assert.deepEqual(await why(world), ['absent'])
  const own = await world.store.openHoldsWithOrigin('adapter:north/', 100)
  // Batches of 20: what came before it was too many is believed.
  assert.ok(own.length < 20, `${own.length}`)
  world.north.reads.clear()
  await world.settleAll(10 * minute)
  assert.equal(dids.filter((_, n) => world.north.enabled(`a${n}`)).length, 0)
  assert.equal((await world.store.openHoldsWithOrigin('adapter:north/', 100)).length, 0)
})

test('an empty listing: every account is read by id, nothing is concluded, and it is told', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 60)
  world.north.feed.add({ mode: 'empty', times: 1 })
  const reads = world.north.readIds.length
  await world.clock.advance(second)
  await world.runner('north').sync.full(world.signal)
  assert.deepEqual(await why(world), ['empty'])
  await world.run(minute)
  assert.equal(new Set(world.north.readIds.slice(reads)).size, 60)
  assert.equal(await held(world, dids), 0)
  assert.deepEqual(await why(world), ['empty'], 'until a listing is plausible again')
  // In quarantine one that is gone needs its second read, whatever their number.
  world.north.remove('a0')
  await world.poll()
  await world.work()
  assert.equal(await held(world, dids), 0)
  await world.run(settleMs + second)
  assert.equal(await held(world, dids), 1)
  await world.runner('north').sync.full(world.signal)
  assert.deepEqual(await why(world), [])
  assert.deepEqual(await edges(world), ['entered empty', 'left empty'])
  assert.deepEqual(alerts(world), ['quarantined'])
})

test('a listing without those that are known to be gone is plausible', async () => {
  await using world = await World.open(automatic)
  await fleetOf(world, 6, ['north'])
  removeAll(world, 5)
  await world.settleAll(2 * minute)
  await world.full()
  assert.deepEqual(await edges(world), ['entered absent'])
})

test('accounts mapped while a listing is under way are not missed in it, and do not hide that others are', async () => {
  await using world = await World.open(automatic)
  await fleetOf(world, 6, ['north'])
  await world.clock.advance(second)
  const { adapter } = world.runner('north').mount
  const changes = adapter.changes.bind(adapter)
  let round = 0
  const mapSeven = async (prefix: string): Promise<void> => {
    for (let n = 0; n < 7; n++) await world.agent(`${prefix}${n}`, {}, ['north'])
    await world.work()
  }
  Object.assign(adapter, {
    async *changes(since: string | undefined, signal: AbortSignal) {
      round += 1
      await world.clock.advance(second)
      if (round === 2) await mapSeven('listed')
      yield* changes(since, signal)
      if (round === 1) await mapSeven('later')
    },
  })
  await world.runner('north').sync.full(world.signal)
  assert.deepEqual(await why(world), [])
  world.north.feed.add({ mode: 'empty', times: 1 })
  await world.runner('north').sync.full(world.signal)
  assert.deepEqual(await why(world), ['empty'])
})

test('forbidden everywhere: nothing changes, and it is told until a pass succeeds', async () => {
  await using world = await World.open(automatic)
  const dids = await fleetOf(world, 8)
  world.north.set('a0', false)
  await world.settleAll(minute)
  for (const faults of [world.north.feed, world.north.reads]) faults.add({ mode: 'forbidden' })
  for (let n = 1; n < 8; n++) world.north.remove(`a${n}`)
  for (let n = 0; n < 8; n++) await world.ring('north', { delivery: `d${n}`, principal: `a${n}` })
  for (let pass = 0; pass < 3; pass++) {
    await assert.rejects(world.runner('north').sync.changes(world.signal), { code: 'E_DIRECTORY_FORBIDDEN' })
    await world.run(minute)
  }
  assert.deepEqual([await held(world, dids), await world.store.countOpenHolds()], [1, 1])
  assert.deepEqual(await why(world), ['forbidden'])
  assert.deepEqual(alerts(world), ['quarantined'])
  const since = (await world.bridge.status()).adapters[0]?.quarantine?.since
  await world.restart()
  assert.deepEqual((await world.bridge.status()).adapters[0]?.quarantine, { since, why: ['forbidden'] })
  for (const faults of [world.north.feed, world.north.reads]) faults.clear()
  await world.poll()
  assert.deepEqual(await edges(world), ['entered forbidden', 'left forbidden'])
})

test('a directory that is only down is not in quarantine', async () => {
  await using world = await World.open(automatic)
  await fleetOf(world, 4)
  world.north.feed.add({ mode: 'down', times: 1 })
  await assert.rejects(world.runner('north').sync.changes(world.signal))
  assert.deepEqual(await edges(world), [])
})

test('a group that is suddenly empty: believed at the second complete read past settle, then counted', async () => {
  const groups = { g: ['read:x'], other: ['read:y'] }
  await using world = await World.open({
    policy: { guard: { ...policyOf().guard, suspend: { max: 3, percent: 100 } } },
    adapters: { north: { settings: { groups } } },
  })
  await fleetOf(world, 4, ['north'])
  const members = ['a0', 'a1', 'a2', 'a3']
  for (const group of Object.keys(groups)) world.north.setGroup(group, members)
  const sync = () => world.runner('north').groups.sync(world.signal)
  const granted = async () => (await world.store.sourcesNamed('group:north/g')).length
  await sync()
  world.north.setGroup('g', [])
  await sync()
  assert.deepEqual([await why(world), await granted()], [['groups'], 4])
  assert.deepEqual(alerts(world), ['quarantined', 'group-emptied'])
  world.north.setGroup('g', members)
  await sync()
  assert.deepEqual([await why(world), await granted()], [[], 4])
  world.north.setGroup('g', [])
  await sync()
  await world.clock.advance(settleMs + second)
  assert.equal((await world.bridge.guard('north')).suspend.tripped, false)
  await sync()
  assert.deepEqual([await why(world), await granted()], [[], 0])
  const { count, tripped } = (await world.bridge.guard('north')).suspend
  assert.deepEqual([count, tripped], [4, true])
  const lap = ['entered groups', 'left groups']
  assert.deepEqual(await edges(world), [...lap, ...lap])
})
