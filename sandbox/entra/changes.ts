import type { Collection } from './model.ts'

export interface Change {
  readonly sequence: number
  readonly visibleAt: number
  readonly id: string
  /** Names of changed properties; `*` when the object came, went or returned. */
  readonly properties: readonly string[]
  /** The member that joined or left, for a group. */
  readonly member: string | undefined
}

const capacity = 200_000

/** What delta queries read: every change in order, per collection, bounded. */
export class ChangeLog {
  readonly #logs = new Map<Collection, Change[]>()
  #sequence = 0
  /** A token from before this sequence asks for changes that are no longer kept. */
  floor = 0

  append(collection: Collection, change: Omit<Change, 'sequence'>): void {
    let log = this.#logs.get(collection)
    if (log === undefined) {
      log = []
      this.#logs.set(collection, log)
    }
    log.push({ ...change, sequence: ++this.#sequence })
    if (log.length > capacity) {
      const dropped = log.splice(0, capacity / 2).at(-1)
      this.floor = dropped?.sequence ?? this.floor
    }
  }

  /** The newest sequence a reader at that moment may know of. */
  head(collection: Collection, at: number): number {
    const log = this.#logs.get(collection) ?? []
    const index = lowerBound(log, (change) => change.visibleAt > at)
    return log[index - 1]?.sequence ?? 0
  }

  /** Changes after `from` up to and including `to`. */
  between(collection: Collection, from: number, to: number): readonly Change[] {
    const log = this.#logs.get(collection) ?? []
    return log.slice(
      lowerBound(log, (change) => change.sequence > from),
      lowerBound(log, (change) => change.sequence > to),
    )
  }
}

/** Index of the first element for which the condition, once true, stays true. */
export function lowerBound<T>(list: readonly T[], holds: (element: T) => boolean): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const element = list[middle]
    if (element !== undefined && holds(element)) high = middle
    else low = middle + 1
  }
  return low
}
