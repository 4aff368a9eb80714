import type { Clock } from '../../src/lib/clock.ts'
import { abortedError, live } from '../aborts.ts'
import type { Ceilings, Lane } from '../slots.ts'

export type WriteLane = 'suspend' | 'bulk' | 'write'

export interface BudgetLimits {
  readonly writes: number
  readonly windowMs: number
}

/** Requests open at once on one tenant. */
export const ceilings: Ceilings = { suspend: 16, bulk: 12, write: 12, read: 10, sync: 6 }

/** 3,000 writes per 150 s for one app in one tenant (Graph throttling-limits.md, read 2026-11), less a tenth. */
export const publishedLimits: BudgetLimits = { writes: 2700, windowMs: 150_000 }

/** The share of the bucket that a lane leaves to those above it. */
const RESERVED: Readonly<Record<WriteLane, number>> = { suspend: 0, bulk: 0.05, write: 0.2 }
/** A suspension waits this long at most for its turn; past it the caller is told when to come back. */
const MAX_WAIT_MS: Readonly<Record<WriteLane, number>> = { suspend: 10_000, bulk: 15_000, write: 0 }

/**
 * The writes that may still be sent to one tenant: a token bucket that suspensions may run into debt, waiting until it is
 * paid off, while every other write is turned away at once (a hold may be placed while an enable waits, so enables do
 * not). Those of many wait for each other, down to a reserve that a single one finds untouched. When the directory asked
 * for silence, a single suspension is tried all the same: it is one request, and the silence may be over, or meant for
 * other calls. Durations on the monotonic clock.
 */
export class WriteBudget {
  readonly #clock: Clock
  readonly #limits: BudgetLimits
  #tokens: number
  #at: number
  #pausedUntil = 0
  #pressure = 0
  /** What suspensions of many wait for, one behind the other. */
  #promised = 0

  constructor(clock: Clock, limits: BudgetLimits = publishedLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#tokens = limits.writes
    this.#at = clock.mono()
  }

  /** Resolves to 0 when `count` writes may be sent now, else to the milliseconds after which to try again. */
  async take(count: number, lane: WriteLane, signal: AbortSignal): Promise<number> {
    live(signal)
    this.#refill()
    const before = lane === 'bulk' ? this.#promised : 0
    const missing = Math.max(0, count + before + this.#limits.writes * RESERVED[lane] - this.#tokens)
    const paused = lane === 'suspend' ? 0 : Math.max(0, this.#pausedUntil - this.#clock.mono())
    const refillMs = (missing * this.#limits.windowMs) / this.#limits.writes
    const waitMs = Math.max(paused, refillMs, lane === 'bulk' ? this.#slowMs(10_000) : 0)
    if (waitMs === 0 && (lane !== 'write' || this.#pressure < 1)) {
      this.#tokens -= count
      return 0
    }
    if (lane === 'write' || waitMs > MAX_WAIT_MS[lane]) return Math.max(1000, Math.ceil(waitMs))
    if (lane === 'suspend') this.#tokens -= count
    else this.#promised += count
    try {
      await this.#clock.sleep(waitMs, signal)
    } catch {
      if (lane === 'suspend') this.giveBack(count)
      else this.#promised -= count
      throw abortedError(signal)
    }
    if (lane === 'suspend') return 0
    this.#promised -= count
    this.#tokens -= count
    return 0
  }

  /** Writes that were taken and not sent. */
  giveBack(count: number): void {
    this.#tokens = Math.min(this.#limits.writes, this.#tokens + count)
  }

  /** The directory asked for silence: no write until then. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.mono() + ms)
  }

  /** `x-ms-throttle-limit-percentage`, sent from 0.8 of a limit on; its absence means below that. */
  heed(percentage: string | null | undefined): void {
    const value = Number(percentage ?? 0)
    this.#pressure = Number.isFinite(value) ? Math.min(Math.max(0, value), 2) : 0
  }

  /** How long a request of this lane should be held back to stay below the limits; suspensions never are. */
  delayMs(lane: Lane): number {
    // Those of many are slowed before their proving read, not between it and the write.
    if (lane === 'suspend' || lane === 'bulk') return 0
    return this.#slowMs(lane === 'sync' ? 5000 : 1000)
  }

  #slowMs(scale: number): number {
    return Math.max(0, this.#pressure - 0.8) * scale
  }

  #refill(): void {
    const now = this.#clock.mono()
    const gained = ((now - this.#at) * this.#limits.writes) / this.#limits.windowMs
    this.#tokens = Math.min(this.#limits.writes, this.#tokens + gained)
    this.#at = now
  }
}
