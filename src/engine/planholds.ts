import type { CascadeEnd } from '../core/ending.ts'
import { cascadeOrigin } from '../core/holds.ts'
import type { Store, StoreReads, StoreTx } from '../core/store.ts'
import type { Did, Hold } from '../core/types.ts'

type Reads = Pick<
  StoreReads,
  'hold' | 'openHolds' | 'openHoldsByDid' | 'openHoldOfOrigin' | 'openHoldsWithOrigin' | 'cascadeHolds' | 'cascadeEnds'
>
type Writes = Pick<
  StoreTx,
  'insertHold' | 'insertHolds' | 'saveHold' | 'closeHolds' | 'putCascadeEnd' | 'dropCascadeEnd'
>

/** A hold as it was and as it would be. `before` undefined: it would be placed. `after` undefined: it would end. */
export interface HoldChange {
  readonly before: Hold | undefined
  readonly after: Hold | undefined
  /** The directory whose pass did it. */
  readonly adapter: string
}

/** The holds of a store, with what a rehearsal makes of them kept in memory. @param passing whose pass is rehearsed now */
export const rehearsedHolds = (store: Store, passing: () => string) => {
  const changed = new Map<string, HoldChange>()
  const placed = new Map<Did, Set<string>>()
  const ends = new Map<Did, CascadeEnd | undefined>()

  const now = (hold: Hold): Hold | undefined => {
    const change = changed.get(hold.id)
    return change === undefined ? hold : change.after
  }
  const present = (holds: readonly Hold[]): Hold[] => holds.flatMap((hold) => now(hold) ?? [])
  const placedOn = (did: Did): Hold[] => [...(placed.get(did) ?? [])].flatMap((id) => changed.get(id)?.after ?? [])

  const openHolds = async (did: Did): Promise<Hold[]> => [...present(await store.openHolds(did)), ...placedOn(did)]
  const openHoldsByDid = async (dids: readonly Did[]): Promise<Hold[]> => [
    ...present(await store.openHoldsByDid(dids)),
    ...[...new Set(dids)].flatMap(placedOn),
  ]

  const hold = async (id: string): Promise<Hold | undefined> => {
    const change = changed.get(id)
    return change === undefined ? store.hold(id) : (change.after ?? change.before)
  }

  const insert = (one: Hold): void => {
    changed.set(one.id, { before: undefined, after: one, adapter: passing() })
    placed.set(one.did, (placed.get(one.did) ?? new Set()).add(one.id))
  }

  const become = async (id: string, after: Hold | undefined): Promise<void> => {
    const change = changed.get(id)
    if (change !== undefined) changed.set(id, { ...change, after })
    else changed.set(id, { before: await store.hold(id), after, adapter: passing() })
  }

  const reads: Reads = {
    hold,
    openHolds,
    openHoldsByDid,
    openHoldOfOrigin: async (did, origin) => (await openHolds(did)).find((one) => one.origin === origin),
    openHoldsWithOrigin: async (prefix, limit, after = '') => {
      const stored = await store.openHoldsWithOrigin(prefix, limit, after)
      const last = stored.length < limit ? undefined : stored.at(-1)?.id
      const more = [...placed.keys()]
        .flatMap(placedOn)
        .filter(({ id, origin }) => origin.startsWith(prefix) && id > after && (last === undefined || id <= last))
      return [...present(stored), ...more].sort((a, b) => (a.id < b.id ? -1 : 1))
    },
    cascadeHolds: async (ancestor, limit, unlike) => {
      const origin = cascadeOrigin(ancestor)
      const isWanted = (one: Hold) =>
        unlike === undefined || one.severity !== unlike.severity || one.guarded !== unlike.guarded
      const stored = present(await store.cascadeHolds(ancestor, limit + changed.size))
      const more = [...placed.keys()].flatMap(placedOn).filter((one) => one.origin === origin)
      return [...stored, ...more].filter(isWanted).slice(0, limit)
    },
    cascadeEnds: async () => {
      const stored = (await store.cascadeEnds()).filter(({ ancestor }) => !ends.has(ancestor))
      return [...stored, ...[...ends.values()].filter((end) => end !== undefined)]
    },
  }
  const writes: Writes = {
    insertHold: async (one) => insert(one),
    insertHolds: async (list) => {
      for (const one of list) insert(one)
    },
    saveHold: (one) => become(one.id, one.releasedAt === undefined ? one : undefined),
    closeHolds: async (ids) => {
      for (const id of ids) await become(id, undefined)
    },
    putCascadeEnd: async (end) => {
      ends.set(end.ancestor, end)
    },
    dropCascadeEnd: async (ancestor) => {
      ends.set(ancestor, undefined)
    },
  }
  return {
    reads,
    writes,
    changes: (): readonly HoldChange[] => [...changed.values()].filter((one) => one.before ?? one.after),
    /** DIDs that would be held for something more. */
    placedDids: (): Did[] => [...placed.keys()],
  }
}
