import type { TrustReport, TrustScale } from '../core/trust.ts'
import type { Did } from '../core/types.ts'
import type { Caller } from './agentapi.ts'
import type { Keep } from './keeping.ts'

/** Trust scores as runtimes report and readers see them. */

export interface TrustInput {
  readonly did: string
  readonly score: number
  readonly scale: TrustScale
  /** When it was measured; undefined: now. */
  readonly at?: number | undefined
}

/** `stale`: the client told of a later moment already. Only with `ok` was anything recorded. */
export const trustStatuses = ['ok', 'stale', 'unknown', 'forbidden', 'decommissioned'] as const
export type TrustStatus = (typeof trustStatuses)[number]

export interface TrustAnswer {
  readonly did: Did
  readonly status: TrustStatus
  /** The latest of this client, on 0–1000; undefined when none is kept. */
  readonly score: number | undefined
  /** The open hold of the policy, whoever's report placed it. */
  readonly hold: string | undefined
}

export interface TrustView {
  /** The lowest of the reports, on 0–1000. */
  readonly score: number
  readonly reports: readonly Pick<TrustReport, 'client' | 'score' | 'scale' | 'at' | 'settled'>[]
}

/** Most scores of one report. */
export const maxScores = 1_000

export interface TrustReports {
  /**
   * Records scores and places or lifts what the policy asks for: durable when it resolves. One that would hold an agent
   * beyond the client's kill budget is not recorded; the others are, and it is refused then: repeating all of it is free.
   * @throws BridgeError E_DID before anything is recorded, E_BUDGET
   */
  reportTrust(items: readonly TrustInput[], caller: Caller, keep?: Keep<readonly TrustAnswer[]>): Promise<TrustAnswer[]>
  /** How it stands now for the DIDs of a report that was recorded already. */
  trustNow(items: readonly TrustInput[], caller: Caller): Promise<TrustAnswer[]>
}
