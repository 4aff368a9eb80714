import type { Clock } from '../../src/lib/clock.ts'

/** Further apart than tokens are given grace for: what this process takes for now is not what the bridge does. */
const skewMs = 60_000

/**
 * How old what we know may be. It was all there was when the bridge last said so; how long that was on its way is told by
 * the time it was said at, by a clock that may differ from ours: what came first on a connection cannot be older than the
 * connection, and all that follows is measured against that. So a process that was stopped takes nothing old for new.
 */
export class Freshness {
  readonly #clock: Clock
  #connected = false
  #skewed = false
  #connectedAt = 0
  #heard: { readonly mono: number; readonly wall: number; readonly lateMs: number } | undefined
  /** Our clock is ahead of theirs by at least so much. */
  #aheadMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A connection is being opened: whatever comes on it was said from now on. */
  connecting(): void {
    this.#connectedAt = this.#clock.mono()
    this.#aheadMs = undefined
  }

  disconnected(): void {
    this.#connected = false
  }

  /** The bridge said that there was nothing left to tell. @param at when, by its clock */
  current(at: number): void {
    const wall = this.#clock.now()
    const mono = this.#clock.mono()
    const apartMs = wall - at
    // Nothing comes before it was said: less than was thought means that one of the clocks went back.
    this.#aheadMs = Math.min(this.#aheadMs ?? apartMs - (mono - this.#connectedAt), apartMs)
    this.#skewed = this.#aheadMs > skewMs || apartMs < -skewMs
    this.#heard = { mono, wall, lateMs: Math.max(0, apartMs - this.#aheadMs) }
    this.#connected = true
  }

  /** Everything is to be told anew. */
  forget(): void {
    this.#heard = undefined
  }

  /** Whether the present connection has said that it told everything. */
  get isConnected(): boolean {
    return this.#connected
  }

  /** Undefined before the first time. The monotonic clock may stand still while the machine sleeps, the other may jump. */
  get ageMs(): number | undefined {
    if (this.#heard === undefined) return undefined
    const { mono, wall, lateMs } = this.#heard
    return Math.max(this.#clock.mono() - mono, this.#clock.now() - wall, 0) + lateMs
  }

  get isSkewed(): boolean {
    return this.#skewed
  }
}
