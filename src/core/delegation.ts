import { canonical } from './canonical.ts'
import { narrowed } from './capabilities.ts'
import { coverage } from './covers.ts'
import type { Did } from './types.ts'

/**
 * Delegation chains: what a parent granted a child, how deep they may be, and what is left at each hop.
 *
 * ```
 *   root ──read:*, write:reports──► middle ──read:*──► leaf        granted
 *   depth 0                         depth 1            depth 2
 * ```
 *
 * At every hop an agent has at most what its parent has at that moment: a child's effective capabilities are its own,
 * whatever gave them, narrowed by the effective ones of its parent (DESIGN §3 rule 10). A delegation that ended gives
 * nothing any more, and leaves nothing to the agent it was for and to all below: from that millisecond on.
 */

/** Hops between an agent and its root, at most: AGT's own bound. */
export const mostHops = 10

/** What a parent granted a child. It belongs to this parent: with another parent it is another one. */
export interface Delegation {
  readonly did: Did
  readonly parentDid: Did
  readonly capabilities: readonly string[]
  readonly grantedAt: number
  /** The client that registered it. */
  readonly grantedBy: string
  /** Undefined: until it is withdrawn. */
  readonly expiresAt: number | undefined
  /** When its end was told and recorded. It stays ended from then on, whatever the clock says later. */
  readonly endedAt: number | undefined
  /** The parent's key that signed it, base64url of its 32 bytes; undefined when no signature was offered. */
  readonly key: string | undefined
  /** Base64url. */
  readonly signature: string | undefined
}

/** One agent of a chain, with all that narrowing needs of it. */
export interface Link {
  readonly did: Did
  readonly parentDid: Did | undefined
  readonly blueprint: string | undefined
  /** Its own capabilities, whatever their source, each once. */
  readonly own: readonly string[]
  /** Of its delegation, if it has one. */
  readonly expiresAt: number | undefined
  readonly endedAt: number | undefined
}

export const delegationSource = (parentDid: Did): string => `delegation:${parentDid}`

/** Over at this moment; the millisecond of the expiry is the first one without it. */
export const isOver = (of: Pick<Link, 'expiresAt' | 'endedAt'>, now: number): boolean =>
  of.endedAt !== undefined || (of.expiresAt !== undefined && of.expiresAt <= now)

/** When the next of them will be over; infinite when none will. */
export const nextEnd = (links: readonly Pick<Link, 'expiresAt'>[], now: number): number =>
  Math.min(
    ...links.map(({ expiresAt = Number.POSITIVE_INFINITY }) =>
      expiresAt > now ? expiresAt : Number.POSITIVE_INFINITY,
    ),
  )

/** Over, and nobody was told yet. */
export const isDue = (of: Pick<Link, 'expiresAt' | 'endedAt'>, now: number): boolean =>
  of.endedAt === undefined && isOver(of, now)

interface Place {
  readonly names: readonly string[]
  readonly depth: number
  readonly usable: boolean
}

/**
 * Effective capabilities of every agent among the links: its own, narrowed hop by hop from its root. Nothing is left
 * below a delegation that is over, in a chain that is too long, and where a link of the chain is missing.
 * @param over which delegations are taken to be over
 */
export const effectiveAmong = (links: Iterable<Link>, over: (link: Link) => boolean): ((did: Did) => string[]) => {
  const byDid = new Map([...links].map((link) => [link.did, link]))
  const places = new Map<Did, Place>()
  const lost: Place = { names: [], depth: mostHops + 1, usable: false }
  const place = (did: Did): Place => {
    const known = places.get(did)
    if (known !== undefined) return known
    const link = byDid.get(did)
    if (link === undefined) return lost
    // Stands until the agent is placed: going round a cycle ends here.
    places.set(did, lost)
    const made = under(link, link.parentDid === undefined ? undefined : place(link.parentDid))
    places.set(did, made)
    return made
  }
  const under = (link: Link, parent: Place | undefined): Place => {
    const own = [...new Set(link.own)].sort()
    const depth = parent === undefined ? 0 : parent.depth + 1
    const usable = parent?.usable !== false && depth <= mostHops && !over(link)
    if (!usable) return { ...lost, depth }
    return { names: parent === undefined ? own : narrowed(own, parent.names), depth, usable }
  }
  return (did) => [...place(did).names]
}

/** What a chain, the agent first, says against a decision. */
export interface ChainFaults {
  /** A delegation between the root and the agent is over, or the chain does not lead to a root. */
  readonly over: boolean
  /** Deeper than the blueprint of an agent above allows, or than any chain may be. */
  readonly tooDeep: boolean
}

export const soundChain: ChainFaults = { over: false, tooDeep: false }

/** @param limitOf `maxDelegationDepth` of the blueprint of an agent above; undefined: none */
export const chainFaults = (
  chain: readonly Link[],
  limitOf: (link: Link) => number | undefined,
  now: number,
): ChainFaults => {
  const long = chain.length - 1 > mostHops
  const above = chain.slice(1)
  return {
    over: chain.some((link) => isOver(link, now)) || (!long && chain.at(-1)?.parentDid !== undefined),
    tooDeep: long || above.some((link, at) => at + 1 > (limitOf(link) ?? mostHops)),
  }
}

/** Where a grant goes beyond what the parent has: the places in the list. */
export const widenings = (granted: readonly string[], held: readonly string[]): number[] => {
  const isHeld = coverage(held)
  return granted.flatMap((name, at) => (isHeld(name) ? [] : [at]))
}

/** What a parent signs. DIDs as the bridge names them, so never an alias. */
export interface DelegationTerms {
  readonly parent: Did
  readonly child: Did
  readonly capabilities: readonly string[]
  /** Hops from the root to the child. */
  readonly depth: number
  readonly expiresAt: number | undefined
}

/** The text under a delegation's signature: one line that says what it is, and RFC 8785 JSON of the terms. */
export const delegationText = ({ capabilities, child, depth, expiresAt, parent }: DelegationTerms): string =>
  `agentmesh-delegation-v1\n${canonical({
    capabilities: [...new Set(capabilities)].sort(),
    child,
    depth,
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    parent,
  })}`

export interface DelegationReads {
  delegation(did: Did): Promise<Delegation | undefined>
  /** The agent, its parent and so on up to its root, in one statement; cut off after one agent more than a chain may have. */
  chain(did: Did): Promise<Link[]>
  /** These agents with everyone above and below them, each once, in no order. */
  linksAround(dids: readonly Did[]): Promise<Link[]>
  /** Hops from this agent down to its farthest descendant; looks no farther than one more than a chain may have. */
  heightBelow(did: Did): Promise<number>
  /** Over at `now` and not told yet, those that ended first before the others. */
  dueDelegations(now: number, limit: number): Promise<Did[]>
  /** When the next one ends that was not told yet. */
  nextDelegationEnd(): Promise<number | undefined>
}

export interface DelegationWrites {
  /** In place of the one the agent has. */
  putDelegation(delegation: Delegation): Promise<void>
  deleteDelegation(did: Did): Promise<void>
  /** Their end was told. */
  endDelegations(dids: readonly Did[], at: number): Promise<void>
}
