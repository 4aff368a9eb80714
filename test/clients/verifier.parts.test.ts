import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCopy } from '../../clients/verifier/copying.ts'
import { follow } from '../../clients/verifier/following.ts'
import { Freshness } from '../../clients/verifier/freshness.ts'
import { createRefreshing } from '../../clients/verifier/refreshing.ts'
import { createReplica } from '../../clients/verifier/replica.ts'
import { frameOf, pageOf } from '../../clients/verifier/wire.ts'
import { mostHops } from '../../src/core/delegation.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { ReplicaRow } from '../../src/core/replica.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { until } from '../e2e/until.ts'
import { minute, names, second } from '../engine/harness.ts'
import { verifierWorld } from './verifierworld.ts'

const row = (did: string, seq: number, fields: Partial<ReplicaRow> = {}): ReplicaRow => ({
  did,
  seq,
  agent: { blueprint: undefined, parentDid: undefined, decommissioned: false, resumedAt: undefined },
  delegation: undefined,
  holds: [],
  accounts: [],
  aliases: [],
  sources: [],
  ...fields,
})
const held = { origin: 'operator:soc', severity: 'kill', publicReason: undefined, placedAt: 1 } as const
const nobody = { agent: undefined }
const account = (id: string, shared = false) => ({ adapter: 'x', id, shared, scopes: [], observedAt: 5 })

test('a row that is older than what is here changes nothing, whatever overtook what', async () => {
  const replica = createReplica('g', 10)
  replica.take([row('a', 5, { holds: [held] })])
  replica.take([row('a', 4)])
  assert.equal((await replica.openHolds('a')).length, 1)
  replica.take([row('a', 6)])
  replica.take([row('a', 5, { holds: [held] })])
  assert.deepEqual(await replica.openHolds('a'), [])
  // Of one that is gone as well: an old page brings no hold back that nobody would ever lift.
  replica.take([row('b', 7, { ...nobody, holds: [held] })])
  replica.take([row('b', 9, nobody)])
  replica.take([row('b', 8, { ...nobody, holds: [held] })])
  assert.deepEqual([await replica.openHolds('b'), replica.size], [[], 1])
})

test('names lead to whoever was told of last, and are gone with the last one', async () => {
  const replica = createReplica('g', 10)
  replica.take([row('a', 1, { accounts: [account('p')], aliases: ['z'] })])
  replica.take([row('b', 2, { accounts: [account('p')], aliases: ['z'] })])
  assert.equal((await replica.principal({ adapter: 'x', id: 'p' }))?.did, 'b')
  replica.take([row('a', 3)])
  assert.deepEqual([await replica.aliased('z'), (await replica.principalsById('x', ['p', 'q'])).length], ['b', 1])
  replica.take([row('b', 4)])
  assert.equal(await replica.aliased('z'), undefined)
  assert.equal(await replica.principal({ adapter: 'x', id: 'p' }), undefined)
  replica.take([row('b', 5, { accounts: [account('s', true)] }), row('a', 5, { accounts: [account('s', true)] })])
  assert.deepEqual(
    (await replica.sharersOf({ adapter: 'x', id: 's' })).map(({ did }) => did),
    ['a', 'b'],
  )
})

test('ids are found by what stands before any # of theirs, of the one adapter, while somebody has them', async () => {
  const replica = createReplica('g', 10)
  const named = async (...names: string[]) =>
    (await replica.principalsNamed('x', names)).map(({ id, did }) => `${did} ${id}`)
  replica.take([row('a', 1, { accounts: [account('n#2'), account('n#1#3'), account('n'), account('m#1')] })])
  replica.take([row('b', 2, { accounts: [{ ...account('n#4'), adapter: 'y' }, account('s#1', true)] })])
  replica.take([row('c', 2, { accounts: [account('s#1', true)] })])
  assert.deepEqual(await named('n'), ['a n#1#3', 'a n#2'])
  assert.deepEqual(await named('n#1', 'm', 'n#1'), ['a n#1#3', 'a m#1'])
  assert.deepEqual(await named('', 'n#', 'N', 'n#2', 'other'), [])
  assert.equal((await named('s')).length, 1)
  replica.take([row('c', 3), row('a', 3, { accounts: [account('n#2')] })])
  assert.deepEqual(await named('n', 'n#1', 'm', 's'), ['a n#2', 'b s#1'])
  replica.take([row('b', 4, { accounts: [account('n#2')] }), row('a', 4)])
  assert.deepEqual(await named('n', 's'), ['b n#2'])
  replica.take([row('b', 5)])
  assert.deepEqual(await named('n', 's'), [])
})

test('a chain is cut off where the store cuts it off, and a cycle ends', async () => {
  const replica = createReplica('g', 100)
  const under = (at: number) => ({
    blueprint: undefined,
    parentDid: `n${at}`,
    decommissioned: false,
    resumedAt: undefined,
  })
  replica.take(Array.from({ length: 40 }, (_, at) => row(`n${at}`, 1, { agent: under((at + 1) % 40) })))
  assert.equal((await replica.chain('n0')).length, mostHops + 2)
  replica.take([row('n1', 2)])
  assert.deepEqual(
    (await replica.chain('n0')).map(({ did }) => did),
    ['n0', 'n1'],
  )
  assert.deepEqual(await replica.chain('nobody'), [])
})

test('more than it may hold is refused, and every change is counted', () => {
  const replica = createReplica('g', 2)
  const { count } = replica.changes
  replica.take([row('a', 1), row('b', 1)])
  assert.ok(replica.changes.count > count)
  const before = replica.changes.count
  replica.reached(7)
  assert.ok(replica.changes.count > before)
  assert.throws(() => replica.take([row('c', 2)]), { code: 'E_REPLICA_LARGE' })
})

test('age counts what was on its way, sleep of the machine and jumps of its clock, and no constant difference', async () => {
  const clock = manualClock()
  const freshness = new Freshness(clock)
  assert.equal(freshness.ageMs, undefined)
  freshness.connecting()
  // The bridge is twenty seconds behind all along.
  const theirs = () => clock.now() - 20 * second
  freshness.current(theirs())
  assert.equal(freshness.ageMs, 0)
  await clock.advance(3 * second)
  assert.equal(freshness.ageMs, 3 * second)
  const said = theirs()
  await clock.advance(40 * second)
  freshness.current(said)
  assert.equal(freshness.ageMs, 40 * second, 'it waited in a buffer')
  freshness.current(theirs())
  assert.equal(freshness.ageMs, 0)
  clock.jump(90 * second)
  assert.equal(freshness.ageMs, 90 * second)
  clock.jump(-180 * second)
  assert.ok((freshness.ageMs ?? 0) >= 0)
  assert.equal(freshness.isSkewed, false)
  // What came first waited as well, at most as long as the connection is there.
  freshness.connecting()
  const first = clock.now()
  await clock.advance(50 * second)
  freshness.current(first)
  assert.equal(freshness.ageMs, 50 * second)
  freshness.current(clock.now())
  assert.equal(freshness.ageMs, 0)
  assert.equal(freshness.isSkewed, false)
  // One of the clocks was set while the first was on its way: what comes next mends it.
  freshness.connecting()
  const before = clock.now()
  clock.jump(600 * second)
  freshness.current(before)
  assert.equal(freshness.isSkewed, true)
  freshness.current(clock.now())
  assert.deepEqual([freshness.isSkewed, freshness.ageMs], [false, 0])
  for (const apart of [61 * second, -61 * second]) {
    freshness.connecting()
    freshness.current(clock.now() + apart)
    freshness.disconnected()
    assert.deepEqual([freshness.isSkewed, freshness.isConnected], [true, false])
    // Not better for being lost.
    freshness.connecting()
    assert.equal(freshness.isSkewed, true)
  }
})

test('rows are asked for half way to the age that denies, then ever sooner, and at a pace once too old', () => {
  const refreshing = createRefreshing()
  refreshing.denyAfter(80 * minute)
  refreshing.read('a', 0, 0)
  refreshing.read('b', undefined, 0)
  assert.deepEqual(refreshing.due(39 * minute, 9), [])
  assert.deepEqual(refreshing.due(40 * minute, 9), ['a'])
  assert.deepEqual(refreshing.due(41 * minute, 9), [])
  refreshing.read('a', 0, 40 * minute)
  assert.deepEqual(refreshing.due(60 * minute, 9), ['a'])
  refreshing.read('a', 0, 90 * minute)
  assert.deepEqual(refreshing.due(93 * minute, 9), [])
  assert.deepEqual(refreshing.due(94 * minute, 9), ['a'])
  refreshing.failed(['a'], 94 * minute)
  for (const did of ['c', 'd']) refreshing.read(did, 94 * minute, 94 * minute)
  refreshing.denyAfter(minute)
  assert.equal(refreshing.due(94 * minute, 2).length, 2)
  assert.equal(refreshing.due(94 * minute, 2).length, 1)
})

test('a bridge that is down is asked for old rows ever more rarely, however many are due', async () => {
  const clock = manualClock()
  const denyAfterMs = 4 * minute
  const observedAt = clock.now()
  const rows = Array.from({ length: 5_000 }, (_, n) =>
    row(`d${n}`, 1, { accounts: [{ ...account(`p${n}`), observedAt }] }),
  )
  let asked = 0
  const errors: BridgeError[] = []
  const asking = {
    page: async () => ({ generation: 'g', rows, nextCursor: null }),
    items: async () => {
      asked += 1
      throw new BridgeError('E_UNREACHABLE', 'down')
    },
  }
  const keyring = { keys: () => assert.fail('nobody has a token'), keep: () => undefined }
  const whole = Promise.withResolvers<void>()
  const parts = { asking, keyring, clock, random: () => 1, maxAgents: 9_999, whole: whole.resolve }
  const settings = { denyAfterMs, unknownActors: 'deny' as const, adapters: [], limits: [], toolServers: [] }
  const copy = createCopy({ ...parts, report: (error) => errors.push(error) }, 'g', settings)
  const stop = new AbortController()
  const run = copy.run(stop.signal).catch(() => undefined)
  await whole.promise
  await clock.advance(denyAfterMs / 2 + 2 * second)
  assert.ok(asked > 0)
  await clock.advance(minute)
  stop.abort()
  await run
  assert.ok(asked < 10, `asked ${asked} times in a minute`)
  assert.equal(errors.length, asked)
})

test('a stream that cannot be understood is opened ever more rarely; one that told everything at once', async () => {
  const sse = (event: string, data: object) => `id: g-1\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
  const current = sse('current', { epoch: 1, at: new Date(0).toISOString() })
  for (const [text, least, most] of [
    [sse('later', {}) + sse('changed', { items: [{}] }), 5, 30],
    [current + sse('changed', { items: [{}] }), 100, Number.POSITIVE_INFINITY],
  ] as const) {
    const clock = manualClock()
    const stop = new AbortController()
    let opened = 0
    const stream = async (_: string, { onText }: { readonly onText: (text: string) => void }) => {
      opened += 1
      onText(text)
      return undefined
    }
    const quiet = {
      position: () => undefined,
      connecting: () => undefined,
      take: () => undefined,
      lost: () => undefined,
    }
    const following = follow({ http: { stream }, clock, random: () => 1, ...quiet }, stop.signal)
    await clock.advance(minute)
    stop.abort()
    await clock.advance(minute)
    await following
    assert.ok(opened >= least && opened <= most, `opened ${opened} times in a minute`)
  }
})

test('what is not what a bridge says is not guessed at', () => {
  for (const body of [undefined, {}, { generation: 'g', items: [{}], nextCursor: null }]) {
    assert.throws(() => pageOf(body), { code: 'E_UNREACHABLE' })
  }
  for (const data of ['{', '{}', '{"epoch":1,"at":"never"}']) {
    assert.throws(() => frameOf({ id: 'g-1', event: 'current', data }), { code: 'E_UNREACHABLE' })
  }
  assert.deepEqual(frameOf({ id: 'g-1', event: 'later', data: '{' }), { type: 'other' })
  const settings = (rule: object) => ({
    generation: 'g',
    resumed: false,
    settings: {
      denyAfterMs: 1,
      unknownActors: 'deny',
      adapters: [],
      limits: [],
      toolServers: [{ name: 't', resource: null, unlisted: null, tools: [rule] }],
      later: true,
    },
  })
  const rule = { name: 'x', capability: 'read:x', otherParameters: 'deny' }
  const told = (one: object) => frameOf({ id: 'g-1', event: 'settings', data: JSON.stringify(settings(one)) })
  assert.equal(told(rule).type, 'settings')
  // What a rule says and this version does not know would be allowed.
  for (const later of [{ hours: '9-17' }, { resource: { suffix: 'x' } }, { parameters: { '/n': { suffix: 'x' } } }]) {
    assert.throws(() => told({ ...rule, ...later }), { code: 'E_UNREACHABLE' })
  }
})

test('an agent rests on its ancestors’ accounts, whose readings are followed as its own are', async () => {
  const denyMs = 20 * minute
  await using of = await verifierWorld({ policy: { maxStaleness: { warnMs: minute, denyMs } } })
  const { world } = of
  const top = await world.agent('top', {}, names)
  const middle = await world.agent('middle', { parentDid: top }, [])
  const did = await world.agent('low', { parentDid: middle }, [])
  await of.rest()
  const codes = async () => (await of.verifier.decide({ did })).codes.join()
  for (let n = 0; n < 3; n++) {
    await world.clock.advance(denyMs * 0.6)
    await world.full()
    await until('the new reading is known', async () => (await codes()) === '')
  }
  await world.clock.advance(denyMs + second)
  await until('the account of the one at the top is too old', async () => (await codes()) === 'R_STALE')
  assert.deepEqual(await world.codes(did), ['R_STALE'])
})

test('readings are followed before they deny, and after', async () => {
  const denyMs = 20 * minute
  await using of = await verifierWorld({ policy: { maxStaleness: { warnMs: minute, denyMs } } })
  const { world } = of
  const did = await world.agent('a', {}, names)
  await of.rest()
  const codes = async () => (await of.verifier.decide({ did })).codes.join()
  for (let n = 0; n < 4; n++) {
    await world.clock.advance(denyMs * 0.6)
    await world.full()
    await until('the new reading is known', async () => (await codes()) === '')
  }
  await world.clock.advance(denyMs + second)
  await until('both are too old', async () => (await codes()) === 'R_STALE')
  assert.deepEqual(await world.codes(did), ['R_STALE'])
  await world.full()
  await world.clock.advance(minute)
  await until('the reading is known', async () => (await codes()) === '')
})
