import { nameOf } from '../core/changes.ts'
import { isNobody, type Judged, judgedOf, type ReplicaReads, type ReplicaRow } from '../core/replica.ts'
import type { Store } from '../core/store.ts'
import type { Did, Origin, PrincipalKey, Severity } from '../core/types.ts'
import { backoffMs } from '../lib/backoff.ts'
import { breathe } from '../lib/breathe.ts'
import { PackedMap } from '../lib/packed.ts'
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
  /** Reads some of those written since they were read, and the next of those never read. @returns how many are left, about */
  read(): Promise<number>
  /** Agents that it knows, and whoever else is held. */
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

/** A gigabyte; the table of names comes on top, some 50 bytes an agent. Of whoever has no place the store is asked. */
const mostBytes = 2 ** 30

export const createRoster = (store: Pick<Store, 'changes'> & ReplicaReads, most = mostBytes): Roster => {
  const { changes } = store
  const packed = new PackedMap<Packed>({ namesOf, mostBytes: most })
  /** Written since they were read last; the latest at the end. */
  const stale = new Set<Did>()
  /** The last one read of all there are; undefined once all are. */
  let cursor: Did | undefined = ''
  /** Written since the read that is under way began; undefined: any may be. */
  let overtaken: Set<Did> | undefined = new Set()

  const startOver = (): void => {
    packed.clear()
    stale.clear()
    cursor = ''
    overtaken = undefined
  }

  changes.watch(({ all, dids, granted }) => {
    if (all) return startOver()
    for (const did of [...dids, ...granted]) {
      stale.delete(did)
      stale.add(did)
      overtaken?.add(did)
    }
  })

  /** Those that no commit overtook meanwhile; none where any may be. */
  const current = async (read: () => Promise<readonly ReplicaRow[]>): Promise<readonly ReplicaRow[] | undefined> => {
    const during = new Set<Did>()
    overtaken = during
    const rows = await read()
    return overtaken === during ? rows.filter(({ did }) => !during.has(did)) : undefined
  }

  const take = (row: ReplicaRow): void => {
    if (isNobody(row)) packed.delete(row.did)
    else packed.set(pack(row))
  }

  const readStale = async (): Promise<void> => {
    const dids: Did[] = []
    for (const did of stale) if (dids.push(did) === atOnce) break
    if (dids.length === 0) return
    for (const row of (await current(() => store.replicaOf(dids))) ?? []) {
      take(row)
      stale.delete(row.did)
    }
  }

  const readNext = async (after: Did): Promise<void> => {
    let [read, last]: [number, Did | undefined] = [0, undefined]
    const rows = await current(async () => {
      const found = await store.replicaAfter(after, atOnce)
      read = found.length
      last = found.at(-1)?.did
      return found
    })
    if (rows === undefined) return
    for (const row of rows) take(row)
    cursor = read < atOnce ? undefined : last
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
      if (Number.isNaN(changes.count)) return 0
      await readStale()
      if (cursor !== undefined) await readNext(cursor)
      if (packed.isSparse) startOver()
      return stale.size + (cursor === undefined ? 0 : atOnce)
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
/** After a read that failed. */
const retry = { baseMs: 1_000, ceilingMs: 60_000 }

/** Keeps it current, with turns for everything else in between, until the signal aborts. */
export const keepRoster = async (
  roster: Roster,
  { clock, log, metrics, random }: Pick<Deps, 'clock' | 'log' | 'metrics' | 'random'>,
  signal: AbortSignal,
): Promise<void> => {
  let failed = 0
  const readMany = async (): Promise<void> => {
    for (let left = atOnce; left >= atOnce && !signal.aborted; await breathe()) {
      left = await roster.read()
      metrics.set('roster_agents', {}, roster.size)
    }
  }
  while (!signal.aborted) {
    try {
      await clock.sleep(failed === 0 ? gatherMs : backoffMs(failed - 1, retry, random()), signal)
      await readMany()
      failed = 0
    } catch (err) {
      failed += 1
      if (!signal.aborted) log.warn({ err }, 'agents could not be read into memory; tried again')
    }
  }
}
