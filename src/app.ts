import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import type { AdapterDeps } from '../adapters/deps.ts'
import type { OutletDeps } from '../outlets/deps.ts'
import type { AdapterBase, Config, OutletBase } from './config.ts'
import { diffReload } from './config.ts'
import type { Adapter, Issuer } from './core/adapter.ts'
import { BridgeError } from './core/errors.ts'
import type { Outlet } from './core/outlet.ts'
import { createActivity } from './engine/activity.ts'
import { createBridge } from './engine/bridge.ts'
import { createBus } from './engine/bus.ts'
import { createCallerStandings } from './engine/callers.ts'
import { putInForce } from './engine/configured.ts'
import type { Alert, Deps, Mount } from './engine/deps.ts'
import { hostOf } from './engine/doctorhost.ts'
import { headSigner } from './engine/heads.ts'
import { createKnown } from './engine/known.ts'
import { createPushes } from './engine/pushes.ts'
import { createRoster, keepRoster } from './engine/roster.ts'
import { createRunner, type Runner } from './engine/runner.ts'
import { begin, recordReload } from './engine/start.ts'
import { watchStore } from './engine/storewatch.ts'
import { startUpkeep } from './engine/upkeep.ts'
import { createVerifier } from './engine/verify.ts'
import { createLimits } from './http/limits.ts'
import { listenAll } from './http/listening.ts'
import { createVisitors } from './http/oidc.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { createKeySource, type KeySource } from './lib/jwks.ts'
import type { Logger } from './lib/log.ts'
import { createMetrics } from './lib/metrics.ts'
import { createOutbound } from './lib/outbound.ts'
import { within } from './lib/periodic.ts'
import {
  clientsOf,
  definedBy,
  directoriesOf,
  inForce,
  listenersOf,
  policyOf,
  publishingOf,
  receiptsOf,
  selfOf,
  settingsOf,
  signingKeysOf,
  sourceOf,
  unasked,
} from './settings.ts'
import { type FileStore, openStore } from './store/index.ts'
import { openTracing } from './telemetry.ts'

export type LoadAdapters = (
  kinds: Iterable<string>,
) => Promise<(name: string, config: AdapterBase, deps: AdapterDeps) => Adapter>

export type OpenOutlet = (config: OutletBase, deps: OutletDeps) => Promise<Outlet>

export interface AppOptions {
  readonly config: Config
  /** Loads the adapters of these kinds, and gives what opens one. */
  readonly loadAdapters: LoadAdapters
  /** Opens a configured receiver of signals. */
  readonly openOutlet: OpenOutlet
  readonly version: string
  readonly log: Logger
  /** The store can no longer be trusted or the lease is lost: end the process; a restart recovers. */
  readonly onFatal: (error: unknown) => void
  /** For adapters: where the platform says that its token endpoint is. */
  readonly env?: AdapterDeps['env']
  readonly clock?: Clock
  readonly random?: () => number
  readonly probe?: (point: string) => void
  readonly processMetrics?: boolean
}

export interface App {
  /** Where it listens, e.g. `http://127.0.0.1:8480`. */
  readonly origin: string
  readonly store: FileStore
  readonly runners: ReadonlyMap<string, Runner>
  /** Puts what can be reloaded into force, whole or not at all. Returns what needs a restart. */
  reload(config: Config): Promise<readonly string[]>
  /** A faulty configuration was offered: the old one stays in force, with an alert. */
  reloadFailed(text: string): void
  /** Stops taking requests, lets writes on the wire be answered (10 s at most), closes in reverse order. */
  stop(): Promise<void>
}

const alertsKept = 100
const drainMs = 10_000

/**
 * The one place that wires things: store, adapters, workers, listener, in that order; stopped in reverse. A directory
 * that is down does not keep the daemon from starting.
 */
export const startApp = async (options: AppOptions): Promise<App> => {
  const { log, version, clock = systemClock, random = Math.random } = options
  let config = options.config
  let policy = policyOf(config)
  let clients = clientsOf(config)
  const settings = new Map(Object.entries(config.adapters).map(([name, one]) => [name, settingsOf(one)]))
  const alerts: Alert[] = []
  const alert = (code: string, text: string): void => {
    alerts.push({ at: clock.now(), code, text })
    if (alerts.length > alertsKept) alerts.shift()
    log.warn({ alert: code }, text)
  }

  const stack = new AsyncDisposableStack()
  const stopping = new AbortController()
  const metrics = createMetrics({ processMetrics: options.processMetrics ?? false })
  try {
    const opened = await openStore({ url: config.store.url, now: clock.now, onDead: options.onFatal })
    stack.defer(() => opened.close())
    const store = watchStore(opened, { metrics, alert, log, clock })
    for (const text of store.warnings) alert('store', text)
    if (store.migratedFrom !== undefined)
      log.info({ backup: store.migratedFrom }, 'the store was migrated; a backup was made')

    const { outbound: net } = config
    const outward = {
      proxy: net.proxy?.read(),
      noProxy: net.noProxy,
      caFile: net.caFile,
      userAgent: `agentmesh-idp-bridge/${version}`,
      metrics,
      clock,
    }
    const trace = await openTracing(config, { outward, version, log, metrics, clock, stack })
    const outbound = createOutbound({ ...outward, trace })
    stack.defer(() => outbound.close())

    const sources = new Map<string, KeySource>()
    const keys: AdapterDeps['keys'] = (uri, fetch) => {
      const present = sources.get(uri)
      if (present !== undefined) return present
      const source = createKeySource({ uri, fetch, clock, log, random })
      sources.set(uri, source)
      void source.start(stopping.signal)
      return source
    }
    stack.defer(() => {
      for (const source of sources.values()) source.close()
    })

    const mounts = new Map<string, Mount>()
    const { publicUrl } = config.server
    const shared = { outbound, clock, random, keys, env: options.env ?? {}, publicUrl }
    const open = await options.loadAdapters(Object.values(config.adapters).map(({ kind }) => kind))
    for (const [name, one] of Object.entries(config.adapters)) {
      const adapter = open(name, one, { ...shared, log: log.child({ adapter: name }) })
      const fixed = settingsOf(one)
      mounts.set(name, {
        adapter,
        get settings() {
          return settings.get(name) ?? fixed
        },
      })
      stack.defer(async () => adapter.close?.())
    }

    const runners = new Map<string, Runner>()
    const deps: Deps = {
      store,
      mounts: () => mounts,
      policy: () => policy,
      runtimes: () => clients.filter(({ roles }) => roles.includes('runtime')),
      clock,
      isClockDoubted: () => [...runners.values()].some(({ mirror }) => mirror.recall.doubted),
      log,
      metrics,
      bus: createBus(),
      newId: randomUUID,
      random,
      alert,
      // What ends a store for good is told by the store itself; a full disk is not such a thing.
      isFatal: (error) => error instanceof BridgeError && error.code === 'E_LEASE_LOST',
      fatal: options.onFatal,
      ...(options.probe && { probe: options.probe }),
      ...(trace && { trace }),
    }
    const roster = createRoster(store)
    const known = createKnown(store, roster)
    const verifier = createVerifier({
      adapters: () => [...mounts.values()].map(({ adapter }) => adapter),
      keys: (issuer: Issuer) => issuer.keys ?? keys(issuer.jwksUri, issuer.fetch),
      clock,
      store: known,
      callers: directoriesOf(config, mounts),
    })
    const doubted = await begin(deps, () => randomBytes(6).toString('hex'), store.lost)
    await putInForce(deps, definedBy(config))

    for (const [name, mount] of mounts) {
      runners.set(name, createRunner(deps, mount, config.schedule.timeZone, doubted.has(name)))
    }
    const activity = createActivity(deps)
    stack.defer(() => activity.flush())
    const runner = (name: string) => runners.get(name)
    const outletDeps = { outbound, clock, log, source: sourceOf(config), env: options.env ?? {} }
    const outlets = Object.values(config.signals).flat()
    const pushes = createPushes(deps, await Promise.all(outlets.map((one) => options.openOutlet(one, outletDeps))))
    const bridge = createBridge({
      deps,
      verifier,
      known,
      activity,
      runner,
      version,
      alerts,
      receipts: receiptsOf(() => config),
      publishing: publishingOf(() => config, randomInt),
      self: () => selfOf(config),
      pushes,
      host: hostOf(() => ({ keys: signingKeysOf(config), publicUrl: config.server.publicUrl }), opened, outbound),
    })

    const signer = headSigner({ keys: () => signingKeysOf(config), store, clock, log, keep: store.keepHead })
    stack.defer(() => signer.sign())
    pushes.start()
    stack.defer(() => pushes.stop())
    for (const runner of runners.values()) runner.start()
    stack.defer(async () => {
      await Promise.all([...runners.values()].map((runner) => within(drainMs, runner.stop())))
    })
    stack.defer(() => stopping.abort())
    const checkpoints = { retentionMs: () => config.retention.audit, keys: () => signingKeysOf(config) }
    const upkeep = { runners, signer, activity, retention: () => config.retention, checkpoints }
    startUpkeep(deps, upkeep, stopping.signal)
    void keepRoster(roster, deps, stopping.signal)

    const standings = createCallerStandings({ store, known, mounts: () => mounts })
    const limits = createLimits(() => config.auth.rateLimit, clock)
    const listeners = stack.use(
      await listenAll(listenersOf(config), {
        bridge,
        clients: () => clients,
        standings,
        visitors: createVisitors({ verifier, clients: () => clients }),
        limits,
        log,
        metrics,
        clock,
        alert,
        version,
        trace,
      }),
    )
    const { origin } = listeners
    log.info({ origin, adapters: [...mounts.keys()] }, 'listening')
    for (const one of runners.values()) one.listening()

    const held = stack.move()
    return {
      origin,
      store,
      runners,
      reload: async (next) => {
        const diff = diffReload(config, next)
        const following = inForce(config, next)
        verifier.reload(directoriesOf(following, mounts))
        config = following
        policy = policyOf(config)
        clients = clientsOf(config)
        for (const [name, one] of Object.entries(config.adapters)) settings.set(name, settingsOf(one))
        log.level = next.log.level
        for (const runner of runners.values()) void runner.groups.sync(stopping.signal).catch(() => undefined)
        metrics.inc('config_reload_total', { outcome: 'ok' })
        await putInForce(deps, definedBy(config))
        const { reloaded } = diff
        const needsRestart = [...diff.needsRestart, ...unasked(config, listeners.asks)]
        await recordReload(deps, reloaded, needsRestart)
        log.info({ reloaded, needsRestart }, 'configuration reloaded')
        return needsRestart
      },
      reloadFailed: (text) => {
        metrics.inc('config_reload_total', { outcome: 'failed' })
        alert('config-faulty', text)
      },
      stop: () => held.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}
