import { z } from 'zod'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import { parseRetryAfter } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import type { SecretRef } from '../../src/lib/secret.ts'
import { live } from '../aborts.ts'
import type { Lane, Slots } from '../slots.ts'
import type { Sent } from './api.ts'
import { asBridgeError, malformed, transportError } from './errors.ts'
import type { User } from './ids.ts'
import { purposes } from './purposes.ts'

export interface ScimParts {
  readonly endpoint: string
  readonly token: SecretRef
  /** Pinned to the origin of the endpoint. */
  readonly fetch: PinnedFetch
  readonly clock: Clock
  readonly slots: Slots
}

/** One write over SCIM; its request id is that of the event history. */
export type ScimSent = Sent<{ readonly requestId: string | undefined }>

export interface Scim {
  setActive(
    user: User,
    active: boolean,
    options: { lane: Lane; signal: AbortSignal; stillWanted?: (() => Promise<void>) | undefined },
  ): Promise<ScimSent>
}

/** What the answer says of the user now. */
const patched = z.object({ id: z.string(), active: z.boolean() })
const MIN_RETRY_MS = 1000
const purpose = purposes.switchUser

/**
 * `active` of one user (IAM Identity Center SCIM, PatchUser, read 2026-11): one operation a request, and the value is
 * text. It exists only where an external identity provider provisions the instance automatically.
 */
export function openScim({ endpoint, token, fetch, clock, slots }: ScimParts): Scim {
  const base = endpoint.replace(/\/$/, '')
  return {
    async setActive({ userId }, active, { lane, signal, stillWanted }) {
      let sent = false
      try {
        live(signal)
        const leave = await slots.enter(lane, signal)
        try {
          const headers = {
            authorization: `Bearer ${token.read()}`,
            'content-type': 'application/scim+json',
            accept: 'application/scim+json',
          }
          const body = JSON.stringify({
            schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
            Operations: [{ op: 'replace', path: 'active', value: String(active) }],
          })
          await stillWanted?.()
          sent = true
          const answer = await fetch(`${base}/Users/${userId}`, { method: 'PATCH', headers, body, signal })
          const requestId = answer.headers.get('x-amzn-requestid') ?? undefined
          if (answer.status >= 200 && answer.status <= 299) {
            const said = patched.safeParse(await answer.json().catch(() => undefined))
            // Answered well, and not with what was asked for: whatever it did is not known.
            if (!said.success || said.data.id !== userId || said.data.active !== active)
              return { outcome: 'lost', error: malformed(purpose) }
            return { outcome: 'done', value: { requestId } }
          }
          const error = scimError(answer, clock.now())
          if (answer.status >= 500) return { outcome: 'lost', error }
          return { outcome: 'refused', told: { name: `${answer.status}`, status: answer.status }, error }
        } finally {
          leave()
        }
      } catch (error) {
        return { outcome: sent ? 'lost' : 'unsent', error: asBridgeError(transportError(error, purpose)) }
      }
    },
  }
}

function scimError({ status, headers }: Response, nowMs: number): BridgeError {
  const failed = (code: ErrorCode, options: { hint?: string; retryAfterMs?: number } = {}) =>
    new BridgeError(code, `AWS answered ${status} to ${purpose.what}`, options)
  if (status === 401) {
    const hint = 'the access token of automatic provisioning is not accepted: it lives a year; create another one'
    return failed('E_DIRECTORY_AUTH', { hint })
  }
  if (status === 403) return failed('E_DIRECTORY_FORBIDDEN')
  if (status === 429) {
    const asked = parseRetryAfter(headers.get('retry-after'), nowMs) ?? 0
    return failed('E_DIRECTORY_THROTTLED', { retryAfterMs: Math.max(MIN_RETRY_MS, asked) })
  }
  if (status >= 500) return failed('E_DIRECTORY_DOWN')
  return failed('E_DIRECTORY_REFUSED', {
    hint: 'the user may be one that the identity provider did not provision: switch it off there',
  })
}
