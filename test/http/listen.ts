import { createHash } from 'node:crypto'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { type Role, roles } from '../../src/core/roles.ts'
import type { Client } from '../../src/http/auth.ts'
import { createServer, type ServerOptions } from '../../src/http/server.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import { createDouble, start } from './bridge.ts'
import type { Double } from './double.ts'

export { roles }

export const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await turn()
}

/** The first text that matches: a request is counted and logged when its answer is out, which may be just after it is in. */
export const eventually = async (read: () => string | Promise<string>, pattern: RegExp): Promise<string> => {
  for (let text = await read(); ; text = await read()) {
    if (pattern.test(text)) return text
    await turn()
  }
}

/** One client a role; its token is `<role>-token`. */
export const clientOf = (role: Role): Client => ({
  name: role,
  roles: [role],
  tokenSha256: [hashOf(`${role}-token`)],
  labels: role === 'runtime' ? { unit: 'payments' } : undefined,
})

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON; undefined when it is none. */
  readonly json: Record<string, unknown> | undefined
}

export interface Ask {
  readonly as?: Role | undefined
  readonly method?: string
  /** A string or bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface Listening extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly bridge: Double
  readonly port: number
  readonly lines: string[]
  readonly clients: Client[]
  ask(path: string, options?: Ask): Promise<Answer>
}

const parsed = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : undefined
  } catch {
    return undefined
  }
}

/** A server on a free port over a bridge double, and a client that sends the path byte by byte as given. */
export const listen = async (options: Partial<ServerOptions> = {}): Promise<Listening> => {
  const bridge = createDouble()
  const lines: string[] = []
  const clients = roles.map(clientOf)
  const log = createLogger({ level: 'debug', destination: { write: (line) => lines.push(line) } })
  const metrics = createMetrics()
  const clock = { now: () => start }
  const app = createServer({ bridge, clients: () => clients, log, metrics, clock, version: '1.2.3', ...options })
  const { port: chosen } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const port = Number(chosen)

  const ask = (path: string, { as, method, body, headers }: Ask = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array
      const payload = raw ? body : JSON.stringify(body)
      const chunked = headers?.['transfer-encoding'] === 'chunked'
      const sent = httpRequest({
        host: '127.0.0.1',
        port,
        path,
        agent: false,
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: {
          ...(as === undefined ? {} : { authorization: `Bearer ${as}-token` }),
          ...(payload === undefined
            ? {}
            : {
                'content-type': 'application/json',
                ...(chunked ? {} : { 'content-length': Buffer.byteLength(payload) }),
              }),
          ...headers,
        },
      })
      sent.on('error', reject)
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) })
        })
      })
      sent.end(payload)
    })

  return { app, bridge, port, lines, clients, ask, [Symbol.asyncDispose]: async () => app.close() }
}
