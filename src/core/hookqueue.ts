import type { HookAnswer } from './adapter.ts'

/** What a delivery says, however it came. */
export type HookNews = Pick<HookAnswer, 'hints' | 'alert'>

/** One message of a queue, hidden from other readers for a while. */
export interface QueuedNews {
  /** Names it in the log; says nothing of what is in it. */
  readonly id: string
  /** Undefined: it cannot be read, now or ever. */
  readonly news: HookNews | undefined
  /** How often it was taken from the queue, this time included. */
  readonly times: number
  /** For good; that it is gone already is well. */
  remove(signal: AbortSignal): Promise<void>
}

/**
 * Where deliveries wait that would come to the hook address if that could be reached. What they say is judged as there,
 * and a message that is not removed comes again, at any time and to anybody.
 */
export interface HookQueue {
  /** Where it is, without anything secret. */
  readonly place: string
  /** How long to wait after it was found empty. */
  readonly pollMs: number
  /** As many as one call of `take` brings. */
  readonly most: number
  /** Some of what waits, in any order; none: nothing does. */
  take(signal: AbortSignal): Promise<readonly QueuedNews[]>
}
