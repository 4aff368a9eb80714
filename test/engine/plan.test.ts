import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDirectory } from '../../adapters/memory/directory.ts'
import { memoryConfig, open } from '../../adapters/memory/index.ts'
import { endsATime } from '../../src/core/ending.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { AdapterPlan, Plan } from '../../src/core/plan.ts'
import { type Clock, manualClock } from '../../src/lib/clock.ts'
import { rowsOf } from '../store/dump.ts'
import { alice, carol, dave, minute, type Name, policyOf, runtime, second, settleMs, soc, World } from './harness.ts'

const plan = (world: World, adapter?: string): Promise<Plan> => world.bridge.plan(adapter, world.signal)

const partOf = ({ adapters }: Plan, name: Name): AdapterPlan => {
  const part = adapters.find(({ adapter }) => adapter === name)
  assert.ok(part, `a part for ${name}`)
  return part
}

const told = (found: Plan, name: Name): string[] =>
  partOf(found, name)
    .changes.map(({ because, capability, change, dids, principal }) =>
      [change, principal ?? dids.join(), ...because, capability].filter((one) => one !== undefined).join(' '),
    )
    .sort()

const waiting = (found: Plan, name: Name): string[] =>
  partOf(found, name)
    .waiting.map(({ detail, principal, wants, why }) => [wants, principal, why, detail].filter(Boolean).join(' '))
    .sort()

const suspend = (world: World, did: string) => world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)

test('an account found disabled: its agent would be held, and its other accounts switched off', async () => {
  await using world = await World.open()
  await world.agent('a')
  await world.agent('b')
  await world.settleAll()
  const calm = await plan(world)
  assert.deepEqual([told(calm, 'north'), told(calm, 'south')], [[], []])
  assert.match(calm.hash ?? '', /^[0-9a-f]{64}$/)

  world.north.set('a', false)
  const before = rowsOf(world.path)
  const written = [world.writes('north'), world.writes('south')]
  const alerts = world.alerts.length
  const metrics = await world.metrics.text()
  const found = await plan(world)
  assert.deepEqual(told(found, 'north'), ['hold a adapter:north/a'])
  assert.deepEqual(told(found, 'south'), ['switch-off a adapter:north/a'])
  assert.equal(partOf(found, 'north').changes[0]?.cause, 'disabled')
  assert.notEqual(found.hash, calm.hash)
  assert.equal(rowsOf(world.path), before, 'the store is as it was')
  assert.deepEqual([world.writes('north'), world.writes('south')], written, 'nothing was written')
  assert.ok(!world.passed.some((point) => point.startsWith('disable')), 'no write was begun')
  assert.equal(world.alerts.length, alerts, 'nobody was alerted')
  assert.equal(await world.metrics.text(), metrics, 'nothing was counted')

  await world.clock.advance(minute)
  assert.equal((await plan(world)).hash, found.hash, 'at another time it is the same plan')
  await world.settleAll()
  assert.deepEqual(await world.origins('did:mesh:a'), ['adapter:north/a'])
  assert.deepEqual(world.writes('south', 'a'), ['disable'])
  const after = await plan(world)
  assert.deepEqual([told(after, 'north'), told(after, 'south')], [[], []])
  assert.equal(after.hash, calm.hash, 'nothing to change is always the same plan')
})

test('it does not depend on the order in which the directory lists, and differs where anything else is planned', async () => {
  const hashOf = async (ids: readonly string[], off: readonly string[]) => {
    await using world = await World.open()
    for (const id of ids) await world.agent(id)
    await world.settleAll()
    for (const id of off) world.north.set(id, false)
    return (await plan(world)).hash
  }
  const one = await hashOf(['a', 'b', 'c'], ['a', 'b'])
  assert.equal(await hashOf(['c', 'b', 'a'], ['b', 'a']), one)
  assert.notEqual(await hashOf(['a', 'b', 'c'], ['a', 'c']), one)
  assert.notEqual(await hashOf(['a', 'b', 'c'], ['a']), one)
})

test('a hold that was placed a moment ago: the account would be switched off, and its descendant with it', async () => {
  await using world = await World.open()
  const parent = await world.agent('p')
  await world.agent('c', { parentDid: parent }, ['south'])
  await world.settleAll()
  await suspend(world, parent)
  const found = await plan(world)
  assert.deepEqual(told(found, 'north'), ['switch-off p operator:soc'])
  assert.deepEqual(told(found, 'south'), ['switch-off c cascade:did:mesh:p', 'switch-off p operator:soc'])
  assert.deepEqual(waiting(found, 'north'), [])
})

test('the last hold was released: the account would be switched on, as far as the log proves it', async () => {
  await using world = await World.open({ adapters: { south: { logless: true } } })
  const did = await world.agent('a')
  await world.settleAll()
  const { id } = await suspend(world, did)
  await world.settleAll()
  assert.deepEqual([told(await plan(world), 'north')], [[]])
  await world.bridge.release(did, id, 'over', soc)
  const found = await plan(world)
  assert.deepEqual([told(found, 'north'), told(found, 'south')], [['switch-on a'], ['switch-on a']])

  world.north.logFaults.add({ mode: 'down', times: 1 })
  const blind = await plan(world)
  assert.deepEqual(told(blind, 'north'), [])
  assert.equal(blind.hash, undefined)
  assert.deepEqual(
    partOf(blind, 'north').faults.map(({ asked, code }) => [asked, code]),
    [['log', 'E_DIRECTORY_DOWN']],
  )
  assert.notEqual(partOf(blind, 'south').hash, undefined)
})

test('an account that is gone: held as deleted once a read by id says so; what only waits for its second read is told', async () => {
  await using world = await World.open()
  for (const id of ['a', 'b', 'c', 'd']) await world.agent(id, {}, ['north'])
  await world.settleAll()
  world.north.remove('a')
  const one = await plan(world)
  assert.deepEqual(told(one, 'north'), ['hold a adapter:north/a'])
  assert.equal(partOf(one, 'north').changes[0]?.cause, 'deleted')
  for (const id of ['b', 'c', 'd']) world.north.remove(id)
  const all = await plan(world)
  assert.deepEqual(told(all, 'north'), [], 'so many at once are not believed')
  assert.deepEqual(partOf(all, 'north').quarantine, ['empty', 'absent'])
})

for (const [what, fail, asked, code] of [
  ['the feed breaks', (d: MemoryDirectory) => d.feed.add({ mode: 'midway', times: 1 }), 'accounts', undefined],
  ['it is down', (d: MemoryDirectory) => d.feed.add({ mode: 'down', times: 1 }), 'accounts', 'E_DIRECTORY_DOWN'],
  [
    'it forbids',
    (d: MemoryDirectory) => d.feed.add({ mode: 'forbidden', times: 1 }),
    'accounts',
    'E_DIRECTORY_FORBIDDEN',
  ],
  [
    'a group fails',
    (d: MemoryDirectory) => d.groupFaults.add({ mode: 'down', id: 'g', times: 1 }),
    'group',
    'E_DIRECTORY_DOWN',
  ],
] as const) {
  test(`${what}: a fault of that part, never an empty plan, and the others are told all the same`, async () => {
    await using world = await World.open({ adapters: { north: { settings: { groups: { g: ['read:x'] } } } } })
    await world.agent('a')
    world.north.setGroup('g', [])
    await world.settleAll()
    world.south.set('a', false)
    fail(world.north)
    const found = await plan(world)
    const part = partOf(found, 'north')
    assert.deepEqual([part.hash, found.hash], [undefined, undefined])
    assert.equal(part.faults.length, 1)
    assert.equal(part.faults[0]?.asked, asked)
    if (code !== undefined) assert.equal(part.faults[0]?.code, code)
    assert.deepEqual(told(found, 'south'), ['hold a adapter:south/a'])
    assert.match(partOf(found, 'south').hash ?? '', /^[0-9a-f]{64}$/)
    assert.deepEqual(partOf(await plan(world), 'north').faults, [], 'it answers again')
  })
}

test('an account whose last reading is dated ahead of a clock that was set back is read by id, as a pass reads it', async () => {
  await using world = await World.open()
  for (const id of ['a', 'b', 'c', 'd']) await world.agent(id, {}, ['north'])
  await world.settleAll()
  await world.full()
  await world.work()
  world.clock.jump(-minute / 2)
  world.north.remove('a')
  const found = await plan(world)
  assert.deepEqual(told(found, 'north'), ['hold a adapter:north/a'])
  await world.settleAll()
  assert.deepEqual(await world.origins('did:mesh:a'), ['adapter:north/a'])
})

test('an account that cannot be read is neither on nor off', async () => {
  await using world = await World.open()
  await world.agent('a', {}, ['north'])
  await world.settleAll()
  world.north.remove('a')
  world.north.reads.add({ mode: 'unreadable', id: 'a', times: 1 })
  const part = partOf(await plan(world), 'north')
  assert.deepEqual(part.changes, [])
  assert.deepEqual(
    part.faults.map(({ asked, code, n }) => [asked, code, n]),
    [['account', 'E_DIRECTORY_ANSWER', 1]],
  )
  assert.equal(part.hash, undefined)
})

test('capabilities: what groups would give and take', async () => {
  await using world = await World.open({ adapters: { north: { settings: { groups: { g: ['read:x', 'write:x'] } } } } })
  await world.agent('a')
  await world.agent('b')
  world.north.setGroup('g', ['a'])
  await world.settleAll()
  await world.runner('north').groups.sync(world.signal)
  assert.deepEqual(told(await plan(world), 'north'), [])
  world.north.setGroup('g', ['b'])
  const before = rowsOf(world.path)
  assert.deepEqual(told(await plan(world), 'north'), [
    'grant did:mesh:b group:north/g read:x',
    'grant did:mesh:b group:north/g write:x',
    'revoke did:mesh:a group:north/g read:x',
    'revoke did:mesh:a group:north/g write:x',
  ])
  assert.equal(rowsOf(world.path), before)
  world.settings.north = { ...world.settings.north, groups: { g: ['read:x'] } }
  world.north.setGroup('g', ['a'])
  assert.deepEqual(told(await plan(world), 'north'), ['revoke did:mesh:a group:north/g write:x'])
})

test('paused: nothing would be written, and what waits is told', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const other = await world.agent('b')
  await world.settleAll()
  const { id } = await suspend(world, other)
  await world.settleAll()
  await world.bridge.pause(true, 'maintenance', alice)
  await suspend(world, did)
  await world.bridge.release(other, id, 'over', soc)
  const found = await plan(world)
  assert.equal(found.paused, true)
  assert.deepEqual(told(found, 'north'), [])
  assert.deepEqual(waiting(found, 'north'), ['off a paused', 'on b paused'])
  await world.bridge.pause(false, 'done', alice)
  assert.deepEqual(told(await plan(world), 'north'), ['switch-off a operator:soc', 'switch-on b'])
})

test('the guard: what would trip it, what it keeps back, and the plan that people look at', async () => {
  const guard = { ...policyOf().guard, suspend: { max: 1, percent: 100 } }
  await using world = await World.open({ policy: { guard } })
  for (const id of ['a', 'b', 'c']) await world.agent(id)
  await world.settleAll()
  for (const id of ['a', 'b']) world.north.set(id, false)
  const trips = await plan(world)
  assert.deepEqual(
    partOf(trips, 'north').guard.map(({ direction, frozen, state }) => [direction, state, frozen]),
    [['suspend', 'trips', undefined]],
  )
  assert.deepEqual(
    partOf(trips, 'north').changes.map(({ dids, guarded }) => [dids[0], guarded]),
    [
      ['did:mesh:a', false],
      ['did:mesh:b', true],
    ],
  )
  assert.deepEqual(told(trips, 'south'), ['switch-off a adapter:north/a'])
  assert.deepEqual(waiting(trips, 'north'), ['mirror b guard'])

  await world.settleAll(minute)
  const tripped = await plan(world)
  assert.deepEqual(told(tripped, 'south'), [])
  assert.deepEqual(waiting(tripped, 'north'), ['mirror b guard'])
  const hash = (await world.bridge.guard('north')).suspend.plan?.hash ?? ''
  await world.bridge.approveGuard('north', hash, carol)
  assert.deepEqual(
    partOf(await plan(world), 'north').guard.map(({ frozen, state }) => [state, frozen]),
    [['tripped', { hash, rows: 1, applying: false }]],
  )
  await world.bridge.approveGuard('north', hash, dave)
  const passed = await plan(world)
  assert.deepEqual(partOf(passed, 'north').guard, [])
  assert.deepEqual(told(passed, 'south'), ['switch-off b adapter:north/b'])
})

test('what waits: for people, for a directory that throttles, and for nothing that the bridge may do', async () => {
  await using world = await World.open({ adapters: { south: { settings: { mirror: 'inbound' } } } })
  const did = await world.agent('a', {}, ['north'])
  const other = await world.agent('b')
  await world.settleAll()
  world.north.set('a', false)
  await world.settleAll()
  world.north.set('a', true)
  await world.settleAll()
  assert.deepEqual(waiting(await plan(world), 'north'), ['release a review'])
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])

  world.north.writes.add({ mode: 'throttled', id: 'b', times: 1, retryAfterMs: 40 * second })
  await suspend(world, other)
  await world.work()
  const found = await plan(world)
  assert.deepEqual(waiting(found, 'north'), ['off b throttled E_DIRECTORY_THROTTLED', 'release a review'])
  assert.deepEqual(waiting(found, 'south'), ['off b unsupported mirror'])
  assert.deepEqual(told(found, 'north'), [])
  await world.run(minute)
  assert.equal(world.north.enabled('b'), false)
})

test('a confirmation that is half done is gone on with: the pass that would complete it says so', async () => {
  await using world = await World.open({ policy: { resume: 'automatic' } })
  const did = await world.agent('a')
  await world.settleAll()
  world.north.set('a', false)
  await world.settleAll()
  world.north.set('a', true)
  await world.clock.advance(settleMs)
  await world.poll()
  await world.work()
  assert.deepEqual(told(await plan(world), 'north'), [])
  await world.clock.advance(31 * second)
  const before = rowsOf(world.path)
  const found = await plan(world)
  assert.deepEqual(told(found, 'north'), ['release a adapter:north/a'])
  assert.deepEqual(told(found, 'south'), ['switch-on a'])
  assert.equal(rowsOf(world.path), before)
  assert.deepEqual(await world.origins(did), ['adapter:north/a'], 'the plan confirmed nothing')
  assert.deepEqual(told(await plan(world), 'north'), ['release a adapter:north/a'], 'and forgot nothing')
})

test('a release that frees more than one transaction bears is followed to its end, and so is a hold', async () => {
  const most = { max: 1_000, percent: 100 }
  const guard = { ...policyOf().guard, suspend: most, resume: most }
  await using world = await World.open({ policy: { resume: 'automatic', guard } })
  const parent = await world.agent('p', {}, ['north'])
  const below = Array.from({ length: 2 * endsATime + 20 }, (_, n) => `c${n}`)
  for (const id of below) await world.agent(id, { parentDid: parent }, ['south'])
  await world.settleAll()
  world.north.set('p', false)
  const count = (found: Plan, name: Name, kind: string) =>
    partOf(found, name).changes.filter(({ change }) => change === kind).length
  const held = await plan(world)
  assert.deepEqual([count(held, 'north', 'hold'), count(held, 'south', 'switch-off')], [1 + below.length, below.length])
  await world.settleAll()
  world.north.set('p', true)
  await world.clock.advance(settleMs)
  await world.poll()
  await world.work()
  await world.clock.advance(31 * second)
  const freed = await plan(world)
  assert.deepEqual(
    [count(freed, 'north', 'release'), count(freed, 'south', 'switch-on')],
    [1 + below.length, below.length],
  )
})

test('a shared account stays on while one of its agents is not held, and is switched off with the last', async () => {
  await using world = await World.open()
  world.north.add({ id: 's' })
  const principals = [{ adapter: 'north', id: 's', kind: 'account', shared: true }]
  const one = await world.agent('a', { principals }, ['north'])
  const two = await world.agent('b', { principals }, ['north'])
  await world.settleAll()
  await suspend(world, one)
  const found = await plan(world)
  assert.deepEqual([told(found, 'north'), waiting(found, 'north')], [[], ['off s shared shared']])
  await suspend(world, two)
  const both = partOf(await plan(world), 'north').changes
  assert.deepEqual(
    both.map(({ change, dids, principal }) => [change, dids, principal]),
    [['switch-off', [one, two], 's']],
  )
})

test('of one directory: it alone is read', async () => {
  await using world = await World.open()
  await world.agent('a')
  await world.settleAll()
  world.north.set('a', false)
  world.south.feed.add({ mode: 'down', times: 1 })
  const found = await plan(world, 'north')
  assert.deepEqual(
    found.adapters.map(({ adapter, faults }) => [adapter, faults]),
    [['north', []]],
  )
  assert.deepEqual(told(found, 'north'), ['hold a adapter:north/a'])
  assert.notEqual(found.hash, undefined)
  await assert.rejects(plan(world, 'nowhere'), (error) => codeOf(error) === 'E_ADAPTER_UNKNOWN')
})

test('one at a time; one that is given up ends, and leaves room for the next', async () => {
  await using world = await World.open()
  await world.agent('a')
  const first = plan(world)
  await assert.rejects(
    plan(world),
    (error) => error instanceof BridgeError && error.code === 'E_RATE' && error.retryAfterMs === 5_000,
  )
  await first
  const gone = AbortSignal.abort(new Error('the client left'))
  await assert.rejects(world.bridge.plan(undefined, gone), (error) => codeOf(error) === 'E_ABORTED')
  assert.equal((await plan(world)).adapters.length, 2)
})

test('it costs what a full pass costs: pages, and reads by id of what they lack or what would be written', async () => {
  const clock = manualClock()
  const directory = new MemoryDirectory(clock)
  let pages = 0
  const asked: number[] = []
  const asides: (boolean | undefined)[] = []
  const north = {
    adapter: (ticking: Clock) => {
      const adapter = open('north', memoryConfig.parse({ kind: 'memory' }), { clock: ticking }, directory)
      return {
        ...adapter,
        async *changes(since: string | undefined, signal: AbortSignal, aside?: boolean) {
          asides.push(aside)
          for await (const page of adapter.changes(since, signal, aside)) {
            pages += 1
            yield page
          }
        },
        lookup: (refs: Parameters<typeof adapter.lookup>[0], signal: AbortSignal) => {
          asked.push(refs.length)
          return adapter.lookup(refs, signal)
        },
      }
    },
  }
  await using world = await World.open({ adapters: { north }, clock })
  for (let n = 0; n < 250; n++) {
    directory.add({ id: `row${n}` })
    if (n < 120) await world.agent(`row${n}`, {}, ['north'])
  }
  await world.full()
  await world.work()
  pages = 0
  await world.full()
  const ofPass = pages
  ;[pages, asked.length, asides.length] = [0, 0, 0]
  const found = await plan(world)
  assert.deepEqual(told(found, 'north'), [])
  assert.equal(pages, ofPass)
  assert.deepEqual(asides, [true], 'a look aside')
  assert.deepEqual(asked, [], 'nobody was asked for alone')
  for (let n = 0; n < 30; n++) await world.kill(`did:mesh:row${n}`, { ...runtime, name: `agt-${n}` })
  await plan(world)
  assert.ok(asked.length <= 2 + Math.ceil(30 / (world.runner('north').mount.adapter.accounts?.batch ?? 1)), `${asked}`)
})
