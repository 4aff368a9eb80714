import assert from 'node:assert/strict'
import type { AsyncCommand } from 'fast-check'
import fc from 'fast-check'
import { configs, loadAdapters } from '../../adapters/index.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createOutbound } from '../../src/lib/outbound.ts'
import {
  alice,
  bob,
  carol,
  Death,
  dave,
  minute,
  type Home as Name,
  names,
  registrar,
  second,
  soc,
  World,
} from '../engine/harness.ts'
import { type AgentName, agents, type Site, type SiteOptions } from './sites.ts'

const openAdapter = await loadAdapters(Object.keys(configs))

const startMs = Date.UTC(2026, 0, 1)

/** `c` is delegated by `p`; each has an account in both directories. */
export const didOf = (agent: AgentName): string => `did:mesh:${agent}`

/** What administrators last did to an account. */
export interface Model {
  readonly off: Set<string>
}

export interface Setting {
  readonly resume: 'approval' | 'automatic'
  readonly staleMs: number
  readonly auditDelayMs: number
}

export type Kind = (options: SiteOptions) => Promise<Site>

const parseAdapter = (given: Site['config']) => {
  const kind = Object.entries(configs).find(([name]) => name === given.kind)
  if (kind === undefined) throw new Error(`no adapter ${given.kind}`)
  return kind[1].parse(given)
}

/** The engine, its store and real adapters on two local directories over loopback sockets; only time is ours to move. */
export class Trace implements AsyncDisposable {
  readonly world: World
  readonly sites: Readonly<Record<Name, Site>>
  readonly setting: Setting
  readonly acknowledged = new Set<string>()
  readonly released = new Set<string>()
  readonly #close: () => Promise<void>
  #bells = 0

  private constructor(world: World, sites: Record<Name, Site>, setting: Setting, close: () => Promise<void>) {
    this.world = world
    this.sites = sites
    this.setting = setting
    this.#close = close
  }

  static async open(setting: Setting, kinds: Readonly<Record<Name, Kind>>): Promise<Trace> {
    let world: World | undefined
    const now = () => world?.clock.now() ?? startMs
    const options = { ...setting, now }
    const sites: Record<Name, Site> = { north: await kinds.north(options), south: await kinds.south(options) }
    const outbound = createOutbound({ userAgent: 'idp-bridge/test', clock: systemClock })
    const log = createLogger({ level: 'silent' })
    const adapter = (name: Name) => (ticking: Clock) => {
      const site = { ...sites[name].config, settle: '10s' }
      const config = parseAdapter(site)
      // The adapter's own waits between two tries are over at once: the engine's are the clock's.
      const clock: Clock = {
        now: ticking.now,
        mono: ticking.mono,
        sleep: async (_, signal) => signal?.throwIfAborted(),
      }
      const keys = (uri: string, fetch: Parameters<typeof createKeySource>[0]['fetch']) =>
        createKeySource({ uri, fetch, clock: systemClock })
      return openAdapter(name, config, { outbound, clock, log, random: () => 0.5, keys, env: {} })
    }
    const close = async () => {
      await outbound.close()
      for (const name of names) await sites[name].close()
    }
    world = await World.open({
      policy: { resume: setting.resume },
      adapters: { north: { adapter: adapter('north') }, south: { adapter: adapter('south') } },
    })
    const trace = new Trace(world, sites, setting, close)
    for (const agent of agents) {
      const principals = names.map((name) => ({ adapter: name, id: sites[name].ids[agent], kind: sites[name].kind }))
      const parent = agent === 'c' ? { parentDid: didOf('p') } : {}
      await world.bridge.register({ did: didOf(agent), name: agent, principals, ...parent }, registrar)
    }
    await world.poll()
    return trace
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
    await this.#close()
  }

  isOn(at: Name, agent: AgentName): boolean {
    return this.sites[at].isOn(this.sites[at].ids[agent])
  }

  async account(at: Name, agent: AgentName) {
    return this.world.account(at, this.sites[at].ids[agent])
  }

  flip(at: Name, agent: AgentName, on: boolean): boolean {
    if (this.isOn(at, agent) === on) return false
    this.sites[at].flip(this.sites[at].ids[agent], on)
    return true
  }

  /** The next write of one account meets its fate. */
  async write(at: Name, agent: AgentName, fate: 'lost' | 'dropped' | 'refused' | 'late'): Promise<void> {
    const site = this.sites[at]
    const id = site.ids[agent]
    if (fate !== 'late') return site.fail(id, fate)
    // Nobody answers, and 20 s later it is carried out after all, in the bridge's name.
    const before = site.unanswered(id)
    site.fail(id, 'dropped')
    await this.work()
    if (site.unanswered(id) === before) return
    await this.run(20 * second)
    const { mark, intent } = await this.account(at, agent)
    if (mark !== 'none' && intent !== undefined) site.land(id, intent === 'enable')
  }

  async ring(at: Name, agent: AgentName): Promise<void> {
    const { store, clock } = this.world
    const now = clock.now()
    this.#bells += 1
    await store.write((tx) => tx.askReadDependents(at, this.sites[at].ids[agent], now, now + 10 * second))
  }

  async place(agent: AgentName, severity: 'kill' | 'suspend'): Promise<void> {
    const { bridge } = this.world
    const did = didOf(agent)
    if (severity === 'kill') this.acknowledged.add((await this.world.kill(did)).holdId)
    else this.acknowledged.add((await bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)).id)
  }

  async release(agent: AgentName): Promise<void> {
    const did = didOf(agent)
    for (const hold of await this.world.open(did)) {
      if (!/^(runtime|operator):/.test(hold.origin)) continue
      this.released.add(hold.id)
      if (hold.severity === 'suspend') await this.world.bridge.release(did, hold.id, 'r', soc)
      else await this.world.releaseByTwo(did, hold.id, alice, bob)
    }
  }

  async approve(agent: AgentName): Promise<boolean> {
    const did = didOf(agent)
    let some = false
    for (const hold of await this.world.open(did)) {
      if (hold.releasableAt === undefined) continue
      await this.world.releaseByTwo(did, hold.id, carol, dave).catch((error: unknown) => {
        if (!(error instanceof BridgeError)) throw error
      })
      some = true
    }
    return some
  }

  async work(): Promise<void> {
    await this.world.work()
    if (this.world.dead) await this.world.restart()
  }

  async run(ms: number): Promise<void> {
    await this.world.run(ms)
    if (this.world.dead) await this.world.restart()
  }

  /** In every state: what was acknowledged holds until whoever may has released it (I1, I3), and denies. */
  async always(): Promise<void> {
    assert.deepEqual(this.world.violations, [])
    for (const agent of agents) {
      const did = didOf(agent)
      const open = await this.world.open(did)
      assert.equal((await this.world.codes(did)).includes('R_SUSPENDED'), open.length > 0, `decision of ${did}`)
      const ids = new Set(open.map(({ id }) => id))
      for (const { id, origin, releasedAt } of await this.world.store.holdsOf(did, 1_000)) {
        if (!/^(runtime|operator):/.test(origin)) continue
        if (this.acknowledged.has(id) && !this.released.has(id)) assert.ok(ids.has(id), `I1: the hold ${id} is gone`)
        if (releasedAt !== undefined) assert.ok(this.released.has(id), `I3: ${id} was released`)
      }
    }
  }

  /** Everybody answers and the clock runs: what all sides come to (I5, I9). */
  async calm(model: Model): Promise<void> {
    const { world } = this
    world.dieAt = undefined
    for (const name of names) this.sites[name].clearFaults()
    await this.#rest(model)
    for (const agent of agents) await this.release(agent)
    await this.#rest(model)
    for (const name of names)
      for (const agent of agents) if (this.flip(name, agent, true)) model.off.delete(`${name}/${agent}`)
    await this.#rest(model)
    for (let some = true; some; ) {
      some = false
      for (const agent of agents) if (await this.approve(agent)) some = true
      if (some) await this.#rest(model)
    }
    for (const agent of agents) {
      const open = await world.open(didOf(agent))
      const accounts = await Promise.all(names.map((name) => this.account(name, agent)))
      const say = JSON.stringify({ open, accounts, alerts: world.alerts })
      assert.equal(open.length, 0, `I9: ${agent} is held though nobody wants it: ${say}`)
      for (const name of names) assert.ok(this.isOn(name, agent), `I5: ${name}/${agent} is left off`)
    }
    assert.equal((await world.bridge.verifyAudit()).ok, true, 'I7')
  }

  async #rest(model: Model): Promise<void> {
    const { world } = this
    // A replica may still tell the old state to this pass; the passes of a running daemon go on, so here another follows.
    await world.run(this.setting.staleMs + second)
    await world.full()
    await world.settleAll(12 * minute)
    await this.always()
    for (const agent of agents) {
      const open = await world.open(didOf(agent))
      for (const at of names) {
        const account = await this.account(at, agent)
        const on = this.isOn(at, agent)
        const own = open.find(({ origin }) => origin === `adapter:${at}/${this.sites[at].ids[agent]}`)
        const others = open.filter((hold) => hold !== own)
        const say = `${at}/${agent}: ${JSON.stringify({ account, on, open })}`
        assert.equal(account.inFlightUntil, undefined, `in flight for ever: ${say}`)
        assert.equal(account.putBack, false, `put back for ever: ${say}`)
        if (model.off.has(`${at}/${agent}`)) {
          assert.ok(!on, `I2: an administrator turned it off, and we on: ${say}`)
          assert.ok(open.length > 0, `I5: an administrator turned it off, and nothing holds the agent: ${say}`)
        }
        if (others.length > 0 && (own === undefined || own.releasableAt !== undefined))
          assert.ok(!on, `I5: held, but on: ${say}`)
        if (open.length === 0) {
          assert.equal(account.mark, 'none', `I5: a mark without a hold: ${say}`)
          assert.ok(on, `I5: off without a hold: ${say}`)
        }
        if (own !== undefined && on) assert.ok(own.releasableAt !== undefined, `I9: a dead own hold: ${say}`)
      }
    }
  }
}

const at = fc.constantFrom(...names)
const agent = fc.constantFrom(...agents)

type Real = { readonly trace: Trace }

/** One step, checked against what must hold in every state. */
const step = (say: string, run: (model: Model, trace: Trace) => Promise<void> | void): AsyncCommand<Model, Real> => ({
  check: () => true,
  run: async (model, { trace }) => {
    try {
      await run(model, trace)
    } catch (error) {
      if (!(error instanceof Death) && !(error instanceof BridgeError)) throw error
    }
    if (trace.world.dead) await trace.world.restart()
    await trace.always()
  },
  toString: () => say,
})

const probes = [
  'kill.committed',
  'disable.recorded',
  'disable.answered',
  'disable.settled',
  'enable.recorded',
  'enable.answered',
  'enable.settled',
] as const

/** The alphabet of `test/model`, for the real engine. */
export const alphabet: fc.Arbitrary<AsyncCommand<Model, Real>>[] = [
  fc
    .tuple(agent, fc.constantFrom('kill', 'suspend'))
    .map(([who, how]) => step(`${how} ${who}`, (_, trace) => trace.place(who, how))),
  agent.map((who) => step(`release ${who}`, (_, trace) => trace.release(who))),
  agent.map((who) => step(`approve ${who}`, async (_, trace) => void (await trace.approve(who)))),
  fc.tuple(at, agent, fc.boolean()).map(([where, who, on]) =>
    step(`administrator switches ${where}/${who} ${on ? 'on' : 'off'}`, (model, trace) => {
      if (!trace.flip(where, who, on)) return
      if (on) model.off.delete(`${where}/${who}`)
      else model.off.add(`${where}/${who}`)
    }),
  ),
  fc.tuple(at, agent).map(([where, who]) => step(`bell for ${where}/${who}`, (_, trace) => trace.ring(where, who))),
  at.map((where) =>
    step(`poll ${where}`, async (_, trace) => void (await trace.world.runner(where).sync.changes(trace.world.signal))),
  ),
  fc.constant(step('work', (_, trace) => trace.work())),
  fc
    .constantFrom(second, 5 * second, 31 * second)
    .map((ms) => step(`${ms / second} s pass`, async (_, trace) => trace.world.clock.advance(ms))),
  fc
    .constantFrom(5 * second, 40 * second, 3 * minute)
    .map((ms) => step(`${ms / second} s of work`, (_, trace) => trace.run(ms))),
  fc
    .tuple(at, agent, fc.constantFrom('lost', 'dropped', 'refused', 'late'))
    .map(([where, who, fate]) =>
      step(`the next write of ${where}/${who} is ${fate}`, (_, trace) => trace.write(where, who, fate)),
    ),
  fc.tuple(at, agent).map(([where, who]) =>
    step(`${where}/${who} cannot be read`, (_, { sites }) => {
      sites[where].unreadable(sites[where].ids[who], 2)
    }),
  ),
  at.map((where) =>
    step(`the log of ${where} cannot be read`, (_, { sites }) => {
      sites[where].logDown(5)
    }),
  ),
  at.map((where) =>
    step(`the connection to ${where} is cut`, (_, { sites }) => {
      sites[where].cut()
    }),
  ),
  fc.constant(step('restart', (_, trace) => trace.world.restart())),
  fc.constantFrom(...probes).map((point) =>
    step(`dies at ${point}`, (_, { world }) => {
      world.dieAt = point
    }),
  ),
]
