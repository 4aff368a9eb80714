import { randomInt } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryDirectory } from '../../adapters/memory/directory.ts'
import { memoryConfig, open } from '../../adapters/memory/index.ts'
import type { Accounts, Adapter, AdapterSettings } from '../../src/core/adapter.ts'
import type { HookQueue } from '../../src/core/hookqueue.ts'
import type { Lane, Store } from '../../src/core/store.ts'
import type { Hold } from '../../src/core/types.ts'
import { type Activity, createActivity } from '../../src/engine/activity.ts'
import type { AgentInput, Caller } from '../../src/engine/agentapi.ts'
import type { Bridge } from '../../src/engine/api.ts'
import { createBridge } from '../../src/engine/bridge.ts'
import { createBus } from '../../src/engine/bus.ts'
import type { Alert, Deps, Mount, Policy, Runtime } from '../../src/engine/deps.ts'
import { endCascades } from '../../src/engine/ending.ts'
import { createKnown } from '../../src/engine/known.ts'
import type { PassportSettings } from '../../src/engine/passports.ts'
import { restMs } from '../../src/engine/recall.ts'
import { createRunner, type Runner } from '../../src/engine/runner.ts'
import { keysInForce } from '../../src/engine/signing.ts'
import { begin } from '../../src/engine/start.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import { type Clock, type ManualClock, manualClock } from '../../src/lib/clock.ts'
import { createKeySource, type KeySource } from '../../src/lib/jwks.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createMetrics, type Metrics } from '../../src/lib/metrics.ts'
import { type FileStore, openStore } from '../../src/store/index.ts'

/** Of the tokens that the directories in memory issue. */
export const audience = 'api://agents'
export const second = 1_000
export const minute = 60_000
export const settleMs = 10 * second
export const confirmMs = 30 * second

export const policyOf = (part: Partial<Policy> = {}): Policy => ({
  confirmReleaseAfterMs: confirmMs,
  resume: 'approval',
  drift: 'reassert',
  maxStaleness: { warnMs: 15 * minute, denyMs: 24 * 60 * minute },
  unknownActors: 'deny',
  guard: {
    windowMs: 10 * minute,
    minAgents: 50,
    suspend: { max: 50, percent: 20 },
    resume: { max: 10, percent: 5 },
  },
  capabilitiesMaxAgeMs: 24 * 60 * minute,
  killBudget: { max: 100, perMs: 10 * minute },
  ...part,
})

export const caller = (name: string, ...roles: string[]): Caller => ({
  name,
  roles,
  labels: undefined,
  requestId: `request of ${name}`,
})

export const registrar = caller('registrar', 'registrar')
export const runtime = caller('agt-1', 'runtime')
export const soc = caller('soc', 'responder')
export const alice = caller('alice', 'operator')
export const bob = caller('bob', 'operator')
export const carol = caller('carol', 'approver')
export const dave = caller('dave', 'approver')

export interface AdapterOptions {
  readonly settings?: Partial<AdapterSettings>
  /** Another directory than the one in memory. */
  readonly adapter?: (clock: Clock) => Adapter
  /** Without the directory's log of changes. */
  readonly logless?: boolean
  readonly never?: readonly string[]
  /** Rings beside the hook address. */
  readonly queue?: HookQueue
}

export interface WorldOptions {
  readonly policy?: Partial<Policy>
  readonly adapters?: Readonly<Record<string, AdapterOptions>>
  readonly random?: () => number
  /** The clock of a directory that is not in memory. */
  readonly clock?: ManualClock
}

/** The death of the process at a probe. */
export class Death extends Error {}

export const names = ['north', 'south'] as const
export type Home = (typeof names)[number]
/** The third directory is there only for worlds that name it in `adapters`. */
export type Name = Home | 'east'

/** One daemon without HTTP: real store, two directories in memory, a clock that stands still, loops driven by hand. */
export class World implements AsyncDisposable {
  readonly clock: ManualClock
  readonly directories: Readonly<Record<Name, MemoryDirectory>>
  policy: Policy
  readonly settings: Record<Name, AdapterSettings>
  runtimes: readonly Runtime[] = []
  keys: readonly { read(): string }[] = []
  revoked: readonly string[] = []
  passports: PassportSettings = { lifetimeMs: 15 * minute, sponsor: 'id' }
  statusLists = { ttlMs: 10 * second, lifetimeMs: 5 * minute }
  /** Places in status lists to be drawn next; then any. */
  places: number[] = []
  readonly alerts: Alert[] = []
  /** Rules that were broken at the directories' side of the wire. */
  readonly violations: string[] = []
  /** Probe points passed, in order. */
  readonly passed: string[] = []
  metrics: Metrics = createMetrics()
  runners = new Map<string, Runner>()
  /** Dies when the given probe is passed. */
  dieAt: string | undefined
  dead = false
  readonly #dir: string
  readonly #options: WorldOptions
  readonly #ticking: Clock
  readonly #aborting = new AbortController()
  #ids = 0
  #starts = 0
  #parts: { opened: FileStore; store: Store; deps: Deps; bridge: Bridge; activity: Activity } | undefined

  private constructor(options: WorldOptions) {
    this.#options = options
    this.#dir = mkdtempSync(join(tmpdir(), 'idp-engine-'))
    this.clock = options.clock ?? manualClock()
    const { clock } = this
    // Real monotonic clocks count in fractions, and so must nothing be stored that was computed from one.
    this.#ticking = {
      now: () => clock.now(),
      mono: () => clock.mono() * 1.000_000_1 + 0.37,
      sleep: (ms, signal) => clock.sleep(ms, signal),
    }
    this.directories = {
      north: new MemoryDirectory(clock, { realm: 'north', hookKey: 'bell' }),
      south: new MemoryDirectory(clock, { realm: 'south', hookKey: 'bell' }),
      east: new MemoryDirectory(clock, { realm: 'east', hookKey: 'bell' }),
    }
    this.policy = policyOf(options.policy)
    const settings = (name: Name): AdapterSettings => ({
      mirror: 'both',
      settleMs,
      groups: {},
      sync: { accounts: '*/30 * * * * *', groups: '*/5 * * * *', full: '0 3 * * *' },
      ...options.adapters?.[name]?.settings,
    })
    this.settings = { north: settings('north'), south: settings('south'), east: settings('east') }
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options)
    await world.start()
    return world
  }

  #part<K extends 'store' | 'deps' | 'bridge' | 'activity'>(name: K) {
    if (this.#parts === undefined) throw new Error('the world was not opened')
    return this.#parts[name]
  }

  /** The file of the store. */
  get path(): string {
    return join(this.#dir, 'bridge.db')
  }

  get store(): Store {
    return this.#part('store')
  }

  get deps(): Deps {
    return this.#part('deps')
  }

  get activity(): Activity {
    return this.#part('activity')
  }

  get bridge(): Bridge {
    return this.#part('bridge')
  }

  get signal(): AbortSignal {
    return this.#aborting.signal
  }

  get north(): MemoryDirectory {
    return this.directories.north
  }

  get south(): MemoryDirectory {
    return this.directories.south
  }

  /** Opens the store and makes everything that lives in memory anew. */
  async start(): Promise<void> {
    const opened = await openStore({ url: `sqlite:${this.path}`, now: () => this.clock.now() })
    this.dead = false
    const store: Store = {
      ...opened,
      write: (work) => (this.dead ? Promise.reject(new Death('the process is dead')) : opened.write(work)),
    }
    const mounts = new Map<string, Mount>()
    for (const name of names) mounts.set(name, this.#mount(name))
    if (this.#options.adapters?.['east'] !== undefined) mounts.set('east', this.#mount('east'))
    this.metrics = createMetrics()
    const deps: Deps = {
      store,
      mounts: () => mounts,
      policy: () => this.policy,
      runtimes: () => this.runtimes,
      clock: this.#ticking,
      isClockDoubted: () => [...this.runners.values()].some(({ mirror }) => mirror.recall.doubted),
      log: createLogger({ level: 'silent' }),
      metrics: this.metrics,
      bus: createBus(),
      newId: () => `id-${String(++this.#ids).padStart(6, '0')}`,
      random: this.#options.random ?? (() => 0.37),
      alert: (code, text) => this.alerts.push({ at: this.clock.now(), code, text }),
      isFatal: () => false,
      fatal: () => undefined,
      probe: (point) => this.#probe(point),
    }
    this.#starts += 1
    const generation = this.#starts === 1 ? 'generation' : `generation${this.#starts}`
    const doubted = await begin(deps, () => generation, opened.lost)
    this.runners = new Map(
      [...mounts].map(([name, mount]) => [name, createRunner(deps, mount, 'UTC', doubted.has(name))]),
    )
    const sources = new Map<string, KeySource>()
    const known = createKnown(store)
    const verifier = createVerifier({
      adapters: () => [...mounts.values()].map(({ adapter }) => adapter),
      keys: ({ jwksUri, fetch, keys }) => {
        if (keys) return keys
        const source = sources.get(jwksUri) ?? createKeySource({ uri: jwksUri, fetch, clock: this.#ticking })
        sources.set(jwksUri, source)
        return source
      },
      clock: this.#ticking,
      store: known,
    })
    const activity = createActivity(deps)
    const bridge = createBridge({
      activity,
      deps,
      verifier,
      known,
      runner: (name) => this.runners.get(name),
      version: 'test',
      receipts: {
        keys: () => keysInForce(this.keys, this.revoked),
        issuer: 'test',
        retentionMs: () => 400 * 24 * 60 * minute,
      },
      publishing: {
        keys: () => this.keys,
        revoked: () => this.revoked,
        publicUrl: 'https://bridge.test/',
        passports: () => this.passports,
        statusLists: () => this.statusLists,
        randomPlace: (most) => this.places.shift() ?? randomInt(most),
      },
      alerts: this.alerts,
    })
    this.#parts = { opened, store, deps, bridge, activity }
  }

  #mount(name: Name): Mount {
    const { adapter: given, logless, never, queue } = this.#options.adapters?.[name] ?? {}
    const config = memoryConfig.parse({ kind: 'memory', never: never ?? [], tokens: { audiences: [audience] } })
    const adapter = given?.(this.#ticking) ?? open(name, config, { clock: this.#ticking }, this.directories[name])
    const { settings } = this
    const { accounts } = adapter
    if (accounts === undefined) throw new Error('the memory adapter writes')
    const { log, ...rest } = accounts
    const checked: Accounts = {
      ...rest,
      ...(log !== undefined && !logless && { log }),
      enable: (refs, signal, stillWanted) =>
        accounts.enable(refs, signal, async () => {
          await stillWanted?.()
          for (const { id } of refs) await this.#checkEnable(name, id)
        }),
    }
    return {
      adapter: { ...adapter, accounts: checked, ...(queue && { queue }) },
      get settings() {
        return settings[name]
      },
    }
  }

  /** I2, at the moment of sending. */
  async #checkEnable(name: Name, id: string): Promise<void> {
    const principal = await this.store.principal({ adapter: name, id })
    const dids = principal?.shared
      ? (await this.store.sharersOf(principal)).map(({ did }) => did)
      : principal === undefined
        ? []
        : [principal.did]
    const open = await Promise.all(dids.map((did) => this.store.openHolds(did)))
    const own = open.flat().some(({ origin }) => origin === `adapter:${name}/${id}`)
    if (principal?.account.mark === 'ours' && !own && open.some((holds) => holds.length === 0)) return
    const held = open.map((holds) => holds.length).join(', ')
    this.violations.push(`I2: enabled ${name}/${id} with mark ${principal?.account.mark} and open holds: ${held}`)
  }

  #probe(point: string): void {
    if (this.dead) throw new Death(point)
    this.passed.push(point)
    if (this.dieAt !== point) return
    this.dieAt = undefined
    this.dead = true
    throw new Death(point)
  }

  /** Ends the process wherever it is and starts it again: only the store is left. */
  async restart(): Promise<void> {
    await this.#end()
    await this.start()
  }

  async #end(): Promise<void> {
    this.dead = true
    for (const runner of this.runners.values()) await runner.mirror.drained()
    await this.#parts?.opened.close()
  }

  async backup(): Promise<string> {
    const file = join(this.#dir, `copy-${++this.#ids}.db`)
    await this.#parts?.opened.backup(file)
    return file
  }

  /** Ends the process, puts the backup in the place of the store and starts on it. */
  async restore(file: string): Promise<void> {
    await this.#end()
    copyFileSync(file, this.path)
    await this.start()
  }

  runner(name: string): Runner {
    const runner = this.runners.get(name)
    if (runner === undefined) throw new Error(`no runner ${name}`)
    return runner
  }

  /** Every lane until nothing is due now. Fails when that never happens: a hot loop. */
  async work(): Promise<void> {
    for (let looks = 0; ; looks++) {
      if (looks > 60) throw new Error(`hot loop: ${JSON.stringify(await this.#dueNow())}`)
      let more = false
      await this.#survive(endCascades(this.deps))
      if (this.dead) return
      for (const runner of this.runners.values()) {
        await runner.mirror.suspendOnce(this.signal)
        await runner.mirror.drained()
        if ((await this.#survive(runner.mirror.workOnce(this.signal))) === 'more') more = true
        if (this.dead) return
      }
      if (!more && (await this.#dueNow()).length === 0) return
    }
  }

  /** The death of the process ends what it was at; everything else that is thrown is a fault. */
  async #survive<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await work
    } catch (error) {
      if (error instanceof Death) return undefined
      throw error
    }
  }

  #restMs(name: string): number {
    return restMs(this.runner(name).mirror.recall, this.clock)
  }

  async #dueNow(): Promise<unknown[]> {
    const due: unknown[] = []
    if ((await this.store.meta('paused')) !== undefined) return due
    for (const name of this.runners.keys()) {
      for (const lane of [0, 1, 2, 3, 4] as const) {
        if (lane !== 0 && this.#restMs(name) > 0) continue
        for (const { id, account } of await this.store.due(name, lane, this.clock.now(), 5))
          due.push({ lane, id, account })
      }
    }
    return due
  }

  async nextDue(): Promise<number | undefined> {
    const times: number[] = []
    // While paused, suspensions stay due.
    const paused = (await this.store.meta('paused')) !== undefined
    const lanes: readonly Lane[] = paused ? [1, 3] : [0, 1, 2, 3, 4]
    for (const name of this.runners.keys()) {
      for (const lane of lanes) {
        const at = await this.store.nextDue(name, lane)
        if (at !== undefined) times.push(lane === 0 ? at : Math.max(at, this.clock.now() + this.#restMs(name)))
      }
    }
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** Works, and moves the clock from one due time to the next, for so long at most. */
  async run(forMs: number): Promise<void> {
    const end = this.clock.mono() + forMs
    for (let steps = 0; ; steps++) {
      if (steps > 3_000) throw new Error('it never comes to rest')
      await this.work()
      if (this.dead) return
      const next = await this.nextDue()
      const left = end - this.clock.mono()
      const wait = next === undefined ? left : Math.max(1, next - this.clock.now())
      if (wait >= left) {
        if (left > 0) await this.clock.advance(left)
        await this.work()
        return
      }
      await this.clock.advance(wait)
    }
  }

  /** Reads what changed in every directory and works until it is long settled. */
  async settleAll(forMs = 30 * minute): Promise<void> {
    await this.poll()
    await this.run(forMs)
  }

  async poll(): Promise<void> {
    for (const runner of this.runners.values()) {
      await runner.sync.changes(this.signal)
      await runner.guard()
    }
  }

  async full(): Promise<void> {
    for (const runner of this.runners.values()) await runner.sync.full(this.signal)
  }

  /** An agent with one account in each of the directories named, `<name>-<did>`, made when missing. */
  async agent(id: string, input: Partial<AgentInput> = {}, where: readonly Name[] = names): Promise<string> {
    const did = `did:mesh:${id}`
    for (const name of where) {
      if (!this.directories[name].ids.includes(id)) this.directories[name].add({ id })
    }
    const principals = where.map((adapter) => ({ adapter, id, kind: 'account' }))
    await this.bridge.register({ did, name: id, principals, ...input }, registrar)
    return did
  }

  async open(did: string): Promise<Hold[]> {
    return this.store.openHolds(did)
  }

  async origins(did: string): Promise<string[]> {
    return (await this.open(did)).map(({ origin }) => origin).sort()
  }

  async account(name: Name, id: string) {
    const principal = await this.store.principal({ adapter: name, id })
    if (principal === undefined) throw new Error(`${name}/${id} is not mapped`)
    return principal.account
  }

  async codes(did: string): Promise<readonly string[]> {
    return (await this.bridge.decide({ did })).codes
  }

  async kill(did: string, by = runtime) {
    return this.bridge.kill({ did, reason: 'policy violation' }, by)
  }

  /** Two people release a hold. */
  async releaseByTwo(did: string, holdId: string, first = alice, second = bob): Promise<void> {
    const asked = await this.bridge.release(did, holdId, 'all clear', first)
    if (!asked.done) await this.bridge.approve(asked.release.id, second)
  }

  async ring(name: Name, bell: { delivery: string; principal?: string; group?: string }) {
    const body = new TextEncoder().encode(JSON.stringify(bell))
    const request = { method: 'POST', headers: { 'x-bridge-key': 'bell' }, query: {}, body }
    return this.bridge.hook(name, request, this.signal)
  }

  writes(name: Name, id?: string): string[] {
    return this.directories[name].written.filter((one) => id === undefined || one.id === id).map(({ action }) => action)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#aborting.abort()
    for (const runner of this.runners.values()) await runner.mirror.drained()
    await this.#parts?.opened.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
