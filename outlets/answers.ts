import { createHash } from 'node:crypto'
import { canonical } from '../src/core/canonical.ts'
import type { PushOutcome } from '../src/core/outlet.ts'
import { parseRetryAfter } from '../src/lib/backoff.ts'

/** Statuses of a receiver that says nothing of the event: it is not ready, not there, or not told who we are. */
const notOwn: ReadonlySet<number> = new Set([401, 403, 404, 407, 408, 425, 429, 502, 503, 504])

/** What an answer means for the event. */
export const outcomeOf = (status: number, retryAfter: string | null | undefined, nowMs: number): PushOutcome => {
  const error = `HTTP ${status}`
  if (status >= 200 && status < 300) return { kind: 'taken' }
  if (status === 410) return { kind: 'gone', error }
  if (status >= 400 && status < 500 && !notOwn.has(status)) return { kind: 'refused', error }
  return { kind: 'failed', error, retryAfterMs: parseRetryAfter(retryAfter, nowMs), mayBeOwn: !notOwn.has(status) }
}

/** A request that got no complete answer. */
export const unanswered = (code: string): PushOutcome => ({
  kind: 'failed',
  error: code,
  retryAfterMs: undefined,
  mayBeOwn: false,
})

/** A digest, for addresses may hold a secret. */
export const identityOf = (parts: Readonly<Record<string, unknown>>): string =>
  createHash('sha256').update(canonical(parts)).digest('hex')
