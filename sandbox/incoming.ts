import type { IncomingMessage, Server, ServerResponse } from 'node:http'

const maxBody = 4 * 1024 * 1024

/** One request on the socket of a local tenant, read whole. */
export interface Incoming {
  readonly method: string
  readonly path: string
  readonly text: string
  readonly header: (name: string) => string | undefined
}

/** Undefined when its body is longer than any tenant takes. */
export async function receive(request: IncomingMessage): Promise<Incoming | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue
    size += chunk.length
    if (size > maxBody) return undefined
    chunks.push(chunk)
  }
  const header = (name: string) => {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
  return { method: request.method ?? 'GET', path: request.url ?? '/', text: Buffer.concat(chunks).toString(), header }
}

/** The document; undefined when there is none or it is not JSON. */
export function parseJson(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Hands each request on; what goes wrong with it is a bug of the tenant and must be seen, unless its client hung up. */
export function serveEach(
  server: Server,
  serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): void {
  server.keepAliveTimeout = 60_000
  server.on('request', (request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (request.destroyed && !request.complete) return
      server.emit('error', error)
      response.destroy()
    })
  })
}
