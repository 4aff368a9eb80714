import { request } from 'node:http'
import { parsed } from './json.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body as JSON; undefined when it is none. */
  readonly body: unknown
}

export interface Ask {
  readonly method?: string
  /** Text and bytes go as they are, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

export interface Client {
  ask(path: string, options?: Ask): Promise<Answer>
  get(path: string): Promise<Answer>
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
}

/** One HTTP client of the daemon; a connection for each request, so that nothing of it outlives the test. */
export const client = (origin: string, token: string | undefined): Client => {
  const ask: Client['ask'] = (path, { method, body, headers = {}, timeoutMs = 60_000 } = {}) =>
    new Promise((resolve, reject) => {
      const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array
      const payload = raw ? body : JSON.stringify(body)
      const sent = request(new URL(path, origin), {
        agent: false,
        method: method ?? (payload === undefined ? 'GET' : 'POST'),
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(payload === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
          ...headers,
        },
      })
      let answered = false
      sent.on('error', (error) => {
        if (!answered) reject(error)
      })
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          answered = true
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed(text) })
        })
      })
      sent.end(payload)
    })
  return {
    ask,
    get: (path) => ask(path),
    post: (path, body, headers = {}) => ask(path, { method: 'POST', body, headers }),
  }
}
