import { z } from 'zod'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import { parseRetryAfter } from '../../src/lib/backoff.ts'
import { answersOf, type Named } from '../answers.ts'

/** What a call was for, and the action that a policy must allow for it. */
export interface Purpose extends Named {
  /** Such as `iam:GetRole`. */
  readonly action: string
}

export const { malformed, parse, transportError } = answersOf('AWS')

/** How often each is right to wait for. Names as SDK and wire have them (common errors of the services, read 2026-11). */
const throttled = new Set([
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'SlowDown',
])
const unauthenticated = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'InvalidIdentityToken',
  'InvalidIdentityTokenException',
  'UnrecognizedClientException',
  'SignatureDoesNotMatch',
  'InvalidSignatureException',
  'RequestTimeTooSkewed',
  'IncompleteSignature',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'CredentialsProviderError',
  'TokenProviderError',
  'OptInRequired',
])
const forbidden = new Set(['AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation', 'NotAuthorized'])

const sdkError = z.object({
  name: z.string(),
  $metadata: z.object({ httpStatusCode: z.number().optional(), requestId: z.string().optional() }).optional(),
  $response: z.object({ statusCode: z.number(), headers: z.record(z.string(), z.string()) }).optional(),
  RetryAfterSeconds: z.number().optional().catch(undefined),
})

const MIN_RETRY_MS = 1000
const MAX_RETRY_MS = 300_000
const WORD = /^\w{1,80}$/
const REQUEST_ID = /^[\w@-]{1,64}$/

/** A failure as AWS told it: `name` is its word, such as `NoSuchEntity`. */
export interface Told {
  readonly name: string
  readonly status: number | undefined
}

/**
 * What AWS answered, when it did. The SDK calls one error `NoSuchEntityException` and `NoSuchEntity` by turns: the wire
 * has no suffix.
 */
export function toldBy(error: unknown): Told | undefined {
  const parsed = error instanceof BridgeError ? undefined : sdkError.safeParse(error)
  if (!parsed?.success) return undefined
  const { name, $metadata, $response } = parsed.data
  const status = $metadata?.httpStatusCode ?? $response?.statusCode
  return status === undefined ? undefined : { name: name.replace(/Exception$/, ''), status }
}

/** What the SDK threw, as one of our failures. Of its text nothing is kept: it may quote the request. */
export function awsError(error: unknown, purpose: Purpose, nowMs: number): BridgeError {
  if (error instanceof BridgeError) return transportError(error, purpose)
  const parsed = sdkError.safeParse(error)
  if (!parsed.success) return new BridgeError('E_BUG', `calling AWS failed at ${purpose.what}`, { cause: error })
  const { name, $metadata, $response, RetryAfterSeconds } = parsed.data
  const status = $metadata?.httpStatusCode ?? $response?.statusCode
  const word = WORD.test(name) ? name : 'an error'
  const text =
    status === undefined ? `AWS could not be called for ${purpose.what} (${word})` : textOf(status, name, purpose)
  const requestId = $metadata?.requestId
  const details = requestId !== undefined && REQUEST_ID.test(requestId) ? { requestId } : undefined
  const failed = (code: ErrorCode, options: { hint?: string; retryAfterMs?: number } = {}) =>
    new BridgeError(code, text, { ...options, ...(details ? { details } : {}) })

  if (throttled.has(name) || status === 429) {
    const asked = parseRetryAfter($response?.headers['retry-after'], nowMs) ?? (RetryAfterSeconds ?? 0) * 1000
    return failed('E_DIRECTORY_THROTTLED', { retryAfterMs: Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, asked)) })
  }
  if (unauthenticated.has(name) || status === 401) {
    return failed('E_DIRECTORY_AUTH', {
      hint: 'AWS does not accept the credential of the bridge: see the findings logged at start, and the clock of this host',
    })
  }
  if (forbidden.has(name) || status === 403) return failed('E_DIRECTORY_FORBIDDEN', { hint: grantHint(purpose) })
  if (status === undefined) return failed('E_BUG')
  if (status >= 500) return failed('E_DIRECTORY_DOWN')
  if (status >= 200 && status <= 299) return malformed(purpose)
  // An answer that is none of AWS, such as the page of a proxy.
  if (name === 'Error' || name === 'SyntaxError') return malformed(purpose)
  return failed('E_DIRECTORY_REFUSED')
}

const textOf = (status: number, name: string, { what }: Purpose): string =>
  `AWS answered ${status}${WORD.test(name) && name !== 'Error' ? ` (${name})` : ''} to ${what}`

export const grantHint = ({ action }: Purpose): string =>
  `allow ${action} in the policy of the bridge's role (docs/adapters/aws.md has the whole policy); a service control policy may deny it too`

export const asBridgeError = (error: unknown): BridgeError =>
  error instanceof BridgeError ? error : new BridgeError('E_BUG', 'a call of AWS failed', { cause: error })
