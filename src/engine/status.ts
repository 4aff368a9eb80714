import type { Adapter } from '../core/adapter.ts'
import { codeOf } from '../core/errors.ts'
import { doubts } from '../core/guard.ts'
import type { Lane } from '../core/store.ts'
import type { Severity } from '../core/types.ts'
import type { AdapterStatus, StatusView } from './api.ts'
import type { Alert, Deps } from './deps.ts'
import { directions, trippedSince } from './guarding.ts'
import { recentKills } from './killview.ts'
import type { OutletView } from './pushapi.ts'
import { quarantineOf } from './quarantine.ts'
import type { Runner } from './runner.ts'
import { pausedKey } from './worker.ts'

export interface StatusInput {
  readonly version: string
  readonly startedAt: number
  readonly alerts: readonly Alert[]
  readonly signalClients: () => number
  readonly outlets: () => Promise<readonly OutletView[]>
  readonly runner: (adapter: string) => Runner | undefined
}

const adapterStatus = async (
  deps: Deps,
  adapter: Adapter,
  mirror: string,
  runner: Runner | undefined,
): Promise<AdapterStatus> => {
  const { store } = deps
  const { name } = adapter
  const now = deps.clock.now()
  const { warnMs, denyMs } = deps.policy().maxStaleness
  const lanes = await laneDepths(deps, name)
  const throttledUntil = runner?.mirror.recall.throttledUntil
  return {
    adapter: name,
    kind: adapter.kind,
    mirror,
    principals: await store.countPrincipals(name),
    accounts: {
      checkpointAt: (await store.checkpoint(name, 'accounts'))?.at,
      lastOkAt: runner?.sync.state.lastOkAt,
      lastError: runner?.sync.state.lastError,
      fullAt: runner?.sync.state.fullAt,
    },
    groups: { lastOkAt: runner?.groups.state.lastOkAt, lastError: runner?.groups.state.lastError },
    queue: runner?.queue?.state(),
    log: runner?.mirror.log && { ...runner.mirror.log },
    stale: {
      warn: await store.countStale(name, now - warnMs, now),
      deny: await store.countStale(name, now - denyMs, now),
    },
    lanes,
    throttledUntil: throttledUntil !== undefined && throttledUntil > now ? throttledUntil : undefined,
    writesFailing: await store.countFailing(name),
    guard: {
      suspend: (await trippedSince(store, name, 'suspend')) !== undefined,
      resume: (await trippedSince(store, name, 'resume')) !== undefined,
    },
    quarantine: await quarantineOf(store, name),
    subscriptions: adapter.tending?.subscriptions(),
  }
}

const suspendLanes: ReadonlySet<Lane> = new Set([0, 2, 4])

/** Suspensions, alone or among many, tried or failed before, and everything else. */
const laneDepths = async (deps: Deps, adapter: string): Promise<AdapterStatus['lanes']> => {
  const depth = await deps.store.laneDepth(adapter)
  const of = (suspend: boolean) =>
    depth.filter(({ lane }) => suspendLanes.has(lane) === suspend).reduce((sum, { due }) => sum + due, 0)
  return [
    { lane: 'suspend', due: of(true) },
    { lane: 'other', due: of(false) },
  ]
}

const severities: readonly Severity[] = ['suspend', 'kill', 'disable', 'decommission']

/** Sets the gauges that are counted in the store; called before metrics are read. */
export const gauge = async (deps: Deps): Promise<void> => {
  const open = new Map((await deps.store.countOpenHoldsBySeverity()).map(({ severity, n }) => [severity, n]))
  for (const severity of severities) deps.metrics.set('holds_open', { severity }, open.get(severity) ?? 0)
  const now = deps.clock.now()
  for (const name of deps.mounts().keys()) {
    for (const { lane, due } of await laneDepths(deps, name)) {
      deps.metrics.set('mirror_lane_depth', { adapter: name, lane }, due)
    }
    for (const direction of directions) {
      const tripped = (await trippedSince(deps.store, name, direction)) !== undefined
      deps.metrics.set('guard_tripped', { adapter: name, direction }, tripped ? 1 : 0)
    }
    const why = (await quarantineOf(deps.store, name))?.why ?? []
    for (const one of doubts) {
      deps.metrics.set('directory_quarantined', { adapter: name, why: one }, why.includes(one) ? 1 : 0)
    }
    const oldest = await deps.store.oldestReading(name)
    if (oldest === undefined) deps.metrics.drop('adapter_staleness_seconds', { adapter: name })
    else deps.metrics.set('adapter_staleness_seconds', { adapter: name }, Math.max(0, now - oldest) / 1000)
  }
}

export const statusView = async (deps: Deps, input: StatusInput): Promise<StatusView> => {
  const adapters: AdapterStatus[] = []
  for (const { adapter, settings } of deps.mounts().values()) {
    adapters.push(await adapterStatus(deps, adapter, settings.mirror, input.runner(adapter.name)))
  }
  await gauge(deps)
  const open = await deps.store.countOpenHolds()
  return {
    version: input.version,
    startedAt: input.startedAt,
    paused: (await deps.store.meta(pausedKey)) !== undefined,
    holds: { open, agents: await deps.store.countHeldDids() },
    signals: { head: (await deps.store.signalRange()).head, clients: input.signalClients() },
    adapters,
    outlets: await input.outlets(),
    kills: await recentKills(deps),
    alerts: input.alerts,
  }
}

export const readiness = async (deps: Deps, runner: (adapter: string) => Runner | undefined) => {
  const checks: { name: string; ok: boolean; text: string }[] = []
  try {
    await deps.store.ping()
    checks.push({ name: 'store', ok: true, text: 'reads and writes' })
  } catch (error) {
    deps.log.error({ err: error }, 'the store does not answer')
    checks.push({ name: 'store', ok: false, text: `does not take writes (${codeOf(error)})` })
  }
  for (const name of deps.mounts().keys()) {
    const state = runner(name)?.sync.state
    const read = state?.lastOkAt !== undefined
    // A directory that is down does not make us unable to decide: its accounts are unobserved or stale, and denied.
    checks.push({
      name: `adapter:${name}`,
      ok: true,
      text: read ? 'read' : `not read yet (${state?.lastError ?? 'first pass'})`,
    })
    const queue = runner(name)?.queue?.state()
    if (queue !== undefined) {
      const { failing, lastOkAt } = queue
      const text =
        failing === undefined ? (lastOkAt === undefined ? 'not read yet' : 'read') : `failing (${failing.code})`
      checks.push({ name: `queue:${name}`, ok: true, text })
    }
  }
  return { ready: checks.every(({ ok }) => ok), checks }
}
