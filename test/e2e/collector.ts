import { createServer } from 'node:http'
import { listAt, parsed, textAt } from './json.ts'

export interface SeenSpan {
  readonly traceId: string
  readonly id: string
  readonly parent: string | undefined
  readonly name: string
  readonly error: boolean
  readonly attributes: ReadonlyMap<string, unknown>
}

export interface Collector extends AsyncDisposable {
  readonly endpoint: string
  readonly spans: readonly SeenSpan[]
  /** Everything that came, as text. */
  readonly raw: readonly string[]
  readonly refused: readonly string[]
  /** Answers 503, or nothing at all. */
  fault: 'down' | 'hangs' | undefined
}

const token = 'the-token-of-the-collector'
export const collectorHeaders = { authorization: `Bearer ${token}` }

const told = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return undefined
  if ('arrayValue' in value) return listAt(value.arrayValue, 'values').map(told)
  return Object.values(value)[0]
}

const spanOf = (span: unknown): SeenSpan => {
  const status: unknown = typeof span === 'object' && span !== null && 'status' in span ? span.status : undefined
  const parent = typeof span === 'object' && span !== null && 'parentSpanId' in span ? String(span.parentSpanId) : ''
  return {
    traceId: textAt(span, 'traceId'),
    id: textAt(span, 'spanId'),
    parent: parent === '' ? undefined : parent,
    name: textAt(span, 'name'),
    error: typeof status === 'object' && status !== null && 'code' in status && status.code === 2,
    attributes: new Map(
      listAt(span, 'attributes').map((one) => [
        textAt(one, 'key'),
        told(typeof one === 'object' && one !== null && 'value' in one ? one.value : undefined),
      ]),
    ),
  }
}

/** A collector that takes OTLP over HTTP in JSON, at one path, from who shows the token. */
export const startCollector = async (): Promise<Collector> => {
  const spans: SeenSpan[] = []
  const raw: string[] = []
  const refused: string[] = []
  const state: { fault: Collector['fault'] } = { fault: undefined }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { authorization, 'content-type': type } = request.headers
      const isRight = authorization === collectorHeaders.authorization && type === 'application/json'
      const text = Buffer.concat(chunks).toString('utf8')
      if (state.fault === 'hangs') return
      if (state.fault === 'down' || request.method !== 'POST' || request.url !== '/v1/traces' || !isRight) {
        refused.push(`${request.method} ${request.url}`)
        response.writeHead(state.fault === 'down' ? 503 : 400).end()
        return
      }
      raw.push(text)
      const sent = listAt(parsed(text), 'resourceSpans').flatMap((one) => listAt(one, 'scopeSpans'))
      spans.push(...sent.flatMap((scope) => listAt(scope, 'spans')).map(spanOf))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no address')
  return {
    endpoint: `http://127.0.0.1:${address.port}/v1/traces`,
    spans,
    raw,
    refused,
    get fault() {
      return state.fault
    },
    set fault(fault) {
      state.fault = fault
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
