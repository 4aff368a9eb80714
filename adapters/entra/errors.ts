import { z } from 'zod'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import { parseRetryAfter } from '../../src/lib/backoff.ts'
import { answersOf, type Named } from '../answers.ts'

/** What a call was for, and the application permissions of which any one suffices; the first is the least. */
export interface Purpose extends Named {
  readonly permissions: readonly string[]
}

export const { malformed, parse, transportError } = answersOf('Microsoft Graph')

const document = z.object({
  error: z.object({
    code: z.string(),
    innerError: z.object({ 'request-id': z.string() }).partial().optional(),
  }),
})

const MIN_RETRY_MS = 1000
/** Graph's own word for an expired delta token; some services answer 400 with it instead of 410. */
const EXPIRED = /^(syncStateNotFound|syncStateInvalid|resyncRequired)$/i

/** Whether this is a refusal of Graph itself, and not of something in between. */
export const isRefusal = (body: unknown): boolean => document.safeParse(body).success

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

/** Our own share of the directory's write limit is used up. */
export const laterError = (retryAfterMs: number): BridgeError =>
  new BridgeError('E_DIRECTORY_THROTTLED', 'the write limit of the directory is used up for now', { retryAfterMs })
