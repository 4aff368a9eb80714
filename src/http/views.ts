import type { z } from 'zod'
import type { AuditEntry } from '../core/audit.ts'
import type { Hold, Release } from '../core/types.ts'
import type { AgentView, PrincipalView, SharedView } from '../engine/agentapi.ts'
import type { DelegationView, HopView, SignedView } from '../engine/delegationapi.ts'
import type { TrustView } from '../engine/trustapi.ts'
import { keyJwk } from '../lib/agentkey.ts'
import type { chainSchema } from './delegationschemas.ts'
import type { awaitingSchema, holdSchema } from './holdschemas.ts'
import type { agentSchema, sharedSchema } from './schemas.ts'

/** Our records as the API spells them: members listed one by one, so that nothing new shows up by itself. */

export type AgentBody = z.output<typeof agentSchema>
export type HoldBody = z.output<typeof holdSchema>
export type ReleaseBody = z.output<typeof awaitingSchema>

/** RFC 3339, UTC, with milliseconds. */
export const time = (ms: number): string => new Date(ms).toISOString()
export const timeOrNull = (ms: number | undefined): string | null => (ms === undefined ? null : time(ms))

/** Where the receipt of a hold is read. */
export const receiptPath = (did: string, holdId: string): string =>
  `/v1/agents/${encodeURIComponent(did)}/receipts/${encodeURIComponent(holdId)}`

/** `all`: for callers that may read. Everybody else learns no reason, actor or evidence. */
export const holdBody = (hold: Hold, all: boolean): HoldBody => ({
  id: hold.id,
  did: hold.did,
  origin: hold.origin,
  severity: hold.severity,
  publicReason: hold.publicReason ?? null,
  placedAt: time(hold.placedAt),
  releasedAt: timeOrNull(hold.releasedAt),
  releasableAt: timeOrNull(hold.releasableAt),
  guarded: hold.guarded,
  receipt: receiptPath(hold.did, hold.id),
  ...(all
    ? { reason: hold.reason, actor: hold.actor, onBehalfOf: hold.onBehalfOf ?? null, evidence: { ...hold.evidence } }
    : {}),
})

const principalBody = ({ adapter, id, kind, appId, scopes, shared, proven, account }: PrincipalView) => ({
  adapter,
  id,
  kind,
  appId: appId ?? null,
  scopes: [...scopes],
  shared,
  proven: proven === undefined ? null : { at: time(proven.at), key: proven.thumbprint },
  account: {
    desired: account.desired,
    observed: account.observed,
    observedAt: timeOrNull(account.observedAt),
    mark: account.mark,
    switches: account.switches.map(({ name, state, ours }) => ({ name, state, ours })),
    contested: account.contested,
    overridden: account.overridden,
    lastError: account.lastError ?? null,
  },
})

const trustBody = ({ score, reports }: TrustView) => ({
  score,
  reports: reports.map(({ client, score, scale, at, settled }) => ({ client, score, scale, at: time(at), settled })),
})

const signedBody = (signed: SignedView | undefined) =>
  signed === undefined ? null : { key: signed.key, binding: signed.binding ?? null, signature: signed.signature }

const delegationBody = (of: DelegationView) => ({
  capabilities: [...of.capabilities],
  expiresAt: timeOrNull(of.expiresAt),
  ended: of.ended,
  grantedAt: time(of.grantedAt),
  grantedBy: of.grantedBy,
  signed: signedBody(of.signed),
})

export const hopBody = (hop: HopView): z.output<typeof chainSchema>['items'][number] => ({
  did: hop.did,
  status: hop.status,
  parentDid: hop.parentDid ?? null,
  depth: hop.depth,
  granted: hop.granted === undefined ? null : [...hop.granted],
  effective: [...hop.effective],
  expiresAt: timeOrNull(hop.expiresAt),
  ended: hop.ended,
  signed: signedBody(hop.signed),
})

export const agentBody = (agent: AgentView, all: boolean): AgentBody => ({
  did: agent.did,
  name: agent.name,
  status: agent.status,
  severity: agent.severity ?? null,
  sponsor: agent.sponsor === undefined ? null : { email: agent.sponsor.email, objectId: agent.sponsor.objectId },
  blueprint: agent.blueprint ?? null,
  parentDid: agent.parentDid ?? null,
  delegation: agent.delegation === undefined ? null : delegationBody(agent.delegation),
  depth: agent.depth,
  labels: { ...agent.labels },
  capabilities: agent.capabilities.map(({ name, sources }) => ({
    name,
    sources: sources.map(({ source, confirmedAt }) => ({ source, confirmedAt: time(confirmedAt) })),
  })),
  effective: [...agent.effective],
  principals: agent.principals.map(principalBody),
  keys: agent.keys.map(({ key, thumbprint, binding }) => ({ jwk: keyJwk(key), thumbprint, binding })),
  aliases: agent.aliases.map(({ did, how }) => ({ did, how })),
  holds: agent.holds.map((hold) => holdBody(hold, all)),
  trust: agent.trust === undefined ? null : trustBody(agent.trust),
  lastActivity: timeOrNull(agent.lastActivity),
  createdAt: time(agent.createdAt),
  updatedAt: time(agent.updatedAt),
  revision: agent.revision,
})

export const sharedBody = ({ adapter, agents, id }: SharedView, all: boolean): z.output<typeof sharedSchema> => ({
  adapter,
  id,
  shared: true,
  agents: agents.map((agent) => agentBody(agent, all)),
})

export const releaseBody = (release: Release): ReleaseBody => ({
  releaseId: release.id,
  status: release.status,
  holdId: release.holdId,
  did: release.did,
  kind: release.kind,
  requestedBy: release.requestedBy,
  requestedAt: time(release.requestedAt),
})

/** As chained, but for `time`, which is milliseconds since 1970 where the hash is made. */
export const auditBody = (entry: AuditEntry) => ({
  seq: entry.seq,
  time: time(entry.time),
  type: entry.type,
  did: entry.did,
  principals: entry.principals?.map(({ adapter, id, realm }) => ({ adapter, id, realm })),
  sponsor: entry.sponsor,
  status: entry.status,
  capabilities: entry.capabilities === undefined ? undefined : [...entry.capabilities],
  scopes: entry.scopes === undefined ? undefined : [...entry.scopes],
  actor: entry.actor,
  onBehalfOf: entry.onBehalfOf,
  hold: entry.hold,
  requestId: entry.requestId,
  details: entry.details === undefined ? undefined : { ...entry.details },
  text: entry.text === undefined ? undefined : { ...entry.text },
  digests: { ...entry.digests },
  prev: entry.prev,
  hash: entry.hash,
})
