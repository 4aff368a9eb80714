import { createHash } from 'node:crypto'
import { canonical } from '../core/canonical.ts'

/** One HTTP request as its sender signed it, with the headers that say so; texts as they came. */
export interface SignedRequest {
  readonly method: string
  /** Path and query, as on the request line. */
  readonly target: string
  readonly contentType: string
  readonly body: Uint8Array
  /** `X-Agent-DID` */
  readonly did: string
  /** `X-Agent-Timestamp` */
  readonly timestamp: string
  /** `X-Agent-Nonce` */
  readonly nonce: string
  /** `X-Agent-Signature` */
  readonly signature: string
}

/**
 * The bytes that AGT's request scheme signs (agentmesh-http-request-v1, facts read 2026-11): compact JSON with sorted
 * names. AGT writes what is not ASCII as escapes, which RFC 8785 does not: the caller has seen that all of it is ASCII.
 */
export const signedText = (request: Omit<SignedRequest, 'signature'>, audience: string): Uint8Array => {
  const { body, contentType, did, method, nonce, target, timestamp } = request
  const envelope = {
    agent_did: did,
    audience,
    body_sha256: createHash('sha256').update(body).digest('hex'),
    content_type: contentType,
    method: method.toUpperCase(),
    nonce,
    request_target: target,
    timestamp,
  }
  return new TextEncoder().encode(`agentmesh-http-request-v1\n${canonical(envelope)}`)
}

const limits = { did: 512, timestamp: 64, nonce: 128, signature: 128, target: 1024, contentType: 128 } as const
const ascii = /^[\x20-\x7e]+$/

/** Whether every text of it is there, printable ASCII, and no longer than it may be. */
export const isSigned = (request: SignedRequest): boolean =>
  ascii.test(request.method) &&
  (['did', 'timestamp', 'nonce', 'signature', 'target', 'contentType'] as const).every(
    (name) => request[name].length <= limits[name] && ascii.test(request[name]),
  )

const iso = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/

/** Milliseconds since 1970 of an ISO 8601 time with a time zone, without which it could be any; undefined otherwise. */
export const timeOf = (timestamp: string): number | undefined => {
  const time = iso.test(timestamp) ? Date.parse(timestamp) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
