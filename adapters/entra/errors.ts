import { z } from 'zod'
import { BridgeError, codeOf, type ErrorCode } from '../../src/core/errors.ts'
import { parseRetryAfter } from '../../src/lib/backoff.ts'

/** What a call was for: names it in errors, and says which permission it needs. */
export interface Purpose {
  /** Completes "Microsoft Graph answered 403 to …", e.g. `reading agent identities`. */
  readonly what: string
  /** Any one of these application permissions suffices; the first is the least. */
  readonly permissions: readonly string[]
}

const document = z.object({
  error: z.object({
    code: z.string(),
    innerError: z.object({ 'request-id': z.string() }).partial().optional(),
  }),
})

const MIN_RETRY_MS = 1000
/** Graph's own word for an expired delta token; some services answer 400 with it instead of 410. */
const EXPIRED = /^(syncStateNotFound|syncStateInvalid|resyncRequired)$/i

interface Answer {
  readonly status: number
  readonly retryAfter: string | null | undefined
  readonly body: unknown
}

/** `Retry-After` in milliseconds: seconds, also as decimals or constantly 1 (msgraph-sdk-javascript#297), or a date. */
export function retryAfterOf(value: string | null | undefined, nowMs: number): number | undefined {
  const parsed = parseRetryAfter(value, nowMs)
  return parsed === undefined ? undefined : Math.max(MIN_RETRY_MS, parsed)
}

/** Every answer of Graph that is not a success, as one of our failures. Only Graph's error code is quoted. */
export function answerError(answer: Answer, purpose: Purpose, nowMs: number): BridgeError {
  const { status } = answer
  const parsed = document.safeParse(answer.body)
  const word = parsed.success ? parsed.data.error.code : undefined
  const name = word !== undefined && /^[\w.]{1,80}$/.test(word) ? word : undefined
  const requestId = parsed.success ? parsed.data.error.innerError?.['request-id'] : undefined
  const details = requestId !== undefined && /^[\w-]{1,64}$/.test(requestId) ? { requestId } : undefined
  const text = `Microsoft Graph answered ${status}${name ? ` (${name})` : ''} to ${purpose.what}`
  const error = (code: ErrorCode, options: { hint?: string; retryAfterMs?: number } = {}) =>
    new BridgeError(code, text, { ...options, ...(details ? { details } : {}) })
  const retryAfterMs = retryAfterOf(answer.retryAfter, nowMs)

  if (status === 401)
    return error('E_DIRECTORY_AUTH', {
      hint: 'Graph does not accept the token of the bridge: see the findings logged at start, and that its account is enabled',
    })
  if (status === 403) return error('E_DIRECTORY_FORBIDDEN', { hint: grantHint(purpose) })
  if (status === 429) return error('E_DIRECTORY_THROTTLED', { retryAfterMs: retryAfterMs ?? MIN_RETRY_MS })
  if (status === 410 || (status >= 400 && status < 500 && name !== undefined && EXPIRED.test(name)))
    return error('E_CHECKPOINT_EXPIRED', { hint: 'the bridge reads everything again by itself' })
  if (status >= 500) return error('E_DIRECTORY_DOWN', retryAfterMs === undefined ? {} : { retryAfterMs })
  return error('E_DIRECTORY_REFUSED')
}

export const grantHint = ({ permissions }: Purpose): string =>
  permissions.length === 0
    ? 'grant the bridge the permission that docs/adapters/entra.md lists for this call'
    : `grant the bridge the application permission ${permissions[0]} (docs/adapters/entra.md has the command)`

/** A failure of the transport as one of the directory's; an abort and a refused origin stay what they are. */
export function transportError(error: unknown, purpose: Purpose): BridgeError {
  const known = error instanceof BridgeError ? error : undefined
  switch (codeOf(error)) {
    case 'E_OUTBOUND_TIMEOUT':
    case 'E_OUTBOUND_NETWORK':
      return new BridgeError('E_DIRECTORY_DOWN', `Microsoft Graph did not answer to ${purpose.what}`, { cause: error })
    case 'E_OUTBOUND_BODY':
    case 'E_OUTBOUND_REDIRECT':
      return malformed(purpose, error)
    default:
      return known ?? new BridgeError('E_BUG', `calling Microsoft Graph failed at ${purpose.what}`, { cause: error })
  }
}

/** An answer that cannot be what Graph means. */
export function malformed(purpose: Purpose, cause?: unknown): BridgeError {
  return new BridgeError('E_DIRECTORY_ANSWER', `Microsoft Graph gave a malformed answer to ${purpose.what}`, { cause })
}

export const abortedError = (signal: AbortSignal): BridgeError =>
  new BridgeError('E_ABORTED', 'the call was given up', { cause: signal.reason })

export function live(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal)
}

/** A promise that others wait for too: one caller giving up leaves it to them. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>()
  const abort = () => reject(abortedError(signal))
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, gone])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Our own share of the directory's write limit is used up. */
export const laterError = (retryAfterMs: number): BridgeError =>
  new BridgeError('E_DIRECTORY_THROTTLED', 'the write limit of the directory is used up for now', { retryAfterMs })
