import type { IncomingMessage } from 'node:http'

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
