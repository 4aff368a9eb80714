import { BridgeError } from '../../src/core/errors.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Http } from '../agt/http.ts'
import { createSseReader, type SseEvent } from '../agt/sse.ts'
import { failed } from './asking.ts'
import { type Frame, frameOf } from './wire.ts'

export interface Following {
  readonly http: Pick<Http, 'stream'>
  readonly clock: Clock
  readonly random: () => number
  /** Where to go on; asked at each connection. */
  readonly position: () => string | undefined
  readonly connecting: () => void
  readonly take: (frame: Frame, id: string) => void
  /** Why the connection ended; the next one is tried after a while. */
  readonly lost: (error: BridgeError) => void
}

const backoff = { baseMs: 250, ceilingMs: 5_000 }
/** The bridge speaks up every two seconds. */
const silenceMs = 15_000

const streamError = (cause: unknown): BridgeError =>
  cause instanceof BridgeError
    ? cause
    : new BridgeError('E_UNREACHABLE', 'The stream of the bridge cannot be opened or was cut.', { cause })

/** Follows the stream of changes until the signal aborts: opens it, takes its events in, opens it again. Never rejects. */
export const follow = async (parts: Following, signal: AbortSignal): Promise<void> => {
  const { clock, random } = parts
  for (let failures = 0; !signal.aborted; failures += 1) {
    const { error, whole, retryAfterMs } = await once(parts, signal)
    if (signal.aborted) return
    parts.lost(error)
    // Once it told everything, the next loss is a first one; what cannot be understood comes again.
    if (whole) failures = 0
    await clock.sleep(backoffMs(failures, backoff, random(), retryAfterMs), signal).catch(() => undefined)
  }
}

interface Outcome {
  readonly error: BridgeError
  readonly whole: boolean
  readonly retryAfterMs?: number | undefined
}

const once = async (parts: Following, signal: AbortSignal): Promise<Outcome> => {
  const { http, clock } = parts
  const quiet = new AbortController()
  const position = parts.position()
  const sse = createSseReader()
  let heardAt = clock.mono()
  let whole = false
  const watch = async () => {
    for (;;) {
      await clock.sleep(Math.max(1, heardAt + silenceMs - clock.mono()), quiet.signal)
      if (clock.mono() - heardAt >= silenceMs) return quiet.abort(new Error('the stream is silent'))
    }
  }
  const takeAll = (events: readonly SseEvent[]) => {
    for (const event of events) {
      if (signal.aborted) return
      const frame = frameOf(event)
      parts.take(frame, event.id)
      whole ||= frame.type === 'current'
    }
  }
  watch().catch(() => undefined)
  parts.connecting()
  try {
    const headers = position === undefined ? {} : { 'last-event-id': position }
    const all = AbortSignal.any([signal, quiet.signal])
    const onText = (text: string) => {
      heardAt = clock.mono()
      takeAll(sse.feed(text))
    }
    const answer = await http.stream('v1/signals?replica=true', { headers, timeoutMs: silenceMs, signal: all, onText })
    if (answer === undefined) return { error: new BridgeError('E_UNREACHABLE', 'The bridge ended the stream.'), whole }
    return { error: failed(answer.status, answer.problem), whole, retryAfterMs: answer.retryAfterMs }
  } catch (cause) {
    return { error: streamError(cause), whole }
  } finally {
    quiet.abort()
  }
}
