import type { Changes } from '../../src/core/changes.ts'
import { nameOf } from '../../src/core/changes.ts'
import { type Link, mostHops } from '../../src/core/delegation.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { DecisionReads, JudgedPrincipal } from '../../src/core/judging.ts'
import { isNobody, type Judged, judgedOf, type ReplicaRow } from '../../src/core/replica.ts'
import type { JudgedToolServer } from '../../src/core/tools.ts'
import type { Did, PrincipalKey } from '../../src/core/types.ts'
import type { ReplicaSettings } from '../../src/engine/replicaapi.ts'
import { generationKey } from '../../src/engine/signals.ts'

interface Entry extends Judged {
  readonly seq: number
  readonly aliases: readonly Did[]
}

export interface Replica extends DecisionReads {
  readonly changes: Changes
  readonly generation: string
  /** DIDs in it. */
  readonly size: number
  /**
   * Takes rows in, in whatever order they arrive: one that is older than what is here is passed over. All of them are there
   * before anything else runs.
   * @throws BridgeError E_REPLICA_LARGE
   */
  take(rows: readonly ReplicaRow[]): void
  /** How far the record had come with all that was taken in. */
  reached(epoch: number): void
  /** Blueprints that limit how deep may be delegated. */
  limit(limits: ReadonlyMap<string, number>): void
  /** The tool servers in force. */
  guard(servers: ReplicaSettings['toolServers']): void
  /** Begin of the oldest last reading of the accounts of a DID; undefined when there is none. */
  oldestReading(did: Did): number | undefined
}

/** Most DIDs that are gone which are remembered as such, for answers that are still on their way. */
const mostGone = 100_000

const entryOf = (row: ReplicaRow): Entry => ({ ...judgedOf(row), seq: row.seq, aliases: row.aliases })

/** By name and by resource identifier: no name is a URI. Of two with one resource identifier the later is meant. */
const serversOf = (told: ReplicaSettings['toolServers']): Map<string, JudgedToolServer> => {
  const found = new Map<string, JudgedToolServer>()
  for (const { name, resource, unlisted, tools } of told) {
    const server = { name, tools, resource: resource ?? undefined, unlisted: unlisted ?? undefined }
    found.set(name, server)
    if (resource !== null) found.set(resource, server)
  }
  return found
}

const beginsOf = (name: string): string[] => [...name.matchAll(/#/g)].map(({ index }) => name.slice(0, index))

/** What decisions read, in memory: answers as the store of the bridge would have at the moment of what was taken in last. */
export const createReplica = (generation: string, maxAgents: number): Replica => {
  const entries = new Map<Did, Entry>()
  /** Position at which a DID was last known to be nobody's. */
  const gone = new Map<Did, number>()
  /** Who has an account; one DID unless it is shared, or is moving from one to the other just now. */
  const holders = new Map<string, Set<Did>>()
  /** Accounts by what their ids have before a `#`. */
  const bearers = new Map<string, Set<string>>()
  const spellings = new Map<Did, Did>()
  const watching: Parameters<Changes['watch']>[0][] = []
  let limits: ReadonlyMap<string, number> = new Map()
  let servers: ReadonlyMap<string, JudgedToolServer> = new Map()
  let count = 0
  let epoch = 0

  const drop = (did: Did, entry: Entry, names: Set<string>): void => {
    for (const account of entry.accounts) {
      const name = nameOf(account)
      names.add(name)
      const holding = holders.get(name)
      holding?.delete(did)
      if (holding?.size !== 0) continue
      holders.delete(name)
      for (const begin of beginsOf(name)) {
        const bearing = bearers.get(begin)
        bearing?.delete(name)
        if (bearing?.size === 0) bearers.delete(begin)
      }
    }
    for (const alias of entry.aliases) if (spellings.get(alias) === did) spellings.delete(alias)
    entries.delete(did)
  }

  const put = (did: Did, entry: Entry, names: Set<string>): void => {
    entries.set(did, entry)
    for (const account of entry.accounts) {
      const name = nameOf(account)
      names.add(name)
      const holding = holders.get(name)
      if (holding !== undefined) {
        holding.add(did)
        continue
      }
      holders.set(name, new Set([did]))
      for (const begin of beginsOf(name)) {
        const bearing = bearers.get(begin)
        if (bearing === undefined) bearers.set(begin, new Set([name]))
        else bearing.add(name)
      }
    }
    for (const alias of entry.aliases) spellings.set(alias, did)
  }

  const accountsOf = (name: string): JudgedPrincipal[] =>
    [...(holders.get(name) ?? [])].flatMap((did) => {
      const entry = entries.get(did)
      return entry?.accounts.filter((account) => nameOf(account) === name) ?? []
    })

  /** Of an account that is moving, as whoever was told of last has it. */
  const principal = (name: string): JudgedPrincipal | undefined => {
    const latest = (a: JudgedPrincipal, b: JudgedPrincipal) =>
      (entries.get(b.did)?.seq ?? 0) > (entries.get(a.did)?.seq ?? 0) ? b : a
    const found = accountsOf(name)
    return found.length === 0 ? undefined : found.reduce(latest)
  }

  return {
    generation,
    changes: {
      get count() {
        return count
      },
      watch: (told) => {
        watching.push(told)
      },
    },
    get size() {
      return entries.size
    },
    take: (rows) => {
      const dids = new Set<Did>()
      const principals = new Set<string>()
      for (const row of rows) {
        const { did } = row
        const present = entries.get(did)
        if ((present?.seq ?? gone.get(did) ?? -1) > row.seq) continue
        dids.add(did)
        if (present !== undefined) drop(did, present, principals)
        gone.delete(did)
        if (!isNobody(row)) put(did, entryOf(row), principals)
        else if (gone.size < mostGone) gone.set(did, row.seq)
      }
      count += 1
      for (const told of watching) told({ dids, granted: new Set(), principals, all: false })
      if (entries.size > maxAgents) {
        throw new BridgeError('E_REPLICA_LARGE', `The bridge knows more than ${maxAgents} agents.`, {
          hint: 'Raise maxAgents, or ask the bridge itself with POST /v1/decisions.',
        })
      }
    },
    reached: (next) => {
      // What is remembered names the epoch it was made in.
      if (next !== epoch) count += 1
      epoch = next
    },
    limit: (next) => {
      limits = next
      count += 1
    },
    guard: (next) => {
      servers = serversOf(next)
      count += 1
    },
    oldestReading: (did) => {
      const times = entries.get(did)?.accounts.flatMap(({ account }) => account.observedAt ?? []) ?? []
      return times.length === 0 ? undefined : Math.min(...times)
    },

    agent: async (did) => entries.get(did)?.agent,
    openHolds: async (did) => entries.get(did)?.holds ?? [],
    principalsOf: async (did) => entries.get(did)?.accounts ?? [],
    principal: async (key: PrincipalKey) => principal(nameOf(key)),
    principalsById: async (adapter, ids) => [...new Set(ids)].flatMap((id) => principal(nameOf({ adapter, id })) ?? []),
    principalsNamed: async (adapter, names) =>
      [...new Set(names)].flatMap((id) =>
        [...(bearers.get(nameOf({ adapter, id })) ?? [])].sort().flatMap((name) => principal(name) ?? []),
      ),
    sharersOf: async (key) =>
      accountsOf(nameOf(key))
        .filter(({ shared }) => shared)
        .map(({ did, scopes }) => ({ did, scopes }))
        .sort((a, b) => (a.did < b.did ? -1 : 1)),
    aliased: async (alias) => spellings.get(alias),
    chain: async (did) => {
      const chain: Link[] = []
      let link = entries.get(did)?.link
      while (link !== undefined && chain.length <= mostHops + 1) {
        chain.push(link)
        link = link.parentDid === undefined ? undefined : entries.get(link.parentDid)?.link
      }
      return chain
    },
    sourcesOf: async (did) => entries.get(did)?.sources ?? [],
    blueprint: async (name) => {
      const maxDelegationDepth = limits.get(name)
      return maxDelegationDepth === undefined ? undefined : { maxDelegationDepth }
    },
    toolServer: async (called) => servers.get(called),
    auditHead: async () => ({ seq: epoch }),
    meta: async (key) => (key === generationKey ? generation : undefined),
  }
}
