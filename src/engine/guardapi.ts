import type { FrozenPlan, GuardDirection, GuardPlan } from '../core/guard.ts'
import type { Caller } from './agentapi.ts'
import type { Keep } from './keeping.ts'

export interface GuardDirectionView {
  readonly tripped: boolean
  readonly since: number | undefined
  readonly count: number
  readonly plan: GuardPlan | undefined
  /** The plan that a first person approved, which need not be the present one. */
  readonly approval: (FrozenPlan & { readonly dropped: number; readonly expiresAt: number }) | undefined
}

export interface GuardView {
  readonly adapter: string
  readonly suspend: GuardDirectionView
  readonly resume: GuardDirectionView
}

export interface PlanApproved {
  readonly done: boolean
  readonly approvalId?: string
  readonly applied: number
  readonly dropped: number
}

export interface Guards {
  guard(adapter: string): Promise<GuardView>
  /** `keep` is given the direction whose plan this approval made final, if it did. */
  approveGuard(
    adapter: string,
    hash: string,
    caller: Caller,
    keep?: Keep<GuardDirection | undefined>,
  ): Promise<PlanApproved>
  /** What became of a plan that was made final; where a failure left it half applied, it is gone on with. */
  approvedGuard(adapter: string, hash: string): Promise<PlanApproved>
}
