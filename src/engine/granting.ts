import { effectiveAmong, isDue, isOver, type Link } from '../core/delegation.ts'
import type { DecisionReads } from '../core/judging.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import type { Change } from './change.ts'

/** Effective capabilities of a DID at this moment: its own, narrowed hop by hop from its root. */
export const effectiveOf = async (reads: Pick<DecisionReads, 'chain'>, did: Did, now: number): Promise<string[]> =>
  effectiveIn(await reads.chain(did), now)(did)

/** The same for any of these agents; everyone above them must be among them. */
export const effectiveIn = (links: readonly Link[], now: number) => effectiveAmong(links, (link) => isOver(link, now))

/** As it was told so far: what has ended and was not told yet still gives. */
const effectiveAsTold = (links: readonly Link[]) => effectiveAmong(links, ({ endedAt }) => endedAt !== undefined)

/** What runtimes are to know: in doubt of the clock nothing has ended but what they were told of. */
const effectiveToTell = ({ deps, now }: Change, links: readonly Link[]) =>
  deps.isClockDoubted() ? effectiveAsTold(links) : effectiveIn(links, now)

/**
 * Before anything changes for these DIDs: tells the end of every delegation around them that is over by now. What a change
 * takes away is compared with what was told, and there is one signal for it.
 */
const tellEnds = async (c: Change, dids: readonly Did[]): Promise<Link[]> => {
  const links = await c.tx.linksAround(dids)
  return (await tellDue(c, links)) ? c.tx.linksAround(dids) : links
}

/** The same for the chain that an agent is to stand under. Looks only upwards: a parent may have thousands of children. */
export const tellEndsAbove = async (c: Change, did: Did): Promise<void> => {
  await tellDue(c, await c.tx.chain(did))
}

const tellDue = async (c: Change, links: readonly Link[]): Promise<boolean> => {
  if (c.deps.isClockDoubted()) return false
  const due = links.filter((link) => isDue(link, c.now)).map(({ did }) => did)
  await endDelegations(c, due)
  return due.length > 0
}

/** These delegations are over: recorded once each, and told to the runtimes of every agent that loses by it. */
export const endDelegations = async (c: Change, dids: readonly Did[]): Promise<void> => {
  if (dids.length === 0) return
  const { actor, now, requestId, tx } = c
  const links = await tx.linksAround(dids)
  const ending = new Set(dids)
  await tx.endDelegations(dids, now)
  await tx.appendAudits(
    links
      .filter(({ did }) => ending.has(did))
      .map(({ did, expiresAt, parentDid }) => ({
        time: now,
        type: 'delegation.expired',
        did,
        actor,
        requestId,
        details: { parentDid, expiresAt },
      })),
  )
  const had = effectiveAsTold(links)
  const has = effectiveAsTold(links.map((link) => (ending.has(link.did) ? { ...link, endedAt: now } : link)))
  const family = await withDescendants(tx, dids)
  await tellChanged(
    c,
    family.map((did) => ({ did, had: had(did), has: has(did) })),
    'expiry',
  )
}

/** Each once, those given before what descends from them. */
const withDescendants = async (reads: StoreReads, dids: readonly Did[]): Promise<Did[]> => [
  ...new Set([...dids, ...(await reads.families(dids)).map(({ did }) => did)]),
]

/** The DIDs and all that descend from them with what each had before, so that only real changes are told. */
export const capabilitiesBefore = async (c: Change, dids: Iterable<Did>): Promise<Map<Did, string[]>> => {
  const roots = [...dids]
  const links = await tellEnds(c, roots)
  const had = effectiveToTell(c, links)
  return new Map((await withDescendants(c.tx, roots)).map((did) => [did, had(did)]))
}

/** One audit entry and one signal for each DID whose effective capabilities differ from before. */
export const capabilitiesChanged = async (
  c: Change,
  before: ReadonlyMap<Did, string[]>,
  cause: string,
): Promise<Did[]> => {
  const has = effectiveToTell(c, await c.tx.linksAround([...before.keys()]))
  return tellChanged(
    c,
    [...before].map(([did, had]) => ({ did, had, has: has(did) })),
    cause,
  )
}

interface Had {
  readonly did: Did
  readonly had: readonly string[]
  readonly has: readonly string[]
}

const tellChanged = async (c: Change, all: readonly Had[], cause: string): Promise<Did[]> => {
  const changed = all.filter(({ had, has }) => had.join('\n') !== has.join('\n'))
  if (changed.length === 0) return []
  const { actor, now, requestId, tx } = c
  await tx.appendAudits(
    changed.map(({ did, had, has }) => ({
      time: now,
      type: 'capabilities.changed',
      did,
      actor,
      requestId,
      capabilities: has,
      details: { cause, removed: had.filter((name) => !has.includes(name)) },
    })),
  )
  await tx.appendSignals(
    changed.map(({ did, has }) => ({
      type: 'capabilities',
      did,
      at: now,
      holdId: undefined,
      severity: undefined,
      origin: undefined,
      reason: undefined,
      capabilities: has,
    })),
  )
  c.wakeSignals()
  return changed.map(({ did }) => did)
}
