import type { ClientSecretCredentialOptions } from '@azure/identity'

type HttpClient = NonNullable<ClientSecretCredentialOptions['httpClient']>

/** The library insists on an `https:` authority: send its requests as plain HTTP, and say so. */
export function rewritingClient(): HttpClient {
  return {
    async sendRequest(request) {
      const headers = new Headers(request.headers.toJSON())
      headers.set('x-sandbox-authority', 'https')
      const body = typeof request.body === 'string' ? { body: request.body } : {}
      const url = request.url.replace(/^https:\/\/127\.0\.0\.1/, 'http://127.0.0.1')
      const response = await fetch(url, { method: request.method, headers, ...body })
      const answer = request.headers.clone()
      for (const [name] of answer) answer.delete(name)
      for (const [name, value] of response.headers) answer.set(name, value)
      return { request, status: response.status, headers: answer, bodyAsText: await response.text() }
    },
  }
}
