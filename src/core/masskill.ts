import type { AuditEvent } from './audit.ts'
import type { Schedule } from './store.ts'
import type { Account, Did, Hold, NewSignal, Origin, PrincipalKey } from './types.ts'

/** Which agents a kill is for; every member given must match. At least one is. */
export interface KillSelector {
  /** E-mail address, whatever its case, or object id. */
  readonly sponsor?: string | undefined
  readonly blueprint?: string | undefined
  /** Agents whose `parentDid` it is; what descends from those follows by cascade. */
  readonly parent?: Did | undefined
  /** Agents with an account in that directory. */
  readonly adapter?: string | undefined
}

/** One kill of many agents. It is recorded with its targets before any of them is held, so that a crash leaves none out. */
export interface MassKill {
  readonly id: string
  readonly at: number
  readonly actor: string
  readonly origin: Origin
  readonly requestId: string | undefined
  readonly reason: string
  readonly evidence: Readonly<Record<string, unknown>>
  readonly selector: KillSelector | undefined
  readonly agents: number
  /** How many targets, in order, have their hold. */
  readonly placed: number
  /** When the last one got it. */
  readonly doneAt: number | undefined
}

/** One target. The id of its hold is given before the hold exists. */
export interface KillItem {
  /** From 1, without gaps. */
  readonly n: number
  /** Whose its hold is, once it is placed: that of an agent may have been placed on one of its aliases. */
  readonly did: Did
  readonly holdId: string
}

/** How many accounts of a kill's targets are in one state; those of agents whose hold was released are left out. */
export interface KillAccounts {
  readonly adapter: string
  readonly kind: string
  /** `failed` is still retried; `shared` stays on, for another of its DIDs is not held. */
  readonly state: 'off' | 'failed' | 'pending' | 'shared'
  readonly n: number
}

/** Above this many a hold is one of many: its writes leave the lanes of single suspensions free. */
export const bulkFrom = 100

/** One of many holds placed at once (DESIGN §3 rule 9: per principal, not first in first out). */
export const isBulk = (hold: Pick<Hold, 'evidence'>): boolean => hold.evidence.bulk === true

export interface AccountRow {
  readonly key: PrincipalKey
  readonly account: Account
  readonly schedule: Schedule
  /** The account as this transaction read it: what a reading said and did not change since is not written again. */
  readonly before?: Account | undefined
}

/** Reads and writes by the set: what a thousand rows need costs a few statements. */
export interface BulkReads {
  /** Every descendant of each of the DIDs, nearest first within each, without itself; a cycle is gone round once. */
  families(dids: readonly Did[]): Promise<{ ancestor: Did; did: Did }[]>

  kill(id: string): Promise<MassKill | undefined>
  /** After the given number, in order. */
  killItems(id: string, after: number, limit: number): Promise<KillItem[]>
  killAccounts(id: string): Promise<KillAccounts[]>
  /** Holds of the kill that were released since. */
  killReleased(id: string): Promise<number>
  /** Newest first. */
  recentKills(since: number, limit: number): Promise<MassKill[]>
  /** Recorded and not yet done, oldest first. */
  unfinishedKills(): Promise<MassKill[]>
}

export interface BulkWrites {
  insertHolds(holds: readonly Hold[]): Promise<void>
  saveAccounts(rows: readonly AccountRow[]): Promise<void>
  /** In the order given. */
  appendSignals(signals: readonly NewSignal[]): Promise<void>
  /** In the order given, one entry each. */
  appendAudits(events: readonly AuditEvent[]): Promise<void>
  insertKill(kill: MassKill, items: readonly KillItem[]): Promise<void>
  /** So many targets, from the first on, have their hold now. */
  advanceKill(id: string, placed: number, doneAt: number | undefined): Promise<void>
}
