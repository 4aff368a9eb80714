import type { Generated } from 'kysely'
import type { Alias } from '../core/aliases.ts'
import type { BlueprintOrigin } from '../core/blueprints.ts'
import type { Binding } from '../core/keys.ts'
import type { LegReason, LegState } from '../core/receipts.ts'
import type { Lane } from '../core/store.ts'
import type { AccountState, Mark, Release, Severity, Signal } from '../core/types.ts'
import type { ImportRowTable, ImportTable } from './imports.ts'
import type { OutletTable, SetAsideTable } from './outlets.ts'
import type { ToolServerTable } from './toolservers.ts'
import type { TrustTable } from './trust.ts'

/**
 * The tables as Kysely sees them. Columns hold what the domain types hold, with three differences: absence is NULL,
 * a boolean is 0 or 1, and structured values are JSON text.
 */
export type Schema = {
  agents: AgentTable
  agent_keys: {
    did: string
    thumbprint: string
    key: string
    binding: Binding
    declared_at: number
    proven_at: number | null
  }
  status_places: { list: number; idx: number; did: string }
  aliases: Alias
  proofs: { adapter: string; id: string; did: string; at: number; thumbprint: string }
  agent_labels: { did: string; key: string; value: string }
  principals: PrincipalTable
  sharers: SharerTable
  principal_counts: { adapter: string; n: number }
  capability_sources: { did: string; capability: string; source: string; kind: string; confirmed_at: number }
  blueprints: BlueprintTable
  tool_servers: ToolServerTable
  regrants: { name: string; after: string }
  delegations: DelegationTable
  holds: HoldTable
  kills: KillTable
  kill_items: { kill_id: string; n: number; did: string; hold_id: string }
  imports: ImportTable
  import_rows: ImportRowTable
  cascade_ends: { ancestor: string; at: number; actor: string; request_id: string | null }
  releases: ReleaseTable
  checkpoints: { adapter: string; feed: string; value: string; at: number }
  hook_inbox: { adapter: string; delivery: string; at: number }
  changes: { seq: number; did: string }
  signals: SignalTable
  signal_acks: { hold_id: string; client: string; seq: number; at: number }
  legs: LegTable
  outlets: OutletTable
  set_aside: SetAsideTable
  audit: AuditTable
  audit_checkpoint: { id: number; seq: number; hash: string; at: number; jws: string }
  audit_text: { seq: number; field: string; salt: string; text: string }
  idempotency: IdempotencyTable
  guard_events: GuardTable
  absences: AbsenceTable
  trust_scores: TrustTable
  meta: { key: string; value: string }
  lease: LeaseTable
  /** SQLite's own, for AUTOINCREMENT. */
  sqlite_sequence: { name: string; seq: number }
}

export type AgentTable = {
  did: string
  name: string
  /** `name` folded to lower case, for searching. */
  folded: string
  sponsor: string | null
  /** Folded to lower case, for searching. */
  sponsor_email: string | null
  sponsor_id: string | null
  blueprint: string | null
  parent_did: string | null
  labels: string
  decommissioned: number
  created_at: number
  updated_at: number
  revision: number
  last_activity: number | null
  resumed_at: number | null
}

export type PrincipalTable = {
  adapter: string
  id: string
  did: string
  kind: string
  app_id: string | null
  scopes: string
  mapped_at: number
  shared: number
  observed: AccountState
  observed_at: number | null
  off_read_at: number | null
  switches: string
  depends_on: string | null
  mark: Mark
  claimed_at: number | null
  sent_at: number | null
  intent: 'disable' | 'enable' | null
  in_flight_until: number | null
  disabled_ack_at: number | null
  enabled_ack_at: number | null
  foreign_seen_at: number | null
  drifts: string
  contested: number
  overridden_at: number | null
  lifted_from: number | null
  put_back: number
  off_until: number | null
  examined_until: number | null
  copied_at: number | null
  drift_accepted_at: number | null
  read_due_at: number | null
  read_again_at: number | null
  attempts: number
  last_error: string | null
  next_at: number | null
  lane: Lane
}

export type SharerTable = {
  adapter: string
  id: string
  did: string
  app_id: string | null
  scopes: string
  mapped_at: number
}

export type BlueprintTable = {
  name: string
  origin: BlueprintOrigin
  description: string | null
  capabilities: string
  require_sponsor: number
  max_depth: number | null
  policy_adapter: string | null
  policy_id: string | null
  created_at: number
  updated_at: number
  revision: number
}

export type DelegationTable = {
  did: string
  parent_did: string
  capabilities: string
  granted_at: number
  granted_by: string
  expires_at: number | null
  ended_at: number | null
  key: string | null
  signature: string | null
}

export type HoldTable = {
  id: string
  did: string
  origin: string
  /** The part of `origin` before the first colon. */
  origin_kind: string
  severity: Severity
  reason: string
  public_reason: string | null
  actor: string
  on_behalf_of: string | null
  placed_at: number
  released_at: number | null
  releasable_at: number | null
  guarded: number
  evidence: string
}

export type KillTable = {
  id: string
  at: number
  actor: string
  origin: string
  request_id: string | null
  reason: string
  evidence: string
  selector: string | null
  agents: number
  placed: number
  done_at: number | null
}

export type ReleaseTable = {
  id: string
  hold_id: string
  did: string
  kind: Release['kind']
  requested_by: string
  requested_at: number
  reason: string
  status: Release['status']
}

export type SignalTable = {
  /** Given by the database; never given twice. */
  seq: Generated<number>
  type: Signal['type']
  did: string
  at: number
  hold_id: string | null
  severity: Severity | null
  origin: string | null
  reason: string | null
  capabilities: string | null
  /** Filled in by the database. */
  aliases: Generated<string | null>
}

export type LegTable = {
  hold_id: string
  type: 'account' | 'runtime'
  adapter: string
  id: string
  /** When the row was written last, for pruning. */
  at: number
  answered_at: number | null
  closed_at: number | null
  reopened_at: number | null
  /** NULL while the hold is open. */
  state: LegState | null
  reason: LegReason | null
  error: string | null
}

export type AuditTable = {
  seq: number
  time: number
  type: string
  did: string | null
  hold_id: string | null
  actor: string
  /** Canonical JSON of exactly what `hash` covers. */
  body: string
  hash: string
}

export type IdempotencyTable = {
  client: string
  route: string
  key: string
  body_hash: string
  status: number
  ref: string
  at: number
}

export type GuardTable = {
  adapter: string
  direction: 'suspend' | 'resume'
  at: number
  weight: number
  did: string
}

export type AbsenceTable = {
  adapter: string
  id: string
  at: number
  believed: number
}

export type LeaseTable = {
  id: number
  epoch: number
  pid: number
  host: string
  started_at: number
  seen_at: number
}
