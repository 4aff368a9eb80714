import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { BridgeError } from '../core/errors.ts'
import type { SignalFrame } from '../engine/api.ts'
import { type Soon, soon } from '../lib/soon.ts'

export interface StreamSettings {
  /** Between two comments that keep proxies and the socket alive. */
  readonly heartbeatMs: number
  /** How long a consumer may leave its socket full before it is cut. */
  readonly drainMs: number
  /** What the client is told to wait before it reconnects. */
  readonly retryMs: number
  /** Streams open at once, and of one client. */
  readonly max: number
  readonly maxPerClient: number
}

export const streamSettings: StreamSettings = {
  heartbeatMs: 15_000,
  drainMs: 30_000,
  retryMs: 3_000,
  max: 1024,
  maxPerClient: 256,
}

export interface Streams {
  /**
   * Takes over the reply and writes frames until the source ends, the consumer leaves, does not drain or is no longer
   * entitled, or the server closes. Resolves when the stream is over; rejects with what the source threw.
   * @throws BridgeError E_BUDGET, E_SHUTTING_DOWN, both before anything is written
   */
  run(
    reply: FastifyReply,
    client: string,
    entitled: () => Soon<boolean>,
    source: (signal: AbortSignal) => AsyncIterable<SignalFrame>,
  ): Promise<void>
  /** Ends every stream and lets no new one begin. */
  close(): void
  readonly open: number
}

/** One event as the WHATWG HTML standard frames it (§9.2). JSON has no line breaks, so one data line is enough. */
const framed = ({ id, event, data }: SignalFrame): string =>
  `id: ${id.replace(/[\0\r\n]/g, '')}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`

const pump = async (
  raw: ServerResponse,
  entitled: () => Soon<boolean>,
  source: (signal: AbortSignal) => AsyncIterable<SignalFrame>,
  settings: StreamSettings,
  closing: AbortSignal,
): Promise<void> => {
  const controller = new AbortController()
  const { signal } = controller
  const stop = () => controller.abort()
  raw.once('close', stop)
  if (raw.destroyed) stop()
  closing.addEventListener('abort', stop, { once: true })

  let deadline: NodeJS.Timeout | undefined
  const write = (text: string) => {
    if (raw.write(text) || deadline !== undefined) return
    deadline = setTimeout(() => raw.destroy(), settings.drainMs)
  }
  raw.on('drain', () => {
    clearTimeout(deadline)
    deadline = undefined
  })
  // While the socket is full the deadline runs already, and more comments would only fill memory.
  const heart = setInterval(() => {
    void soon(entitled(), (isEntitled) => {
      if (!isEntitled) stop()
      else if (!raw.writableNeedDrain && !signal.aborted) write(':\n\n')
    })
  }, settings.heartbeatMs)

  try {
    write(`retry: ${settings.retryMs}\n\n`)
    for await (const frame of source(signal)) {
      if (signal.aborted || !(await entitled())) break
      write(framed(frame))
      if (raw.writableNeedDrain) await once(raw, 'drain', { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    clearInterval(heart)
    closing.removeEventListener('abort', stop)
    stop()
    // The deadline outlives the loop: it also bounds how long the end may wait in a full socket.
    if (raw.destroyed) clearTimeout(deadline)
    else raw.once('close', () => clearTimeout(deadline))
    raw.end(() => {
      if (closing.aborted) raw.socket?.end()
    })
  }
}

/** The open server-sent event streams of one listener. */
export const createStreams = (settings: StreamSettings, opened: (count: number) => void): Streams => {
  const closing = new AbortController()
  const perClient = new Map<string, number>()
  let open = 0
  const count = (client: string, by: 1 | -1) => {
    open += by
    const own = (perClient.get(client) ?? 0) + by
    if (own > 0) perClient.set(client, own)
    else perClient.delete(client)
    opened(open)
  }

  return {
    async run(reply, client, entitled, source) {
      if (closing.signal.aborted) throw new BridgeError('E_SHUTTING_DOWN', 'The bridge is stopping.')
      if (open >= settings.max || (perClient.get(client) ?? 0) >= settings.maxPerClient) {
        const hint = 'Close streams that are no longer read, or give each runtime a client of its own.'
        throw new BridgeError('E_BUDGET', 'Too many signal streams are open.', { hint, retryAfterMs: 30_000 })
      }
      count(client, 1)
      try {
        const { raw } = reply
        reply.hijack()
        raw.socket?.setKeepAlive(true, 30_000)
        for (const [name, value] of Object.entries(reply.getHeaders())) {
          if (value !== undefined) raw.setHeader(name, value)
        }
        raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
        raw.flushHeaders()
        await pump(raw, entitled, source, settings, closing.signal)
      } finally {
        count(client, -1)
      }
    },
    close: () => closing.abort(),
    get open() {
      return open
    },
  }
}
