import { BridgeError } from '../core/errors.ts'
import { approvalTtlMs, type GuardDirection, type GuardPlan, isExpired, type PlanRow } from '../core/guard.ts'
import type { Did } from '../core/types.ts'
import type { Caller } from './agentapi.ts'
import { applyPlan } from './applying.ts'
import { type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { appliedPlan, freezePlan, frozenPlan, frozenRows, savePlan } from './frozen.ts'
import type { GuardDirectionView, GuardView, PlanApproved } from './guardapi.ts'
import { currentPlan, directions, trippedSince } from './guarding.ts'
import type { Keep } from './keeping.ts'
import { checkKin } from './kin.ts'
import { requireMount } from './mounts.ts'
import type { Recall } from './recall.ts'

export const guardView = async (deps: Deps, adapter: string): Promise<GuardView> => {
  requireMount(deps, adapter)
  const now = deps.clock.now()
  const since = now - deps.policy().guard.windowMs
  const one = async (direction: GuardDirection): Promise<GuardDirectionView> => {
    const tripped = await trippedSince(deps.store, adapter, direction)
    const frozen = await frozenPlan(deps.store, adapter, direction)
    return {
      tripped: tripped !== undefined,
      since: tripped,
      count: await deps.store.guardCount(adapter, direction, since),
      plan: await currentPlan(deps, adapter, direction),
      approval:
        frozen === undefined || isExpired(frozen, now)
          ? undefined
          : { ...frozen, dropped: frozen.done - frozen.applied, expiresAt: frozen.at + approvalTtlMs },
    }
  }
  return { adapter, suspend: await one('suspend'), resume: await one('resume') }
}

/**
 * Approval of a frozen plan by its hash, by two people. Each row is read again when it is applied and dropped if it is
 * no longer true (rule 8). Once the second person has approved, the plan is applied to its end whatever happens.
 */
export const approveGuard = async (
  deps: Deps,
  recall: Recall,
  adapter: string,
  hash: string,
  caller: Caller,
  keep?: Keep<GuardDirection | undefined>,
): Promise<PlanApproved> => {
  const mount = requireMount(deps, adapter)
  const present = await planOf(deps, adapter, hash)
  const who = { actor: caller.name, requestId: caller.requestId }
  const direction = await change(
    deps,
    who,
    async (c) => {
      const approved = await second(c, adapter, hash, caller)
      if (approved === undefined) await first(c, adapter, present, caller)
      return approved
    },
    keep,
  )
  if (direction === undefined) return { done: false, approvalId: hash, applied: 0, dropped: 0 }
  return { done: true, ...(await applyPlan(deps, mount, recall, direction)) }
}

/** @throws BridgeError E_GUARD_PLAN when other plans were applied since */
export const approvedGuard = async (
  deps: Deps,
  recall: Recall,
  adapter: string,
  hash: string,
): Promise<PlanApproved> => {
  const mount = requireMount(deps, adapter)
  for (const direction of directions) {
    const frozen = await frozenPlan(deps.store, adapter, direction)
    if (frozen?.hash === hash && frozen.second !== undefined) {
      return { done: true, ...(await applyPlan(deps, mount, recall, direction)) }
    }
    const applied = await appliedPlan(deps.store, adapter, direction)
    if (applied?.hash === hash) return { done: true, applied: applied.applied, dropped: applied.dropped }
  }
  throw new BridgeError('E_GUARD_PLAN', 'The plan was applied, and others after it.', {
    hint: `The audit log has what became of it: type guard.applied, hash ${hash}.`,
  })
}

/** The plan of this hash that the guard holds now. One that is frozen need not be found: more may have been seen. */
const planOf = async (deps: Deps, adapter: string, hash: string): Promise<GuardPlan | undefined> => {
  for (const direction of directions) {
    const plan = await currentPlan(deps, adapter, direction)
    if (plan?.hash === hash) return plan
  }
  return undefined
}

const didsIn = (rows: readonly PlanRow[]): Did[] => rows.map(({ did }) => did)

/** The direction that may be applied now; undefined when no such plan was frozen. */
const second = async (
  c: Change,
  adapter: string,
  hash: string,
  caller: Caller,
): Promise<GuardDirection | undefined> => {
  for (const direction of directions) {
    const frozen = await frozenPlan(c.tx, adapter, direction)
    if (frozen?.hash !== hash || isExpired(frozen, c.now)) continue
    if (frozen.second !== undefined) return direction
    if (frozen.by === caller.name) {
      throw new BridgeError('E_SAME_PERSON', 'Who approved the plan first cannot approve it again.', {
        hint: 'Another approver has to.',
      })
    }
    if (direction === 'resume') await checkKin(c.tx, caller, didsIn(await frozenRows(c.tx, adapter, direction)))
    await savePlan(c.tx, adapter, direction, { ...frozen, second: caller.name })
    await audit(c, 'guard.approved', { adapter, direction, hash, rows: frozen.rows, first: frozen.by })
    return direction
  }
  return undefined
}

const first = async (c: Change, adapter: string, plan: GuardPlan | undefined, caller: Caller): Promise<void> => {
  const frozen = plan && (await frozenPlan(c.tx, adapter, plan.direction))
  if (plan === undefined || frozen?.second !== undefined) {
    const message =
      plan === undefined ? 'The guard holds no plan with this hash.' : 'A plan approved before is still being applied.'
    throw new BridgeError('E_GUARD_PLAN', message, {
      hint: `Read the present plan with GET /v1/guard/${adapter} or idp-bridge guard show ${adapter}; it changes when more is seen.`,
    })
  }
  const { direction, hash, rows } = plan
  if (direction === 'resume') await checkKin(c.tx, caller, didsIn(rows))
  await freezePlan(c.tx, plan, caller.name, c.now)
  const replaced = frozen === undefined || isExpired(frozen, c.now) ? {} : { replaced: frozen.hash }
  await audit(c, 'guard.approval-requested', { adapter, direction, hash, rows: rows.length, ...replaced })
}

const audit = ({ actor, now, requestId, tx }: Change, type: string, details: Readonly<Record<string, unknown>>) =>
  tx.appendAudit({ time: now, type, actor, requestId, details })
