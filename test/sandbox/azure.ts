import type { ClientSecretCredentialOptions } from '@azure/identity'

type HttpClient = NonNullable<ClientSecretCredentialOptions['httpClient']>
type HttpHeaders = Awaited<ReturnType<HttpClient['sendRequest']>>['headers']

/** The library insists on an `https:` authority: send its requests as plain HTTP, and say so. */
export function rewritingClient(): HttpClient {
  return {
    async sendRequest(request) {
      const headers = new Headers(request.headers.toJSON())
      headers.set('x-sandbox-authority', 'https')
      const body = typeof request.body === 'string' ? { body: request.body } : {}
      const url = request.url.replace(/^https:\/\/127\.0\.0\.1/, 'http://127.0.0.1')
      const response = await fetch(url, { method: request.method, headers, ...body })
      return {
        request,
        status: response.status,
        headers: wrapped(response.headers),
        bodyAsText: await response.text(),
      }
    },
  }
}

function wrapped(headers: Headers): HttpHeaders {
  return {
    get: (name) => headers.get(name) ?? undefined,
    set: (name, value) => headers.set(name, String(value)),
    has: (name) => headers.has(name),
    delete: (name) => headers.delete(name),
    toJSON: () => Object.fromEntries(headers),
    [Symbol.iterator]: () => headers.entries(),
  }
}
