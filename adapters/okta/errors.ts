import { z } from 'zod'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import { answersOf, type Named } from '../answers.ts'

/** What a call was for, and what the bridge must have been granted for it. */
export interface Purpose extends Named {
  /** OAuth scope. */
  readonly scope: string
  /** What its admin roles must give it, e.g. `the permission okta.users.read`. */
  readonly right: string
}

export const { malformed, parse, transportError } = answersOf('Okta')

/** https://developer.okta.com/docs/reference/error-codes (read 2026-11). */
const document = z.object({ errorCode: z.string(), errorId: z.string().optional() })
/** OAuth endpoints and scope checks answer in the shape of RFC 6749. */
const oauthDocument = z.object({ error: z.string() })

const REQUEST_ID = /^[\w@-]{1,64}$/

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** The word Okta gives for an error: `E0000047`, `invalid_client`. Nothing else of an answer is ever quoted. */
export function wordOf(body: unknown): string | undefined {
  const own = document.safeParse(body)
  const oauth = oauthDocument.safeParse(body)
  const word = own.success ? own.data.errorCode : oauth.success ? oauth.data.error : undefined
  return word !== undefined && /^\w{1,60}$/.test(word) ? word : undefined
}

const MIN_RETRY_MS = 1000
/** A reset further away is not believed: windows are about a minute. */
const MAX_RETRY_MS = 300_000

/**
 * How long a 429 asks to wait: `X-Rate-Limit-Reset` less the server's own `Date`, and a second for rounding. A limit of
 * zero is the concurrency limit, whose reset is only a suggestion (rate limits, read 2026-11): that one is over as soon
 * as other requests are.
 */
export function retryAfterOf({ headers }: Pick<Answer, 'headers'>, nowMs: number): number {
  const reset = Number(headers.get('x-rate-limit-reset') ?? Number.NaN)
  if (!Number.isFinite(reset) || headers.get('x-rate-limit-limit') === '0') return MIN_RETRY_MS
  const date = Date.parse(headers.get('date') ?? '')
  const waitMs = reset * 1000 - (Number.isNaN(date) ? nowMs : date) + 1000
  return Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, waitMs))
}

/** Every answer of Okta that is not a success, as one of our failures. */
export function answerError(answer: Answer, purpose: Purpose, nowMs: number): BridgeError {
  const { status, headers, body } = answer
  const word = wordOf(body)
  const requestId = headers.get('x-okta-request-id')
  const details = requestId !== null && REQUEST_ID.test(requestId) ? { requestId } : undefined
  const text = `Okta answered ${status}${word ? ` (${word})` : ''} to ${purpose.what}`
  const error = (code: ErrorCode, options: { hint?: string; retryAfterMs?: number } = {}) =>
    new BridgeError(code, text, { ...options, ...(details ? { details } : {}) })

  if (status === 401) {
    return error('E_DIRECTORY_AUTH', {
      hint: 'Okta does not accept the token of the bridge: see the findings logged at start, and that its app or token is active',
    })
  }
  if (status === 403) return error('E_DIRECTORY_FORBIDDEN', { hint: grantHint(purpose) })
  if (status === 429) return error('E_DIRECTORY_THROTTLED', { retryAfterMs: retryAfterOf(answer, nowMs) })
  if (status >= 500) return error('E_DIRECTORY_DOWN')
  return error('E_DIRECTORY_REFUSED')
}

export const grantHint = ({ scope, right }: Purpose): string =>
  `grant the app of the bridge the scope ${scope}, and assign it ${right} (docs/adapters/okta.md has the steps)`

/** Nothing was sent: our share of a limit is used up, or the directory asked to wait. */
export const laterError = (what: string, retryAfterMs: number): BridgeError =>
  new BridgeError('E_DIRECTORY_THROTTLED', `the rate limit of Okta leaves no room for ${what} now`, {
    retryAfterMs: Math.max(MIN_RETRY_MS, Math.ceil(retryAfterMs)),
  })

export const asBridgeError = (error: unknown): BridgeError =>
  error instanceof BridgeError ? error : new BridgeError('E_BUG', 'a call of Okta failed', { cause: error })
