import { cascadeOrigin, derivedFrom, isOwn } from '../core/holds.ts'
import { bulkFrom, isBulk } from '../core/masskill.ts'
import type { Agent, Did, Hold, Origin, Severity } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import type { Change } from './change.ts'
import { claimAll, distinctDids, type Open, openOf } from './claiming.ts'
import { endHolds, lessenCascade } from './ending.ts'
import { auditHold, signalOf } from './holdaudit.ts'
import { changeHolds, record } from './recording.ts'

export interface NewHold {
  /** Given beforehand; otherwise a new one. */
  readonly id?: string
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
  const [hold] = await placeHolds(change, [input])
  if (hold === undefined) throw new TypeError('no hold was placed')
  return hold
}

/** The same for many at once, with statements by the set: each input's hold, in their order. */
export const placeHolds = async (change: Change, inputs: readonly NewHold[]): Promise<Hold[]> => {
  const { holds, placed } = await insert(change, inputs, await openOf(change, inputs))
  await cascadeAll(change, distinctDids(placed.filter(isOwn)))
  return holds
}

/** `open`: the open holds of every DID among the inputs; those that are placed come to it. */
const insert = async (
  change: Change,
  inputs: readonly NewHold[],
  open: Open,
): Promise<{ holds: Hold[]; placed: readonly Hold[] }> => {
  const placed: Hold[] = []
  const holds = inputs.map((input) => {
    const beside = open.get(input.did) ?? []
    const present = isSingle(input.origin) ? beside.find(({ origin }) => origin === input.origin) : undefined
    if (present !== undefined) return present
    const hold = newHold(change, input)
    open.set(input.did, [...beside, hold])
    placed.push(hold)
    return hold
  })
  await change.tx.insertHolds(placed)
  await record(change, 'hold.placed', placed, open, {})
  return { holds, placed }
}

const newHold = ({ deps, actor, onBehalfOf, now }: Change, input: NewHold): Hold => ({
  id: input.id ?? deps.newId(),
  did: input.did,
  origin: input.origin,
  severity: input.severity,
  reason: input.reason,
  publicReason: input.publicReason,
  actor,
  onBehalfOf,
  placedAt: now,
  releasedAt: undefined,
  releasableAt: undefined,
  guarded: input.guarded ?? false,
  evidence: input.evidence ?? {},
})

export const signalHold = async (change: Change, hold: Hold): Promise<void> => {
  const signal = signalOf(change, hold)
  if (signal === undefined) return
  await change.tx.appendSignal(signal)
  change.wakeSignals()
}

/** Ends one hold. The caller has checked that it may (rules 4 and 5). */
export const releaseHold = async (
  change: Change,
  hold: Hold,
  details: Readonly<Record<string, unknown>>,
): Promise<void> => {
  await endHolds(change, [hold], details)
  if (isOwn(hold)) await lessenCascade(change, hold.did)
}

/**
 * Rule 10: every descendant is held while one of these DIDs has an open hold of its own. Derived anew from the holds, in
 * the transaction that changed them.
 */
const cascadeAll = async (change: Change, dids: readonly Did[]): Promise<void> => {
  const families = Map.groupBy(await change.tx.families(dids), ({ ancestor }) => ancestor)
  const parents = [...families.keys()].map((did) => ({ did }))
  if (parents.length === 0) return
  const own = await openOf(change, parents)
  for (const [ancestor, family] of families)
    await derive(change, ancestor, (own.get(ancestor) ?? []).filter(isOwn), distinctDids(family))
}

/** The holds of every ancestor, applied to one DID: for a registration or a new parent. */
export const inheritCascade = async (change: Change, agent: Agent): Promise<void> => {
  const seen = new Set<Did>([agent.did])
  const family = [agent.did, ...(await change.tx.descendants(agent.did))]
  let parent = agent.parentDid
  while (parent !== undefined && !seen.has(parent)) {
    seen.add(parent)
    const ancestor = parent
    const own = (await change.tx.openHolds(ancestor)).filter(isOwn)
    await derive(change, ancestor, own, family)
    parent = (await change.tx.agent(ancestor))?.parentDid
  }
}

/** Of so many DIDs at a time: an ancestor may have thousands, and whoever only reads gets a turn in between. */
const atATime = 200

/** What the ancestor's own holds ask of these DIDs: a hold, another one, or none any more. */
const derive = async (change: Change, ancestor: Did, own: readonly Hold[], dids: readonly Did[]): Promise<void> => {
  const derived = derivedFrom(own)
  const many = dids.length > bulkFrom || own.every(isBulk)
  for (let at = 0; at < dids.length; at += atATime) {
    const some = dids.slice(at, at + atATime)
    if (derived === undefined) await free(change, ancestor, some)
    else await hold(change, ancestor, { ...derived, many }, some)
    if (at + atATime < dids.length) await breathe()
  }
}

const presentOf = (open: Open, ancestor: Did) => {
  const origin = cascadeOrigin(ancestor)
  return (did: Did): Hold | undefined => open.get(did)?.find((one) => one.origin === origin)
}

const openAmong = (change: Change, dids: readonly Did[]): Promise<Open> =>
  openOf(
    change,
    dids.map((did) => ({ did })),
  )

const free = async (change: Change, ancestor: Did, dids: readonly Did[]): Promise<void> => {
  const present = dids.map(presentOf(await openAmong(change, dids), ancestor))
  await endHolds(
    change,
    present.filter((one) => one !== undefined),
    { derived: true },
  )
}

const hold = async (
  change: Change,
  ancestor: Did,
  { severity, guarded, many }: Pick<Hold, 'severity' | 'guarded'> & { readonly many: boolean },
  dids: readonly Did[],
): Promise<void> => {
  const open = await openAmong(change, dids)
  const of = presentOf(open, ancestor)
  const [origin, reason] = [cascadeOrigin(ancestor), `An ancestor is held: ${ancestor}`]
  const evidence = { ancestor, ...(many && { bulk: true }) }
  const missing = dids.filter((did) => of(did) === undefined)
  const changed = dids
    .map(of)
    .filter((one) => one !== undefined)
    // One of many no more once a single hold asks for it as well: its accounts leave the lane of the many.
    .filter((one) => one.severity !== severity || one.guarded !== guarded || (isBulk(one) && !many))
    .map((one): Hold => ({ ...one, severity, guarded, evidence: many ? one.evidence : evidence }))
  await insert(
    change,
    missing.map((did) => ({ did, origin, severity, reason, guarded, evidence })),
    open,
  )
  await changeHolds(change, changed)
}

/** The guard let it pass: now it is written and signalled like any other. */
export const unguard = async (change: Change, hold: Hold): Promise<void> => {
  const passed = { ...hold, guarded: false }
  await change.tx.saveHold(passed)
  const claims = await claimAll(change, hold.did)
  await auditHold(change, 'hold.guard-passed', passed, { claimed: claims })
  await signalHold(change, passed)
  if (isOwn(hold)) await cascadeAll(change, [hold.did])
}

/** The account is off again: whoever waits to approve the release has to wait for it to be confirmed anew. */
export const notReleasable = async ({ actor, now, tx }: Change, hold: Hold): Promise<void> => {
  await tx.saveHold({ ...hold, releasableAt: undefined })
  await tx.appendAudit({ time: now, type: 'hold.not-releasable', did: hold.did, actor, hold: hold.id })
}
