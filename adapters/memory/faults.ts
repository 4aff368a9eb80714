/**
 * How a read goes wrong. `unreadable` is one account that cannot be read, `gone` one that is said not to exist; the
 * others fail the whole call.
 */
export type ReadFault = 'unreadable' | 'gone' | 'throttled' | 'down' | 'forbidden' | 'auth'

/**
 * How a write goes wrong. `lost`: no answer, and it was applied. `dropped`: no answer, and it never arrived. `late`: no
 * answer, and it lands `afterMs` later. The others are answered (`refused`, `forbidden`, `auth`, `throttled`) or never sent.
 */
export type WriteFault =
  | 'lost'
  | 'dropped'
  | 'late'
  | 'refused'
  | 'down'
  | 'forbidden'
  | 'auth'
  | 'throttled'
  | 'unsent'

/**
 * How the change feed goes wrong: before its first page, between two pages, by refusing the checkpoint, or (`empty`) by
 * saying that there is nothing.
 */
export type FeedFault = 'empty' | 'down' | 'throttled' | 'forbidden' | 'auth' | 'midway' | 'expired'

export type LogFault = 'down' | 'forbidden'
export type PolicyFault = 'down' | 'forbidden' | 'throttled'
export type GroupFault = 'down' | 'forbidden' | 'midway' | 'absent'

export interface Fault<Mode extends string> {
  readonly mode: Mode
  /** Only for this account or group; any when left out. */
  readonly id?: string
  /** How often it strikes; for ever when left out. */
  readonly times?: number
  readonly afterMs?: number
  readonly retryAfterMs?: number
}

/** Injected faults of one kind of call, taken in the order they were added. */
export class Faults<Mode extends string> {
  readonly #queue: { fault: Fault<Mode>; left: number }[] = []

  add(fault: Fault<Mode>): void {
    this.#queue.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY })
  }

  clear(): void {
    this.#queue.length = 0
  }

  /** The fault that strikes this call now, used up by one; undefined when it goes well. */
  take(id: string | undefined, among?: readonly Mode[]): Fault<Mode> | undefined {
    const at = this.#queue.findIndex(
      ({ fault }) => (fault.id === undefined || fault.id === id) && (!among || among.includes(fault.mode)),
    )
    const found = this.#queue[at]
    if (!found) return undefined
    found.left -= 1
    if (found.left <= 0) this.#queue.splice(at, 1)
    return found.fault
  }
}
