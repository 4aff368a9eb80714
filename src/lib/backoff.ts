export interface Backoff {
  /** The bound of the first wait. */
  baseMs: number
  /** The bound no wait grows past. */
  ceilingMs: number
}

const MAX_RETRY_AFTER_MS = 3_600_000

/**
 * How long to wait before the next attempt: full-jitter exponential backoff (AWS Architecture Blog, "Exponential Backoff
 * And Jitter"), never less than what the server asked for, spread past that by up to `baseMs` so that callers told the
 * same moment do not all come back at it. A server is believed for an hour at most.
 *
 * @param attempt failures so far, less one: 0 after the first
 * @param random one number in [0, 1)
 */
export function backoffMs(attempt: number, { baseMs, ceilingMs }: Backoff, random: number, retryAfterMs = 0): number {
  const bound = Math.min(ceilingMs, baseMs * 2 ** Math.min(Math.max(0, attempt), 52))
  const jittered = bound * random
  if (retryAfterMs <= 0) return jittered
  return Math.max(jittered, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) + baseMs * random)
}

/** `Retry-After` (RFC 9110 §10.2.3) in milliseconds from `nowMs`; undefined when absent or not understood. */
export function parseRetryAfter(value: string | null | undefined, nowMs: number): number | undefined {
  const text = value?.trim()
  if (!text) return undefined
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  if (!/^[A-Z][a-z]{2}/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}
