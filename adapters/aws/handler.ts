import type { PinnedFetch } from '../../src/lib/outbound.ts'
import type { ServerTime } from '../servertime.ts'

/** What is used of the SDK's `HttpRequest`. */
interface SdkRequest {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number | undefined
  readonly path: string
  readonly query: Readonly<Record<string, string | readonly string[] | null>>
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

interface SdkResponse {
  readonly statusCode: number
  readonly reason: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array
}

/** One call on its way: whether a byte of it may be on the wire. */
export interface Flight {
  sent: boolean
  /** Awaited right before the first byte: signed, with a turn on the wire. */
  readonly stillWanted?: (() => Promise<void>) | undefined
}

/** The HTTP of every SDK client of one adapter. */
export interface SdkHandler {
  readonly metadata: { readonly handlerProtocol: string }
  handle(request: SdkRequest, options?: { readonly abortSignal?: unknown }): Promise<{ response: SdkResponse }>
  updateHttpClientConfig(): void
  httpHandlerConfigs(): Record<string, never>
  destroy(): void
}

export interface Handling {
  readonly handler: SdkHandler
  /** Runs one call with a signal of its own, by which the handler knows its flight. */
  fly<T>(flight: Flight, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T>
}

/**
 * The SDK over the one outbound client: proxy, authorities, pinned origins, deadline and caps are those of every other
 * request. Redirects are not followed; the SDK's own retries are switched off, so that one call is one request.
 */
export function openHandling(fetch: PinnedFetch, closed: AbortSignal, time: ServerTime): Handling {
  const flights = new WeakMap<object, Flight>()

  const handle: SdkHandler['handle'] = async (request, options) => {
    const given = options?.abortSignal
    const flight = given instanceof AbortSignal ? flights.get(given) : undefined
    await flight?.stillWanted?.()
    if (flight) flight.sent = true
    const signal = given instanceof AbortSignal ? AbortSignal.any([given, closed]) : closed
    const { method } = request
    const headers = Object.entries(request.headers).filter(([name]) => !OURS.has(name.toLowerCase()))
    const body = bodyOf(request.body)
    const answer = await fetch(urlOf(request), { method, headers: Object.fromEntries(headers), body, signal })
    time.note(answer.headers)
    const { status: statusCode, statusText: reason } = answer
    const bytes = new Uint8Array(await answer.arrayBuffer())
    return { response: { statusCode, reason, headers: Object.fromEntries(answer.headers), body: bytes } }
  }

  return {
    handler: {
      metadata: { handlerProtocol: 'http/1.1' },
      handle,
      updateHttpClientConfig() {},
      httpHandlerConfigs: () => ({}),
      destroy() {},
    },
    async fly(flight, signal, call) {
      const own = AbortSignal.any([signal])
      flights.set(own, flight)
      return call(own)
    },
  }
}

/** Set by the client that sends it, to the same values: they are part of what was signed. */
const OURS = new Set(['host', 'content-length'])

function urlOf({ protocol, hostname, port, path, query }: SdkRequest): URL {
  const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`)
  for (const [name, value] of Object.entries(query))
    for (const each of [value ?? ''].flat()) url.searchParams.append(name, each)
  return url
}

function bodyOf(body: unknown): string | Uint8Array<ArrayBuffer> | undefined {
  if (body === undefined || typeof body === 'string') return body
  if (body instanceof Uint8Array) return new Uint8Array(body)
  throw new TypeError('a request with a body that is neither text nor bytes')
}
