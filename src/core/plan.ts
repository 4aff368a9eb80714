import { createHash } from 'node:crypto'
import { canonical } from './canonical.ts'
import type { GuardDirection } from './guard.ts'
import type { ScheduledPrincipal } from './store.ts'
import type { Did, PrincipalId } from './types.ts'

/** What the next pass over a directory would change. A hold is kept back by the guard where `guarded`. */
export const plannedChanges = [
  'hold',
  'hold-changed',
  'release',
  'releasable',
  'switch-off',
  'switch-on',
  'grant',
  'revoke',
] as const
export type PlannedKind = (typeof plannedChanges)[number]

export interface PlannedChange {
  readonly change: PlannedKind
  /** Of a shared account, each of its agents. */
  readonly dids: readonly Did[]
  /** The account meant; undefined for a capability, and for a hold that follows from an ancestor's. */
  readonly principal: PrincipalId | undefined
  /** Origins of the holds that want it, or the origin of the hold itself, or the source of the capability; in byte order. */
  readonly because: readonly string[]
  /** What the hold was seen from: `disabled`, `deleted`, `unproven`. */
  readonly cause: string | undefined
  readonly capability: string | undefined
  readonly guarded: boolean
}

/** What keeps something that is wanted from happening in the next pass. */
export const waits = [
  'paused',
  'throttled',
  'retrying',
  'log-late',
  'guard',
  'review',
  'unsupported',
  'shared',
  'contested',
  'unanswered',
] as const
export type Wait = (typeof waits)[number]

export interface PlannedWait {
  readonly wants: 'off' | 'on' | 'mirror' | 'release'
  readonly why: Wait
  readonly dids: readonly Did[]
  readonly principal: PrincipalId | undefined
  readonly because: readonly string[]
  /** The code or reason behind it, where there is one. */
  readonly detail: string | undefined
}

/** An answer that the plan lacks: what the directory did not say is neither "no difference" nor "a difference" (I8). */
export interface PlanFault {
  readonly asked: 'accounts' | 'account' | 'group' | 'log'
  readonly code: string
  readonly text: string
  readonly n: number
}

/** A plan of the guard that people look at: see `guard show`. */
export interface PlanGuard {
  readonly direction: GuardDirection
  /** `trips`: it would trip in this pass. */
  readonly state: 'tripped' | 'trips'
  /** What a first person froze, or a second one is having applied; that is not part of a pass. */
  readonly frozen: { readonly hash: string; readonly rows: number; readonly applying: boolean } | undefined
}

export interface AdapterPlan {
  readonly adapter: string
  readonly mapped: number
  readonly changes: readonly PlannedChange[]
  readonly waiting: readonly PlannedWait[]
  readonly guard: readonly PlanGuard[]
  /** Why the directory would not be believed. */
  readonly quarantine: readonly string[]
  readonly faults: readonly PlanFault[]
  /** Names the changes, in whatever order they were found and whenever; undefined while there are faults. */
  readonly hash: string | undefined
}

export interface Plan {
  readonly at: number
  readonly paused: boolean
  readonly adapters: readonly AdapterPlan[]
  /** Of all parts; undefined while one has faults. */
  readonly hash: string | undefined
}

/** What a plan needs of a store beside what a pass does. */
export interface PlanReads {
  /** Mapped principals in byte order of their ids, after the given one. */
  principalsAfter(adapter: string, after: PrincipalId | undefined, limit: number): Promise<ScheduledPrincipal[]>
  /** The principal of this id, and every one whose `dependsOn` it is. */
  dependentsOf(adapter: string, id: string): Promise<ScheduledPrincipal[]>
}

const bytewise = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const spelled = (row: object): string => canonical(row)

/** The same rows in one order, each once. */
export const inOrder = <T extends object>(rows: readonly T[]): T[] =>
  [...new Map(rows.map((row) => [spelled(row), row]))].sort(([a], [b]) => bytewise(a, b)).map(([, row]) => row)

const sha256 = (value: unknown): string => createHash('sha256').update(canonical(value)).digest('hex')

/** Two plans of a directory have the same hash exactly when they change the same. @param changes in any order */
export const planHash = (adapter: string, changes: readonly PlannedChange[]): string =>
  sha256({ adapter, changes: [...new Set(changes.map(spelled))].sort(bytewise) })

/** Of a plan of several directories; undefined while one of them has none. */
export const wholeHash = (parts: readonly Pick<AdapterPlan, 'adapter' | 'hash'>[]): string | undefined => {
  const named = parts.map(({ adapter, hash }) => ({ adapter, hash }))
  if (named.some(({ hash }) => hash === undefined)) return undefined
  return sha256(named.toSorted((a, b) => bytewise(a.adapter, b.adapter)))
}

/** @returns how many of each kind; kinds of which there are none are left out */
export const counted = <K extends string>(kinds: readonly K[], rows: readonly K[]): { kind: K; n: number }[] =>
  kinds.map((kind) => ({ kind, n: rows.filter((one) => one === kind).length })).filter(({ n }) => n > 0)
