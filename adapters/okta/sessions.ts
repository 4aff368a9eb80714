import { BridgeError } from '../../src/core/errors.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { orAbort } from '../aborts.ts'
import { inParallel } from '../parallel.ts'
import type { Api } from './api.ts'
import { asBridgeError } from './errors.ts'
import { pathOf, purposes } from './kinds.ts'
import { readOne } from './reading.ts'

export interface Sessions {
  /**
   * Ends the sessions, refresh and access tokens of a user that was just suspended, until it is done: at once, or for one
   * of many when the suspensions have passed, which count against the same limit. `isLost`: nobody knows yet whether the
   * user was suspended.
   */
  owe(id: string, bulk: boolean, isLost?: boolean): void
  /** A suspension of many is under way, until what is returned is called. */
  busy(): () => void
  /** The user is to be on again: nothing of theirs is ended any more. */
  forget(id: string): void
}

export interface SessionsParts {
  readonly api: Api
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  /** Aborts when the adapter is closed. */
  readonly closed: AbortSignal
}

interface Debt {
  readonly bulk: boolean
  readonly isLost: boolean
  attempts: number
  /** Monotonic, as is `dueAt`. */
  readonly madeAt: number
  dueAt: number
}

const WIDTH = 4
const RETRY = { baseMs: 1000, ceilingMs: 300_000 }
/** Forbidden is forbidden for every user: asked again this seldom. */
const FORBIDDEN_MS = 300_000
const MAX_OWED = 50_000
/** Later than that somebody may have unsuspended the user. */
const FRESH_MS = 60_000
/** A debt made while waiting for another is looked at after so long. */
const LOOK_MS = 1000
/** Suspensions of many have passed when none was sent for so long. */
const CALM_MS = 3000

const endOf = (id: string) => `${pathOf('user', id)}/sessions?oauthTokens=true&forgetDevices=true`

/** Kept in memory: a suspension ends the sessions with Okta itself, this adds tokens and remembered devices. */
export function openSessions({ api, clock, log, random, closed }: SessionsParts): Sessions {
  const owed = new Map<string, Debt>()
  let forbiddenUntil = Number.NEGATIVE_INFINITY
  let active = 0
  let calmAt = Number.NEGATIVE_INFINITY
  let woken = Promise.withResolvers<void>()
  let running = false

  const attempt = async (id: string, debt: Debt): Promise<void> => {
    const isDoubtful = debt.isLost || debt.attempts > 0 || clock.mono() - debt.madeAt > FRESH_MS
    const status = isDoubtful ? await statusOf(id) : 'SUSPENDED'
    if (status instanceof BridgeError) return later(id, debt, status)
    // Somebody unsuspended the user since: what they signed in to again is not ended.
    if (status !== 'SUSPENDED') return settle(id, debt)
    const stillWanted = async () => {
      if (owed.get(id) !== debt) throw new BridgeError('E_ABORTED', 'the user is to be on again')
    }
    const options = { purpose: purposes.clearSessions, lane: 'write', signal: closed, stillWanted } as const
    const sent = await api.send('DELETE', endOf(id), options)
    if (sent.outcome === 'done' || (sent.outcome === 'refused' && sent.answer.status === 404)) return settle(id, debt)
    // Waiting for room in the limit is no failure.
    if (sent.outcome === 'unsent' && sent.error.code === 'E_DIRECTORY_THROTTLED') postpone(debt, sent.error)
    else later(id, debt, sent.error)
  }

  const statusOf = (id: string): Promise<string | undefined | BridgeError> =>
    readOne(api, clock, 'user', id, { lane: 'read', signal: closed }).then(({ status }) => status, asBridgeError)

  const postpone = (debt: Debt, { retryAfterMs }: BridgeError): void => {
    debt.dueAt = clock.mono() + backoffMs(debt.attempts, RETRY, random(), retryAfterMs)
  }

  const later = (id: string, debt: Debt, error: BridgeError): void => {
    if (closed.aborted || owed.get(id) !== debt) return
    postpone(debt, error)
    debt.attempts += 1
    if (error.code === 'E_DIRECTORY_FORBIDDEN') forbiddenUntil = clock.mono() + FORBIDDEN_MS
    log.warn({ err: error, principal: id }, 'the sessions of a suspended user were not ended yet')
  }

  /** Unless it was owed anew meanwhile. */
  const settle = (id: string, debt: Debt): void => {
    if (owed.get(id) === debt) owed.delete(id)
  }

  const wake = (): void => {
    woken.resolve()
    woken = Promise.withResolvers()
  }

  const startOf = ({ bulk, dueAt }: Debt): number => Math.max(dueAt, forbiddenUntil, bulk ? calmAt : dueAt)

  const drain = async (): Promise<void> => {
    running = true
    try {
      while (owed.size > 0 && !closed.aborted) {
        const now = clock.mono()
        const due = [...owed].filter(([, debt]) => startOf(debt) <= now).slice(0, WIDTH * 4)
        await inParallel(due, WIDTH, ([id, debt]) => attempt(id, debt))
        let next = Number.POSITIVE_INFINITY
        for (const debt of owed.values()) next = Math.min(next, startOf(debt))
        const waitMs = next - clock.mono()
        if (owed.size === 0 || waitMs <= 0) continue
        const turn = next === Number.POSITIVE_INFINITY ? woken.promise : clock.sleep(Math.min(waitMs, LOOK_MS), closed)
        await orAbort(turn, closed).catch(() => undefined)
      }
    } finally {
      // At once, so that nothing owed now is left to nobody.
      running = false
    }
  }

  return {
    owe(id, bulk, isLost = false) {
      if (!owed.has(id) && owed.size >= MAX_OWED) {
        log.warn({ principal: id }, 'too many sessions are owed: those of this user are not ended')
        return
      }
      const now = clock.mono()
      owed.set(id, { bulk, isLost, attempts: 0, madeAt: now, dueAt: now })
      wake()
      if (!running) void drain().catch((error: unknown) => log.error({ err: error }, 'ending sessions failed'))
    },
    busy() {
      active += 1
      calmAt = Number.POSITIVE_INFINITY
      return () => {
        active -= 1
        if (active > 0) return
        calmAt = clock.mono() + CALM_MS
        wake()
      }
    },
    forget: (id) => void owed.delete(id),
  }
}
