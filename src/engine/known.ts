import { nameOf } from '../core/changes.ts'
import type { ScheduledPrincipal, Store, StoreReads } from '../core/store.ts'
import type { Agent, Did, Hold } from '../core/types.ts'

/** What a decision reads. `schedule` of an account may be an earlier one: it is no part of a decision. */
export type DecisionReads = Pick<
  StoreReads,
  'agent' | 'openHolds' | 'principalsOf' | 'principal' | 'principalsById' | 'sharersOf'
>

interface Facts {
  agent?: Agent
  holds?: Hold[]
  accounts?: ScheduledPrincipal[]
}

/**
 * The store's answers, remembered until a commit writes what they are about: that is told in the turn of the commit
 * (rule 1), so an answer remembered is the one that the store would give now. An answer that a commit overtook on its way
 * is handed on, as the store's own would be, and not remembered. Bounded: the oldest go first.
 */
export const createKnown = (store: Pick<Store, 'changes' | keyof DecisionReads>, most = 20_000): DecisionReads => {
  const byDid = new Map<Did, Facts>()
  const byName = new Map<string, ScheduledPrincipal>()
  const { changes } = store

  changes.watch(({ all, dids, principals }) => {
    if (all) {
      byDid.clear()
      byName.clear()
      return
    }
    for (const did of dids) byDid.delete(did)
    for (const name of principals) byName.delete(name)
  })

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
  const principals = (found: readonly ScheduledPrincipal[]): void => {
    for (const one of found) keep(byName, nameOf(one), one, most)
  }

  return {
    agent: async (did) =>
      byDid.get(did)?.agent ??
      overtaken(store.agent(did), (found) => {
        if (found !== undefined) factsOf(did).agent = found
      }),
    openHolds: async (did) =>
      byDid.get(did)?.holds ??
      overtaken(store.openHolds(did), (found) => {
        factsOf(did).holds = found
      }),
    principalsOf: async (did) =>
      byDid.get(did)?.accounts ??
      overtaken(store.principalsOf(did), (found) => {
        factsOf(did).accounts = found
      }),
    principal: async (key) =>
      byName.get(nameOf(key)) ??
      overtaken(store.principal(key), (found) => {
        if (found !== undefined) principals([found])
      }),
    principalsById: async (adapter, ids) => {
      const known = ids.flatMap((id) => byName.get(nameOf({ adapter, id })) ?? [])
      if (known.length === ids.length) return known
      return overtaken(store.principalsById(adapter, ids), principals)
    },
    // Shared accounts are few.
    sharersOf: (key) => store.sharersOf(key),
  }
}

const keep = <T>(map: Map<string, T>, key: string, value: T, most: number): void => {
  if (map.size >= most) for (const oldest of map.keys()) if (map.delete(oldest)) break
  map.set(key, value)
}
