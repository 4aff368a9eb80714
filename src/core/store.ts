import type { AliasReads, AliasWrites } from './aliases.ts'
import type { AuditCheckpoint, AuditEntry, AuditEvent, AuditPruning } from './audit.ts'
import type { BlueprintReads, BlueprintWrites } from './blueprints.ts'
import type { Changes } from './changes.ts'
import type { DelegationReads, DelegationWrites } from './delegation.ts'
import type { DiscoveryReads } from './discovery.ts'
import type { EndReads, EndWrites } from './ending.ts'
import type { AgentFilter, AuditFilter } from './filters.ts'
import type { ImportReads, ImportWrites } from './imports.ts'
import type { KeyReads, KeyWrites } from './keys.ts'
import type { BulkReads, BulkWrites } from './masskill.ts'
import type { OutletReads, OutletWrites } from './outlet.ts'
import type { PlanReads } from './plan.ts'
import type { LegRecord } from './receipts.ts'
import type { ReplicaReads, ReplicaWrites } from './replica.ts'
import type { StatusReads, StatusWrites } from './statuslist.ts'
import type { ToolServerReads, ToolServerWrites } from './tools.ts'
import type { TrustReads, TrustWrites } from './trust.ts'
import type {
  Account,
  Agent,
  CapabilitySource,
  Did,
  Hold,
  Labels,
  NewSignal,
  Principal,
  PrincipalKey,
  Release,
  Severity,
  Sharer,
  Signal,
} from './types.ts'

/** 0 suspends, 1 reads, 2 suspends again what failed, 3 resumes, 4 suspends many: a suspension overtakes (DESIGN §3 rule 9). */
export type Lane = 0 | 1 | 2 | 3 | 4

export interface Schedule {
  /** When a worker should look at the principal again; undefined: nothing to do. */
  readonly nextAt: number | undefined
  readonly lane: Lane
}

export interface ScheduledPrincipal extends Principal {
  readonly schedule: Schedule
}

export interface Idempotent {
  readonly bodyHash: string
  readonly status: number
  /** Small JSON reference (e.g. the DID or hold id) from which the present state is answered on a repeat. */
  readonly ref: string
}

export interface HeldDid {
  readonly did: Did
  readonly labels: Labels | undefined
  readonly holds: readonly Hold[]
  readonly aliases: readonly Did[]
}

export interface Span {
  readonly from: number
  /** Undefined: to this day. */
  readonly until: number | undefined
}

/** A mapped account that a read by id said is gone. */
export interface Absence {
  readonly at: number
  /** False: one of too many at once, to be read once more (rule 8). */
  readonly believed: boolean
}

/** Reads, always of committed state. */
export interface StoreReads
  extends BulkReads,
    EndReads,
    TrustReads,
    StatusReads,
    BlueprintReads,
    ToolServerReads,
    DelegationReads,
    KeyReads,
    AliasReads,
    OutletReads,
    ReplicaReads,
    ImportReads,
    PlanReads,
    DiscoveryReads {
  agent(did: Did): Promise<Agent | undefined>
  agents(filter: AgentFilter): Promise<Agent[]>
  children(did: Did): Promise<Did[]>
  /** Every descendant of a DID, nearest first; a cycle, though refused, is not followed twice. */
  descendants(did: Did): Promise<Did[]>
  principal(key: PrincipalKey): Promise<ScheduledPrincipal | undefined>
  /** Shared ones included, as this DID registered them. */
  principalsOf(did: Did): Promise<ScheduledPrincipal[]>
  /** Every DID of a shared principal, in byte order; none for any other principal. */
  sharersOf(key: PrincipalKey): Promise<Sharer[]>
  /** Those of the ids that are mapped; unknown ids are simply missing. */
  principalsById(adapter: string, ids: readonly string[]): Promise<ScheduledPrincipal[]>
  /** Those whose ids begin with one of these names and `#`, in byte order of their ids. */
  principalsNamed(adapter: string, names: readonly string[]): Promise<ScheduledPrincipal[]>
  countPrincipals(adapter: string): Promise<number>
  /** Those of them that were never read, or whose last telling read said absent: no listing is expected to have them. */
  countUnseen(adapter: string): Promise<number>
  /** Of the others, those mapped from `since` to `now`. Looks at each that was read since then: not for every day. */
  countMappedSince(adapter: string, since: number, now: number): Promise<number>
  /** Principals of one lane that a worker should look at, by time. */
  due(adapter: string, lane: Lane, now: number, limit: number): Promise<ScheduledPrincipal[]>
  /** Earliest `nextAt` in one lane of the adapter. */
  nextDue(adapter: string, lane: Lane): Promise<number | undefined>
  laneDepth(adapter: string): Promise<{ lane: Lane; due: number }[]>
  /**
   * Principals whose last telling read began before the given time or never happened, oldest first, and then those dated after
   * `now`, when the clock was ahead; not those of which a read is asked already.
   */
  stale(adapter: string, before: number, now: number, limit: number): Promise<ScheduledPrincipal[]>
  countStale(adapter: string, before: number, now: number): Promise<number>
  /** Begin of the oldest last reading of any principal that was ever read. */
  oldestReading(adapter: string): Promise<number | undefined>
  /** Principals with a mark whose latest write or read failed. */
  countFailing(adapter: string): Promise<number>
  /** Whether any hold or mark would be orphaned if the adapter went away (rule 12). */
  engaged(adapter: string): Promise<boolean>
  adaptersWithPrincipals(): Promise<string[]>

  hold(id: string): Promise<Hold | undefined>
  openHolds(did: Did): Promise<Hold[]>
  /** All holds of a DID, newest first, open ones before released ones. */
  holdsOf(did: Did, limit: number): Promise<Hold[]>
  openHoldOfOrigin(did: Did, origin: string): Promise<Hold | undefined>
  /** Open holds whose origin starts with the given text, in id order. */
  openHoldsWithOrigin(prefix: string, limit: number, after?: string): Promise<Hold[]>
  countOpenHolds(): Promise<number>
  countOpenHoldsBySeverity(): Promise<{ severity: Severity; n: number }[]>
  countHeldDids(): Promise<number>
  /** Held DIDs in byte order after the given one, with their open holds; unregistered DIDs included. */
  heldDids(after: Did | undefined, limit: number): Promise<HeldDid[]>
  /** A DID's open holds of its own, i.e. not `cascade:`. */
  openOwnHoldCount(did: Did): Promise<number>

  sourcesOf(did: Did): Promise<CapabilitySource[]>
  sourcesNamed(source: string): Promise<CapabilitySource[]>
  /** Group sources last confirmed before the given time. */
  sourcesBefore(prefix: string, before: number, limit: number): Promise<CapabilitySource[]>

  signalsAfter(seq: number, limit: number): Promise<Signal[]>
  signal(seq: number): Promise<Signal | undefined>
  /** Oldest kept and newest sequence; `head` 0 when there never was one. */
  signalRange(): Promise<{ oldest: number; head: number }>

  /** Those of the DIDs that are registered. */
  agentsByDid(dids: readonly Did[]): Promise<Agent[]>
  principalsByDid(dids: readonly Did[]): Promise<ScheduledPrincipal[]>
  openHoldsByDid(dids: readonly Did[]): Promise<Hold[]>
  legsOf(holdIds: readonly string[]): Promise<LegRecord[]>
  /** Who acknowledged each hold, and when first. */
  acksOf(holdIds: readonly string[]): Promise<{ holdId: string; client: string; at: number }[]>
  /** Holds of this cascade origin that were open at some moment of the span, by DID, after the given one. */
  cascadesOf(origin: string, span: Span, after: Did | undefined, limit: number): Promise<Hold[]>
  /** DIDs with such a hold. */
  countCascades(origin: string, span: Span): Promise<number>

  release(id: string): Promise<Release | undefined>
  openReleaseOf(holdId: string): Promise<Release | undefined>
  checkpoint(adapter: string, feed: string): Promise<{ value: string; at: number } | undefined>
  meta(key: string): Promise<string | undefined>
  idempotent(client: string, route: string, key: string): Promise<Idempotent | undefined>
  guardCount(adapter: string, direction: 'suspend' | 'resume', since: number): Promise<number>
  /** When a read by id first said that this account is gone; undefined when the last one did not. */
  absence(key: PrincipalKey): Promise<Absence | undefined>
  /** `recent`: believed, at or after `since`; `pending`: not believed yet, of any time. */
  countAbsences(adapter: string, since: number): Promise<{ recent: number; pending: number }>

  audit(filter: AuditFilter): Promise<AuditEntry[]>
  auditHead(): Promise<{ seq: number; hash: string }>
  auditCheckpoint(): Promise<AuditCheckpoint | undefined>
  /** The last of the first `limit` entries of the chain such that it and all before it are older. */
  auditOlder(than: number, limit: number): Promise<{ seq: number; hash: string } | undefined>
}

export type PrincipalFields = Pick<Principal, 'kind' | 'appId' | 'scopes' | 'shared'>

/** One writing transaction. The lease epoch is checked in it; losing the lease throws E_LEASE_LOST. */
export interface StoreTx
  extends StoreReads,
    BulkWrites,
    EndWrites,
    TrustWrites,
    StatusWrites,
    BlueprintWrites,
    AuditPruning,
    ToolServerWrites,
    DelegationWrites,
    KeyWrites,
    AliasWrites,
    OutletWrites,
    ReplicaWrites,
    ImportWrites {
  insertAgent(agent: Agent): Promise<void>
  /** Replaces every field of an agent. */
  saveAgent(agent: Agent): Promise<void>
  /** `lastActivity`, never back; the revision stays. An unknown DID is left alone. */
  noteActivity(did: Did, at: number): Promise<void>
  /** A shared one begins with this DID as its only one. */
  insertPrincipal(principal: Principal, schedule: Schedule): Promise<void>
  /** One DID more for a shared principal. The caller has checked that it is one. */
  addSharer(key: PrincipalKey, sharer: Sharer): Promise<void>
  /**
   * kind, appId, scopes and whether it is shared, of the mapping to this DID. No longer shared, it is mapped to this DID
   * alone: the caller has checked that no other one is left.
   */
  describePrincipal(key: PrincipalKey, did: Did, fields: PrincipalFields): Promise<void>
  /** Ends the mapping to this DID; the account's row goes with its last one. */
  unmapPrincipal(key: PrincipalKey, did: Did): Promise<void>
  saveAccount(key: PrincipalKey, account: Account, schedule: Schedule): Promise<void>
  /**
   * Asks for a read by id at `at` and, when given, once more at `again`: readDueAt = min(present, at), readAgainAt =
   * max(present, again), nextAt brought forward to `at`; the lane stays. One statement, no row is read back.
   */
  askRead(key: PrincipalKey, at: number, again: number | undefined): Promise<void>
  /** askRead for every principal whose `dependsOn` is this directory object, or whose id it is. */
  askReadDependents(adapter: string, dependsOn: string, at: number, again: number | undefined): Promise<void>
  /** Brings forward every principal of the adapter with a mark other than none or an open hold on its DID (start, reload, resume after pause). */
  wakeEngaged(adapter: string, at: number): Promise<void>

  insertHold(hold: Hold): Promise<void>
  saveHold(hold: Hold): Promise<void>

  putSource(source: CapabilitySource): Promise<void>
  deleteSource(did: Did, capability: string, source: string): Promise<void>
  /** One statement: every row of this source was confirmed at `at`. */
  confirmSources(source: string, at: number): Promise<void>

  /** It carries the aliases of its DID as they are now. */
  appendSignal(signal: NewSignal): Promise<number>
  /** Acknowledges the signal and, when it suspends, its hold. False: there is no such signal. */
  ackSignal(seq: number, client: string, at: number): Promise<boolean>
  ackHold(holdId: string, client: string, at: number): Promise<void>
  saveLeg(leg: LegRecord): Promise<void>

  insertRelease(release: Release): Promise<void>
  saveRelease(release: Release): Promise<void>
  putCheckpoint(adapter: string, feed: string, value: string, at: number): Promise<void>
  deleteCheckpoint(adapter: string, feed: string): Promise<void>
  putMeta(key: string, value: string | undefined): Promise<void>
  putIdempotent(client: string, route: string, key: string, entry: Idempotent, at: number): Promise<void>
  /** False when the delivery was seen before. */
  claimDelivery(adapter: string, delivery: string, at: number): Promise<boolean>
  /** One change seen in a directory, with the number of descendants it carries. */
  addGuardEvent(
    adapter: string,
    direction: 'suspend' | 'resume',
    at: number,
    weight: number,
    did: string,
  ): Promise<void>
  clearGuardEvents(adapter: string, direction: 'suspend' | 'resume'): Promise<void>
  /** Goes with the mapping of the account. */
  putAbsence(key: PrincipalKey, absence: Absence): Promise<void>
  deleteAbsence(key: PrincipalKey): Promise<void>
  /**
   * After the wall clock was set back: guard events and absences of the future become those of `now`, and accounts whose
   * absence is pending are to be read now.
   */
  rebaseGuard(adapter: string, now: number): Promise<void>

  /** Appends to the hash chain; the head row is locked by this transaction. */
  appendAudit(event: AuditEvent): Promise<AuditEntry>
  /**
   * Drops what is past retention, except audit; returns rows dropped. `receipts`: acknowledgements and legs of holds
   * that were released before it, and kills of many that were done before it. `deadLetters`: those that died before it.
   */
  prune(before: {
    signals: number
    deadLetters?: number
    inbox: number
    idempotency: number
    guard: number
    receipts: number
  }): Promise<number>
}

export interface Store extends StoreReads {
  /**
   * Runs one durable transaction: when it resolves, the change survives SIGKILL and power loss. `work` may be run
   * again only if nothing of it was committed; it must do no outside call.
   */
  write<T>(work: (tx: StoreTx) => Promise<T>): Promise<T>
  readonly epoch: number
  readonly changes: Changes
  /** Writable, and not full: for readiness. */
  ping(): Promise<void>
  close(): Promise<void>
}
