import type { Clock } from '../../src/lib/clock.ts'
import { AgtClientError, type Report } from './errors.ts'

export type ContactState = 'connecting' | 'current' | 'silent' | 'stopped'

/**
 * How sure we are of the bridge. `current` begins when the stream has told everything there is, lasts for `silenceMs`
 * past its last sign of life, also while it reconnects, and once lost comes back only with a stream that caught up.
 */
export class Contact {
  readonly #clock: Clock
  readonly #silenceMs: number
  readonly #report: Report
  readonly #waiting = new Set<() => void>()
  #state: ContactState = 'connecting'
  #heardAt = 0
  /** Whether the present connection has caught up. */
  #caughtUp = false

  constructor(clock: Clock, silenceMs: number, report: Report) {
    this.#clock = clock
    this.#silenceMs = silenceMs
    this.#report = report
  }

  /** Looks at the clock, so that a timer that comes late opens no gate. */
  get state(): ContactState {
    if (this.#state === 'current' && this.#clock.mono() - this.#heardAt > this.#silenceMs) {
      this.#state = 'silent'
      const after = `${this.#silenceMs} ms`
      this.#report(new AgtClientError('E_SILENCE', `Nothing was heard of the bridge for ${after}: gates are closed.`))
    }
    return this.#state
  }

  /** Whether the present connection is open and caught up: only then are acknowledgements sent. */
  get isConnected(): boolean {
    return this.#caughtUp
  }

  /** Until `silent` could come next. */
  get leftMs(): number {
    return Math.max(0, this.#heardAt + this.#silenceMs - this.#clock.mono())
  }

  /** Something came. False: it came too late, and this connection cannot mend that without catching up again. */
  heard(): boolean {
    if (!this.#caughtUp) return true
    if (this.state !== 'current') return false
    this.#heardAt = this.#clock.mono()
    return true
  }

  /** The stream has told everything there is. */
  caughtUp(): void {
    if (this.#state === 'stopped') return
    this.#caughtUp = true
    this.#heardAt = this.#clock.mono()
    this.#state = 'current'
    this.#wake()
  }

  disconnected(): void {
    this.#caughtUp = false
  }

  stop(): void {
    this.#caughtUp = false
    this.#state = 'stopped'
    this.#wake()
  }

  /** Resolves once the present connection has caught up; at once when it has; also when the client stops or the signal aborts. */
  connected(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || this.#caughtUp || this.#state === 'stopped') return resolve()
      const done = () => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }
}
