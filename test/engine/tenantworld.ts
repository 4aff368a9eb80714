import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SeenRequest } from '../../sandbox/entra/index.ts'
import { createActivity } from '../../src/engine/activity.ts'
import type { Bridge } from '../../src/engine/api.ts'
import { createBridge } from '../../src/engine/bridge.ts'
import { createBus, topics } from '../../src/engine/bus.ts'
import type { Deps, Mount } from '../../src/engine/deps.ts'
import { createKnown } from '../../src/engine/known.ts'
import { createRunner, type Runner } from '../../src/engine/runner.ts'
import { begin } from '../../src/engine/start.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import { type ManualClock, manualClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import { openStore } from '../../src/store/index.ts'
import { type Bench, type BenchOptions, bench } from '../adapters/tenant.ts'
import { until } from '../e2e/until.ts'
import { agent, idle, principal } from '../store/fixture.ts'
import { policyOf } from './harness.ts'

/** The engine on a tenant over sockets, with a clock that stands still: nothing leaves but what needs no waiting. */
export interface TenantWorld extends AsyncDisposable {
  readonly clock: ManualClock
  readonly tenant: Bench['tenant']
  readonly bridge: Bridge
  readonly deps: Deps
  readonly runner: Runner
  readonly signal: AbortSignal
  readonly groupId: string
  /** Registers agents, each with an account in the tenant; returns the DID of each with the account's id. */
  agents(count: number, prefix: string): Promise<{ did: string; id: string }[]>
  /** Moves the clock on, with time for the wire in between, until it is so. */
  pass(what: string, done: () => boolean | Promise<boolean>): Promise<void>
  /** Nothing is on the wire; all that is left waits for the clock. */
  still(): Promise<void>
  /** What the tenant's Graph was asked after that request. */
  since(seq: number): readonly SeenRequest[]
  last(): number
}

const stepMs = 100

export interface TenantWorldOptions extends BenchOptions {
  /** One that the tenant may go by too. */
  readonly clock?: ManualClock
  readonly alert?: Deps['alert']
}

export const tenantWorld = async (options: TenantWorldOptions = {}): Promise<TenantWorld> => {
  await using stack = new AsyncDisposableStack()
  const dir = mkdtempSync(join(tmpdir(), 'idp-storm-'))
  stack.defer(() => rmSync(dir, { recursive: true, force: true }))
  const clock = options.clock ?? manualClock(Date.now())
  const { adapter, tenant, blueprint } = stack.use(
    await bench({ ...options, clock, settings: { settle: '5m', ...options.settings } }),
  )
  const store = await openStore({ url: `sqlite:${join(dir, 'bridge.db')}`, now: () => clock.now() })
  stack.defer(() => store.close())
  const groupId = tenant.addGroup({ displayName: 'mapped', members: [] })
  const never = '0 0 1 1 *'
  const mount: Mount = {
    adapter,
    settings: {
      mirror: 'both',
      settleMs: 300_000,
      groups: { [groupId]: ['read:reports'] },
      sync: { accounts: never, groups: never, full: never },
    },
  }
  const mounts = new Map([[adapter.name, mount]])
  let ids = 0
  const deps: Deps = {
    store,
    mounts: () => mounts,
    policy: () => policyOf({ killBudget: { max: 100_000, perMs: 600_000 } }),
    clock,
    isClockDoubted: () => false,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
    bus: createBus(),
    newId: () => `id-${String(++ids).padStart(6, '0')}`,
    random: () => 0.5,
    alert: options.alert ?? (() => undefined),
    runtimes: () => [],
    isFatal: () => false,
    fatal: () => undefined,
  }
  await begin(deps, () => 'generation')
  const runner = createRunner(deps, mount, 'UTC')
  const stopping = new AbortController()
  const known = createKnown(store)
  const verifier = createVerifier({
    adapters: () => [adapter],
    keys: () => ({ key: async () => Promise.reject(new Error('no keys')) }),
    clock,
    store: known,
  })
  const activity = createActivity(deps)
  const receipts = { keys: () => [], issuer: 'test', retentionMs: () => 86_400_000 }
  const parts = { deps, receipts, verifier, known, activity, version: 'test', alerts: [] }
  const bridge = createBridge({ ...parts, runner: () => runner })
  const graph = () => tenant.requests.filter(({ surface }) => surface === 'graph')
  const still = async () => {
    let [before, looks] = [-1, 0]
    await until('nothing is on the wire', () => {
      const now = tenant.requests.length
      const quiet = now === before && tenant.requests.every(({ status }) => status !== undefined)
      before = now
      // One look may come before what was due at the same time.
      looks = quiet ? looks + 1 : 0
      return looks >= 5
    })
  }
  // Ends what waits on the clock, so that the loops can end.
  stack.defer(async () => {
    stopping.abort()
    tenant.clearFaults()
    let drained = false
    const done = runner.mirror.drained().then(() => {
      drained = true
    })
    await until('the writes under way are answered', async () => {
      await clock.advance(stepMs)
      return drained
    })
    await done
  })
  const held = stack.move()
  return {
    clock,
    tenant,
    bridge,
    deps,
    runner,
    signal: stopping.signal,
    groupId,
    agents: async (count, prefix) => {
      const list = Array.from({ length: count }, (_, n) => ({
        did: `did:mesh:${prefix}${n}`,
        id: tenant.addAgentIdentity({ displayName: `${prefix}${n}`, blueprintAppId: blueprint.appId }),
      }))
      await store.write(async (tx) => {
        for (const { did, id } of list) {
          await tx.insertAgent(agent(did))
          await tx.insertPrincipal(principal(did, id, { adapter: adapter.name }), idle)
        }
      })
      return list
    },
    pass: async (what, done) => {
      const step = async () => {
        await clock.advance(stepMs)
        // The loops wait in real time; here a step is all the time that passes.
        deps.bus.wake(topics.suspend(adapter.name))
        deps.bus.wake(topics.work(adapter.name))
        return done()
      }
      await until(what, step, 60_000)
    },
    still,
    since: (seq) => graph().filter((one) => one.seq > seq),
    last: () => tenant.requests.at(-1)?.seq ?? 0,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
