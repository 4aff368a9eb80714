/** How far behind a replica may be. */
const historyMs = 60_000

export interface ReplicaOptions {
  readonly now: () => number
  /** A write becomes visible to reads only after it; reads of an index lag twice as long. */
  readonly staleMs: number
}

/** When writes become visible, and which moment a read looks at: the time of a replicated directory. */
export class Replica {
  readonly #options: ReplicaOptions
  #lastVisibleAt = 0
  #settledUntil = Number.NEGATIVE_INFINITY
  #behindMs = 0

  constructor(options: ReplicaOptions) {
    this.#options = options
  }

  /** The moment a read looks at; `eventual` reads come from an index, which is further behind. */
  readAt(eventual = false): number {
    const { now, staleMs } = this.#options
    return Math.max(now() - (eventual ? staleMs : 0), this.#settledUntil) - this.#behindMs
  }

  /** Reads within `run`, which does not wait, come from a replica that is so much further behind. */
  behind<T>(ms: number, run: () => T): T {
    this.#behindMs = Math.min(ms, historyMs)
    try {
      return run()
    } finally {
      this.#behindMs = 0
    }
  }

  /** Replication catches up: everything written so far is visible from now on. */
  settle(): void {
    this.#settledUntil = this.#lastVisibleAt
  }

  /** When a write made now becomes visible. */
  next(): number {
    const { now, staleMs } = this.#options
    // Strictly growing while writes are delayed, so that settle() never shows what is written after it.
    this.#lastVisibleAt = Math.max(now() + staleMs, staleMs > 0 ? this.#lastVisibleAt + 0.001 : this.#lastVisibleAt)
    return this.#lastVisibleAt
  }

  /** No read will ask for a moment before it. */
  get forgetBefore(): number {
    return this.#options.now() - this.#options.staleMs - historyMs
  }
}
