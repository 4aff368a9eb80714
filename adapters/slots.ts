import { abortedError, live } from './aborts.ts'

/** Suspensions first, those of many at once after them; other writes and reads; passes over the whole directory last. */
export type Lane = 'suspend' | 'bulk' | 'write' | 'read' | 'sync'

interface Waiter {
  readonly lane: Lane
  readonly start: () => void
}

const order: Readonly<Record<Lane, number>> = { suspend: 0, bulk: 1, write: 2, read: 3, sync: 4 }
/** How many requests may be open before a request of a lane has to wait: the rest is kept for those above it. */
export type Ceilings = Readonly<Record<Lane, number>>

/** Bounds the requests open at once; a waiting suspension goes before everything else. */
export class Slots {
  readonly #ceilings: Ceilings
  #open = 0
  readonly #waiting: Waiter[] = []

  constructor(ceilings: Ceilings) {
    this.#ceilings = ceilings
  }

  /** Resolves to what ends the turn. */
  async enter(lane: Lane, signal: AbortSignal): Promise<() => void> {
    live(signal)
    if (this.#open >= this.#ceilings[lane]) await this.#wait(lane, signal)
    else this.#open += 1
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#open -= 1
      this.#wake()
    }
  }

  #wait(lane: Lane, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        const at = this.#waiting.indexOf(waiter)
        if (at >= 0) this.#waiting.splice(at, 1)
        reject(abortedError(signal))
      }
      const waiter: Waiter = {
        lane,
        start: () => {
          signal.removeEventListener('abort', abort)
          this.#open += 1
          resolve()
        },
      }
      signal.addEventListener('abort', abort, { once: true })
      const at = this.#waiting.findIndex((other) => order[other.lane] > order[lane])
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, waiter)
    })
  }

  #wake(): void {
    for (let next = this.#waiting[0]; next && this.#open < this.#ceilings[next.lane]; next = this.#waiting[0]) {
      this.#waiting.shift()
      next.start()
    }
  }
}
