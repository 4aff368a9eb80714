import { nameOf } from '../core/changes.ts'
import { isNobody, type Judged, judgedOf, type ReplicaReads, type ReplicaRow } from '../core/replica.ts'
import type { Store } from '../core/store.ts'
import type { Did, Origin, PrincipalKey, Severity } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import { PackedMap } from '../lib/packed.ts'
import { every } from '../lib/periodic.ts'
import type { Deps } from './deps.ts'

/**
 * What decisions read of every agent, in memory: finding one takes as long among a million as among ten. An agent that a
 * commit wrote anything of is not answered for from the turn of that commit on (rule 1), until it has been read again.
 */
export interface Roster {
  /** What the store says of it now; undefined: only the store can tell. */
  of(did: Did): Judged | undefined
  /** The same of whoever has this account to itself. */
  holding(key: PrincipalKey): Judged | undefined
  /** Reads a few more of those that are not known or not any more. @returns whether any are left */
  read(): Promise<boolean>
  readonly size: number
  /** Of memory, outside of the heap. */
  readonly bytes: number
}

type OrNull<T> = T | null
type Packed = readonly [
  did: Did,
  agent: OrNull<
    readonly [
      name: OrNull<string>,
      blueprint: OrNull<string>,
      parentDid: OrNull<Did>,
      decommissioned: 0 | 1,
      resumedAt: OrNull<number>,
    ]
  >,
  delegation: OrNull<readonly [expiresAt: OrNull<number>, endedAt: OrNull<number>]>,
  holds: readonly (readonly [Origin, Severity, publicReason: OrNull<string>, placedAt: number])[],
  accounts: readonly (readonly [
    adapter: string,
    id: string,
    kind: OrNull<string>,
    shared: 0 | 1,
    scopes: readonly string[],
    observedAt: OrNull<number>,
  ])[],
  sources: readonly (readonly [capability: string, source: string, confirmedAt: number])[],
]

const orNull = <T>(value: T | undefined): OrNull<T> => value ?? null
const maybe = <T>(value: OrNull<T>): T | undefined => value ?? undefined
const bit = (value: boolean): 0 | 1 => (value ? 1 : 0)

const pack = ({ did, agent, delegation, holds, accounts, sources }: ReplicaRow): Packed => [
  did,
  agent === undefined
    ? null
    : [
        orNull(agent.name),
        orNull(agent.blueprint),
        orNull(agent.parentDid),
        bit(agent.decommissioned),
        orNull(agent.resumedAt),
      ],
  delegation === undefined ? null : [orNull(delegation.expiresAt), orNull(delegation.endedAt)],
  holds.map(({ origin, severity, publicReason, placedAt }) => [origin, severity, orNull(publicReason), placedAt]),
  accounts.map(({ adapter, id, kind, shared, scopes, observedAt }) => [
    adapter,
    id,
    orNull(kind),
    bit(shared),
    scopes,
    orNull(observedAt),
  ]),
  sources.map(({ capability, source, confirmedAt }) => [capability, source, confirmedAt]),
]

const unpack = ([did, agent, delegation, holds, accounts, sources]: Packed): Judged =>
  judgedOf({
    did,
    agent: agent === null ? undefined : agentOf(agent),
    delegation: delegation === null ? undefined : { expiresAt: maybe(delegation[0]), endedAt: maybe(delegation[1]) },
    holds: holds.map(([origin, severity, publicReason, placedAt]) => ({
      origin,
      severity,
      publicReason: maybe(publicReason),
      placedAt,
    })),
    accounts: accounts.map(([adapter, id, kind, shared, scopes, observedAt]) => ({
      adapter,
      id,
      ...(kind !== null && { kind }),
      shared: shared === 1,
      scopes,
      observedAt: maybe(observedAt),
    })),
    sources: sources.map(([capability, source, confirmedAt]) => ({ capability, source, confirmedAt })),
  })

const agentOf = ([name, blueprint, parentDid, decommissioned, resumedAt]: NonNullable<Packed[1]>) => ({
  ...(name !== null && { name }),
  blueprint: maybe(blueprint),
  parentDid: maybe(parentDid),
  decommissioned: decommissioned === 1,
  resumedAt: maybe(resumedAt),
})

/** Who shares an account is not told by it. */
const namesOf = ([did, , , , accounts]: Packed): string[] => [
  did,
  ...accounts.flatMap(([adapter, id, , shared]) => (shared === 1 ? [] : [nameOf({ adapter, id })])),
]

/** Read in one turn: some milliseconds. */
const atOnce = 100

/** @param most agents; of any more the store is asked */
export const createRoster = (store: Pick<Store, 'changes'> & ReplicaReads, most = 2_000_000): Roster => {
  const { changes } = store
  const packed = new PackedMap<Packed>({ namesOf, most })
  /** Written since they were read last. */
  const stale = new Set<Did>()
  /** The last one read of all there are; undefined once all are. */
  let cursor: Did | undefined = ''
  /** Written since the read that is under way began; undefined: any may be. */
  let overtaken: Set<Did> | undefined = new Set()

  changes.watch(({ all, dids, granted }) => {
    if (all) {
      packed.clear()
      stale.clear()
      cursor = ''
      overtaken = undefined
    } else {
      for (const did of [...dids, ...granted]) {
        stale.add(did)
        overtaken?.add(did)
      }
    }
  })

  const take = (row: ReplicaRow): void => {
    if (isNobody(row)) packed.delete(row.did)
    else packed.set(pack(row))
  }

  const readStale = async (): Promise<void> => {
    const dids: Did[] = []
    for (const did of stale) if (dids.push(did) === atOnce) break
    const during = new Set<Did>()
    overtaken = during
    const rows = await store.replicaOf(dids)
    if (overtaken !== during) return
    for (const row of rows) {
      if (during.has(row.did)) continue
      take(row)
      stale.delete(row.did)
    }
  }

  const readNext = async (after: Did): Promise<void> => {
    const during = new Set<Did>()
    overtaken = during
    const rows = await store.replicaAfter(after, atOnce)
    if (overtaken !== during) return
    for (const row of rows) if (!during.has(row.did)) take(row)
    cursor = rows.length < atOnce ? undefined : rows.at(-1)?.did
  }

  /** The count first: only that tells what another process wrote, and that the store is not to be asked any more. */
  const found = (name: string): Judged | undefined => {
    if (Number.isNaN(changes.count)) return undefined
    const value = packed.get(name)
    return value === undefined || stale.has(value[0]) ? undefined : unpack(value)
  }

  return {
    of: found,
    holding: (key) => found(nameOf(key)),
    read: async () => {
      if (Number.isNaN(changes.count)) return false
      if (stale.size > 0) await readStale()
      else if (cursor !== undefined) await readNext(cursor)
      return stale.size > 0 || cursor !== undefined
    },
    get size() {
      return packed.size
    },
    get bytes() {
      return packed.bytes
    },
  }
}

/** What is written in quick succession is read once. */
const gatherMs = 250

/** Keeps it current, with turns for everything else in between, until the signal aborts. */
export const keepRoster = (
  roster: Roster,
  { clock, log, metrics }: Pick<Deps, 'clock' | 'log' | 'metrics'>,
  signal: AbortSignal,
): Promise<void> =>
  every(clock, gatherMs, signal, log, async () => {
    for (let more = true; more && !signal.aborted; await breathe()) more = await roster.read()
    metrics.set('roster_agents', {}, roster.size)
  })
