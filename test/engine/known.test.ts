import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { BridgeError } from '../../src/core/errors.ts'
import type { AgentReads } from '../../src/core/judging.ts'
import type { DecisionInput } from '../../src/engine/api.ts'
import { createDecider, type Decider } from '../../src/engine/deciding.ts'
import type { Deps } from '../../src/engine/deps.ts'
import { createKnown } from '../../src/engine/known.ts'
import { createRoster, type Roster } from '../../src/engine/roster.ts'
import type { Verifier } from '../../src/engine/verify.ts'
import { alice, bob, carol, minute, registrar, soc, World } from './harness.ts'

const names = ['parent', 'child', 'other'] as const
type Member = (typeof names)[number]
const didOf = (name: Member): string => `did:mesh:${name}`

/** Tokens named `north/<account>`, issued when the world began. */
const verifierOf = (reads: AgentReads, issuedAt: number): Verifier => ({
  verify: async (token) => {
    const id = token.slice('north/'.length)
    const [principal] = await reads.principalsById('north', [id])
    if (principal === undefined) return { valid: false, codes: ['R_UNMAPPED'], principals: [] }
    return {
      valid: true,
      adapter: 'north',
      issuer: 'north',
      issuedAt,
      expiresAt: issuedAt + 365 * 24 * 60 * minute,
      audiences: [],
      actor: { did: principal.did, principal: { adapter: 'north', id } },
      principals: [principal],
      onBehalfOf: undefined,
      act: [],
      scopes: ['s'],
      inForce: () => true,
    }
  },
  subject: async () => ({ valid: false, codes: ['R_TOKEN'], principals: [] }),
  reload: () => undefined,
})

/** A store that admits to no past: nothing read of it is remembered. */
const forgetful = (deps: Deps): Deps => ({
  ...deps,
  store: { ...deps.store, changes: { count: Number.NaN, watch: () => undefined } },
})

const questions: readonly DecisionInput[] = names.flatMap((name) => [
  { did: didOf(name) },
  { did: didOf(name), capability: 'read:reports' },
  { token: `north/${name}` },
  { token: `north/${name}`, capability: 'read:reports' },
  { token: `north/${name}`, scope: 's' },
  { token: `north/${name}`, describe: true },
  { principal: { adapter: 'south', id: name } },
])

interface Deciders {
  readonly remembering: Decider
  /** From the roster, whatever is remembered beside it. */
  readonly enlisted: Decider
  readonly roster: Roster
  readonly asking: Decider
}

const deciders = (world: World, issuedAt: number): Deciders => {
  const roster = createRoster(world.store)
  const known = createKnown(world.store, roster)
  return {
    remembering: createDecider(world.deps, verifierOf(createKnown(world.store), issuedAt), world.activity),
    enlisted: createDecider(world.deps, verifierOf(known, issuedAt), world.activity, known),
    roster,
    asking: createDecider(forgetful(world.deps), verifierOf(world.store, issuedAt), world.activity),
  }
}

const member = fc.constantFrom(...names)
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('suspend' as const, 'kill' as const), name: member }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), name: member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('grant' as const, 'revoke' as const), name: member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('off' as const, 'on' as const), name: member }) },
  fc.record({
    kind: fc.constantFrom('unmap' as const, 'map' as const, 'orphan' as const, 'adopt' as const),
    name: member,
  }),
  fc.record({ kind: fc.constantFrom('decommission' as const, 'note' as const), name: member }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('lend' as const, 'tick' as const), name: member }) },
  fc.record({
    kind: fc.constantFrom('wait' as const, 'pass' as const, 'restart' as const, 'policy' as const),
    name: member,
  }),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const perform = async (world: World, { kind, name }: Step): Promise<unknown> => {
  const { bridge } = world
  const did = didOf(name)
  const account = (adapter: string) => ({ adapter, id: name, kind: 'account' })
  switch (kind) {
    case 'suspend':
      return bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
    case 'kill':
      return world.kill(did)
    case 'release': {
      const [hold] = await world.open(did)
      if (hold === undefined) return undefined
      if (hold.severity === 'kill') return world.releaseByTwo(did, hold.id, alice, bob)
      return bridge.release(did, hold.id, 'r', hold.origin.startsWith('operator:') ? soc : carol)
    }
    case 'grant':
      return bridge.patch(did, { capabilities: ['read:reports'] }, registrar, undefined)
    case 'revoke':
      return bridge.patch(did, { capabilities: [] }, registrar, undefined)
    case 'off':
    case 'on':
      world.north.set(name, kind === 'on')
      await world.poll()
      return world.work()
    case 'unmap':
      return bridge.patch(did, { principals: [account('south')] }, registrar, undefined)
    case 'map':
      return bridge.patch(did, { principals: [account('north'), account('south')] }, registrar, undefined)
    case 'orphan':
      return bridge.patch(did, { parentDid: null }, registrar, undefined)
    case 'adopt':
      return bridge.patch(did, { parentDid: name === 'parent' ? null : didOf('parent') }, registrar, undefined)
    case 'lend': {
      const expiresAt = new Date(world.clock.now() + 20 * minute).toISOString()
      const delegation = { capabilities: ['read:reports'], expiresAt }
      return bridge.patch(didOf('child'), { parentDid: didOf('parent'), delegation }, registrar, undefined)
    }
    case 'tick':
      return world.clock.advance(10 * minute)
    case 'decommission':
      return name === 'other' ? bridge.decommission(did, 'r', registrar) : undefined
    case 'note':
      return world.activity.flush()
    case 'wait':
      return world.clock.advance(13 * 60 * minute)
    case 'pass':
      await world.full()
      return world.work()
    case 'restart':
      return world.restart()
    case 'policy':
      world.policy = { ...world.policy, maxStaleness: { warnMs: minute, denyMs: 20 * 60 * minute } }
      return undefined
  }
}

/** Asks one question after the other, so that something is being remembered whenever something is committed. */
const asking = async (both: Deciders, done: { now: boolean }, from: number): Promise<void> => {
  for (let n = from; !done.now; n += 1) {
    for (const decider of [both.remembering, both.enlisted]) {
      await Promise.resolve(decider.decide(questions[n % questions.length] ?? {})).catch(() => undefined)
    }
    if (n % 5 === 0) await both.roster.read().catch(() => undefined)
    if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

test('what is remembered is what the store says, at the very next call after whatever was committed', async () => {
  let allowed = 0
  const property = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
    await using world = await World.open({ policy: { resume: 'automatic' } })
    const capabilities = ['read:reports']
    await world.agent('parent', { capabilities })
    await world.agent('child', { capabilities, parentDid: didOf('parent') })
    await world.agent('other', { capabilities })
    const issuedAt = world.clock.now()
    await world.clock.advance(minute)
    await world.full()
    let both = deciders(world, issuedAt)
    for (const one of steps) {
      const done = { now: false }
      const lanes = [0, 5, 11].map((from) => asking(both, done, from))
      try {
        const failed = await perform(world, one).then(
          () => undefined,
          (error: unknown) => {
            if (!(error instanceof BridgeError)) throw error
            return error
          },
        )
        // The very next call, with nothing between it and the answer to whoever placed the hold.
        if (failed === undefined && (one.kind === 'suspend' || one.kind === 'kill')) {
          for (const input of [{ did: didOf(one.name) }, { token: `north/${one.name}` }]) {
            assert.equal((await both.remembering.decide(input)).allow, false, JSON.stringify(input))
            assert.equal((await both.enlisted.decide(input)).allow, false, JSON.stringify(input))
          }
        }
      } finally {
        done.now = true
        await Promise.all(lanes)
      }
      if (one.kind === 'restart') both = deciders(world, issuedAt)
      for (const input of questions) {
        for (let again = 0; again < 2; again += 1) {
          if (again > 0) await both.roster.read()
          const told = await both.asking.decide(input)
          const after = `${JSON.stringify(input)} after ${JSON.stringify(one)}`
          assert.deepEqual(await both.remembering.decide(input), told, after)
          assert.deepEqual(await both.enlisted.decide(input), told, after)
          if (told.allow) allowed += 1
        }
      }
    }
  })
  await fc.assert(property, { numRuns: 15 })
  assert.ok(allowed > 50, `${allowed} allowed`)
})

test('a decision that was under way when a hold was committed is not remembered', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await world.full()
  const { store } = world
  for (const part of ['agent', 'openHolds', 'principalsOf'] as const) {
    let held: string | undefined
    const overtaking =
      <A extends unknown[], T>(read: (...args: A) => Promise<T>) =>
      async (...args: A): Promise<T> => {
        const answer = await read(...args)
        held ??= (await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)).id
        return answer
      }
    const slow = {
      agent: overtaking(store.agent),
      openHolds: overtaking(store.openHolds),
      principalsOf: overtaking(store.principalsOf),
    }
    const deps = { ...world.deps, store: { ...store, [part]: slow[part] } }
    const decider = createDecider(deps, verifierOf(store, 0), world.activity)
    await decider.decide({ did })
    assert.equal((await decider.decide({ did })).allow, false, part)
    await world.bridge.release(did, held ?? '', 'r', soc)
    assert.equal((await decider.decide({ did })).allow, true, part)
  }
})

test('what stands is asked of nobody, until a commit; afterwards only what it wrote is read again', async () => {
  await using world = await World.open()
  const [a, b] = [await world.agent('a'), await world.agent('b')]
  await world.full()
  const reads: string[] = []
  const counting = <A extends unknown[], T>(name: string, read: (...args: A) => Promise<T>) => {
    return (...args: A): Promise<T> => {
      reads.push(name)
      return read(...args)
    }
  }
  const { store } = world
  const counted = {
    ...store,
    agent: counting('agent', store.agent),
    openHolds: counting('holds', store.openHolds),
    principalsOf: counting('accounts', store.principalsOf),
    chain: counting('chain', store.chain),
  }
  const decider = createDecider({ ...world.deps, store: counted }, verifierOf(store, 0), world.activity)
  const readBy = async (did: string): Promise<readonly string[]> => {
    reads.length = 0
    assert.equal((await decider.decide({ did })).allow, true)
    return [...reads]
  }
  const all = ['accounts', 'agent', 'holds']
  assert.deepEqual((await readBy(a)).toSorted(), all)
  assert.deepEqual((await readBy(b)).toSorted(), all)
  assert.deepEqual([await readBy(a), await readBy(b)], [[], []])
  const hold = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  assert.deepEqual(await readBy(b), [])
  await world.bridge.release(a, hold.id, 'r', soc)
  assert.deepEqual((await readBy(a)).toSorted(), all)
  assert.deepEqual(await readBy(b), [])
  await world.activity.flush()
  assert.deepEqual([await readBy(a), await readBy(b)], [[], []])
})

test('what the verifier has read is not read again to decide', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await world.full()
  const { store } = world
  let reads = 0
  const counted: typeof store = {
    ...store,
    principalsById: async (adapter, ids) => {
      reads += 1
      return store.principalsById(adapter, ids)
    },
    principal: async (key) => {
      reads += 1
      return store.principal(key)
    },
  }
  const known = createKnown(counted)
  const deps = { ...world.deps, store: counted }
  const decider = createDecider(deps, verifierOf(known, 0), world.activity, known)
  assert.equal((await decider.decide({ token: 'north/a' })).did, did)
  assert.equal((await decider.decide({ principal: { adapter: 'north', id: 'a' } })).did, did)
  assert.equal(reads, 1)
})

test('a decision stands to the millisecond in which a delegation ends, and is as old as it is', async () => {
  await using world = await World.open()
  const parentDid = await world.agent('parent', { capabilities: ['read:reports'] })
  await world.full()
  const endsAt = world.clock.now() + 10 * minute
  const delegation = { capabilities: ['read:reports'], expiresAt: new Date(endsAt).toISOString() }
  const did = await world.agent('child', { parentDid, delegation }, ['north'])
  const decider = createDecider(world.deps, verifierOf(createKnown(world.store), 0), world.activity)
  const ask = () => decider.decide({ did, capability: 'read:reports' })
  const [before] = (await ask()).grants
  await world.clock.advance(9 * minute)
  const [later] = (await ask()).grants
  assert.equal((later?.ageMs ?? 0) - (before?.ageMs ?? 0), 9 * minute)
  await world.clock.advance(endsAt - world.clock.now() - 1)
  assert.equal((await ask()).allow, true)
  await world.clock.advance(1)
  assert.deepEqual((await ask()).codes, ['R_DELEGATION', 'R_CAPABILITY'])
})

test('what another process wrote is seen at the next call, and so is that the store was taken over', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await world.full()
  const known = createKnown(world.store)
  const decider = createDecider(world.deps, verifierOf(known, 0), world.activity, known)
  const inputs: readonly DecisionInput[] = [{ did }, { token: 'north/a' }]
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  for (const input of [...inputs, ...inputs]) assert.equal((await decider.decide(input)).allow, true)
  const outside = new Database(world.path)
  const { count } = world.store.changes
  await turn()
  outside.exec(`insert into holds select 'outside', did, 'operator:soc', 'operator', 'suspend', 'r', null, 'soc', null, 1, null,
    null, 0, '{}' from agents`)
  await turn()
  for (const input of inputs) assert.deepEqual((await decider.decide(input)).codes, ['R_SUSPENDED'])
  assert.ok(world.store.changes.count > count)
  outside.exec(`delete from holds where id = 'outside'`)
  await turn()
  for (const input of [...inputs, ...inputs]) assert.equal((await decider.decide(input)).allow, true)
  outside.exec('update lease set epoch = epoch + 1')
  outside.close()
  await turn()
  for (const input of inputs) await assert.rejects(async () => decider.decide(input), { code: 'E_LEASE_LOST' })
})

test('a store that is not to be asked any more is not answered for', async () => {
  const world = await World.open()
  const did = await world.agent('a')
  await world.full()
  const decider = createDecider(world.deps, verifierOf(createKnown(world.store), 0), world.activity)
  for (let n = 0; n < 3; n += 1) assert.equal((await decider.decide({ did })).allow, true)
  await world.store.close()
  await assert.rejects(async () => decider.decide({ did }), { code: 'E_SHUTTING_DOWN' })
  await world[Symbol.asyncDispose]()
})

test('of who is on the roster the store is asked nothing, by DID, account or token, nor what it was granted', async () => {
  await using world = await World.open()
  const did = await world.agent('a', { capabilities: ['read:reports'] })
  await world.full()
  const asked: string[] = []
  const answering = { ...world.store }
  for (const name of [
    'agent',
    'openHolds',
    'principalsOf',
    'principal',
    'principalsById',
    'chain',
    'sourcesOf',
  ] as const) {
    Object.assign(answering, {
      [name]: (...args: never[]) => {
        asked.push(name)
        return Reflect.apply(world.store[name], world.store, args)
      },
    })
  }
  const roster = createRoster(answering)
  const fresh = () => {
    const known = createKnown(answering, roster)
    return createDecider({ ...world.deps, store: answering }, verifierOf(known, 0), world.activity, known)
  }
  const inputs: readonly DecisionInput[] = [
    { did, capability: 'read:reports' },
    { principal: { adapter: 'north', id: 'a' }, capability: 'read:reports' },
    { token: 'north/a', describe: true },
  ]
  for (const input of inputs) assert.equal((await fresh().decide(input)).allow, true)
  assert.notEqual(asked.length, 0)
  while (await roster.read());
  asked.length = 0
  for (const input of inputs) assert.equal((await fresh().decide(input)).allow, true)
  assert.deepEqual(asked, [])
  // What a group gives and takes is written beside the agent's row.
  const decider = fresh()
  const question = { did, capability: 'read:mail' }
  const source = { did, capability: 'read:mail', source: 'group:north/g', confirmedAt: 1 }
  for (let n = 0; n < 2; n += 1) {
    assert.equal((await decider.decide(question)).allow, false)
    await world.store.write((tx) => tx.putSource(source))
    while (await roster.read());
    assert.equal((await decider.decide(question)).allow, true)
    await world.store.write((tx) => tx.deleteSource(did, source.capability, source.source))
  }
})
