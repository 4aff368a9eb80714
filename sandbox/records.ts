import type { Replica } from './replica.ts'
import { Versioned } from './versioned.ts'

interface Row<T> {
  readonly id: string
  /** Position in creation order: what a page cursor points at, so that a page neither skips nor repeats. */
  readonly ordinal: number
  readonly state: Versioned<T | undefined>
}

export interface Listed<T> {
  readonly ordinal: number
  readonly value: T
}

/** One kind of record: the truth, and what readers may already see of it. */
export class Records<T extends { readonly id: string }> {
  readonly #replica: Replica
  readonly #rows = new Map<string, Row<T>>()
  #ordinal = 0

  constructor(replica: Replica) {
    this.#replica = replica
  }

  get size(): number {
    return this.#rows.size
  }

  /** Visible at once, unless it is written as any other change is. */
  add(value: T, replicating = false): T {
    if (this.#rows.has(value.id)) throw new Error(`there is a record with id ${value.id}`)
    const row: Row<T> = { id: value.id, ordinal: ++this.#ordinal, state: new Versioned<T | undefined>(undefined) }
    this.#rows.set(value.id, row)
    const visibleAt = replicating ? this.#replica.next() : Number.NEGATIVE_INFINITY
    row.state.set(value, visibleAt, this.#replica.forgetBefore)
    return value
  }

  /** Written as any other change is, whether or not there was one with that id. */
  put(value: T): T {
    return this.#rows.has(value.id) ? this.set(value) : this.add(value, true)
  }

  set(value: T): T {
    this.#row(value.id).state.set(value, this.#replica.next(), this.#replica.forgetBefore)
    return value
  }

  remove(id: string): void {
    this.#row(id).state.set(undefined, this.#replica.next(), this.#replica.forgetBefore)
  }

  /** The truth, whatever readers see. */
  current(id: string): T | undefined {
    return this.#rows.get(id)?.state.current
  }

  everyCurrent(): T[] {
    return [...this.#rows.values()].flatMap(({ state }) => state.current ?? [])
  }

  seen(id: string): T | undefined {
    return this.#rows.get(id)?.state.seen(this.#replica.readAt())
  }

  /** Oldest first. `eventual`: as the search index has it, which lags further. */
  list(eventual = false): Listed<T>[] {
    const at = this.#replica.readAt(eventual)
    const found: Listed<T>[] = []
    for (const { ordinal, state } of this.#rows.values()) {
      const value = state.seen(at)
      if (value !== undefined) found.push({ ordinal, value })
    }
    return found
  }

  #row(id: string): Row<T> {
    const row = this.#rows.get(id)
    if (row === undefined) throw new Error(`there is no record ${id}`)
    return row
  }
}
