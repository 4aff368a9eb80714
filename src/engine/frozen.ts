import type { FrozenPlan, GuardDirection, GuardPlan, PlanRow } from '../core/guard.ts'
import type { StoreReads, StoreTx } from '../core/store.ts'

/** One frozen plan an adapter and direction. Its rows lie apart: what is noted after each batch stays small. */
const planKey = (adapter: string, direction: GuardDirection): string => `guard-plan:${adapter}:${direction}`
const appliedKey = (adapter: string, direction: GuardDirection): string => `guard-applied:${adapter}:${direction}`
const rowsKey = (adapter: string, direction: GuardDirection): string => `guard-rows:${adapter}:${direction}`

export const frozenPlan = async (
  reads: StoreReads,
  adapter: string,
  direction: GuardDirection,
): Promise<FrozenPlan | undefined> => {
  const text = await reads.meta(planKey(adapter, direction))
  return text === undefined ? undefined : (JSON.parse(text) as FrozenPlan)
}

export const frozenRows = async (
  reads: StoreReads,
  adapter: string,
  direction: GuardDirection,
): Promise<readonly PlanRow[]> => {
  const text = await reads.meta(rowsKey(adapter, direction))
  return text === undefined ? [] : (JSON.parse(text) as readonly PlanRow[])
}

/** Takes the place of any plan that was frozen before. */
export const freezePlan = async (tx: StoreTx, plan: GuardPlan, by: string, at: number): Promise<void> => {
  const { adapter, direction, hash, rows } = plan
  const frozen: FrozenPlan = { hash, rows: rows.length, by, at, second: undefined, done: 0, applied: 0 }
  await tx.putMeta(rowsKey(adapter, direction), JSON.stringify(rows))
  await savePlan(tx, adapter, direction, frozen)
}

export const savePlan = (tx: StoreTx, adapter: string, direction: GuardDirection, frozen: FrozenPlan): Promise<void> =>
  tx.putMeta(planKey(adapter, direction), JSON.stringify(frozen))

export const dropPlan = async (tx: StoreTx, adapter: string, direction: GuardDirection): Promise<void> => {
  await tx.putMeta(planKey(adapter, direction), undefined)
  await tx.putMeta(rowsKey(adapter, direction), undefined)
}

/** What became of the plan that was applied last. */
export interface AppliedPlan {
  readonly hash: string
  readonly applied: number
  readonly dropped: number
}

export const noteApplied = (
  tx: StoreTx,
  adapter: string,
  direction: GuardDirection,
  applied: AppliedPlan,
): Promise<void> => tx.putMeta(appliedKey(adapter, direction), JSON.stringify(applied))

export const appliedPlan = async (
  reads: StoreReads,
  adapter: string,
  direction: GuardDirection,
): Promise<AppliedPlan | undefined> => {
  const text = await reads.meta(appliedKey(adapter, direction))
  return text === undefined ? undefined : (JSON.parse(text) as AppliedPlan)
}
