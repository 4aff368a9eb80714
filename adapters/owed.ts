import type { Clock } from '../src/lib/clock.ts'
import { live } from './aborts.ts'

/** A suspension is tried again within this of its refusal, or of the Retry-After that came with it. */
const RETRIED_WITHIN_MS = 10_000
/** No longer Retry-After holds the others back: what never succeeds must not stop all reading. */
const MAX_OWED_MS = 60_000

/**
 * Suspensions that the directory turned away as too many. Until they went again, or their time is up, everything below
 * them waits: when the directory takes requests again, theirs are the first it sees.
 */
export class Owed {
  readonly #clock: Clock
  /** Until when (monotonic) each is waited for. */
  readonly #until = new Map<string, number>()
  #refusedAt = Number.NEGATIVE_INFINITY
  #changed = Promise.withResolvers<void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The directory turned some request away as one too many. */
  refused(): void {
    this.#refusedAt = this.#clock.mono()
  }

  /** It is about to be sent: while the directory turns requests away, nothing below it may slip in between. */
  begun(id: string): void {
    if (this.#clock.mono() - this.#refusedAt < MAX_OWED_MS) this.owe(id, 0)
  }

  owe(id: string, retryAfterMs: number): void {
    const ms = Math.min(MAX_OWED_MS, Math.max(0, retryAfterMs) + RETRIED_WITHIN_MS)
    this.#until.set(id, this.#clock.mono() + ms)
  }

  /** It was answered; or nobody wants it any more. */
  paid(id: string): void {
    if (!this.#until.delete(id)) return
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** Resolves when nothing is owed, and after a minute at the latest. @throws BridgeError E_ABORTED */
  async clear(signal: AbortSignal): Promise<void> {
    const end = this.#clock.mono() + MAX_OWED_MS
    for (let left = this.#leftMs(end); left > 0; left = this.#leftMs(end)) {
      const done = new AbortController()
      const either = AbortSignal.any([signal, done.signal])
      await Promise.race([this.#changed.promise, this.#clock.sleep(left, either).catch(() => undefined)])
      done.abort()
      live(signal)
    }
  }

  #leftMs(end: number): number {
    const now = this.#clock.mono()
    let next = end
    for (const [id, until] of this.#until) {
      if (until <= now) this.#until.delete(id)
      else next = Math.min(next, until)
    }
    return this.#until.size === 0 ? 0 : Math.max(0, next - now)
  }
}
