import type { KeyObject } from 'node:crypto'
import type { PinnedFetch } from '../core/adapter.ts'
import { BridgeError } from '../core/errors.ts'
import { backoffMs, parseRetryAfter } from './backoff.ts'
import type { Clock } from './clock.ts'
import { fits, importedKey, importKey, type KeySet, type PublishedKey, parseKeySet, speaksFor } from './jwkset.ts'

/** Why a fetch was made. `unknown` is the only one a token can cause, once in five minutes. */
export type FetchReason = 'first' | 'stale' | 'refresh' | 'unknown'

export interface KeySourceOptions {
  /** The pinned key set; nothing in a token ever changes it. */
  readonly uri: string
  readonly fetch: PinnedFetch
  readonly clock: Clock
  readonly log?: { warn(fields: object, text: string): void }
  readonly onFetch?: (fetched: { reason: FetchReason; ok: boolean; keys: number }) => void
  /** For one fetch with its body. */
  readonly timeoutMs?: number
  readonly random?: () => number
}

/** The verification keys of one key set URI. */
export interface KeySource {
  /**
   * The public key for one token header, or undefined when the issuer has none: the same key gives the same object
   * for as long as it is published.
   *
   * @throws BridgeError E_JWKS_DOWN when that cannot be told now: no usable document, or an unknown `kid` while the
   *   endpoint fails
   */
  key(header: { readonly alg: string; readonly kid: string }, issuer: string): Promise<KeyObject | undefined>
  /** What `key` would answer, where that is a key and can be told without asking anybody. */
  held(header: { readonly alg: string; readonly kid: string }, issuer: string): KeyObject | undefined
  /** Fetches now, or joins the fetch under way. Throws E_JWKS_DOWN; the last good document then stays in use. */
  refresh(): Promise<void>
  /** Keeps the document fresh until the signal aborts: every hour, sooner after a failure. Never rejects. */
  start(signal: AbortSignal): Promise<void>
  /**
   * Stands for the keys in use: while it is the same object, so is the answer of `key` for whatever it answered. Undefined
   * while that has to be asked: before the first document, when the next is due, and when the endpoint fails.
   */
  version(): object | undefined
  /** Milliseconds since the document in use was asked for; infinite before the first. */
  age(): number
  /** Ends the fetch under way; from then on every call throws E_JWKS_DOWN. */
  close(): void
}

const HOUR_MS = 3_600_000
/** A document older than this is not used, whatever the endpoint does. */
const CEILING_MS = 24 * HOUR_MS
const UNKNOWN_KID_MS = 300_000
/** How far apart two reads of an empty key set must be for it to be believed. */
const EMPTY_CONFIRM_MS = 60_000
const MAX_BYTES = 512 * 1024
/** After a failure with nothing to go on; with a good document in hand the next try waits as for an unknown `kid`. */
const RETRY = { baseMs: 1000, ceilingMs: 60_000 }
const MIN_RETRY_MS = 500

/**
 * Caches one JSON Web Key Set (RFC 7517). jose's own remote set is not used: see docs/decisions/jose.md.
 *
 * Last known good: a failed, oversized or unreadable answer changes nothing until the document is 24 hours old. All
 * durations are on the monotonic clock.
 */
export function createKeySource(options: KeySourceOptions): KeySource {
  const { uri, clock, log, onFetch, timeoutMs = 5000, random = Math.random } = options
  const closed = new AbortController()
  /** The signal says so too, but takes its time, and this is asked at every token. */
  let isClosed = false
  let keys: KeySet = new Map()
  let warnedOf: KeySet | undefined
  let loadedAt: number | undefined
  let begun = 0
  let begunAt = 0
  let inFlight: Promise<void> | undefined
  let unknownAt: number | undefined
  let emptyAt: number | undefined
  let failures = 0
  let failure: unknown
  let retryAt = 0

  const age = () => (loadedAt === undefined ? Number.POSITIVE_INFINITY : clock.mono() - loadedAt)
  const usable = () => !isClosed && age() < CEILING_MS
  const down = () =>
    // Whoever asks for decisions is told this, and not where the keys are.
    new BridgeError('E_JWKS_DOWN', 'The signing keys of the issuer cannot be read now.', {
      cause: failure,
      retryAfterMs: Math.max(0, retryAt - clock.mono()),
      hint: 'The log of the bridge says where they are ("signing keys not fetched"): check that it answers from there.',
    })

  async function load(reason: FetchReason): Promise<void> {
    begun += 1
    const at = clock.mono()
    begunAt = at
    try {
      const signal = AbortSignal.any([closed.signal, AbortSignal.timeout(timeoutMs)])
      const next = parseKeySet(await download(options, signal), keys)
      if (next.size === 0 && (loadedAt === undefined || keys.size > 0)) {
        emptyAt ??= at
        if (at - emptyAt < EMPTY_CONFIRM_MS) throw new Error('the key set has no usable key')
      }
      if (next.size > 0) emptyAt = undefined
      keys = next
      loadedAt = at
      failures = 0
      failure = undefined
      onFetch?.({ reason, ok: true, keys: next.size })
    } catch (error) {
      failure = error
      const asked = error instanceof AnswerError ? error.retryAfterMs : undefined
      const wait = backoffMs(failures++, RETRY, random(), Math.min(asked ?? 0, UNKNOWN_KID_MS))
      retryAt = clock.mono() + (usable() ? UNKNOWN_KID_MS * (1 + 0.1 * random()) : MIN_RETRY_MS + wait)
      onFetch?.({ reason, ok: false, keys: keys.size })
      if (!isClosed) log?.warn({ err: error, uri, reason, ageMs: age() }, 'signing keys not fetched')
      throw down()
    }
  }

  function fetchOnce(reason: FetchReason): Promise<void> {
    inFlight ??= load(reason).finally(() => {
      inFlight = undefined
    })
    return inFlight
  }

  async function ensureLoaded(): Promise<void> {
    if (usable()) {
      const due = failure !== undefined || age() >= HOUR_MS
      if (due && !inFlight && clock.mono() >= retryAt) fetchOnce('stale').catch(() => {})
      return
    }
    if (isClosed) throw down()
    if (!inFlight && failure !== undefined && clock.mono() < retryAt) throw down()
    await fetchOnce('first')
  }

  /** `since`: how many fetches had begun when the caller came. One begun later has answered for its `kid` too. */
  async function refetchForUnknown(since: number): Promise<void> {
    if (inFlight) await inFlight.catch(() => {})
    if (begun > since) unknownAt = Math.max(unknownAt ?? begunAt, begunAt)
    if (unknownAt !== undefined && clock.mono() - unknownAt < UNKNOWN_KID_MS) return
    unknownAt = clock.mono()
    await fetchOnce('unknown').catch(() => {})
  }

  const version = () => (failure === undefined && age() < HOUR_MS && !isClosed ? keys : undefined)

  function onlyFitting(alg: string, kid: string, issuer: string): PublishedKey | undefined {
    const published = keys.get(kid) ?? []
    const [only, ...more] = published.filter((key) => fits(key, alg) && speaksFor(key.issuer, issuer))
    if (more.length === 0) return only
    if (warnedOf !== keys) log?.warn({ uri, kid, alg }, 'different keys share one kid: none of them is used')
    warnedOf = keys
    return undefined
  }

  return {
    async key({ alg, kid }, issuer) {
      const since = begun
      await ensureLoaded()
      if (!keys.has(kid)) await refetchForUnknown(since)
      if (!usable()) throw down()
      if (!keys.has(kid) && failure !== undefined) throw down()
      const only = onlyFitting(alg, kid, issuer)
      return only && importKey(only, alg)
    },
    held({ alg, kid }, issuer) {
      if (version() === undefined) return undefined
      const only = onlyFitting(alg, kid, issuer)
      return only && importedKey(only, alg)
    },
    async refresh() {
      if (isClosed) throw down()
      await fetchOnce('refresh')
    },
    async start(signal) {
      const stop = AbortSignal.any([signal, closed.signal])
      while (!stop.aborted) {
        await fetchOnce(loadedAt === undefined ? 'first' : 'refresh').catch(() => {})
        const wait = failure === undefined ? HOUR_MS * (0.9 + 0.1 * random()) : retryAt - clock.mono()
        await clock.sleep(Math.max(MIN_RETRY_MS, wait), stop).catch(() => {})
      }
    },
    version,
    age,
    close: () => {
      isClosed = true
      closed.abort(new Error('closed'))
    },
  }
}

class AnswerError extends Error {
  readonly retryAfterMs: number | undefined
  constructor(message: string, retryAfterMs?: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

async function download({ uri, fetch, clock }: KeySourceOptions, signal: AbortSignal): Promise<string> {
  const read = async () => {
    const headers = { accept: 'application/jwk-set+json, application/json' }
    const response = await fetch(uri, { method: 'GET', headers, redirect: 'manual', signal })
    if (response.status !== 200 || !response.body) {
      await response.body?.cancel().catch(() => {})
      const retryAfter = parseRetryAfter(response.headers.get('retry-after'), clock.now())
      throw new AnswerError(`the key set answered ${response.status}`, retryAfter)
    }
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body) {
      size += chunk.byteLength
      if (size > MAX_BYTES) throw new AnswerError('the key set is over 512 KiB')
      chunks.push(chunk)
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  }
  // A fetch that does not heed its signal must not hold up every caller for ever.
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([read(), promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
