import { claimed, highestSeverity } from '../core/account.ts'
import { cascadeOrigin, isOwn } from '../core/holds.ts'
import { next } from '../core/next.ts'
import type { Agent, Did, Hold, Origin, Principal, PrincipalKey, Severity } from '../core/types.ts'
import type { Change } from './change.ts'
import { contextFor, scheduleOf } from './context.ts'
import { endLegs } from './legs.ts'

export interface NewHold {
  readonly did: Did
  readonly origin: Origin
  readonly severity: Severity
  readonly reason: string
  readonly publicReason?: string | undefined
  readonly guarded?: boolean
  readonly evidence?: Readonly<Record<string, unknown>>
}

/** Origins that hold a DID at most once at a time. */
const isSingle = (origin: Origin): boolean => /^(adapter|cascade|policy):/.test(origin)

/**
 * Records one hold with everything that must be in the same transaction: the claims on the DID's accounts, the audit
 * entry, the signal and the holds of its descendants. The calls go out after the commit.
 */
export const placeHold = async (change: Change, input: NewHold): Promise<Hold> => {
  const { tx, now } = change
  if (isSingle(input.origin)) {
    const present = await tx.openHoldOfOrigin(input.did, input.origin)
    if (present !== undefined) return present
  }
  const hold: Hold = {
    id: change.deps.newId(),
    did: input.did,
    origin: input.origin,
    severity: input.severity,
    reason: input.reason,
    publicReason: input.publicReason,
    actor: change.actor,
    onBehalfOf: change.onBehalfOf,
    placedAt: now,
    releasedAt: undefined,
    releasableAt: undefined,
    guarded: input.guarded ?? false,
    evidence: input.evidence ?? {},
  }
  await tx.insertHold(hold)
  const claims = await claimAll(change, hold.did)
  await auditHold(change, 'hold.placed', hold, { claimed: claims })
  await signalHold(change, hold)
  if (isOwn(hold)) await cascade(change, hold.did)
  return hold
}

/** Claims every account of the DID that a driving hold now wants off. */
export const claimAll = async (change: Change, did: Did): Promise<PrincipalKey[]> => {
  const { tx } = change
  const open = await tx.openHolds(did)
  const claims: PrincipalKey[] = []
  for (const principal of await tx.principalsOf(did)) claims.push(...(await claimOne(change, principal, open)))
  return claims
}

/** Claims one account, if a driving hold now wants it off. */
export const claimOne = async (
  change: Change,
  principal: Principal,
  open?: readonly Hold[],
): Promise<PrincipalKey[]> => {
  const { deps, tx, now } = change
  const { adapter, id } = principal
  const mount = deps.mounts().get(adapter)
  if (mount === undefined) return []
  const context = await contextFor(deps, tx, mount, principal, now, open)
  const claims = next(principal.account, context).do === 'claim'
  if (claims) await tx.saveAccount(principal, claimed(principal.account, now), { nextAt: now, lane: 0 })
  else await tx.saveAccount(principal, principal.account, scheduleOf(deps, principal.account, context))
  change.wakeSuspend(adapter)
  change.wakeWork(adapter)
  return claims ? [{ adapter, id }] : []
}

/** One entry for claims that no hold's own entry lists (I7). */
export const auditClaims = async (change: Change, did: Did, claims: readonly PrincipalKey[]): Promise<void> => {
  if (claims.length === 0) return
  const { tx, now, actor, requestId } = change
  const principals = claims.map((key) => {
    const realm = change.deps.mounts().get(key.adapter)?.adapter.realm
    return { ...key, ...(realm !== undefined && { realm }) }
  })
  const details = { from: 'none', to: 'claimed' }
  await tx.appendAudit({ time: now, type: 'account.claimed', did, principals, actor, requestId, details })
}

export const signalHold = async (change: Change, hold: Hold): Promise<void> => {
  if (hold.guarded) return
  const { did, severity, origin, reason } = hold
  const at = change.now
  await change.tx.appendSignal({
    type: 'suspended',
    did,
    at,
    holdId: hold.id,
    severity,
    origin,
    reason,
    capabilities: undefined,
  })
  change.wakeSignals()
}

/** Ends one hold. The caller has checked that it may (rules 4 and 5). */
export const releaseHold = async (
  change: Change,
  hold: Hold,
  details: Readonly<Record<string, unknown>>,
): Promise<void> => {
  const { tx, now } = change
  await endLegs(change, hold)
  await tx.closeHold(hold.id, now)
  const release = await tx.openReleaseOf(hold.id)
  if (release !== undefined && release.status === 'awaiting') await tx.saveRelease({ ...release, status: 'void' })
  await auditHold(change, 'hold.released', hold, details)
  if ((await tx.openHolds(hold.did)).length === 0) await resumed(change, hold)
  // Others may now want an account off that this hold kept us from writing.
  else await auditClaims(change, hold.did, await claimAll(change, hold.did))
  for (const { adapter } of await tx.principalsOf(hold.did)) {
    change.wakeWork(adapter)
    change.wakeSuspend(adapter)
  }
  await tx.wake(hold.did, now, 1)
  if (isOwn(hold)) await cascade(change, hold.did)
}

const resumed = async (change: Change, hold: Hold): Promise<void> => {
  const { tx, now } = change
  const agent = await tx.agent(hold.did)
  if (agent !== undefined) await tx.saveAgent({ ...agent, resumedAt: now, updatedAt: now })
  await tx.appendSignal({
    type: 'resumed',
    did: hold.did,
    at: now,
    holdId: hold.id,
    severity: undefined,
    origin: hold.origin,
    reason: undefined,
    capabilities: undefined,
  })
  change.wakeSignals()
}

/**
 * Rule 10: every descendant is held while this DID has an open hold of its own. Derived anew from the holds, in the
 * transaction that changed them.
 */
export const cascade = async (change: Change, did: Did): Promise<void> => {
  const own = (await change.tx.openHolds(did)).filter(isOwn)
  for (const descendant of await change.tx.descendants(did)) await deriveCascade(change, did, own, descendant)
}

/** The holds of every ancestor, applied to one DID: for a registration or a new parent. */
export const inheritCascade = async (change: Change, agent: Agent): Promise<void> => {
  const seen = new Set<Did>([agent.did])
  let parent = agent.parentDid
  while (parent !== undefined && !seen.has(parent)) {
    seen.add(parent)
    const ancestor = parent
    const own = (await change.tx.openHolds(ancestor)).filter(isOwn)
    for (const did of [agent.did, ...(await change.tx.descendants(agent.did))])
      await deriveCascade(change, ancestor, own, did)
    parent = (await change.tx.agent(ancestor))?.parentDid
  }
}

const deriveCascade = async (change: Change, ancestor: Did, own: readonly Hold[], did: Did): Promise<void> => {
  const origin = cascadeOrigin(ancestor)
  const present = await change.tx.openHoldOfOrigin(did, origin)
  const top = highestSeverity(own)
  if (top === undefined) {
    if (present !== undefined) await releaseHold(change, present, { derived: true })
    return
  }
  const severity = top === 'decommission' ? 'disable' : top
  const guarded = own.every((hold) => hold.guarded)
  const reason = `An ancestor is held: ${ancestor}`
  if (present === undefined) {
    await placeHold(change, { did, origin, severity, reason, guarded, evidence: { ancestor } })
    return
  }
  if (present.severity === severity && present.guarded === guarded) return
  const changed = { ...present, severity, guarded }
  await change.tx.saveHold(changed)
  const claims = guarded ? [] : await claimAll(change, did)
  await auditHold(change, 'hold.changed', changed, { derived: true, claimed: claims })
  await signalHold(change, changed)
}

/** The guard let it pass: now it is written and signalled like any other. */
export const unguard = async (change: Change, hold: Hold): Promise<void> => {
  const passed = { ...hold, guarded: false }
  await change.tx.saveHold(passed)
  const claims = await claimAll(change, hold.did)
  await auditHold(change, 'hold.guard-passed', passed, { claimed: claims })
  await signalHold(change, passed)
  if (isOwn(hold)) await cascade(change, hold.did)
}

/** The account is off again: whoever waits to approve the release has to wait for it to be confirmed anew. */
export const notReleasable = async ({ actor, now, tx }: Change, hold: Hold): Promise<void> => {
  await tx.saveHold({ ...hold, releasableAt: undefined })
  await tx.appendAudit({ time: now, type: 'hold.not-releasable', did: hold.did, actor, hold: hold.id })
}

export const auditHold = async (
  change: Change,
  type: string,
  hold: Hold,
  details: Readonly<Record<string, unknown>>,
): Promise<void> => {
  const { tx, now, actor, requestId } = change
  const agent = await tx.agent(hold.did)
  const principals = (await tx.principalsOf(hold.did)).map(({ adapter, id }) => {
    const realm = change.deps.mounts().get(adapter)?.adapter.realm
    return { adapter, id, ...(realm !== undefined && { realm }) }
  })
  const open = await tx.openHolds(hold.did)
  await tx.appendAudit({
    time: now,
    type,
    did: hold.did,
    principals,
    sponsor: agent?.sponsor?.objectId,
    status: agent?.decommissioned ? 'decommissioned' : open.length > 0 ? 'suspended' : 'active',
    actor,
    hold: hold.id,
    requestId,
    details: { origin: hold.origin, severity: hold.severity, guarded: hold.guarded, ...details },
    text: {
      reason: hold.reason,
      ...(hold.onBehalfOf !== undefined && { onBehalfOf: hold.onBehalfOf }),
      ...(agent?.sponsor?.email !== undefined && { sponsorEmail: agent.sponsor.email }),
    },
  })
}
