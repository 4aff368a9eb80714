import type { Confirmation } from '../core/confirm.ts'
import { BridgeError } from '../core/errors.ts'
import type { Clock } from '../lib/clock.ts'

/** What one adapter's workers remember of this process only; a restart starts over. */
export interface Recall {
  /** Half-finished confirmations by account (rule 4). Bounded by the open holds of the directory. */
  readonly confirmations: Map<string, Confirmation>
  /** The wall clock jumped: nothing expires or resumes until a full pass (DESIGN §11). */
  clockDoubted: boolean
  /** Until when the directory asked us to slow down, for the status. */
  throttledUntil: number | undefined
}

export const createRecall = (): Recall => ({
  confirmations: new Map(),
  clockDoubted: false,
  throttledUntil: undefined,
})

/** Remembers how long the directory asked us to wait. */
export const noteThrottle = (recall: Recall, error: unknown, now: number): void => {
  if (!(error instanceof BridgeError) || error.code !== 'E_DIRECTORY_THROTTLED') return
  const until = now + (error.retryAfterMs ?? 0)
  recall.throttledUntil = Math.max(recall.throttledUntil ?? 0, until)
}

const jumpMs = 60_000

/** Tells, at every call, by how much the wall clock jumped against the monotonic one since the last; 0 for a drift. */
export const createJumpWatch = (clock: Pick<Clock, 'now' | 'mono'>): (() => number) => {
  let offset = clock.now() - clock.mono()
  return () => {
    const present = clock.now() - clock.mono()
    const jumped = present - offset
    if (Math.abs(jumped) <= jumpMs) return 0
    offset = present
    return jumped
  }
}
