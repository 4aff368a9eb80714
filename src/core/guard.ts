import { createHash } from 'node:crypto'
import { canonical } from './canonical.ts'
import type { Did, Hold } from './types.ts'

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
 * principals: more than `max`, or more than `percent` of them once it maps `minAgents`.
 */
export const trips = (settings: GuardSettings, direction: GuardDirection, count: number, mapped: number): boolean => {
  const { max, percent } = settings[direction]
  return count > max || (mapped >= settings.minAgents && count * 100 > percent * mapped)
}

export interface PlanRow {
  readonly holdId: string
  readonly did: Did
  readonly origin: string
  readonly placedAt: number
}

export interface GuardPlan {
  readonly adapter: string
  readonly direction: GuardDirection
  readonly rows: readonly PlanRow[]
  readonly hash: string
}

/** The frozen list a person approves, named by the hash of its content. */
export const guardPlan = (adapter: string, direction: GuardDirection, holds: readonly Hold[]): GuardPlan => {
  const rows = holds
    .map(({ id, did, origin, placedAt }) => ({ holdId: id, did, origin, placedAt }))
    .sort((a, b) => (a.holdId < b.holdId ? -1 : 1))
  const hash = createHash('sha256').update(canonical({ adapter, direction, rows })).digest('hex')
  return { adapter, direction, rows, hash }
}
