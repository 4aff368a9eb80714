import { createServer, type ServerResponse } from 'node:http'
import { parsed } from '../e2e/json.ts'

export interface Posted {
  readonly path: string
  readonly key: string | undefined
  readonly body: unknown
}

/** A server that says on the stream exactly what a test wants, also what a bridge says only under bad luck. */
export interface Double extends AsyncDisposable {
  readonly origin: string
  readonly posts: readonly Posted[]
  /** `Last-Event-ID` of every stream that was opened. */
  readonly positions: readonly (string | undefined)[]
  /** The first frames of every stream. */
  greeting: string
  /** What a POST is answered; 202 with a hold by default. Undefined: never. */
  answer: (post: Posted) => { readonly status: number; readonly body?: unknown; readonly code?: string } | undefined
  /** Text onto every open stream. */
  say(text: string): void
  cut(): void
}

export const framed = (id: string, event: string, data: object = {}): string =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
export const suspended = (id: string, did: string, holdId: string, severity = 'suspend', aliases?: string[]): string =>
  framed(id, 'suspended', { did, holdId, severity, aliases })
export const resumed = (id: string, did: string, aliases?: string[]): string => framed(id, 'resumed', { did, aliases })
export const snapshot = (id: string, ...held: readonly (readonly [string, string, string?])[]): string =>
  framed(id, 'snapshot', {
    held: held.map(([did, holdId, severity = 'suspend']) => ({ did, holds: [{ holdId, severity }] })),
  })

export const startDouble = async (): Promise<Double> => {
  const posts: Posted[] = []
  const positions: (string | undefined)[] = []
  const streams = new Set<ServerResponse>()
  const text = (value: string | string[] | undefined) => (typeof value === 'string' ? value : undefined)
  const double: Omit<Double, 'origin'> = {
    posts,
    positions,
    greeting: snapshot('g-1'),
    answer: ({ path }) =>
      path === '/v1/kill' ? { status: 202, body: { holdId: `hold-${posts.length}` } } : { status: 204 },
    say: (frames) => {
      for (const stream of streams) stream.write(frames)
    },
    cut: () => {
      for (const stream of streams) stream.destroy()
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      positions.push(text(request.headers['last-event-id']))
      streams.add(response)
      response.on('close', () => streams.delete(response))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`retry: 10\n\n${double.greeting}`)
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = parsed(Buffer.concat(chunks).toString('utf8'))
      const post = { path: request.url ?? '', key: text(request.headers['idempotency-key']), body }
      posts.push(post)
      const answer = double.answer(post)
      if (answer === undefined) return
      const type = answer.code === undefined ? 'application/json' : 'application/problem+json'
      response.writeHead(answer.status, { 'content-type': type })
      response.end(JSON.stringify(answer.code === undefined ? answer.body : { code: answer.code }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the double does not listen')
  return Object.assign(double, { origin: `http://127.0.0.1:${address.port}` })
}
