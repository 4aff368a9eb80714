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
  /** The directory that it comes from: of a hold for an ancestor's, the one that changed the ancestor's. */
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

  const causes = new Map<Did, string>()
  const comesFrom = ({ did, origin }: Hold): string => {
    const [, ancestor] = /^cascade:(.*)$/s.exec(origin) ?? []
    if (ancestor !== undefined) return causes.get(ancestor) ?? passing()
    const [, adapter = passing()] = /^adapter:([^/]*)\//.exec(origin) ?? []
    causes.set(did, adapter)
    return adapter
  }

  const insert = (one: Hold): void => {
    changed.set(one.id, { before: undefined, after: one, adapter: comesFrom(one) })
    placed.set(one.did, (placed.get(one.did) ?? new Set()).add(one.id))
  }

  const become = async (id: string, after: Hold | undefined): Promise<void> => {
    const change = changed.get(id)
    const before = change === undefined ? await store.hold(id) : change.before
    const one = after ?? change?.after ?? before
    if (one !== undefined) changed.set(id, { before, after, adapter: comesFrom(one) })
  }

  const reads: Reads = {
    hold,
    openHolds,
    openHoldsByDid,
    openHoldOfOrigin: async (did, origin) => (await openHolds(did)).find((one) => one.origin === origin),
    openHoldsWithOrigin: async (prefix, limit, after = '') => {
      const found = [...placed.keys()]
        .flatMap(placedOn)
        .filter(({ id, origin }) => origin.startsWith(prefix) && id > after)
      // Some of a page may have ended: what is fewer than the limit is taken for the last.
      let last: string | undefined = after
      for (let kept = 0; last !== undefined && kept < limit; ) {
        const page: Hold[] = await store.openHoldsWithOrigin(prefix, limit, last)
        const open = present(page)
        kept += open.length
        found.push(...open)
        last = page.length < limit ? undefined : page.at(-1)?.id
      }
      return found.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit)
    },
    cascadeHolds: async (ancestor, limit, unlike) => {
      const origin = cascadeOrigin(ancestor)
      const isWanted = (one: Hold) =>
        unlike === undefined || one.severity !== unlike.severity || one.guarded !== unlike.guarded
      const stored = await store.cascadeHolds(ancestor, limit + changed.size, unlike)
      const ids = new Set(stored.map(({ id }) => id))
      const more = [...changed.values()].flatMap(({ after }) =>
        after !== undefined && after.origin === origin && !ids.has(after.id) ? [after] : [],
      )
      return [...present(stored), ...more].filter(isWanted).slice(0, limit)
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
