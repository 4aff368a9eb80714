import { BridgeError } from '../core/errors.ts'
import type { GuardDirection, GuardPlan } from '../core/guard.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { Hold } from '../core/types.ts'
import type { Caller, GuardView } from './api.ts'
import { type Change, change } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { heard } from './echoes.ts'
import { clearGuard, currentPlan, trippedSince, waiting } from './guarding.ts'
import { principalOf } from './holding.ts'
import { notReleasable, releaseHold, unguard } from './placing.ts'
import { freeState } from './reading.ts'

const directions: readonly GuardDirection[] = ['suspend', 'resume']

const requireMount = (deps: Deps, adapter: string): Mount => {
  const mount = deps.mounts().get(adapter)
  if (mount !== undefined) return mount
  throw new BridgeError('E_NOT_FOUND', 'There is no such adapter.', {
    hint: `Configured: ${[...deps.mounts().keys()].join(', ')}.`,
  })
}

export const guardView = async (deps: Deps, adapter: string): Promise<GuardView> => {
  requireMount(deps, adapter)
  const since = deps.clock.now() - deps.policy().guard.windowMs
  const one = async (direction: GuardDirection) => {
    const tripped = await trippedSince(deps.store, adapter, direction)
    return {
      tripped: tripped !== undefined,
      since: tripped,
      count: await deps.store.guardCount(adapter, direction, since),
      plan: await currentPlan(deps, adapter, direction),
    }
  }
  return { adapter, suspend: await one('suspend'), resume: await one('resume') }
}

interface Frozen {
  readonly plan: GuardPlan
  readonly by: string
}

const frozenKey = (adapter: string, hash: string) => `guard-approval:${adapter}:${hash}`

const parseFrozen = (text: string | undefined): Frozen | undefined =>
  text === undefined ? undefined : (JSON.parse(text) as Frozen)

/**
 * Approval of a frozen plan by its hash, by two people. Each row is read again when it is applied and dropped if it is
 * no longer true (rule 8).
 */
export const approveGuard = async (deps: Deps, adapter: string, hash: string, caller: Caller) => {
  const mount = requireMount(deps, adapter)
  const frozen = parseFrozen(await deps.store.meta(frozenKey(adapter, hash)))
  if (frozen === undefined) return freeze(deps, adapter, hash, caller)
  if (frozen.by === caller.name) {
    throw new BridgeError('E_SAME_PERSON', 'Who approved the plan first cannot approve it again.', {
      hint: 'Another approver has to.',
    })
  }
  const states = await readRows(deps, mount, frozen.plan)
  return change(deps, { actor: caller.name, requestId: caller.requestId }, async (c) => {
    const { applied, dropped } = await apply(c, frozen.plan, states)
    await c.tx.putMeta(frozenKey(adapter, hash), undefined)
    if ((await waiting(c.tx, adapter, frozen.plan.direction)).length === 0)
      await clearGuard(c, adapter, frozen.plan.direction)
    const details = { adapter, direction: frozen.plan.direction, hash, applied, dropped, first: frozen.by }
    await c.tx.appendAudit({
      time: c.now,
      type: 'guard.approved',
      actor: caller.name,
      requestId: caller.requestId,
      details,
    })
    return { done: true, applied, dropped }
  })
}

const freeze = async (deps: Deps, adapter: string, hash: string, caller: Caller) => {
  for (const direction of directions) {
    const plan = await currentPlan(deps, adapter, direction)
    if (plan?.hash !== hash) continue
    await change(deps, { actor: caller.name, requestId: caller.requestId }, async (c) => {
      await c.tx.putMeta(frozenKey(adapter, hash), JSON.stringify({ plan, by: caller.name } satisfies Frozen))
      const details = { adapter, direction, hash, rows: plan.rows.length }
      await c.tx.appendAudit({
        time: c.now,
        type: 'guard.approval-requested',
        actor: caller.name,
        requestId: caller.requestId,
        details,
      })
    })
    return { done: false, approvalId: hash, applied: 0, dropped: 0 }
  }
  throw new BridgeError('E_GUARD_PLAN', 'The guard holds no plan with this hash.', {
    hint: `Read the present plan with GET /v1/guard/${adapter}; it changes when more is seen.`,
  })
}

/** Every row's account, read by id now, in as few calls as the directory allows. */
const readRows = async (deps: Deps, mount: Mount, plan: GuardPlan): Promise<Map<string, string>> => {
  const principals = new Map<string, ScheduledPrincipal>()
  for (const row of plan.rows) {
    const hold = await deps.store.hold(row.holdId)
    const key = hold && principalOf(hold)
    const principal = key && (await deps.store.principal(key))
    if (principal !== undefined) principals.set(row.holdId, principal)
  }
  // A shared account stands behind a row for each of its DIDs, and is read once.
  const accounts = new Map([...principals.values()].map((one) => [one.id, one]))
  const sightings = await mount.adapter.lookup([...accounts.values()], AbortSignal.timeout(120_000))
  const states = new Map<string, string>()
  for (const [holdId, one] of principals) {
    const sighting = sightings.get(one.id)
    states.set(holdId, freeState(one, sighting && (await heard(deps.store, mount, sighting))))
  }
  return states
}

const apply = async (c: Change, plan: GuardPlan, states: ReadonlyMap<string, string>) => {
  let applied = 0
  for (const row of plan.rows) {
    const hold = await c.tx.hold(row.holdId)
    if (hold === undefined || hold.releasedAt !== undefined) continue
    if (await applyRow(c, plan.direction, hold, states.get(row.holdId))) applied += 1
  }
  return { applied, dropped: plan.rows.length - applied }
}

const applyRow = async (
  c: Change,
  direction: GuardDirection,
  hold: Hold,
  state: string | undefined,
): Promise<boolean> => {
  if (direction === 'suspend') {
    if (!hold.guarded || state === 'enabled' || state === 'unknown' || state === undefined) return false
    await unguard(c, hold)
    return true
  }
  if (hold.releasableAt === undefined) return false
  if (state !== 'enabled') {
    if (state !== 'unknown' && state !== undefined) await notReleasable(c, hold)
    return false
  }
  await releaseHold(c, hold, { how: 'guard-approved' })
  return true
}
