import type { Did, Origin } from './types.ts'

/** The two scales that AGT's SDKs score on. Which one a number is on cannot be told from the number. */
export const trustScales = ['0-1000', '0-1'] as const
export type TrustScale = (typeof trustScales)[number]

/** The latest score that one client reported of one agent. */
export interface TrustReport {
  readonly did: Did
  readonly client: string
  /** On `scale`, as reported. */
  readonly score: number
  readonly scale: TrustScale
  /** When it was measured, as the client says; never later than `reportedAt`. */
  readonly at: number
  readonly reportedAt: number
  /** Two operators ended the hold since: it keeps none open any more. */
  readonly settled: boolean
}

/** Thresholds on the scale 0–1000. */
export interface TrustLimits {
  readonly suspendBelow: number
  readonly liftAbove: number
}

export const trustOrigin: Origin = 'policy:trust'

/** Highest score of each scale, and thresholds are on that of 0–1000. */
const tops: Readonly<Record<TrustScale, number>> = { '0-1000': 1000, '0-1': 1 }

/** Whether a number is a score of the scale; on 0–1000 a fraction is none: it is on the other one. */
export const isOnScale = (score: number, scale: TrustScale): boolean =>
  score >= 0 && score <= tops[scale] && (scale === '0-1' || Number.isInteger(score))

/** On 0–1000, for showing: without the last digits that a multiplication of binary fractions makes up. */
export const pointsOf = ({ score, scale }: Pick<TrustReport, 'score' | 'scale'>): number =>
  scale === '0-1000' ? score : Number((score * 1000).toPrecision(12))

/** The threshold is brought to the score's scale: a division by 1000 gives the very number that 0.3 is written as. */
const isBelow = ({ score, scale }: Pick<TrustReport, 'score' | 'scale'>, threshold: number): boolean =>
  score < (scale === '0-1' ? threshold / 1000 : threshold)

/**
 * What a report that was just taken in asks for. Only a report places and lifts: no stored score does by itself, so that
 * neither a restart nor a reload nor the passing of time changes whom the policy holds.
 *
 * | report                | hold open | every other client's latest | do                           |
 * |-----------------------|-----------|-----------------------------|------------------------------|
 * | below `suspendBelow`  | no        | any                         | place                        |
 * | below `liftAbove`     | yes       | any                         | nothing                      |
 * | `liftAbove` or higher | yes       | one is lower, not settled   | nothing                      |
 * | `liftAbove` or higher | yes       | `liftAbove` or higher, too  | lift                         |
 * | any other             | no        | any                         | nothing                      |
 *
 * `others`: the latest of every other client that ever reported; a client that fell silent keeps what it said.
 */
export const trustRule = (
  limits: TrustLimits | undefined,
  report: TrustReport,
  others: readonly TrustReport[],
  isHeld: boolean,
): 'place' | 'lift' | 'nothing' => {
  if (limits === undefined) return 'nothing'
  if (!isHeld) return isBelow(report, limits.suspendBelow) ? 'place' : 'nothing'
  const keeps = (one: TrustReport) => !one.settled && keepsHeld(limits, one)
  return keeps(report) || others.some(keeps) ? 'nothing' : 'lift'
}

type Score = Pick<TrustReport, 'score' | 'scale'>

/** Whether a score lets no hold of the policy go. Without a policy nobody can tell yet what it will do. */
const keepsHeld = (limits: TrustLimits | undefined, report: Score): boolean =>
  limits !== undefined && isBelow(report, limits.liftAbove)

/** Whether a score, said while the policy holds the agent, can only keep it held: under any policy to come, too. */
export const onlyKeeps = (limits: TrustLimits | undefined, report: Score, last: Score | undefined): boolean =>
  keepsHeld(limits, report) && (last === undefined || pointsOf(report) <= pointsOf(last))

/**
 * The report as it is kept, or undefined when the client told of a later moment already. A report without a time counts
 * as made now, whatever was said before; after the wall clock was set back, what is in the future is as old as now.
 */
export const taken = (
  given: Pick<TrustReport, 'did' | 'client' | 'score' | 'scale'> & { readonly at: number | undefined },
  last: TrustReport | undefined,
  now: number,
): TrustReport | undefined => {
  const { at = now, ...report } = given
  if (given.at !== undefined && last !== undefined && at < Math.min(last.at, now)) return undefined
  return { ...report, at: Math.min(at, now), reportedAt: now, settled: false }
}

export interface TrustReads {
  /** The latest reports of every client of each of the DIDs, by DID and client. */
  trustOf(dids: readonly Did[]): Promise<TrustReport[]>
}

export interface TrustWrites {
  /** Each in place of the client's last one of that DID. */
  saveTrust(reports: readonly TrustReport[]): Promise<void>
  settleTrust(did: Did): Promise<void>
  dropTrust(did: Did): Promise<void>
}
