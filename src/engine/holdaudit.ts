import type { AuditEvent } from '../core/audit.ts'
import type { Agent, Did, Hold, NewSignal, Principal, PrincipalKey } from '../core/types.ts'
import type { Change } from './change.ts'

const withRealms = ({ deps }: Change, keys: readonly PrincipalKey[]) =>
  keys.map(({ adapter, id }) => {
    const realm = deps.mounts().get(adapter)?.adapter.realm
    return { adapter, id, ...(realm !== undefined && { realm }) }
  })

/** The entry of one change of a hold. `open`: the DID's open holds after it. */
export const holdEvent = (
  change: Change,
  type: string,
  hold: Hold,
  of: { agent: Agent | undefined; principals: readonly Principal[]; open: readonly Hold[] },
  details: Readonly<Record<string, unknown>>,
): AuditEvent => {
  const { now, actor, requestId } = change
  const { agent, open } = of
  return {
    time: now,
    type,
    did: hold.did,
    principals: withRealms(change, of.principals),
    sponsor: agent?.sponsor?.objectId,
    status: agent?.decommissioned ? 'decommissioned' : open.length > 0 ? 'suspended' : 'active',
    actor,
    hold: hold.id,
    requestId,
    details: {
      origin: hold.origin,
      severity: hold.severity,
      guarded: hold.guarded,
      ...(typeof hold.evidence.killId === 'string' && { killId: hold.evidence.killId }),
      ...details,
    },
    text: {
      reason: hold.reason,
      ...(hold.onBehalfOf !== undefined && { onBehalfOf: hold.onBehalfOf }),
      ...(agent?.sponsor?.email !== undefined && { sponsorEmail: agent.sponsor.email }),
    },
  }
}

export const auditHold = async (
  change: Change,
  type: string,
  hold: Hold,
  details: Readonly<Record<string, unknown>>,
): Promise<void> => {
  const { tx } = change
  const agent = await tx.agent(hold.did)
  const principals = await tx.principalsOf(hold.did)
  const open = await tx.openHolds(hold.did)
  await tx.appendAudit(holdEvent(change, type, hold, { agent, principals, open }, details))
}

/** Entries for claims that no hold's own entry lists (I7), one for each DID. */
export const auditClaims = async (
  change: Change,
  claims: Iterable<readonly [Did, readonly PrincipalKey[]]>,
): Promise<void> => {
  const { tx, now, actor, requestId } = change
  const details = { from: 'none', to: 'claimed' }
  const events: AuditEvent[] = []
  for (const [did, keys] of claims) {
    if (keys.length === 0) continue
    const principals = withRealms(change, keys)
    events.push({ time: now, type: 'account.claimed', did, principals, actor, requestId, details })
  }
  await tx.appendAudits(events)
}

/** What runtimes are told of a hold; of one that the guard keeps back, nothing. */
export const signalOf = (change: Change, hold: Hold): NewSignal | undefined => {
  if (hold.guarded) return undefined
  const { id, did, severity, origin, reason } = hold
  return { type: 'suspended', did, at: change.now, holdId: id, severity, origin, reason, capabilities: undefined }
}
