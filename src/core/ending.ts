import type { LegRecord } from './receipts.ts'
import type { Lane } from './store.ts'
import type { Did, Hold } from './types.ts'

/**
 * A hold of an agent was released, and more of its descendants have one for it that is to end, or to become less, than
 * one transaction bears. It is kept from the release on until the last of them did, so that a crash leaves none behind.
 */
export interface CascadeEnd {
  readonly ancestor: Did
  readonly at: number
  /** Who released, for the entries of the holds that end with it. */
  readonly actor: string
  readonly requestId: string | undefined
}

/** Most derived holds that one transaction ends or changes after a release: whoever writes meanwhile gets a turn after it. */
export const endsATime = 50

/** Most derived holds that one walk down from an ancestor finds: each walk begins at the top, past all that ended already. */
export const endsAhead = 1_000

export interface EndReads {
  /** Open holds that descendants have for this ancestor, nearest first; with `unlike` only those that differ from it. */
  cascadeHolds(ancestor: Did, limit: number, unlike?: Pick<Hold, 'severity' | 'guarded'>): Promise<Hold[]>
  /** Oldest first. */
  cascadeEnds(): Promise<CascadeEnd[]>
}

export interface EndWrites {
  /** In place of one of the same ancestor. */
  putCascadeEnd(end: CascadeEnd): Promise<void>
  dropCascadeEnd(ancestor: Did): Promise<void>
  closeHolds(ids: readonly string[], at: number): Promise<void>
  /** What waits for a second person to end one of these holds waits no more. */
  voidReleases(holdIds: readonly string[]): Promise<void>
  saveLegs(legs: readonly LegRecord[]): Promise<void>
  /** `resumedAt`, unless it is later already, and with it `updatedAt`; the revision stays. DIDs that nobody registered are left alone. */
  noteResumed(dids: readonly Did[], at: number): Promise<void>
  /** Brings the schedule of every principal of the DIDs, shared ones too, forward (never back) and raises its lane. */
  wake(dids: readonly Did[], at: number, lane: Lane): Promise<void>
}
