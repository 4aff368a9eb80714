import { type Dispatcher, fetch } from 'undici'
import { BridgeError } from '../core/errors.ts'
import type { Clock } from './clock.ts'

export interface StreamInit {
  readonly headers: Readonly<Record<string, string>>
  /** The longest silence, before the answer begins and within it. */
  readonly idleMs: number
  readonly signal: AbortSignal
}

export interface OpenStream {
  readonly status: number
  /** Nothing of it is kept. Rejects with `E_OUTBOUND_TIMEOUT`, `E_OUTBOUND_NETWORK` or `E_ABORTED`; leaving it ends it. */
  readonly body: AsyncIterable<Uint8Array>
}

interface Options {
  readonly userAgent: string
  readonly clock: Pick<Clock, 'sleep'>
}

/** A GET whose answer is read as it comes, for as long as it does not fall silent. A redirect is not followed. */
export const openStream = async (
  url: URL,
  { headers, idleMs, signal }: StreamInit,
  dispatcher: Dispatcher,
  { clock, userAgent }: Options,
): Promise<OpenStream> => {
  const name = `GET ${url.origin}${url.pathname}`
  const stop = new AbortController()
  const onAbort = () => stop.abort(new BridgeError('E_ABORTED', `${name} was aborted`))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  const silent = () => stop.abort(new BridgeError('E_OUTBOUND_TIMEOUT', `${name} was silent for ${idleMs} ms`))
  let timer = new AbortController()
  const heard = () => {
    timer.abort()
    timer = new AbortController()
    clock.sleep(idleMs, timer.signal).then(silent, () => undefined)
  }
  const over = () => {
    timer.abort()
    signal.removeEventListener('abort', onAbort)
    stop.abort()
  }
  const failure = (cause: unknown): BridgeError => {
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : cause
    if (reason instanceof BridgeError) return reason
    return new BridgeError('E_OUTBOUND_NETWORK', `${name} was cut`, {
      cause: cause instanceof Error ? cause.cause : undefined,
    })
  }

  heard()
  try {
    const sent = { ...headers, 'user-agent': userAgent }
    const answer = await fetch(url, { headers: sent, redirect: 'manual', signal: stop.signal, dispatcher })
    const read = async function* () {
      try {
        for await (const piece of answer.body ?? []) {
          heard()
          yield piece
        }
      } catch (error) {
        throw failure(error)
      } finally {
        over()
      }
    }
    return { status: answer.status, body: read() }
  } catch (error) {
    const told = failure(error)
    over()
    throw told
  }
}
