import type { Clock } from '../../src/lib/clock.ts'
import { live, orAbort, pause } from '../aborts.ts'
import type { Ceilings, Lane } from '../slots.ts'
import { laterError, retryAfterOf } from './errors.ts'

/** What a request counts against until its answer tells more. */
export interface Ticket {
  answered(status: number, headers: Headers): void
  /** It was sent, and nobody knows what became of it. */
  lost(): void
  /** It was not sent. */
  dropped(): void
}

export interface Entry {
  readonly method: string
  readonly path: string
  readonly lane: Lane
  /** What it is for, to say so when it is turned away. */
  readonly what: string
  readonly patienceMs?: number | undefined
}

interface Bucket {
  /** Resolves when a request is over. */
  over: PromiseWithResolvers<void>
  /** Whether an answer was seen, which tells of the limit or does not. */
  isTold: boolean
  /** Requests a window, of the whole org; undefined until an answer told. */
  limit: number | undefined
  /** Left in this window, for everyone. */
  remaining: number
  /** Monotonic. */
  resetAt: number
  /** Turned away: nothing is sent until then. */
  pausedUntil: number
  /** When ours of the last minute were sent; monotonic. */
  spent: number[]
  open: number
}

/** Windows are about a minute, not aligned to the clock (rate limits, read 2026-11). */
const WINDOW_MS = 60_000
/** The share of what is left to us that a lane leaves to those above it. */
const RESERVED: Readonly<Record<Lane, number>> = { suspend: 0, bulk: 0.05, write: 0.2, read: 0.3, sync: 0.4 }
/** A request waits this long at most for its turn; past it the caller is told when to come back. */
const MAX_WAIT_MS: Readonly<Record<Lane, number>> = {
  suspend: 10_000,
  bulk: 15_000,
  write: 0,
  read: 30_000,
  sync: 90_000,
}

/** Requests open at once, of the `all` that the configuration allows. */
export const ceilingsOf = (all: number): Ceilings => {
  const part = (share: number) => Math.max(1, Math.floor(all * share))
  return { suspend: all, bulk: part(0.75), write: part(0.75), read: part(0.6), sync: part(0.4) }
}

/**
 * Okta matches the exact path first, then the longest prefix, and the method matters. Which paths share a bucket is not
 * published, so one is kept for each collection and for what lies below it, reads apart from writes.
 */
export function bucketOf(method: string, path: string): string {
  const segments = path.split('?')[0]?.split('/').filter(Boolean) ?? []
  const version = segments.indexOf('v1')
  const collection = segments.slice(0, version + 2).join('/')
  return `${method === 'GET' ? 'read' : 'write'} ${collection}${segments.length > version + 2 ? '/*' : ''}`
}

/**
 * What may still be sent to one org, by what its answers tell: never more than our share of a limit within a minute, and
 * never the last that is left. Lower lanes stop earlier, so that a suspension finds room; it alone is sent while the
 * org has too many requests open, since that may be over already.
 */
export class Limits {
  readonly #clock: Clock
  readonly #share: number
  readonly #buckets = new Map<string, Bucket>()
  /** Too many requests were open at once, ours or others'. */
  #crowdedUntil = Number.NEGATIVE_INFINITY

  /** @param share of each limit that is ours, 0 to 1 */
  constructor(clock: Clock, share: number) {
    this.#clock = clock
    this.#share = share
  }

  /**
   * Resolves when the request may be sent.
   * @param patienceMs how long it may wait, where that is less than its lane does
   * @throws BridgeError E_DIRECTORY_THROTTLED when that is too far away, E_ABORTED
   */
  async enter(
    { method, path, lane, what, patienceMs = Number.POSITIVE_INFINITY }: Entry,
    signal: AbortSignal,
  ): Promise<Ticket> {
    const bucket = this.#bucket(bucketOf(method, path))
    const end = this.#clock.mono() + Math.min(patienceMs, MAX_WAIT_MS[lane])
    for (;;) {
      live(signal)
      const now = this.#clock.mono()
      // Before the first answer nobody knows how many there may be: one goes ahead and finds out.
      if (!bucket.isTold && bucket.open > 0 && lane !== 'suspend') {
        await orAbort(bucket.over.promise, signal)
        continue
      }
      const waitMs = Math.max(this.#waitMs(bucket, lane, now), lane === 'suspend' ? 0 : this.#crowdedUntil - now)
      if (waitMs <= 0) return this.#ticket(bucket)
      if (now + waitMs > end) throw laterError(what, waitMs)
      await pause(this.#clock, Math.ceil(waitMs), signal)
    }
  }

  #ticket(bucket: Bucket): Ticket {
    const at = this.#clock.mono()
    bucket.spent.push(at)
    bucket.remaining -= 1
    bucket.open += 1
    let isOver = false
    const over = (run: () => void) => {
      if (isOver) return
      isOver = true
      bucket.open -= 1
      run()
      bucket.over.resolve()
      bucket.over = Promise.withResolvers()
    }
    return {
      answered: (status, headers) => over(() => this.#heed(bucket, status, headers)),
      lost: () => over(() => undefined),
      dropped: () =>
        over(() => {
          bucket.remaining += 1
          const index = bucket.spent.lastIndexOf(at)
          if (index >= 0) bucket.spent.splice(index, 1)
        }),
    }
  }

  #waitMs(bucket: Bucket, lane: Lane, now: number): number {
    const { limit } = bucket
    const paused = bucket.pausedUntil - now
    const since = now - WINDOW_MS
    bucket.spent = bucket.spent.filter((at) => at > since)
    if (limit === undefined) return paused
    // Whether the limit named is the org's or our part of it is not documented: a single suspension tries.
    const share = lane === 'suspend' ? limit : Math.max(1, Math.floor(limit * this.#share))
    const reserve = Math.floor(share * RESERVED[lane])
    // Which of ours must be a minute old before one more fits.
    const oldest = bucket.spent[bucket.spent.length - (share - reserve)]
    const own = oldest === undefined ? 0 : oldest + WINDOW_MS - now
    const left = bucket.resetAt <= now ? limit : bucket.remaining
    const org = left > reserve ? 0 : bucket.resetAt - now
    return Math.max(paused, own, org)
  }

  #heed(bucket: Bucket, status: number, headers: Headers): void {
    bucket.isTold = true
    const now = this.#clock.mono()
    const number = (name: string) => {
      const text = headers.get(name)
      return text === null || text === '' ? Number.NaN : Number(text)
    }
    const limit = number('x-rate-limit-limit')
    const remaining = number('x-rate-limit-remaining')
    const resetMs = retryAfterOf({ headers }, this.#clock.now())
    if (status === 429 && !(limit > 0)) {
      // The concurrency limit answers with zeros, and whatever tells nothing is treated alike.
      this.#crowdedUntil = now + resetMs
      return
    }
    if (status === 429) bucket.pausedUntil = Math.max(bucket.pausedUntil, now + resetMs)
    if (!(limit > 0) || !(remaining >= 0)) return
    const resetAt = now + resetMs
    // Answers overtake each other: within one window what is left only shrinks.
    const isSame = bucket.limit !== undefined && bucket.resetAt > now && resetAt < bucket.resetAt + 2000
    bucket.remaining = isSame ? Math.min(bucket.remaining, remaining) : remaining - bucket.open
    if (!isSame) bucket.resetAt = resetAt
    bucket.limit = limit
  }

  #bucket(key: string): Bucket {
    const known = this.#buckets.get(key)
    if (known) return known
    const over = Promise.withResolvers<void>()
    const rest = { isTold: false, limit: undefined, remaining: 0, resetAt: 0, pausedUntil: 0, spent: [], open: 0 }
    const made: Bucket = { over, ...rest }
    this.#buckets.set(key, made)
    return made
  }
}
