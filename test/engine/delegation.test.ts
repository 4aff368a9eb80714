import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mostHops } from '../../src/core/delegation.ts'
import type { AgentInput } from '../../src/engine/agentapi.ts'
import { tellDelegations } from '../../src/engine/expiring.ts'
import { minute, registrar, World } from './harness.ts'

const code = (name: string) => (error: unknown) => error instanceof Error && 'code' in error && error.code === name
const iso = (ms: number) => new Date(ms).toISOString()
const view = (world: World, did: string) => world.bridge.agent(did, registrar)
const effective = async (world: World, did: string) => (await view(world, did)).effective
const patch = (world: World, did: string, what: Readonly<Record<string, unknown>>) =>
  world.bridge.patch(did, what, registrar, undefined)
const agent = (world: World, id: string, input: Partial<AgentInput>) => world.agent(id, input, ['north'])

/** root (read:*, write:z) → middle (delegated read:x and read:y until `expiresAt`) → leaf (delegated read:x). */
const three = async (world: World, expiresAt?: number) => {
  const root = await agent(world, 'root', { capabilities: ['read:*', 'write:z'] })
  const until = expiresAt === undefined ? {} : { expiresAt: iso(expiresAt) }
  const middle = await agent(world, 'middle', {
    parentDid: root,
    delegation: { capabilities: ['read:y', 'read:x', 'read:x'], ...until },
  })
  const leaf = await agent(world, 'leaf', {
    parentDid: middle,
    delegation: { capabilities: ['read:x'], depth: 2 },
    capabilities: ['read:y', 'write:z'],
  })
  return { root, middle, leaf }
}

/** Signals and audit entries of changed capabilities since, by DID. */
const told = async (world: World, since: { signal: number; audit: number }) => {
  const signals = (await world.store.signalsAfter(since.signal, 999)).filter(({ type }) => type === 'capabilities')
  const entries = await world.store.audit({ after: since.audit, limit: 999 })
  const changed = entries.filter(({ type }) => type === 'capabilities.changed')
  assert.deepEqual(
    changed.map(({ did, capabilities }) => [did, capabilities]),
    signals.map(({ did, capabilities }) => [did, capabilities]),
  )
  return signals.map(({ did, capabilities }) => [did.replace('did:mesh:', ''), capabilities])
}
const mark = async (world: World) => ({
  signal: (await world.store.signalRange()).head,
  audit: (await world.store.auditHead()).seq,
})

test('what a parent grants is a source of its own, and is narrowed like any other', async () => {
  await using world = await World.open()
  const { root, middle, leaf } = await three(world)
  const one = await view(world, middle)
  assert.deepEqual(
    one.capabilities.map(({ name, sources }) => [name, sources.map(({ source }) => source)]),
    [
      ['read:x', [`delegation:${root}`]],
      ['read:y', [`delegation:${root}`]],
    ],
  )
  assert.deepEqual([one.depth, one.delegation?.grantedBy, one.delegation?.signed], [1, 'registrar', undefined])
  assert.deepEqual(await effective(world, leaf), ['read:x', 'read:y'])
  const since = await mark(world)
  await patch(world, root, { capabilities: ['read:y'] })
  assert.deepEqual(await told(world, since), [
    ['root', ['read:y']],
    ['middle', ['read:y']],
    ['leaf', ['read:y']],
  ])
  await patch(world, root, { capabilities: ['read:*', 'write:z'] })
  assert.deepEqual(await effective(world, leaf), ['read:x', 'read:y'])
  assert.deepEqual(
    (await world.bridge.delegation(leaf)).map((hop) => [hop.did, hop.depth, hop.granted, hop.effective]),
    [
      [root, 0, undefined, ['read:*', 'write:z']],
      [middle, 1, ['read:x', 'read:y'], ['read:x', 'read:y']],
      [leaf, 2, ['read:x'], ['read:x', 'read:y']],
    ],
  )
  await assert.rejects(world.bridge.delegation('did:mesh:nobody'), code('E_AGENT_UNKNOWN'))
})

test('nobody grants more than it effectively has, and the answer says which', async () => {
  await using world = await World.open()
  const { middle, leaf } = await three(world)
  const wider = { capabilities: ['read:x', 'write:z', 'read:*'] }
  const pointers = ['/delegation/capabilities/1', '/delegation/capabilities/2']
  const isWidening = (error: unknown) => {
    assert.ok(code('E_WIDENING')(error), String(error))
    const details = error instanceof Error && 'details' in error ? error.details : undefined
    assert.deepEqual(
      details,
      pointers.map((pointer) => ({ pointer, code: 'widening' })),
    )
    return true
  }
  await assert.rejects(agent(world, 'n', { parentDid: middle, delegation: wider }), isWidening)
  await assert.rejects(patch(world, leaf, { delegation: wider }), isWidening)
  assert.equal(await world.store.agent('did:mesh:n'), undefined)
  assert.deepEqual((await view(world, leaf)).delegation?.capabilities, ['read:x'])
  // A manual capability that the parent lacks is no grant of anybody: it is there, and nothing is left of it.
  await patch(world, middle, { capabilities: ['write:z', 'admin:all'] })
  assert.deepEqual(await effective(world, middle), ['read:x', 'read:y', 'write:z'])
  await assert.rejects(
    agent(world, 'n', { parentDid: middle, delegation: { capabilities: ['admin:all'] } }),
    code('E_WIDENING'),
  )
})

test('a delegation needs a parent, a time to come, capabilities and the depth that is so', async () => {
  await using world = await World.open()
  const { root, middle } = await three(world)
  const given = (input: Partial<AgentInput>) => agent(world, 'n', { parentDid: middle, ...input })
  const caps = { capabilities: ['read:x'] }
  await assert.rejects(given({ parentDid: null, delegation: caps }), code('E_VALIDATION'))
  await assert.rejects(patch(world, root, { delegation: caps }), code('E_VALIDATION'))
  for (const expiresAt of [iso(world.clock.now()), iso(world.clock.now() - 1), 'tomorrow']) {
    await assert.rejects(given({ delegation: { ...caps, expiresAt } }), code('E_VALIDATION'))
  }
  await assert.rejects(given({ delegation: { capabilities: ['read x'] } }), code('E_CAPABILITY'))
  for (const depth of [0, 1, 3]) {
    await assert.rejects(given({ delegation: { ...caps, depth } }), code('E_DEPTH'))
  }
  assert.equal((await view(world, await given({ delegation: { ...caps, depth: 2 } }))).depth, 2)
})

test('from the millisecond of its end nothing is left to an agent and to all below, and every decision denies', async () => {
  await using world = await World.open()
  const end = world.clock.now() + 10 * minute
  const { root, middle, leaf } = await three(world, end)
  const ask = async (did: string, capability?: string) => (await world.bridge.decide({ did, capability })).codes
  await world.clock.advance(10 * minute - 1)
  assert.deepEqual([await ask(leaf, 'read:x'), await effective(world, leaf)], [[], ['read:x', 'read:y']])
  await world.clock.advance(1)
  assert.deepEqual(await ask(leaf), ['R_DELEGATION'])
  assert.deepEqual(await ask(leaf, 'read:x'), ['R_DELEGATION', 'R_CAPABILITY'])
  assert.deepEqual(await ask(middle), ['R_DELEGATION'])
  assert.deepEqual(await ask(root, 'read:x'), [])
  assert.deepEqual([await effective(world, middle), await effective(world, leaf)], [[], []])
  assert.deepEqual(
    (await world.bridge.delegation(leaf)).map(({ ended, effective }) => [ended, effective.length]),
    [
      [false, 2],
      [true, 0],
      [false, 0],
    ],
  )
  await assert.rejects(
    agent(world, 'n', { parentDid: leaf, delegation: { capabilities: ['read:x'] } }),
    code('E_WIDENING'),
  )
})

test('an end is told once, to every runtime concerned, and stays one when the clock goes back', async () => {
  await using world = await World.open()
  const { middle, leaf } = await three(world, world.clock.now() + minute)
  const since = await mark(world)
  await tellDelegations(world.deps)
  assert.deepEqual(await told(world, since), [])
  await world.clock.advance(minute)
  await tellDelegations(world.deps)
  await tellDelegations(world.deps)
  assert.deepEqual(await told(world, since), [
    ['middle', []],
    ['leaf', []],
  ])
  const entries = await world.store.audit({ after: since.audit, limit: 99 })
  const [expired, ...more] = entries.filter(({ type }) => type === 'delegation.expired')
  assert.deepEqual(
    [expired?.did, expired?.actor, expired?.details, more],
    [middle, 'bridge', { parentDid: 'did:mesh:root', expiresAt: world.clock.now() }, []],
  )
  world.clock.jump(-30_000)
  assert.deepEqual([await effective(world, middle), await world.codes(leaf)], [[], ['R_DELEGATION']])
  await patch(world, middle, { delegation: { capabilities: ['read:y'], expiresAt: iso(world.clock.now() + minute) } })
  assert.deepEqual([await effective(world, leaf), await world.codes(leaf)], [['read:y'], []])
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('a change that comes after an end and before it was told does not hide it', async () => {
  await using world = await World.open()
  const { root, middle, leaf } = await three(world, world.clock.now() + minute)
  const since = await mark(world)
  await world.clock.advance(2 * minute)
  await patch(world, root, { capabilities: ['read:x'] })
  assert.deepEqual(await told(world, since), [
    ['middle', []],
    ['leaf', []],
    ['root', ['read:x']],
  ])
  const n = await agent(world, 'n', { parentDid: leaf, capabilities: ['read:x'] })
  await tellDelegations(world.deps)
  assert.deepEqual((await told(world, since)).length, 3)
  assert.deepEqual([await effective(world, middle), await effective(world, n)], [[], []])
})

test('moving an agent below an end that was not told yet takes all from it, told once', async () => {
  await using world = await World.open()
  const { leaf } = await three(world, world.clock.now() + minute)
  const free = await agent(world, 'free', { capabilities: ['read:x'] })
  await world.clock.advance(minute)
  const since = await mark(world)
  await patch(world, free, { parentDid: leaf })
  await tellDelegations(world.deps)
  assert.deepEqual(await told(world, since), [
    ['middle', []],
    ['leaf', []],
    ['free', []],
  ])
})

test('two ends in one chain are two entries, and one signal for each agent', async () => {
  await using world = await World.open()
  const { middle, leaf } = await three(world, world.clock.now() + minute)
  const until = iso(world.clock.now() + 2 * minute)
  await patch(world, leaf, { delegation: { capabilities: ['read:x'], expiresAt: until } })
  const since = await mark(world)
  await world.clock.advance(5 * minute)
  await tellDelegations(world.deps)
  assert.deepEqual(await told(world, since), [
    ['middle', []],
    ['leaf', []],
  ])
  const entries = await world.store.audit({ after: since.audit, limit: 99 })
  assert.deepEqual(
    entries
      .filter(({ type }) => type === 'delegation.expired')
      .map(({ did }) => did)
      .sort(),
    [leaf, middle],
  )
})

test('a delegation is kept, replaced or withdrawn as a whole, and goes with its parent', async () => {
  await using world = await World.open()
  const end = iso(world.clock.now() + 60 * minute)
  const { root, middle, leaf } = await three(world)
  const sources = async () =>
    (await world.store.sourcesOf(leaf)).map(({ capability, source }) => `${capability} ${source}`)
  const manual = ['read:y manual', 'write:z manual']
  const granted = (await view(world, leaf)).delegation
  // The parent has less by now: what is kept is not judged again.
  await patch(world, middle, { delegation: { capabilities: ['read:y'] } })
  await patch(world, leaf, { name: 'renamed' })
  assert.deepEqual((await view(world, leaf)).delegation, granted)
  assert.deepEqual(await effective(world, leaf), ['read:y'])
  await patch(world, leaf, { delegation: { capabilities: ['read:y'], expiresAt: end } })
  assert.deepEqual(await sources(), [`read:y delegation:${middle}`, ...manual])
  await patch(world, leaf, { delegation: { capabilities: ['read:y'] } })
  assert.equal((await view(world, leaf)).delegation?.expiresAt, undefined)
  await patch(world, leaf, { parentDid: root })
  assert.deepEqual([(await view(world, leaf)).delegation, await sources()], [undefined, manual])
  await patch(world, leaf, { parentDid: middle, delegation: { capabilities: ['read:y'] } })
  await patch(world, leaf, { delegation: null })
  assert.deepEqual([(await view(world, leaf)).delegation, await sources()], [undefined, manual])
  await patch(world, leaf, { delegation: { capabilities: [], expiresAt: end } })
  assert.deepEqual((await view(world, leaf)).delegation?.capabilities, [])
  const put = {
    did: leaf,
    name: 'leaf',
    parentDid: middle,
    principals: [{ adapter: 'north', id: 'leaf', kind: 'account' }],
  }
  assert.equal((await world.bridge.replace(leaf, put, registrar, undefined)).agent.delegation, undefined)
})

test('the same registration again changes nothing, another delegation is another one', async () => {
  await using world = await World.open()
  const { middle } = await three(world)
  const delegation = { capabilities: ['read:x', 'read:y'], expiresAt: '2100-01-01T01:00:00+01:00' }
  const input = { parentDid: middle, delegation }
  const did = await agent(world, 'n', input)
  const again = { did, name: 'n', principals: [{ adapter: 'north', id: 'n', kind: 'account' }], parentDid: middle }
  const same = { capabilities: ['read:y', 'read:x', 'read:y'], expiresAt: '2100-01-01T00:00:00Z', depth: 2 }
  const repeated = await world.bridge.register({ ...again, delegation: same }, registrar)
  assert.deepEqual([repeated.created, repeated.agent.revision], [false, 1])
  const others = [
    undefined,
    { ...same, capabilities: ['read:x'] },
    { ...same, expiresAt: null },
    { ...same, depth: 1 },
    { ...same, proof: { signature: 'AAAA' } },
  ]
  for (const other of others) {
    await assert.rejects(world.bridge.register({ ...again, delegation: other }, registrar), code('E_EXISTS'))
  }
})

test('no chain has more hops than AGT allows, with all that moves along', async () => {
  await using world = await World.open()
  const dids: string[] = []
  for (let at = 0; at <= mostHops; at++) dids.push(await agent(world, `n${at}`, { parentDid: dids.at(-1) ?? null }))
  const last = dids.at(-1) ?? ''
  assert.equal((await view(world, last)).depth, mostHops)
  await assert.rejects(agent(world, 'deeper', { parentDid: last }), code('E_DEPTH'))
  const other = await agent(world, 'other', {})
  const child = await agent(world, 'child', { parentDid: other })
  await agent(world, 'grandchild', { parentDid: child })
  await assert.rejects(patch(world, other, { parentDid: dids[mostHops - 2] }), code('E_DEPTH'))
  assert.equal((await patch(world, other, { parentDid: dids[mostHops - 3] })).depth, mostHops - 2)
  await assert.rejects(patch(world, dids[0] ?? '', { parentDid: last }), code('E_CYCLE'))
})

test('a group that narrows an ancestor narrows all below in the same transaction', async () => {
  await using world = await World.open({ adapters: { north: { settings: { groups: { g: ['read:x', 'read:y'] } } } } })
  const root = await agent(world, 'root', {})
  world.north.setGroup('g', ['root'])
  const sync = () => world.runner('north').groups.sync(world.signal)
  await sync()
  const middle = await agent(world, 'middle', { parentDid: root, delegation: { capabilities: ['read:x'] } })
  const leaf = await agent(world, 'leaf', { parentDid: middle, delegation: { capabilities: ['read:x'] } })
  const since = await mark(world)
  world.north.setGroup('g', [])
  await sync()
  assert.deepEqual(await told(world, since), [
    ['root', []],
    ['middle', []],
    ['leaf', []],
  ])
  assert.deepEqual((await world.bridge.decide({ did: leaf, capability: 'read:x' })).codes, ['R_CAPABILITY'])
})

test('a change while the clock is in doubt ends no delegation for good', async () => {
  await using world = await World.open()
  const { root, middle, leaf } = await three(world, world.clock.now() + 60 * minute)
  world.clock.jump(120 * minute)
  await world.runner('north').mirror.suspendOnce(world.signal)
  assert.ok((await world.codes(leaf)).includes('R_DELEGATION'), 'decisions go by the clock all the same')
  const since = await mark(world)
  await patch(world, root, { capabilities: ['read:x'] })
  await agent(world, 'n', { parentDid: leaf, capabilities: ['read:x'] })
  assert.deepEqual(await told(world, since), [
    ['root', ['read:x']],
    ['middle', ['read:x']],
    ['leaf', ['read:x']],
    ['n', ['read:x']],
  ])
  world.clock.jump(-120 * minute)
  await world.full()
  assert.deepEqual([await effective(world, middle), await world.codes(leaf)], [['read:x'], []])
  await world.clock.advance(60 * minute)
  await tellDelegations(world.deps)
  assert.deepEqual((await told(world, since)).slice(4), [
    ['middle', []],
    ['leaf', []],
    ['n', []],
  ])
})

test('a delegation that ended while the daemon was down is told after the start', async () => {
  await using world = await World.open()
  const { leaf } = await three(world, world.clock.now() + minute)
  const since = await mark(world)
  await world.clock.advance(minute)
  world.dieAt = 'delegations.ended'
  await assert.rejects(tellDelegations(world.deps))
  await world.restart()
  await tellDelegations(world.deps)
  assert.equal((await told(world, since)).length, 2)
  assert.deepEqual(await world.codes(leaf), ['R_DELEGATION'])
})
