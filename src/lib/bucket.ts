import type { Clock } from './clock.ts'

/** So many a second on average, and no more than a burst at once: as many, unless told otherwise. */
export class Bucket {
  readonly #clock: Pick<Clock, 'mono'>
  readonly #perSecond: number
  readonly #burst: number
  #left: number
  #at: number

  constructor(clock: Pick<Clock, 'mono'>, perSecond: number, burst: number = perSecond) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = burst
    this.#left = burst
    this.#at = clock.mono()
  }

  /** As of the latest take. */
  get left(): number {
    return Math.floor(this.#left)
  }

  /** From the latest take until it is full again, if nothing is taken. */
  get fullMs(): number {
    return Math.ceil(((this.#burst - this.#left) / this.#perSecond) * 1000)
  }

  /** Takes one; otherwise the milliseconds until there is one. */
  take(): number | undefined {
    const now = this.#clock.mono()
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
    if (this.#left < 1) return Math.ceil(((1 - this.#left) / this.#perSecond) * 1000)
    this.#left -= 1
    return undefined
  }
}
