import type { Selectable } from 'kysely'
import type { LegRecord } from '../core/receipts.ts'
import type { Lane, Schedule, ScheduledPrincipal } from '../core/store.ts'
import type {
  Account,
  Agent,
  CapabilitySource,
  Hold,
  NewSignal,
  Origin,
  Principal,
  PrincipalKey,
  Release,
  Sharer,
  Signal,
} from '../core/types.ts'
import { flag, maybe, parse } from './columns.ts'
import type {
  AgentTable,
  HoldTable,
  LegTable,
  PrincipalTable,
  ReleaseTable,
  Schema,
  SharerTable,
  SignalTable,
} from './schema.ts'

/** Rows to the types of the core and back: the only place that knows both. NULL is `undefined` over there. */

/** `adapter:contoso/x` → `adapter`; a source without a colon is its own kind. */
export const kindOf = (name: string): string => name.split(':', 1)[0] ?? name

export const toAgent = (row: AgentTable): Agent => ({
  did: row.did,
  name: row.name,
  sponsor: row.sponsor === null ? undefined : parse(row.sponsor),
  blueprint: maybe(row.blueprint),
  parentDid: maybe(row.parent_did),
  labels: parse(row.labels),
  decommissioned: row.decommissioned === 1,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  revision: row.revision,
  lastActivity: maybe(row.last_activity),
  resumedAt: maybe(row.resumed_at),
})

export const fromAgent = (agent: Agent): AgentTable => ({
  did: agent.did,
  name: agent.name,
  folded: agent.name.toLowerCase(),
  sponsor: agent.sponsor === undefined ? null : JSON.stringify(agent.sponsor),
  sponsor_email: agent.sponsor?.email?.toLowerCase() ?? null,
  sponsor_id: agent.sponsor?.objectId ?? null,
  blueprint: agent.blueprint ?? null,
  parent_did: agent.parentDid ?? null,
  labels: JSON.stringify(agent.labels),
  decommissioned: flag(agent.decommissioned),
  created_at: agent.createdAt,
  updated_at: agent.updatedAt,
  revision: agent.revision,
  last_activity: agent.lastActivity ?? null,
  resumed_at: agent.resumedAt ?? null,
})

const toAccount = (row: PrincipalTable): Account => ({
  observed: row.observed,
  observedAt: maybe(row.observed_at),
  offReadAt: maybe(row.off_read_at),
  switches: parse(row.switches),
  dependsOn: maybe(row.depends_on),
  mark: row.mark,
  claimedAt: maybe(row.claimed_at),
  sentAt: maybe(row.sent_at),
  intent: maybe(row.intent),
  inFlightUntil: maybe(row.in_flight_until),
  disabledAckAt: maybe(row.disabled_ack_at),
  enabledAckAt: maybe(row.enabled_ack_at),
  foreignSeenAt: maybe(row.foreign_seen_at),
  drifts: parse(row.drifts),
  contested: row.contested === 1,
  overriddenAt: maybe(row.overridden_at),
  liftedFrom: maybe(row.lifted_from),
  putBack: row.put_back === 1,
  offUntil: maybe(row.off_until),
  examinedUntil: maybe(row.examined_until),
  copiedAt: maybe(row.copied_at),
  driftAcceptedAt: maybe(row.drift_accepted_at),
  readDueAt: maybe(row.read_due_at),
  readAgainAt: maybe(row.read_again_at),
  attempts: row.attempts,
  lastError: maybe(row.last_error),
})

export const toPrincipal = (row: PrincipalTable): ScheduledPrincipal => ({
  adapter: row.adapter,
  id: row.id,
  did: row.did,
  kind: row.kind,
  appId: maybe(row.app_id),
  scopes: parse(row.scopes),
  mappedAt: row.mapped_at,
  shared: row.shared === 1,
  account: toAccount(row),
  schedule: { nextAt: maybe(row.next_at), lane: row.lane },
})

export const fromAccount = (account: Account) => ({
  observed: account.observed,
  observed_at: account.observedAt ?? null,
  off_read_at: account.offReadAt ?? null,
  switches: JSON.stringify(account.switches),
  depends_on: account.dependsOn ?? null,
  mark: account.mark,
  claimed_at: account.claimedAt ?? null,
  sent_at: account.sentAt ?? null,
  intent: account.intent ?? null,
  in_flight_until: account.inFlightUntil ?? null,
  disabled_ack_at: account.disabledAckAt ?? null,
  enabled_ack_at: account.enabledAckAt ?? null,
  foreign_seen_at: account.foreignSeenAt ?? null,
  drifts: JSON.stringify(account.drifts),
  contested: flag(account.contested),
  overridden_at: account.overriddenAt ?? null,
  lifted_from: account.liftedFrom ?? null,
  put_back: flag(account.putBack),
  off_until: account.offUntil ?? null,
  examined_until: account.examinedUntil ?? null,
  copied_at: account.copiedAt ?? null,
  drift_accepted_at: account.driftAcceptedAt ?? null,
  read_due_at: account.readDueAt ?? null,
  read_again_at: account.readAgainAt ?? null,
  attempts: account.attempts,
  last_error: account.lastError ?? null,
})

export const fromSchedule = (schedule: Schedule): { next_at: number | null; lane: Lane } => ({
  next_at: schedule.nextAt ?? null,
  lane: schedule.lane,
})

export const fromPrincipal = (principal: Principal, schedule: Schedule): PrincipalTable => ({
  adapter: principal.adapter,
  id: principal.id,
  did: principal.did,
  kind: principal.kind,
  app_id: principal.appId ?? null,
  scopes: JSON.stringify(principal.scopes),
  mapped_at: principal.mappedAt,
  shared: flag(principal.shared),
  ...fromAccount(principal.account),
  ...fromSchedule(schedule),
})

export const toSharer = (row: SharerTable): Sharer => ({
  did: row.did,
  appId: maybe(row.app_id),
  scopes: parse(row.scopes),
  mappedAt: row.mapped_at,
})

export const fromSharer = (key: PrincipalKey, sharer: Sharer): SharerTable => ({
  adapter: key.adapter,
  id: key.id,
  did: sharer.did,
  app_id: sharer.appId ?? null,
  scopes: JSON.stringify(sharer.scopes),
  mapped_at: sharer.mappedAt,
})

export const toHold = (row: HoldTable): Hold => ({
  id: row.id,
  did: row.did,
  origin: row.origin as Origin,
  severity: row.severity,
  reason: row.reason,
  publicReason: maybe(row.public_reason),
  actor: row.actor,
  onBehalfOf: maybe(row.on_behalf_of),
  placedAt: row.placed_at,
  releasedAt: maybe(row.released_at),
  releasableAt: maybe(row.releasable_at),
  guarded: row.guarded === 1,
  evidence: parse(row.evidence),
})

export const fromHold = (hold: Hold): HoldTable => ({
  id: hold.id,
  did: hold.did,
  origin: hold.origin,
  origin_kind: kindOf(hold.origin),
  severity: hold.severity,
  reason: hold.reason,
  public_reason: hold.publicReason ?? null,
  actor: hold.actor,
  on_behalf_of: hold.onBehalfOf ?? null,
  placed_at: hold.placedAt,
  released_at: hold.releasedAt ?? null,
  releasable_at: hold.releasableAt ?? null,
  guarded: flag(hold.guarded),
  evidence: JSON.stringify(hold.evidence),
})

export const toSource = (row: Schema['capability_sources']): CapabilitySource => ({
  did: row.did,
  capability: row.capability,
  source: row.source,
  confirmedAt: row.confirmed_at,
})

export const fromSource = (source: CapabilitySource): Schema['capability_sources'] => ({
  did: source.did,
  capability: source.capability,
  source: source.source,
  kind: kindOf(source.source),
  confirmed_at: source.confirmedAt,
})

export const toRelease = (row: ReleaseTable): Release => ({
  id: row.id,
  holdId: row.hold_id,
  did: row.did,
  kind: row.kind,
  requestedBy: row.requested_by,
  requestedAt: row.requested_at,
  reason: row.reason,
  status: row.status,
})

export const fromRelease = (release: Release): ReleaseTable => ({
  id: release.id,
  hold_id: release.holdId,
  did: release.did,
  kind: release.kind,
  requested_by: release.requestedBy,
  requested_at: release.requestedAt,
  reason: release.reason,
  status: release.status,
})

export const toSignal = (row: Selectable<SignalTable>): Signal => ({
  seq: row.seq,
  type: row.type,
  did: row.did,
  at: row.at,
  holdId: maybe(row.hold_id),
  severity: maybe(row.severity),
  origin: maybe(row.origin),
  reason: maybe(row.reason),
  capabilities: row.capabilities === null ? undefined : parse(row.capabilities),
  aliases: row.aliases === null ? [] : parse(row.aliases),
})

export const fromSignal = (signal: NewSignal): Omit<SignalTable, 'seq' | 'aliases'> => ({
  type: signal.type,
  did: signal.did,
  at: signal.at,
  hold_id: signal.holdId ?? null,
  severity: signal.severity ?? null,
  origin: signal.origin ?? null,
  reason: signal.reason ?? null,
  capabilities: signal.capabilities === undefined ? null : JSON.stringify(signal.capabilities),
})

export const toLeg = (row: LegTable): LegRecord => ({
  holdId: row.hold_id,
  type: row.type,
  adapter: row.adapter,
  id: row.id,
  at: row.at,
  answeredAt: maybe(row.answered_at),
  closedAt: maybe(row.closed_at),
  reopenedAt: maybe(row.reopened_at),
  ended:
    row.state === null || row.reason === null
      ? undefined
      : { state: row.state, reason: row.reason, error: maybe(row.error) },
})

export const fromLeg = (leg: LegRecord): LegTable => ({
  hold_id: leg.holdId,
  type: leg.type,
  adapter: leg.adapter,
  id: leg.id,
  at: leg.at,
  answered_at: leg.answeredAt ?? null,
  closed_at: leg.closedAt ?? null,
  reopened_at: leg.reopenedAt ?? null,
  state: leg.ended?.state ?? null,
  reason: leg.ended?.reason ?? null,
  error: leg.ended?.error ?? null,
})
