import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Contact } from './contact.ts'
import { AgtClientError, type Report } from './errors.ts'
import { type Frame, frameOf, textOf } from './frames.ts'
import type { Http } from './http.ts'
import type { Known } from './known.ts'
import { createSseReader } from './sse.ts'

export interface StreamParts {
  readonly http: Http
  readonly known: Known
  readonly contact: Contact
  readonly clock: Clock
  readonly random: () => number
  readonly silenceMs: number
  readonly report: Report
  /** After the event was taken in, before the next one is. */
  readonly changed: (dids: readonly string[]) => void
  /** The stream has told everything there is. */
  readonly current: () => void
  /** A sign of life that tells nothing new. */
  readonly alive: () => void
}

const backoff = { baseMs: 1_000, ceilingMs: 30_000 }

/** Follows the stream until the signal aborts: opens it, takes its events in, opens it again. Never rejects. */
export const follow = async (parts: StreamParts, signal: AbortSignal): Promise<void> => {
  const { clock, contact, random, report } = parts
  for (let failures = 0; !signal.aborted; failures += 1) {
    const outcome = await once(parts, signal)
    // Once it had caught up, the next loss is a first one.
    if (contact.isConnected) failures = 0
    contact.disconnected()
    if (signal.aborted) return
    report(outcome.error)
    const waitMs = backoffMs(failures, backoff, random(), outcome.retryAfterMs)
    await clock.sleep(waitMs, signal).catch(() => undefined)
  }
}

interface Outcome {
  readonly error: AgtClientError
  readonly retryAfterMs?: number | undefined
}

const once = async (parts: StreamParts, signal: AbortSignal): Promise<Outcome> => {
  const { http, known, contact, silenceMs } = parts
  const quiet = new AbortController()
  const position = known.connecting()
  const sse = createSseReader()
  let heardAt = parts.clock.mono()
  const onText = (text: string) => {
    heardAt = parts.clock.mono()
    if (!contact.heard()) throw new AgtClientError('E_STREAM', 'The stream was silent for too long.')
    const events = sse.feed(text)
    for (const event of events) take(parts, frameOf(event))
    if (events.length === 0) parts.alive()
  }
  const watch = async () => {
    for (;;) {
      await parts.clock.sleep(Math.max(1, heardAt + silenceMs - parts.clock.mono()), quiet.signal)
      if (parts.clock.mono() - heardAt >= silenceMs) return quiet.abort(new Error('the stream is silent'))
    }
  }
  watch().catch(() => undefined)
  try {
    const headers = position === undefined ? {} : { 'last-event-id': textOf(position) }
    const all = AbortSignal.any([signal, quiet.signal])
    const answer = await http.stream('v1/signals', { headers, timeoutMs: silenceMs, signal: all, onText })
    if (answer === undefined) return { error: new AgtClientError('E_STREAM', 'The bridge ended the stream.') }
    const { status, problem: bridgeCode, retryAfterMs } = answer
    const text = `The bridge refused the stream (${bridgeCode ?? status}).`
    return { error: new AgtClientError('E_STREAM', text, { status, bridgeCode }), retryAfterMs }
  } catch (cause) {
    if (cause instanceof AgtClientError) return { error: cause }
    return { error: new AgtClientError('E_STREAM', 'The stream of the bridge cannot be opened or was cut.', { cause }) }
  } finally {
    quiet.abort()
  }
}

const take = ({ known, contact, changed, current }: StreamParts, frame: Frame): void => {
  const dids = known.take(frame)
  const isCaughtUp = frame.type === 'snapshot' || frame.type === 'current'
  if (isCaughtUp) contact.caughtUp()
  changed(isCaughtUp ? [...dids, ...known.closedDids()] : dids)
  if (isCaughtUp) current()
}
