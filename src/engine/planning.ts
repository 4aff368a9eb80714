import { BridgeError } from '../core/errors.ts'
import { doubts, isExpired } from '../core/guard.ts'
import { type AdapterPlan, inOrder, type Plan, type PlanGuard, planHash, wholeHash } from '../core/plan.ts'
import type { StoreReads } from '../core/store.ts'
import { createBus } from './bus.ts'
import { pausedKey } from './context.ts'
import type { Deps } from './deps.ts'
import { endCascades } from './ending.ts'
import { frozenPlan } from './frozen.ts'
import { directions, guardKey, trippedSince } from './guarding.ts'
import { namedMount } from './mounts.ts'
import type { Plans } from './planapi.ts'
import { type RehearsedMount, rehearsedMount } from './planmount.ts'
import { changesOf, waitsOf } from './planrows.ts'
import { type Rehearsal, rehearsalOf } from './planstore.ts'
import { quarantineOf } from './quarantine.ts'
import { createRunner, type Runner } from './runner.ts'

/** Longer than this a plan says nothing of now. */
const longestMs = 10 * 60_000
const againMs = 5_000

interface Part extends RehearsedMount {
  readonly name: string
  readonly runner: Runner
}

/**
 * Plans are rehearsals: the very pass (`sync.ts`, `groups.ts`, `mirror.ts`) runs over a store that keeps its writes in
 * memory and directories that are read and never written, so that a plan cannot tell anything else than a pass would do.
 */
export const createPlans = (deps: Deps, runnerOf: (adapter: string) => Runner | undefined): Plans => {
  let busy = false
  return {
    async plan(adapter, signal) {
      if (adapter !== undefined) namedMount(deps, adapter)
      if (busy) {
        const hint = 'A plan reads whole directories: there is one at a time. Ask again when it is done.'
        throw new BridgeError('E_RATE', 'Another plan is being made.', { hint, retryAfterMs: againMs })
      }
      busy = true
      try {
        return await rehearse(deps, runnerOf, adapter === undefined ? [...deps.mounts().keys()] : [adapter], signal)
      } finally {
        busy = false
      }
    },
  }
}

const rehearse = async (
  real: Deps,
  runnerOf: (adapter: string) => Runner | undefined,
  names: readonly string[],
  asked: AbortSignal,
): Promise<Plan> => {
  const at = real.clock.now()
  const signal = AbortSignal.any([asked, AbortSignal.timeout(longestMs)])
  const rehearsal = rehearsalOf(real.store, () => real.clock.now())
  const mounts = new Map([...real.mounts()].map(([name, mount]) => [name, rehearsedMount(mount)]))
  const unexpected: unknown[] = []
  const isOfDirectory = (error: unknown) =>
    signal.aborted || [...mounts.values()].some(({ faults }) => faults.has(error))
  const deps = rehearsedDeps(real, rehearsal, mounts, (error) => {
    if (!isOfDirectory(error)) unexpected.push(error)
  })
  const parts = names.flatMap((name): Part[] => {
    const mount = mounts.get(name)
    return mount === undefined ? [] : [{ ...mount, name, runner: rehearsedRunner(deps, mount, runnerOf(name)) }]
  })
  for (const part of parts) await pass(deps, rehearsal, part, signal)
  await carryOut(deps, rehearsal, parts, signal)
  if (asked.aborted) throw new BridgeError('E_ABORTED', 'The plan was given up.', { cause: asked.reason })
  // Whatever was not read, or not followed to its end, may be about any of them.
  if (signal.aborted) for (const { faults } of parts) faults.note('accounts', tooLong())
  if (unexpected.length > 0) throw unexpected[0]

  const paused = (await deps.store.meta(pausedKey)) !== undefined
  const adapters: AdapterPlan[] = []
  for (const part of parts) adapters.push(await partOf(deps, real.store, rehearsal, part, paused))
  return { at, paused, adapters, hash: wholeHash(adapters) }
}

const tooLong = (): BridgeError =>
  new BridgeError('E_ABORTED', `The directories were not read within ${longestMs / 60_000} minutes.`)

/** The same daemon, without a mouth: it alerts nobody, logs and counts nothing, and wakes no worker. */
const rehearsedDeps = (
  { probe: _probe, trace: _trace, ...real }: Deps,
  { store }: Rehearsal,
  mounts: ReadonlyMap<string, RehearsedMount>,
  failed: (error: unknown) => void,
): Deps => {
  let ids = 0
  const nothing = () => undefined
  const all = new Map([...mounts].map(([name, { mount }]) => [name, mount]))
  return {
    ...real,
    store,
    mounts: () => all,
    bus: createBus(),
    log: real.log.child({}, { level: 'silent' }),
    metrics: { ...real.metrics, inc: nothing, set: nothing, observe: nothing, drop: nothing, outbound: nothing },
    alert: nothing,
    newId: () => `planned-${String(++ids).padStart(9, '0')}`,
    isFatal: (error) => {
      failed(error)
      return false
    },
  }
}

/** It remembers what the one at work remembers. */
const rehearsedRunner = (deps: Deps, { mount }: RehearsedMount, real: Runner | undefined): Runner => {
  const runner = createRunner(deps, mount, 'UTC', real?.mirror.recall.doubted)
  for (const [key, one] of real?.mirror.recall.confirmations ?? []) runner.mirror.recall.confirmations.set(key, one)
  for (const [group, since] of real?.groups.emptySince ?? []) runner.groups.emptySince.set(group, since)
  return runner
}

/** Reads one directory, its accounts and then its groups. What it does not answer is noted; the others are read all the same. */
const pass = async (deps: Deps, rehearsal: Rehearsal, { name, runner }: Part, signal: AbortSignal): Promise<void> => {
  rehearsal.enter(name)
  try {
    await runner.sync.full(signal)
  } catch (error) {
    deps.isFatal(error)
  }
  if (signal.aborted) return
  await runner.groups.sync(signal).catch(deps.isFatal)
}

/** What follows from that, here and in the other directories, until nothing more does. */
const carryOut = async (
  deps: Deps,
  rehearsal: Rehearsal,
  parts: readonly Part[],
  signal: AbortSignal,
): Promise<void> => {
  const paused = (await deps.store.meta(pausedKey)) !== undefined
  for (let before = -1; before !== rehearsal.accounts.saves() && !signal.aborted; ) {
    before = rehearsal.accounts.saves()
    rehearsal.enter(parts[0]?.name ?? '')
    await endCascades(deps)
    for (const { name, runner } of parts) {
      rehearsal.enter(name)
      if (!paused) await runner.mirror.suspendOnce(signal)
      await runner.mirror.drained()
      await runner.mirror.workOnce(signal).catch(deps.isFatal)
    }
  }
}

const partOf = async (
  deps: Deps,
  real: StoreReads,
  rehearsal: Rehearsal,
  { faults, mount, name, off, on }: Part,
  paused: boolean,
): Promise<AdapterPlan> => {
  const around = { deps, mount, real, rehearsal }
  const changes = inOrder(await changesOf(around, { off, on }))
  const missing = faults.list()
  const quarantined = new Set((await quarantineOf(deps.store, name))?.why)
  return {
    adapter: name,
    mapped: await deps.store.countPrincipals(name),
    changes,
    waiting: inOrder(await waitsOf(around, paused, new Set([...off, ...on]))),
    guard: await guardOf(deps, rehearsal, name),
    quarantine: doubts.filter((why) => quarantined.has(why)),
    faults: missing,
    hash: missing.length === 0 ? planHash(name, changes) : undefined,
  }
}

/** What the guard holds back there now, or would from this pass on. */
const guardOf = async (deps: Deps, rehearsal: Rehearsal, adapter: string): Promise<PlanGuard[]> => {
  const found: PlanGuard[] = []
  for (const direction of directions) {
    const frozen = await frozenPlan(deps.store, adapter, direction)
    if ((await trippedSince(deps.store, adapter, direction)) === undefined) continue
    found.push({
      direction,
      state: rehearsal.entered(guardKey(adapter, direction)) ? 'trips' : 'tripped',
      frozen:
        frozen === undefined || isExpired(frozen, deps.clock.now())
          ? undefined
          : { hash: frozen.hash, rows: frozen.rows, applying: frozen.second !== undefined },
    })
  }
  return found
}
