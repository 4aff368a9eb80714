import type { Credential } from './credential.ts'
import { type Refusal, type RefusalKind, sentenceOf, statusOf } from './refusal.ts'

/** An HTTP answer, whatever writes it. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What every challenge names. */
export interface ChallengeParts {
  /** Of the metadata document. */
  readonly metadataUrl: string
  readonly scopes: readonly string[]
  /** Whom to ask about a suspended agent. */
  readonly contact: string | undefined
}

type RpcId = string | number | undefined

/** HTTP status, and the `error` of RFC 6750 section 3.1; `access_denied` is OAuth's own, for there a token would not help. */
const answers: Readonly<Record<RefusalKind, { status: number; error?: string; rpc: number }>> = {
  unsure: { status: 503, rpc: -32013 },
  stopped: { status: 403, error: 'access_denied', rpc: -32011 },
  agent: { status: 403, error: 'access_denied', rpc: -32012 },
  token: { status: 401, error: 'invalid_token', rpc: -32010 },
  scope: { status: 403, error: 'insufficient_scope', rpc: -32010 },
  // The agent is let in, and this one call is not made: an answer to the call, as every other error of a tool is.
  call: { status: 200, rpc: -32012 },
}

/** What of a text may stand in `error_description` (RFC 6750 section 3). */
const isPlain = (text: string): boolean => /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,300}$/.test(text)

const quoted = (name: string, value: string): string => `${name}="${value}"`

const challenge = (
  { metadataUrl, scopes }: ChallengeParts,
  error: string | undefined,
  description: string | undefined,
): string =>
  `Bearer ${[
    quoted('resource_metadata', metadataUrl),
    ...(scopes.length > 0 ? [quoted('scope', scopes.join(' '))] : []),
    ...(error === undefined ? [] : [quoted('error', error)]),
    ...(description === undefined ? [] : [quoted('error_description', description)]),
  ].join(', ')}`

const rpcError = (id: RpcId, code: number, message: string, data?: object) => ({
  jsonrpc: '2.0',
  id: id ?? null,
  error: { code, message, ...(data !== undefined && { data }) },
})

const answered = (status: number, body: unknown, more: Readonly<Record<string, string>> = {}): Answered => ({
  status,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...more },
  body: JSON.stringify(body),
})

/** The error of one message: all that its sender may know, and whom to ask. */
const errorOf = (refusal: Refusal, contact: string | undefined) => {
  const { kind, codes, reasons, did } = refusal
  const asks = contact !== undefined && (kind === 'stopped' || kind === 'agent') ? contact : undefined
  const message = [
    sentenceOf(refusal),
    ...(reasons.length === 0 ? [] : [`Reason: ${reasons.join('; ')}.`]),
    ...(asks === undefined ? [] : [`Ask ${asks}.`]),
  ].join(' ')
  const status = statusOf(refusal)
  const data = {
    ...(status !== undefined && { status }),
    codes,
    ...(reasons.length > 0 && { reasons }),
    ...(asks !== undefined && { contact: asks }),
    ...(did !== undefined && { did }),
  }
  return { rpc: answers[kind].rpc, message, data }
}

/** A request that carries no good credential, before anybody is asked about it. */
export const refuseCredential = (
  parts: ChallengeParts,
  credential: Exclude<Credential, { token: string }>,
): Answered => {
  const [status, error, text] =
    credential.fault === 'missing'
      ? ([401, undefined, 'An access token is needed.'] as const)
      : credential.fault === 'malformed'
        ? ([401, 'invalid_token', 'The access token is malformed.'] as const)
        : ([400, 'invalid_request', credential.text] as const)
  const description = error === undefined ? undefined : text
  const headers = { 'www-authenticate': challenge(parts, error, description) }
  return answered(status, rpcError(undefined, -32010, text), headers)
}

/** What is no message, a session of somebody else, a method that is not spoken here. */
export const refusePlainly = (status: number, rpc: number, text: string, id?: RpcId): Answered =>
  answered(status, rpcError(id, rpc, text), status === 405 ? { allow: 'GET, POST, DELETE' } : {})

export interface RefusedMessage {
  readonly id: RpcId
  /** Undefined of one that was not refused itself. */
  readonly refusal: Refusal | undefined
}

/**
 * Nothing of a request is done of which anything is refused: each message that was refused says why, the others that they
 * were not run. @param worst the refusal that the answer as a whole is about
 */
export const refuse = (
  parts: ChallengeParts,
  worst: Refusal,
  messages: readonly RefusedMessage[],
  batch: boolean,
): Answered => {
  const { status, error } = answers[worst.kind]
  const errors = messages
    .filter(({ id }) => id !== undefined)
    .map(({ id, refusal }) => {
      if (refusal === undefined) return rpcError(id, -32012, 'Not run: another message of the batch was refused.')
      const { rpc, message, data } = errorOf(refusal, parts.contact)
      return rpcError(id, rpc, message, data)
    })
  const { rpc, message, data } = errorOf(worst, parts.contact)
  const [only = rpcError(undefined, rpc, message, data)] = errors
  const description = [message, sentenceOf(worst)].find(isPlain)
  const headers = {
    ...(error !== undefined && { 'www-authenticate': challenge(parts, error, description) }),
    ...(worst.kind === 'unsure' && { 'retry-after': '1' }),
  }
  // An answer to a call needs somebody who waits for it.
  const answer = errors.length === 0 && status === 200 ? 403 : status
  return answered(answer, batch && errors.length > 0 ? errors : only, headers)
}
