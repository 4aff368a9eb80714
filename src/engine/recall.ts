import type { Confirmation } from '../core/confirm.ts'
import { BridgeError } from '../core/errors.ts'
import type { GuardDirection } from '../core/guard.ts'
import type { Clock } from '../lib/clock.ts'
import type { Deps } from './deps.ts'

/** What one adapter's workers remember of this process only; a restart starts over. */
export interface Recall {
  /** Half-finished confirmations by account (rule 4). Bounded by the open holds of the directory. */
  readonly confirmations: Map<string, Confirmation>
  /** The wall clock jumped or the store was restored: nothing expires or resumes until a full pass (DESIGN §11). */
  doubted: boolean
  /** Until when the directory asked us to slow down, for the status. */
  throttledUntil: number | undefined
  /** Calls in a row that the directory as a whole did not take. */
  outages: number
  /** Monotonic: until then only fresh suspensions are tried. One wait for the directory, not one for each account. */
  restUntil: number | undefined
  /** Approved guard plans being applied: one run each at a time. */
  readonly applying: Map<GuardDirection, Promise<Applied>>
  /** The last of those calls was one too many: suspensions that it turned away go on at their own times. */
  throttled: boolean
}

/** What came of a guard plan. `dropped`: rows that were no longer true. */
export interface Applied {
  readonly applied: number
  readonly dropped: number
}

export const createRecall = (): Recall => ({
  confirmations: new Map(),
  doubted: false,
  throttledUntil: undefined,
  outages: 0,
  restUntil: undefined,
  applying: new Map(),
  throttled: false,
})

/** Remembers how long the directory asked us to wait. */
export const noteThrottle = (recall: Recall, error: unknown, now: number): void => {
  if (!(error instanceof BridgeError) || error.code !== 'E_DIRECTORY_THROTTLED') return
  const until = now + (error.retryAfterMs ?? 0)
  recall.throttledUntil = Math.max(recall.throttledUntil ?? 0, until)
}

const restBaseMs = 500
const restCeilingMs = 30_000
const outages: ReadonlySet<string> = new Set([
  'E_DIRECTORY_AUTH',
  'E_DIRECTORY_DOWN',
  'E_DIRECTORY_THROTTLED',
  'E_OUTBOUND_NETWORK',
  'E_OUTBOUND_TIMEOUT',
])

/** How a call to the directory went as a whole: an answer, or the error that all of it met. */
export const noteCall = (recall: Recall, error: unknown, deps: Pick<Deps, 'clock' | 'random'>): void => {
  noteThrottle(recall, error, deps.clock.now())
  if (error === undefined) {
    recall.outages = 0
    recall.restUntil = undefined
    recall.throttled = false
  } else if (error instanceof BridgeError && outages.has(error.code)) {
    recall.outages += 1
    const ceiling = Math.min(restCeilingMs, restBaseMs * 2 ** Math.min(recall.outages - 1, 10))
    const restMs = Math.max(error.retryAfterMs ?? 0, ceiling * (0.5 + deps.random() / 2))
    recall.restUntil = deps.clock.mono() + restMs
    recall.throttled = error.code === 'E_DIRECTORY_THROTTLED'
  }
}

/** Milliseconds until readings, resumes and suspensions of many are tried again; 0 when they may be now. */
export const restMs = (recall: Recall, clock: Pick<Clock, 'mono'>): number =>
  Math.max(0, Math.ceil((recall.restUntil ?? 0) - clock.mono()))

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

/** The same for single suspensions that failed before. */
export const retryRestMs = (recall: Recall, clock: Pick<Clock, 'mono'>): number =>
  recall.throttled ? 0 : restMs(recall, clock)
