import type { Clock } from './clock.ts'

/** So many a second on average, and no more than that at once. */
export class Bucket {
  readonly #clock: Pick<Clock, 'mono'>
  readonly #perSecond: number
  #left: number
  #at: number

  constructor(clock: Pick<Clock, 'mono'>, perSecond: number) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#left = perSecond
    this.#at = clock.mono()
  }

  /** Takes one; otherwise the milliseconds until there is one. */
  take(): number | undefined {
    const now = this.#clock.mono()
    this.#left = Math.min(this.#perSecond, this.#left + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
    if (this.#left < 1) return Math.ceil(((1 - this.#left) / this.#perSecond) * 1000)
    this.#left -= 1
    return undefined
  }
}
