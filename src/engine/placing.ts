import { cascadeOrigin, derivedFrom, isOwn } from '../core/holds.ts'
import { bulkFrom, isBulk } from '../core/masskill.ts'
import type { Agent, Did, Hold, Origin, Severity } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import type { Change } from './change.ts'
import { claimAll, distinctDids, type Open, openOf } from './claiming.ts'
import { endHolds, lessenCascade } from './ending.ts'
import { auditHold, signalOf } from './holdaudit.ts'
import { changeHolds, record } from './recording.ts'
import { markHolds } from './tracing.ts'

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
  markHolds(change, 'hold', placed)
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
export const cascadeAll = async (change: Change, dids: readonly Did[]): Promise<void> => {
  const families = Map.groupBy(await change.tx.families(dids), ({ ancestor }) => ancestor)
  const parents = [...families.keys()].map((did) => ({ did }))
  if (parents.length === 0) return
  const own = await openOf(change, parents)
  const wanted = [...families].flatMap(([ancestor, family]) =>
    wantedOf(ancestor, (own.get(ancestor) ?? []).filter(isOwn), distinctDids(family)),
  )
  await derive(change, wanted)
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
    await derive(change, wantedOf(ancestor, own, family))
    parent = (await change.tx.agent(ancestor))?.parentDid
  }
}

/** What the own holds of an ancestor ask of one DID: a hold, or, with nothing derived, none any more. */
interface Wanted {
  readonly did: Did
  readonly ancestor: Did
  readonly derived: ReturnType<typeof derivedFrom>
  readonly many: boolean
}

const wantedOf = (ancestor: Did, own: readonly Hold[], dids: readonly Did[]): Wanted[] => {
  const derived = derivedFrom(own)
  const many = dids.length > bulkFrom || own.every(isBulk)
  return dids.map((did) => ({ did, ancestor, derived, many }))
}

/** So many at a time: an ancestor may have thousands below it, and whoever only reads gets a turn in between. */
const atATime = 200

const derive = async (change: Change, wanted: readonly Wanted[]): Promise<void> => {
  for (let at = 0; at < wanted.length; at += atATime) {
    await deriveSome(change, wanted.slice(at, at + atATime))
    if (at + atATime < wanted.length) await breathe()
  }
}

const deriveSome = async (change: Change, wanted: readonly Wanted[]): Promise<void> => {
  const open = await openOf(change, wanted)
  const missing: NewHold[] = []
  const changed: Hold[] = []
  const over: Hold[] = []
  for (const { did, ancestor, derived, many } of wanted) {
    const origin = cascadeOrigin(ancestor)
    const present = open.get(did)?.find((hold) => hold.origin === origin)
    if (derived === undefined) {
      if (present !== undefined) over.push(present)
      continue
    }
    const { severity, guarded } = derived
    const evidence = { ancestor, ...(many && { bulk: true }) }
    if (present === undefined) {
      missing.push({ did, origin, severity, reason: `An ancestor is held: ${ancestor}`, guarded, evidence })
      continue
    }
    // One of many no more once a single hold asks for it as well: its accounts leave the lane of the many.
    const isLike = present.severity === severity && present.guarded === guarded && (many || !isBulk(present))
    if (!isLike) changed.push({ ...present, severity, guarded, evidence: many ? present.evidence : evidence })
  }
  await endHolds(change, over, { derived: true })
  await insert(change, missing, over.length === 0 ? open : await openOf(change, wanted))
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
