import { readFileSync } from 'node:fs'
import { createSecureContext, getCACertificates } from 'node:tls'
import { Agent, type Dispatcher, fetch, ProxyAgent } from 'undici'
import { BridgeError } from '../core/errors.ts'
import type { Clock } from './clock.ts'
import { isLoopback } from './fields.ts'
import { type OpenStream, openStream, type StreamInit } from './outstream.ts'
import type { Tracing } from './tracing.ts'

/** The address the managed-identity library calls for tokens: link-local, never routed, plain http by definition. */
const INSTANCE_METADATA_HOST = '169.254.169.254'

export interface OutboundOptions {
  /** Forward proxy, `http://` or `https://`, credentials allowed; requests go through it by CONNECT. */
  readonly proxy?: string | undefined
  /** Hosts reached without the proxy: `host`, `host:port`, `.suffix` or `*`. Loopback and instance metadata always are. */
  readonly noProxy?: readonly string[]
  /** PEM file of authorities trusted besides the usual ones. Read once, here. */
  readonly caFile?: string | undefined
  readonly userAgent: string
  readonly metrics?: OutboundMetrics
  readonly clock: Pick<Clock, 'mono' | 'sleep'>
  readonly trace?: Pick<Tracing, 'within'> | undefined
}

export interface OutboundMetrics {
  /** `outcome`: `2xx` … `5xx`, or the error code of a request that got no complete answer. */
  outbound(origin: string, outcome: string, seconds: number): void
}

export interface RequestLimits {
  /** From the call to the last byte of the answer. */
  readonly timeoutMs: number
  /** Of the answer's body, after decompression. */
  readonly maxBytes: number
}

export interface PinnedInit extends Partial<RequestLimits> {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>> | Headers
  readonly body?: string | Uint8Array<ArrayBuffer> | URLSearchParams | undefined
  readonly signal: AbortSignal
}

/**
 * `fetch` tied to its origins. Resolves once the whole body is here, so that reading it cannot stall, fail or outlive the
 * deadline. Fails with `E_OUTBOUND_ORIGIN` (nothing was sent), `E_OUTBOUND_REDIRECT`, `E_OUTBOUND_TIMEOUT`,
 * `E_OUTBOUND_BODY`, `E_OUTBOUND_NETWORK`, or `E_ABORTED` when the signal aborted. Messages name method, origin and path,
 * never a header, a query or a body. An answer of any status but a redirect is an answer.
 */
export interface PinnedFetch {
  (url: string | URL, init: PinnedInit): Promise<Response>
  readonly origins: ReadonlySet<string>
  readonly limits: RequestLimits
}

/** The one outbound HTTP client. */
export interface Outbound {
  /** Pins origins (`https://host[:port]`; http for loopback and instance metadata only). `E_OUTBOUND_ORIGIN` for any other. */
  origin(origins: readonly string[], limits: RequestLimits): PinnedFetch
  /** An answer that does not end by itself, of one pinned origin. See {@link openStream}. */
  stream(origin: string, url: URL, init: StreamInit): Promise<OpenStream>
  /** Ends all connections at once. */
  close(): Promise<void>
}

export function createOutbound(options: OutboundOptions): Outbound {
  const secureContext = options.caFile === undefined ? undefined : trusting(readCa(options.caFile))
  // Header and body timers of undici are coarse and per chunk: the deadline below is the one that counts.
  const common = { headersTimeout: 0, bodyTimeout: 0, connections: 64 }
  const direct = new Agent({ ...common, connect: { timeout: 10_000, ...(secureContext && { secureContext }) } })
  const tls = secureContext && { requestTls: { secureContext }, proxyTls: { secureContext } }
  const proxied = options.proxy ? new ProxyAgent({ ...proxyAddress(options.proxy), ...common, ...tls }) : undefined
  const route = (url: URL) => (proxied === undefined || bypassesProxy(url, options.noProxy ?? []) ? direct : proxied)

  return {
    origin(origins, limits) {
      const pinned = new Set(origins.map(checkedOrigin))
      const pinnedFetch = async (target: string | URL, init: PinnedInit) => {
        const url = pinnedUrl(target, pinned)
        const send = () => exchange(url, { ...limits, ...init }, route(url), options)
        if (options.trace === undefined) return send()
        const method = (init.method ?? 'GET').toUpperCase()
        const attributes = { 'http.request.method': method, 'server.address': url.hostname, 'url.path': url.pathname }
        return options.trace.within(method, { attributes, outward: true }, send)
      }
      return Object.assign(pinnedFetch, { origins: pinned, limits })
    },
    stream: (origin, url, init) => {
      const pinned = pinnedUrl(url, new Set([checkedOrigin(origin)]))
      return openStream(pinned, init, route(pinned), options)
    },
    async close() {
      await Promise.all([direct.destroy(), proxied?.destroy()])
    },
  }
}

/** Built once: a context made of all the usual authorities is too dear to make for every connection. */
function trusting(pem: string) {
  return createSecureContext({ ca: [...getCACertificates('default'), pem] })
}

/** The credentials leave the address here, so that no error of the library can quote them. */
function proxyAddress(text: string): { uri: string; token?: string } {
  const { origin, username, password } = new URL(text)
  if (username === '' && password === '') return { uri: origin }
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { uri: origin, token: `Basic ${Buffer.from(pair).toString('base64')}` }
}

function readCa(path: string): string {
  const hint = 'outbound.caFile names a readable PEM file with at least one certificate'
  let pem: string
  try {
    pem = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new BridgeError('E_CONFIG', `cannot read the certificate file ${path}`, { cause, hint })
  }
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw new BridgeError('E_CONFIG', `the file ${path} holds no certificate`, { hint })
}

function checkedOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isOrigin = url !== undefined && (text === url.origin || text === `${url.origin}/`)
  if (isOrigin && (url.protocol === 'https:' || (url.protocol === 'http:' && mayBePlain(url)))) return url.origin
  throw new BridgeError('E_OUTBOUND_ORIGIN', `cannot pin an origin that is not https://host[:port]`, {
    hint: 'http:// is possible for loopback addresses only',
  })
}

function mayBePlain(url: URL): boolean {
  return isLoopback(url.hostname) || url.hostname === INSTANCE_METADATA_HOST
}

function pinnedUrl(target: string | URL, pinned: ReadonlySet<string>): URL {
  const url = URL.canParse(String(target)) ? new URL(target) : undefined
  if (url && pinned.has(url.origin) && url.username === '' && url.password === '') return url
  const name = url?.origin ?? 'an address that is not a URL'
  throw new BridgeError('E_OUTBOUND_ORIGIN', `refused to call ${name}: it is not a configured origin`, {
    hint: `configured here: ${[...pinned].join(', ')}`,
  })
}

/** Whether a request avoids the proxy. `example.com` matches that host, `.example.com` those below it too. */
export function bypassesProxy(url: URL, noProxy: readonly string[]): boolean {
  const host = url.hostname.toLowerCase()
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  if (mayBePlain(url)) return true
  return noProxy.some((entry) => {
    const rule = entry.trim().toLowerCase()
    if (rule === '*') return true
    if (rule === host || rule === `${host}:${port}`) return true
    return rule.startsWith('.') && (host.endsWith(rule) || host === rule.slice(1))
  })
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])
const BODILESS = new Set([204, 205, 304])

async function exchange(
  url: URL,
  init: PinnedInit & RequestLimits,
  dispatcher: Dispatcher,
  { clock, metrics, userAgent }: OutboundOptions,
): Promise<Response> {
  const method = (init.method ?? 'GET').toUpperCase()
  const name = `${method} ${url.origin}${url.pathname}`
  const failed = (
    code: 'E_OUTBOUND_TIMEOUT' | 'E_OUTBOUND_BODY' | 'E_OUTBOUND_NETWORK',
    what: string,
    cause?: unknown,
  ) => new BridgeError(code, `${name} ${what}`, { cause })
  if (init.signal.aborted) throw new BridgeError('E_ABORTED', `${name} was not sent: aborted`)

  // One controller ends everything: the caller's abort, the deadline, the cap, and the timer once the exchange is over.
  const stop = new AbortController()
  const onAbort = () => stop.abort(new BridgeError('E_ABORTED', `${name} was aborted`))
  init.signal.addEventListener('abort', onAbort, { once: true })
  const timer = new AbortController()
  const deadline = () => stop.abort(failed('E_OUTBOUND_TIMEOUT', `did not finish in ${init.timeoutMs} ms`))
  clock.sleep(init.timeoutMs, timer.signal).then(deadline, () => undefined)

  const begun = clock.mono()
  let outcome = 'E_OUTBOUND_NETWORK'
  try {
    const headers = new Headers(init.headers)
    if (!headers.has('user-agent')) headers.set('user-agent', userAgent)
    const body = init.body ?? null
    const answer = await fetch(url, {
      method,
      headers: [...headers],
      body,
      redirect: 'manual',
      signal: stop.signal,
      dispatcher,
    })
    if (REDIRECTS.has(answer.status)) {
      throw new BridgeError('E_OUTBOUND_REDIRECT', `${name} answered with a redirect, which is never followed`, {
        hint: 'configure the address that it redirects to, if that is the real one',
      })
    }
    const tooLarge = () => failed('E_OUTBOUND_BODY', `answered with more than ${init.maxBytes} bytes`)
    const declared = Number(answer.headers.get('content-length') ?? 0)
    if (method !== 'HEAD' && declared > init.maxBytes) throw tooLarge()
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of answer.body ?? []) {
      size += chunk.byteLength
      if (size > init.maxBytes) throw tooLarge()
      chunks.push(chunk)
    }
    outcome = `${Math.floor(answer.status / 100)}xx`
    const { status, statusText } = answer
    // The body was decoded on the way: what described its transfer is no longer true.
    const kept = [...answer.headers].filter(([key]) => key !== 'content-encoding' && key !== 'content-length')
    const payload = BODILESS.has(status) || method === 'HEAD' ? null : Buffer.concat(chunks)
    return new Response(payload, { status, statusText, headers: kept })
  } catch (error) {
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error
    const failure = reason instanceof BridgeError ? reason : networkFailure(reason, failed)
    outcome = failure.code
    stop.abort(failure)
    throw failure
  } finally {
    timer.abort()
    init.signal.removeEventListener('abort', onAbort)
    metrics?.outbound(url.origin, outcome, (clock.mono() - begun) / 1000)
  }
}

/** undici wraps what happened on the wire into a `TypeError`; any other error of it may quote a header and is not kept. */
function networkFailure(
  error: unknown,
  failed: (code: 'E_OUTBOUND_TIMEOUT' | 'E_OUTBOUND_NETWORK', what: string, cause?: unknown) => BridgeError,
): BridgeError {
  const cause = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return failed('E_OUTBOUND_TIMEOUT', 'could not connect in time', cause)
  return failed('E_OUTBOUND_NETWORK', `failed${code === undefined ? '' : ` (${code})`}`, cause)
}
