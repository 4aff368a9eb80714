import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import type { DecisionRequest } from '../../clients/decisions.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { writtenServer } from '../../src/core/tools.ts'
import { tellDelegations } from '../../src/engine/expiring.ts'
import { regrantAll } from '../../src/engine/regranting.ts'
import { defineConfiguredServers } from '../../src/engine/toolservers.ts'
import { type VerifierWorld, verifierWorld } from '../clients/verifierworld.ts'
import { until } from '../e2e/until.ts'
import { alice, audience, bob, minute, registrar, second, soc } from '../engine/harness.ts'

const agents = 4
const who = fc.nat(agents - 1)
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined })
const capabilities = fc.subarray(['read:*', 'read:x', 'write:y', '*'])
const times = fc.integer({ min: 1, max: 90 }).map((seconds) => seconds * second)

const mapping = fc.record({ own: fc.boolean(), shared: fc.boolean(), scopes: fc.subarray(['a', 'b']) })
const blueprints = ['shallow', 'deep']
const registration = fc.record({
  under: maybe(who),
  names: capabilities,
  blueprint: maybe(fc.constantFrom(...blueprints)),
  expiresInMs: maybe(times),
  mapping,
})
const servers = ['crm', 'erp']
const amounts = [5, 50]
const otherParameters = fc.constantFrom('allow' as const, 'deny' as const)
const server = fc.record({
  resource: maybe(fc.constantFrom(...servers)),
  unlisted: fc.constantFrom('deny', 'read:x', 'use:other'),
  get: maybe(fc.record({ capability: fc.constantFrom('read:x', 'write:y'), otherParameters })),
  set: maybe(
    fc.record({
      capability: fc.constant('write:y'),
      resource: maybe(fc.constant({ prefix: ['https://in.example/', 'urn:in:'] })),
      parameters: maybe(fc.constant({ '/amount': { type: 'integer' as const, max: 10 } })),
      otherParameters,
    }),
  ),
})
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('hold' as const), of: who, kill: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('release' as const), of: who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('alias' as const), of: who, spelling: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), of: who, spelling: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('killAlias' as const), of: who, spelling: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('grant' as const), of: who, names: capabilities }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('move' as const), of: who, under: maybe(who) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('map' as const), of: who, mapping }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('decommission' as const), of: who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('directory' as const), of: who, off: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unreadable' as const), of: who }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('blueprint' as const),
      name: fc.constantFrom('shallow', 'deep'),
      depth: maybe(fc.nat(2)),
      names: capabilities,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('group' as const), members: fc.subarray([0, 1, 2, 3]) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: times }) },
  { weight: 1, arbitrary: fc.constant({ do: 'age' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('serve' as const), name: fc.constantFrom(...servers), server }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unserve' as const), name: fc.constantFrom(...servers) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('configure' as const), crm: maybe(server), erp: maybe(server) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('policy' as const), unknown: fc.boolean() }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Server = typeof server extends fc.Arbitrary<infer T> ? T : never
type Registration = typeof registration extends fc.Arbitrary<infer T> ? T : never

const registrations = fc.array(registration, { minLength: agents, maxLength: agents })
const denyMs = 10 * minute

/** One run in a world that all runs share: names of its own. */
class Run {
  readonly #of: VerifierWorld
  readonly #n: number

  constructor(of: VerifierWorld, n: number) {
    this.#of = of
    this.#n = n
  }

  did(of: number): string {
    return `did:mesh:r${this.#n}-${of}`
  }
  spelled(of: number, spelling: number): string {
    return `did:agentmesh:${spelling}:r${this.#n}-${of}`
  }
  account(of: number | 'shared'): string {
    return `r${this.#n}-${of}`
  }
  blueprint(name: string): string {
    return `${name} ${this.#n}`
  }

  server(name: string): string {
    return `${name}-${this.#n}`
  }
  resource(name: string): string {
    return `https://${name}.example/${this.#n}`
  }

  #defined({ resource, unlisted, get, set }: Server) {
    return writtenServer({
      resource: resource && this.resource(resource),
      unlisted,
      tools: { ...(get && { get }), ...(set && { set }) },
    })
  }

  #principals(of: number, { own, shared, scopes }: Registration['mapping']) {
    const account = { adapter: 'north', kind: 'account', scopes }
    return [
      ...(own ? [{ ...account, id: this.account(of) }] : []),
      ...(shared ? [{ ...account, id: this.account('shared'), shared: true }] : []),
    ]
  }

  async prepare(first: readonly Registration[]): Promise<void> {
    const { bridge, clock, north } = this.#of.world
    for (let of = 0; of < agents; of++) north.add({ id: this.account(of) })
    north.add({ id: this.account('shared') })
    for (const name of blueprints) {
      const definition = { capabilities: ['read:b'], requireSponsor: false }
      await bridge.defineBlueprint(this.blueprint(name), definition, registrar, undefined)
    }
    for (const [of, { under, names, blueprint, expiresInMs, mapping }] of first.entries()) {
      // Only under one that is there.
      const parentDid = under === undefined || under >= of ? undefined : this.did(under)
      const expiresAt = expiresInMs === undefined ? undefined : new Date(clock.now() + expiresInMs).toISOString()
      await bridge.register(
        {
          did: this.did(of),
          name: 'n',
          capabilities: names,
          principals: this.#principals(of, mapping),
          blueprint: blueprint && this.blueprint(blueprint),
          ...(parentDid !== undefined && {
            parentDid,
            ...(expiresAt && { delegation: { capabilities: [], expiresAt } }),
          }),
        },
        registrar,
      )
    }
  }

  async #act(one: Step): Promise<unknown> {
    const { world } = this.#of
    const { bridge } = world
    const spelling = (of: number, which: number) => this.spelled(of, which)
    switch (one.do) {
      case 'hold':
        if (one.kill) return world.kill(this.did(one.of))
        return bridge.place(this.did(one.of), { severity: 'suspend', reason: 'secret', publicReason: 'told' }, soc)
      case 'release': {
        const [hold] = await world.open(this.did(one.of))
        if (hold === undefined) return undefined
        const done = await bridge.release(this.did(one.of), hold.id, 'r', hold.actor === 'soc' ? soc : alice)
        return done.done ? undefined : bridge.approve(done.release.id, bob)
      }
      case 'alias':
        return bridge.patch(this.did(one.of), { aliases: [{ did: spelling(one.of, one.spelling) }] }, alice, undefined)
      case 'forget':
        return bridge.patch(this.did(one.of), { aliases: [] }, alice, undefined)
      case 'killAlias':
        return world.kill(spelling(one.of, one.spelling))
      case 'grant':
        return bridge.patch(this.did(one.of), { capabilities: one.names }, registrar, undefined)
      case 'move': {
        const parentDid = one.under === undefined ? null : this.did(one.under)
        return bridge.patch(this.did(one.of), { parentDid }, registrar, undefined)
      }
      case 'map': {
        const principals = this.#principals(one.of, one.mapping)
        return bridge.patch(this.did(one.of), { principals }, registrar, undefined)
      }
      case 'decommission':
        return bridge.decommission(this.did(one.of), 'r', alice)
      case 'directory':
        world.north.set(this.account(one.of), !one.off)
        return world.poll()
      case 'unreadable':
        world.north.reads.add({ mode: 'unreadable', id: this.account(one.of), times: 1 })
        return undefined
      case 'blueprint':
        await bridge.defineBlueprint(
          this.blueprint(one.name),
          { capabilities: one.names, requireSponsor: false, maxDelegationDepth: one.depth },
          registrar,
          undefined,
        )
        return regrantAll(world.deps)
      case 'group':
        world.north.setGroup(
          'g',
          one.members.map((of) => this.account(of)),
        )
        return world.runner('north').groups.sync(world.signal)
      case 'advance':
        await world.clock.advance(one.ms)
        return tellDelegations(world.deps)
      case 'age':
        return world.clock.advance(denyMs + 1)
      case 'read':
        return world.full()
      case 'serve':
        return bridge.defineToolServer(this.server(one.name), this.#defined(one.server), registrar, undefined)
      case 'unserve':
        return bridge.removeToolServer(this.server(one.name), registrar, undefined)
      case 'configure': {
        // Of two servers in the file each has a resource identifier of its own.
        const named = servers.flatMap((name) => {
          const given = name === 'crm' ? one.crm : one.erp
          if (given === undefined) return []
          const resource = given.resource && name
          return [[this.server(name), this.#defined({ ...given, resource })] as const]
        })
        return defineConfiguredServers(world.deps, new Map(named))
      }
      case 'policy':
        world.policy = { ...world.policy, unknownActors: one.unknown ? 'allow' : 'deny' }
        return world.store.write((tx) => tx.noteSettings())
    }
  }

  /** What the bridge refuses is no step. */
  async take(one: Step): Promise<void> {
    try {
      await this.#act(one)
      await this.#of.world.work()
    } catch (error) {
      if (!(error instanceof BridgeError) || error.code === 'E_BUG') throw error
    }
  }

  /** Tokens from before whatever happens. */
  early(): Promise<DecisionRequest[]> {
    const { tokens } = this.#of.world.north
    return Promise.all(
      Array.from({ length: agents }, async (_, of) => ({
        token: await tokens.sign({ aud: audience, sub: this.account(of), act: { sub: this.did((of + 1) % agents) } }),
      })),
    )
  }

  async questions(): Promise<DecisionRequest[]> {
    const { tokens } = this.#of.world.north
    const sign = (claims: object) => tokens.sign({ aud: audience, ...claims })
    const asked: DecisionRequest[] = [{ did: 'did:mesh:nobody' }, { did: 'no DID' }, { token: 'none' }]
    for (let of = 0; of < agents; of++) {
      const [did, sub] = [this.did(of), this.account(of)]
      const other = (of + 1) % agents
      const shared = this.account('shared')
      asked.push({ did }, { did, capability: 'read:x' }, { did, capability: 'write:y', scope: 'a' })
      for (const which of [0, 1]) asked.push({ did: this.spelled(of, which), capability: 'read:z' })
      asked.push({ principal: { adapter: 'north', id: sub }, scope: 'b' })
      const act = { sub: this.did(other), act: { sub: this.spelled(other, 0), act: { sub: this.account(of) } } }
      for (const claims of [
        { sub, scope: 'a b' },
        { sub, azp: shared },
        { sub, obo: this.account(other) },
        { sub: shared },
        { sub, act },
        { sub, act: { sub: 'somebody' } },
        { sub, cnf: { jkt: 'k' } },
        { sub: 'unmapped' },
      ]) {
        asked.push({ token: await sign(claims), capability: 'read:x', scope: 'a' })
      }
    }
    for (const called of [...servers.map((name) => this.server(name)), ...servers.map((name) => this.resource(name))]) {
      const call = { server: called, tool: 'set' }
      for (const did of [this.did(0), this.did(1)]) {
        asked.push({ did, server: called, tool: 'get' }, { did, server: called, tool: 'other', parameters: {} })
        for (const amount of amounts) {
          asked.push({ did, ...call, resource: 'urn:in:1', parameters: { amount } })
          asked.push({ did, ...call, resource: 'https://in.example/../out', parameters: { amount, more: [amount] } })
        }
      }
      const sub = this.account(0)
      asked.push({ token: await sign({ sub }), ...call, capability: 'read:x', parameters: { amount: 5 } })
    }
    asked.push({ did: this.did(0), server: 'nobody', tool: 'get' }, { did: this.did(0), tool: 'get' })
    const shared = { adapter: 'north', id: this.account('shared') }
    return [...asked, { principal: shared }, { principal: { adapter: 'north', id: 'nobody' } }]
  }
}

test('at rest the library answers every question as the bridge does, whatever happened', async () => {
  await using of = await verifierWorld({
    policy: { resume: 'automatic', maxStaleness: { warnMs: minute, denyMs } },
    adapters: { north: { settings: { groups: { g: ['read:g'] } } } },
  })
  let runs = 0
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(registrations, fc.array(step, { minLength: 8, maxLength: 30 }), async (first, steps) => {
      const run = new Run(of, ++runs)
      await run.prepare(first)
      const early = await run.early()
      for (const one of steps) await run.take(one)
      // What was read again after it had grown too old is asked for once more within half a minute.
      await of.world.clock.advance(30 * second)
      await of.rest()
      const dids = Array.from({ length: agents }, (_, n) => ({ did: run.did(n) }))
      await until('what is too old was asked for again', async () =>
        isDeepStrictEqual(await Promise.all(dids.map(of.local)), await Promise.all(dids.map(of.remote))),
      )
      for (const request of [...early, ...(await run.questions())]) {
        const [local, remote] = [await of.local(request), await of.remote(request)]
        const codes = Object(local).codes ?? [Object(local).code]
        for (const code of codes.length === 0 ? ['allowed'] : codes) seen.add(code)
        assert.deepEqual(local, remote, JSON.stringify(request))
      }
    }),
    { numRuns: Number(env.REPLICA_RUNS ?? 15), endOnFailure: true },
  )
  // The world's clock moves while events are on their way: one may seem too old, or the clock off, until the next.
  const other = of.errors.filter(({ code }) => code !== 'E_UNREACHABLE' && code !== 'E_CONFIG')
  assert.deepEqual(other, [])
  const wanted = [
    'allowed',
    'R_STALE',
    'R_SUSPENDED',
    'R_CAPABILITY',
    'R_SCOPE',
    'R_ACTOR_UNKNOWN',
    'R_AMBIGUOUS',
    'R_UNMAPPED',
    'R_TOOL',
    'R_PARAMETERS',
  ]
  assert.deepEqual(
    wanted.filter((code) => !seen.has(code)),
    [],
  )
})
