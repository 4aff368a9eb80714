import { createHash } from 'node:crypto'
import { canonical } from './canonical.ts'
import type { Absence } from './store.ts'
import type { Did, Hold, Origin } from './types.ts'

/** Rule 8: how many changes seen in one directory are believed without a person. */
export interface GuardSettings {
  readonly windowMs: number
  readonly minAgents: number
  readonly suspend: { readonly max: number; readonly percent: number }
  readonly resume: { readonly max: number; readonly percent: number }
}

export type GuardDirection = 'suspend' | 'resume'

/**
 * Whether `count` changes (descendants included) within the window are too many for an adapter that maps `mapped`
 * principals: more than `max`, or more than `percent` of them once it maps `minAgents`. One change is no share of
 * anything: a fleet of one would otherwise wait for people at every change.
 */
export const trips = (settings: GuardSettings, direction: GuardDirection, count: number, mapped: number): boolean => {
  const { max, percent } = settings[direction]
  return count > max || (count > 1 && mapped >= settings.minAgents && count * 100 > percent * mapped)
}

/** Below so many accounts nothing is unusual about all of them being gone. */
const plenty = 3

/**
 * Whether a directory that has lost `gone` of the `mapped` accounts that were there is to be doubted, not believed:
 * more than the guard lets pass as suspensions, or, in a fleet of any size, more than half.
 */
export const implausible = (settings: GuardSettings, gone: number, mapped: number): boolean =>
  trips(settings, 'suspend', gone, mapped) || (gone >= plenty && gone * 2 > mapped)

/** Why a directory is in quarantine; see docs/mirror.md. */
export const doubts = ['forbidden', 'empty', 'absent', 'groups'] as const
export type Doubt = (typeof doubts)[number]

/**
 * What a read by id that says absent is worth. `believe`: as the mirror table says. `first`: too many at once, read it
 * again past settle. `wait`: that second read has not come yet, the directory may still be at what it was.
 */
export const weighAbsence = (
  noted: Absence | undefined,
  begunAt: number,
  settleMs: number,
  doubted: boolean,
): 'believe' | 'first' | 'wait' => {
  if (noted === undefined) return doubted ? 'first' : 'believe'
  return noted.believed || begunAt > noted.at + settleMs ? 'believe' : 'wait'
}

export interface PlanRow {
  readonly holdId: string
  readonly did: Did
  readonly origin: Origin
  readonly placedAt: number
}

export interface GuardPlan {
  readonly adapter: string
  readonly direction: GuardDirection
  readonly rows: readonly PlanRow[]
  readonly hash: string
}

/** A plan that a first person approved, frozen with its rows until a second one does or it expires. */
export interface FrozenPlan {
  readonly hash: string
  readonly rows: number
  readonly by: string
  readonly at: number
  /** Who completed the approval: from then on it is applied, whatever happens meanwhile. */
  readonly second: string | undefined
  /** Rows looked at so far, and how many of them were applied. */
  readonly done: number
  readonly applied: number
}

/** So long the second person has. Longer than a walk to a colleague, shorter than it takes to forget what was meant. */
export const approvalTtlMs = 3_600_000

/** A clock that was set back must not make an approval live for ever. */
export const isExpired = (plan: FrozenPlan, now: number): boolean =>
  plan.second === undefined && Math.abs(now - plan.at) > approvalTtlMs

/** One that became releasable does not wait to be mirrored: nobody holds its account off any more. */
export const waitsFor = (hold: Hold, direction: GuardDirection): boolean =>
  direction === 'suspend' ? hold.guarded && hold.releasableAt === undefined : hold.releasableAt !== undefined

/** The frozen list a person approves, named by the hash of its content. */
export const guardPlan = (adapter: string, direction: GuardDirection, holds: readonly Hold[]): GuardPlan => {
  const rows = holds
    .map(({ id, did, origin, placedAt }) => ({ holdId: id, did, origin, placedAt }))
    .sort((a, b) => (a.holdId < b.holdId ? -1 : 1))
  const hash = createHash('sha256').update(canonical({ adapter, direction, rows })).digest('hex')
  return { adapter, direction, rows, hash }
}
