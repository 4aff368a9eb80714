import { BridgeError } from '../core/errors.ts'
import { isLoopback } from './fields.ts'
import type { PinnedFetch, PinnedInit } from './outbound.ts'

/** The shape of the global `fetch`, as libraries call it. `jose` takes it as `[customFetch]`. */
export type FetchShape = (url: string | URL, init?: RequestInit) => Promise<Response>

/** A pinned fetch for a library that brings its own abort signal or none; `signal` ends it either way. */
export function asFetch(pinned: PinnedFetch, signal: AbortSignal): FetchShape {
  return (url, init = {}) => {
    return pinned(url, {
      method: init.method ?? 'GET',
      headers: new Headers(init.headers),
      body: sendable(init.body),
      signal: init.signal ? AbortSignal.any([init.signal, signal]) : signal,
    })
  }
}

interface HeaderBag extends Iterable<[string, string]> {
  get(name: string): string | undefined
  has(name: string): boolean
  set(name: string, value: string | number | boolean): void
  delete(name: string): void
  toJSON(options?: { preserveCase?: boolean }): Record<string, string>
}

interface AbortLike {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** What is used of a core-rest-pipeline `PipelineRequest`. */
export interface PipelineRequestLike {
  readonly url: string
  readonly method: string
  readonly headers: Iterable<[string, string]>
  readonly body?: unknown
  /** 0: none of its own. */
  readonly timeout: number
  readonly abortSignal?: AbortLike | undefined
}

export interface PipelineResponseLike<R> {
  request: R
  status: number
  headers: HeaderBag
  bodyAsText: string
}

/** Structurally core-rest-pipeline's `HttpClient`. */
export interface PipelineClient {
  sendRequest<R extends PipelineRequestLike>(request: R): Promise<PipelineResponseLike<R>>
}

/**
 * A pinned fetch as the HTTP client of a library built on core-rest-pipeline.
 *
 * That library insists on an https authority. Where the pinned origin is an http one on loopback (a local stand-in of a
 * directory), its https spelling is sent there as http, with `x-sandbox-authority: https` so that the stand-in can name
 * itself the way the library expects. No other request ever changes its scheme.
 */
export function pipelineClient(pinned: PinnedFetch, signal: AbortSignal): PipelineClient {
  return {
    async sendRequest(request) {
      const { url, rewritten } = authorityUrl(request.url, pinned.origins)
      const headers = new Headers([...request.headers])
      if (rewritten) headers.set('x-sandbox-authority', 'https')
      const own = linked(request.abortSignal)
      try {
        const timeoutMs =
          request.timeout > 0 ? Math.min(request.timeout, pinned.limits.timeoutMs) : pinned.limits.timeoutMs
        const answer = await pinned(url, {
          method: request.method,
          headers,
          body: sendable(request.body),
          signal: AbortSignal.any([own.signal, signal]),
          timeoutMs,
        })
        return { request, status: answer.status, headers: headerBag(answer.headers), bodyAsText: await answer.text() }
      } finally {
        own.unlink()
      }
    },
  }
}

function authorityUrl(text: string, origins: ReadonlySet<string>): { url: string; rewritten: boolean } {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' || !isLoopback(url.hostname) || origins.has(url.origin))
    return { url: text, rewritten: false }
  const plain = new URL(url)
  plain.protocol = 'http:'
  return origins.has(plain.origin) ? { url: plain.href, rewritten: true } : { url: text, rewritten: false }
}

function linked(from: AbortLike | undefined): { signal: AbortSignal; unlink(): void } {
  const controller = new AbortController()
  const abort = () => controller.abort()
  if (from?.aborted) abort()
  else from?.addEventListener('abort', abort)
  return { signal: controller.signal, unlink: () => from?.removeEventListener('abort', abort) }
}

function sendable(body: unknown): PinnedInit['body'] {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string' || body instanceof URLSearchParams) return body
  if (body instanceof ArrayBuffer) return new Uint8Array(body)
  if (ArrayBuffer.isView(body)) return Uint8Array.from(new Uint8Array(body.buffer, body.byteOffset, body.byteLength))
  throw new BridgeError('E_BUG', 'an outbound request has a body of a kind that is not supported')
}

/** Names keep their case only as far as `fetch` does: they are lower-case. */
function headerBag(headers: Headers): HeaderBag {
  return {
    get: (name) => headers.get(name) ?? undefined,
    has: (name) => headers.has(name),
    set: (name, value) => headers.set(name, String(value)),
    delete: (name) => headers.delete(name),
    toJSON: () => Object.fromEntries(headers),
    [Symbol.iterator]: () => [...headers][Symbol.iterator](),
  }
}
