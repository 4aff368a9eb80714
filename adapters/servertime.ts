import type { Clock } from '../src/lib/clock.ts'

/** The org's own clock, by the `Date` of its answers: what is signed for it carries its time, and not this host's. */
export class ServerTime {
  readonly #clock: Pick<Clock, 'now'>
  #skewMs: number | undefined

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  note(headers: Headers): void {
    const date = Date.parse(headers.get('date') ?? '')
    if (!Number.isNaN(date)) this.#skewMs = date - this.#clock.now()
  }

  now(): number {
    return this.#clock.now() + (this.#skewMs ?? 0)
  }

  /** The org's time less ours, ms; undefined before the first answer. */
  skewMs(): number | undefined {
    return this.#skewMs
  }
}
