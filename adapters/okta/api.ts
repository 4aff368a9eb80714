import type { z } from 'zod'
import { BridgeError } from '../../src/core/errors.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { live, pause } from '../aborts.ts'
import type { Owed } from '../owed.ts'
import type { ServerTime } from '../servertime.ts'
import type { Lane, Slots } from '../slots.ts'
import { type Credential, jsonOf } from './credential.ts'
import {
  type Answer,
  answerError,
  asBridgeError,
  malformed,
  type Purpose,
  parse,
  retryAfterOf,
  transportError,
  wordOf,
} from './errors.ts'
import type { Limits } from './limits.ts'
import { linksOf, pinnedLink } from './links.ts'

export interface CallOptions {
  readonly purpose: Purpose
  readonly lane: Lane
  readonly signal: AbortSignal
  /** Not repeated, whatever becomes of it: there is something better to do than to wait. */
  readonly once?: boolean
  /** Waits for room in the limits no longer than that. */
  readonly patienceMs?: number
}

/** A path of the org with its query, or an opaque link of its own. */
export type Target = { readonly path: string } | { readonly link: string }

export interface Got<T> {
  readonly value: T
  /** The pinned address of `rel="next"`. */
  readonly next: string | undefined
  /** When it was asked for, by our clock. */
  readonly begunAt: number
  /** `x-okta-request-id`: the transaction of the System Log. */
  readonly requestId: string | undefined
}

export interface WriteOptions extends CallOptions {
  /** Awaited right before the first byte; nothing is sent when it rejects. */
  readonly stillWanted?: (() => Promise<void>) | undefined
}

/**
 * What became of one write, which is sent once: only the engine knows whether it is still wanted later.
 * refused: answered with an error, nothing changed. lost: it may have been carried out. unsent: never put on the wire.
 */
export type Sent =
  | { readonly outcome: 'done'; readonly answer: Answer }
  | { readonly outcome: 'refused'; readonly answer: Answer; readonly error: BridgeError }
  | { readonly outcome: 'lost' | 'unsent'; readonly error: BridgeError }

/** The management API of one org. Reads throw BridgeError; their answers are parsed. */
export interface Api {
  readonly origin: string
  /** One read, repeated while that may help. A status other than success is thrown as what it means. */
  get<T extends z.ZodType>(target: Target, schema: T, options: CallOptions): Promise<Got<z.output<T>>>
  /** One read whose answer of any status below 500 is an answer, 401 and 429 aside. */
  ask(target: Target, options: CallOptions): Promise<Answer & Pick<Got<unknown>, 'begunAt'>>
  send(method: 'POST' | 'DELETE', path: string, options: WriteOptions): Promise<Sent>
  readonly time: ServerTime
  /** Suspensions turned away, for which everything below them waits. */
  readonly owed: Owed
}

export interface ApiParts {
  readonly origin: string
  /** Pinned to the org. */
  readonly fetch: PinnedFetch
  readonly credential: Credential
  readonly clock: Clock
  readonly time: ServerTime
  readonly random: () => number
  readonly slots: Slots
  readonly limits: Limits
  readonly owed: Owed
}

const RETRY = { baseMs: 500, ceilingMs: 20_000 }
const TRIES = 4
/** Nothing was done: E0000010 is the read-only mode of the org (error codes, read 2026-11). */
const READ_ONLY = 'E0000010'

interface Request extends WriteOptions {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly url: string
}

export function openApi(parts: ApiParts): Api {
  const { origin, fetch, credential, clock, time, random, slots, limits, owed } = parts

  /** Sent and answered, or thrown; `state.sent` tells whether a byte may be on the wire. */
  const exchange = async (request: Request, state: { sent: boolean }): Promise<Answer> => {
    const { method, url, lane, signal, purpose } = request
    const path = url.slice(origin.length)
    if (lane !== 'suspend') await owed.clear(signal)
    const { patienceMs } = request
    const ticket = await limits.enter({ method, path, lane, what: purpose.what, patienceMs }, signal)
    try {
      const leave = await slots.enter(lane, signal)
      try {
        const { headers, token } = await credential.sign({ method, url }, signal)
        await request.stillWanted?.()
        state.sent = true
        const response = await fetch(url, { method, headers: { accept: 'application/json', ...headers }, signal })
        const { status } = response
        ticket.answered(status, response.headers)
        time.note(response.headers)
        if (status === 429) owed.refused()
        if (status === 401) credential.refused(token)
        return { status, headers: response.headers, body: await jsonOf(response) }
      } finally {
        leave()
      }
    } catch (error) {
      throw transportError(error, purpose)
    } finally {
      if (state.sent) ticket.lost()
      else ticket.dropped()
    }
  }

  /** A refused token proves that nothing was done, so one repetition with a new one is safe for writes too. */
  const signedIn = async (request: Request, state: { sent: boolean }): Promise<Answer> => {
    const first = await exchange(request, state)
    if (first.status !== 401) return first
    state.sent = false
    return exchange(request, state)
  }

  const repeated = async (request: Request): Promise<Answer> => {
    for (let attempt = 0; ; attempt++) {
      const isLast = request.once === true || attempt >= TRIES - 1
      let waitMs = 0
      try {
        const answer = await signedIn(request, { sent: false })
        const isThrottled = answer.status === 429
        if (answer.status < 500 && !isThrottled) return answer
        if (isLast) throw answerError(answer, request.purpose, clock.now())
        // The limits hold the next try back for as long as the org asked; here only the spread is added.
        waitMs = backoffMs(
          attempt,
          RETRY,
          random(),
          isThrottled ? Math.min(1000, retryAfterOf(answer, clock.now())) : 0,
        )
      } catch (error) {
        const isDown = error instanceof BridgeError && error.code === 'E_DIRECTORY_DOWN'
        if (isLast || !isDown) throw error
        waitMs = backoffMs(attempt, RETRY, random())
      }
      await pause(clock, waitMs, request.signal)
    }
  }

  const addressOf = (target: Target): string =>
    'link' in target ? pinnedLink(target.link, origin) : pinnedLink(`${origin}${target.path}`, origin)

  const ask: Api['ask'] = async (target, options) => {
    live(options.signal)
    const url = addressOf(target)
    const begunAt = clock.now()
    const answer = await repeated({ ...options, method: 'GET', url })
    if (answer.status === 401) throw answerError(answer, options.purpose, clock.now())
    return { ...answer, begunAt }
  }

  return {
    origin,
    time,
    owed,
    ask,
    async get(target, schema, options) {
      const answer = await ask(target, options)
      if (answer.status !== 200) throw answerError(answer, options.purpose, clock.now())
      const [next, ...more] = linksOf(answer.headers.get('link'), 'next')
      if (more.length > 0) throw malformed(options.purpose, new Error('several next links'))
      return {
        value: parse(schema, answer.body, options.purpose),
        next: next === undefined ? undefined : pinnedLink(next, origin),
        begunAt: answer.begunAt,
        requestId: answer.headers.get('x-okta-request-id') ?? undefined,
      }
    },
    async send(method, path, options) {
      const { purpose } = options
      const state = { sent: false }
      try {
        live(options.signal)
        const answer = await signedIn({ ...options, method, url: addressOf({ path }) }, state)
        const { status } = answer
        if (status >= 200 && status <= 299) return { outcome: 'done', answer }
        const error = answerError(answer, purpose, clock.now())
        if (status >= 500 && !isReadOnly(answer)) return { outcome: 'lost', error }
        return { outcome: 'refused', answer, error }
      } catch (error) {
        return { outcome: state.sent ? 'lost' : 'unsent', error: asBridgeError(error) }
      }
    },
  }
}

const isReadOnly = ({ status, body }: Answer): boolean => status === 503 && wordOf(body) === READ_ONLY
