import { randomUUID } from 'node:crypto'
import type { Context, Middleware, MiddlewareOptions } from '@microsoft/microsoft-graph-client'
import { BridgeError } from '../../src/core/errors.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { pause } from '../aborts.ts'
import type { Owed } from '../owed.ts'
import type { Lane, Slots } from '../slots.ts'
import type { WriteBudget } from './budget.ts'
import type { Credential } from './credential.ts'
import { type Purpose, retryAfterOf, transportError } from './errors.ts'

/** What one call is, carried through the library to our middleware: it hands on options by class. */
export class Call implements MiddlewareOptions {
  readonly purpose: Purpose
  readonly lane: Lane
  readonly signal: AbortSignal
  /** Writes are sent once: only the engine knows whether they are still wanted later. */
  readonly repeatable: boolean
  /** Sent as it is instead of what the library makes of it: it regroups the query of opaque links. */
  readonly exactUrl: string | undefined
  /** Awaited right before the first byte; nothing is sent when it rejects. */
  readonly stillWanted: (() => Promise<void>) | undefined
  /** The library wraps what middleware throws and loses it; kept here instead. */
  failure: unknown
  /** Whether a byte of it may be on the wire. */
  sent = false

  constructor(
    options: Pick<Call, 'purpose' | 'lane' | 'signal' | 'repeatable'> & Partial<Pick<Call, 'exactUrl' | 'stillWanted'>>,
  ) {
    this.purpose = options.purpose
    this.lane = options.lane
    this.signal = options.signal
    this.repeatable = options.repeatable
    this.exactUrl = options.exactUrl
    this.stillWanted = options.stillWanted
  }
}

export interface ChainParts {
  readonly origin: string
  readonly fetch: PinnedFetch
  readonly credential: Credential
  readonly clock: Clock
  readonly random: () => number
  readonly slots: Slots
  readonly budget: WriteBudget
  readonly owed: Owed
}

type Step = (context: Context, call: Call, next: () => Promise<void>) => Promise<void>

function middleware(step: Step): Middleware {
  let following: Middleware | undefined
  return {
    setNext: (next) => {
      following = next
    },
    async execute(context) {
      const call = context.middlewareControl?.getMiddlewareOptions(Call)
      if (!(call instanceof Call)) throw new BridgeError('E_BUG', 'a Graph request without its call')
      await step(context, call, async () => following?.execute(context))
    },
  }
}

/**
 * Address → retry → slot → token → transport. Retry is outermost so that a long wait is followed by a fresh token, and
 * holds no slot while it waits.
 */
export function chain(parts: ChainParts): Middleware[] {
  return [address(parts), retry(parts), slot(parts), token(parts), transport(parts)].map(middleware)
}

/** The address must be of the pinned Graph origin and version, whoever made it, before a token is even asked for. */
const address =
  ({ origin }: ChainParts): Step =>
  async (context, call, next) => {
    try {
      context.request = pinnedLink(call.exactUrl ?? String(context.request), origin)
      await next()
    } catch (error) {
      call.failure = error
      throw error
    }
  }

/**
 * An opaque link of the directory, unchanged, once it is sure to lead back to it.
 * @throws BridgeError E_OUTBOUND_ORIGIN
 */
export function pinnedLink(link: string, origin: string): string {
  const url = URL.canParse(link) ? new URL(link) : undefined
  const isOurs = url?.origin === origin && url.username === '' && url.password === ''
  if (isOurs && url.pathname.startsWith('/v1.0/') && link.startsWith(`${origin}/v1.0/`)) return link
  throw new BridgeError('E_OUTBOUND_ORIGIN', 'the directory named an address that is not its own', {
    hint: `only addresses below ${origin}/v1.0/ are called`,
  })
}

const RETRY = { baseMs: 500, ceilingMs: 20_000 }
const TRIES = 4
/** A longer Retry-After is handed to the caller: waiting here would hold up a pass or a worker. */
const MAX_RETRY_AFTER_MS = 30_000
const transient = new Set([429, 500, 502, 503, 504])

const retry =
  ({ clock, random }: ChainParts): Step =>
  async (context, call, next) => {
    for (let attempt = 0; ; attempt++) {
      const last = !call.repeatable || attempt >= TRIES - 1
      let retryAfterMs: number | undefined
      try {
        await next()
        const { response } = context
        if (!response || last || !transient.has(response.status)) return
        retryAfterMs = retryAfterOf(response.headers.get('retry-after'), clock.now())
        if ((retryAfterMs ?? 0) > MAX_RETRY_AFTER_MS) return
      } catch (error) {
        const failure = transportError(error, call.purpose)
        if (last || failure.code !== 'E_DIRECTORY_DOWN') throw failure
      }
      await pause(clock, backoffMs(attempt, RETRY, random(), retryAfterMs), call.signal)
    }
  }

const slot =
  ({ slots, budget, clock, owed }: ChainParts): Step =>
  async (_context, call, next) => {
    const delayMs = budget.delayMs(call.lane)
    if (delayMs > 0) await pause(clock, delayMs, call.signal)
    if (call.lane !== 'suspend') await owed.clear(call.signal)
    const leave = await slots.enter(call.lane, call.signal)
    try {
      await next()
    } finally {
      leave()
    }
  }

/** `claims` of a continuous access evaluation challenge: RFC 9470 shape, base64 (identity platform, read 2026-11). */
function challenge(header: string | null): string | undefined {
  const encoded = /\bclaims="([A-Za-z0-9+/=_-]{1,8192})"/.exec(header ?? '')?.[1]
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8')
}

const token =
  ({ credential }: ChainParts): Step =>
  async (context, call, next) => {
    const send = async (claims: string | undefined) => {
      const bearer = await credential.token(call.signal, claims)
      const headers = new Headers(context.options?.headers)
      headers.set('authorization', `Bearer ${bearer}`)
      context.options = { ...context.options, headers }
      await next()
      return bearer
    }
    const bearer = await send(undefined)
    if (context.response?.status !== 401) return
    const claims = challenge(context.response.headers.get('www-authenticate'))
    // Not valid yet, or of a key that was withdrawn: until it expired every call would meet the same.
    if (claims === undefined) credential.refused(bearer)
    // A refused token proves that nothing was done, so this one repetition is safe for writes too.
    await send(claims)
  }

const priorities: Readonly<Record<Lane, string>> = {
  suspend: 'High',
  bulk: 'High',
  write: 'Normal',
  read: 'Normal',
  sync: 'Low',
}

const transport =
  ({ fetch, budget, owed }: ChainParts): Step =>
  async (context, call) => {
    const headers = new Headers(context.options?.headers)
    // What the library says of itself and of this machine is nobody's business.
    headers.delete('sdkversion')
    headers.set('client-request-id', randomUUID())
    headers.set('x-ms-throttle-priority', priorities[call.lane])
    const { method = 'GET', body } = context.options ?? {}
    try {
      await call.stillWanted?.()
    } catch (error) {
      call.failure = error
      throw error
    }
    call.sent = true
    const text = typeof body === 'string' ? body : undefined
    context.response = await fetch(String(context.request), { method, headers, body: text, signal: call.signal })
    if (context.response.status === 429) owed.refused()
    budget.heed(context.response.headers.get('x-ms-throttle-limit-percentage'))
  }
