import type { Clock } from '../../src/lib/clock.ts'

/** Further apart than tokens are given grace for: what this process takes for now is not what the bridge does. */
const skewMs = 60_000

/**
 * How old what we know may be. It was all there was when the bridge last said so; how long that was on its way is told by
 * the time it was said at, against the fastest of this connection, so that clocks that differ by the same all along do not
 * count, and a process that was stopped takes nothing old for new.
 */
export class Freshness {
  readonly #clock: Clock
  #connected = false
  #heard: { readonly mono: number; readonly wall: number; readonly lateMs: number } | undefined
  #apartMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A connection that was just opened: the next `current` is its first. */
  connecting(): void {
    this.#apartMs = undefined
  }

  disconnected(): void {
    this.#connected = false
  }

  /** The bridge said that there was nothing left to tell. @param at when, by its clock */
  current(at: number): void {
    const wall = this.#clock.now()
    const apartMs = wall - at
    this.#apartMs = Math.min(this.#apartMs ?? apartMs, apartMs)
    this.#heard = { mono: this.#clock.mono(), wall, lateMs: apartMs - this.#apartMs }
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
    return Math.abs(this.#apartMs ?? 0) > skewMs
  }
}
