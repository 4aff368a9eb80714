import { nameOf } from '../core/changes.ts'
import { type Link, mostHops } from '../core/delegation.ts'
import type { DecisionReads, JudgedPrincipal } from '../core/judging.ts'
import type { Judged } from '../core/replica.ts'
import type { Store } from '../core/store.ts'
import type { Did, PrincipalKey } from '../core/types.ts'
import type { Roster } from './roster.ts'

/** As much of it as was asked for. */
type Facts = { -readonly [Part in keyof Judged]?: Judged[Part] }

/**
 * The store's answers, remembered until a commit writes what they are about: that is told in the turn of the commit
 * (rule 1), so an answer remembered is the one that the store would give now. An answer that a commit overtook on its way
 * is handed on, as the store's own would be, and not remembered. Bounded: the oldest go first.
 *
 * @param roster asked before the store; left out where the store is memory itself
 */
export const createKnown = (
  store: Pick<Store, 'changes'> & DecisionReads,
  roster?: Pick<Roster, 'of' | 'holding'>,
  most = 20_000,
): DecisionReads => {
  const byDid = new Map<Did, Facts>()
  const byName = new Map<string, JudgedPrincipal>()
  const { changes } = store

  changes.watch(({ all, dids, granted, principals }) => {
    if (all) {
      byDid.clear()
      byName.clear()
      return
    }
    for (const did of dids) byDid.delete(did)
    for (const did of granted) byDid.delete(did)
    for (const name of principals) byName.delete(name)
  })

  const enlisted = (found: Judged): Facts => {
    keep(byDid, found.did, found, most)
    // Of a shared one the store names another DID.
    principals(found.accounts.filter(({ shared }) => !shared))
    return found
  }
  /** Reading the count first: only that tells what another process wrote. */
  const remembered = (did: Did): Facts | undefined => {
    if (Number.isNaN(changes.count)) return undefined
    const known = byDid.get(did)
    // Only what is from the roster is whole.
    if (known?.did !== undefined) return known
    const found = roster?.of(did)
    return found === undefined ? known : enlisted(found)
  }
  const account = (key: PrincipalKey): JudgedPrincipal | undefined => {
    if (Number.isNaN(changes.count)) return undefined
    const name = nameOf(key)
    const known = byName.get(name)
    if (known !== undefined) return known
    const found = roster?.holding(key)
    if (found === undefined) return undefined
    enlisted(found)
    return byName.get(name)
  }
  const linked = (did: Did): readonly Link[] | undefined => {
    const links: Link[] = []
    for (let next: Did | undefined = did; next !== undefined && links.length <= mostHops + 1; ) {
      const link: Link | undefined = remembered(next)?.link
      if (link === undefined) return undefined
      links.push(link)
      next = link.parentDid
    }
    return links
  }
  const factsOf = (did: Did): Facts => {
    const known = byDid.get(did)
    if (known !== undefined) return known
    const fresh: Facts = {}
    keep(byDid, did, fresh, most)
    return fresh
  }
  /** Reads, and remembers unless something was committed since. */
  const overtaken = async <T>(read: Promise<T>, remember: (found: T) => void): Promise<T> => {
    const { count } = changes
    const found = await read
    if (changes.count === count) remember(found)
    return found
  }
  /** The same until any commit at all: for what is written in more places than are watched. */
  const untilCommit = <K, T>(read: (key: K) => Promise<T>): ((key: K) => Promise<T>) => {
    const kept = new Map<K, T>()
    let keptAt = changes.count
    return async (key) => {
      if (keptAt !== changes.count) {
        kept.clear()
        keptAt = changes.count
      }
      const known = kept.get(key)
      if (known !== undefined) return known
      return overtaken(read(key), (found) => {
        if (found !== undefined) keep(kept, key, found, most)
      })
    }
  }
  const auditHead = untilCommit((_: 'head') => store.auditHead())
  const chain = untilCommit((did: Did) => store.chain(did))
  const sources = untilCommit((did: Did) => store.sourcesOf(did))
  const principals = (found: readonly JudgedPrincipal[]): void => {
    for (const one of found) keep(byName, nameOf(one), one, most)
  }

  return {
    agent: async (did) =>
      remembered(did)?.agent ??
      overtaken(store.agent(did), (found) => {
        if (found !== undefined) factsOf(did).agent = found
      }),
    openHolds: async (did) =>
      remembered(did)?.holds ??
      overtaken(store.openHolds(did), (found) => {
        factsOf(did).holds = found
      }),
    principalsOf: async (did) =>
      remembered(did)?.accounts ??
      overtaken(store.principalsOf(did), (found) => {
        factsOf(did).accounts = found
      }),
    principal: async (key) =>
      account(key) ??
      overtaken(store.principal(key), (found) => {
        if (found !== undefined) principals([found])
      }),
    principalsById: async (adapter, ids) => {
      const known = ids.flatMap((id) => account({ adapter, id }) ?? [])
      if (known.length === ids.length) return known
      return overtaken(store.principalsById(adapter, ids), principals)
    },
    // Who else has the name now is what is asked: an answer remembered would not know.
    principalsNamed: (adapter, names) => store.principalsNamed(adapter, names),
    // Shared accounts are few.
    sharersOf: (key) => store.sharersOf(key),
    aliased: untilCommit((alias: Did) => store.aliased(alias)),
    auditHead: () => auditHead('head'),
    blueprint: untilCommit((name: string) => store.blueprint(name)),
    chain: async (did) => linked(did) ?? chain(did),
    meta: (key) => store.meta(key),
    sourcesOf: async (did) => remembered(did)?.sources ?? sources(did),
    toolServer: untilCommit((called: string) => store.toolServer(called)),
  }
}

const keep = <K, T>(map: Map<K, T>, key: K, value: T, most: number): void => {
  if (map.size >= most) for (const oldest of map.keys()) if (map.delete(oldest)) break
  map.set(key, value)
}
