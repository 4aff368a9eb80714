import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'

const most = 1024 * 1024
const published = '/api/events'

/** CloudEvents 1.0 §3, as a topic with that input schema checks it. */
const cloudEvent = z
  .strictObject({
    specversion: z.literal('1.0'),
    id: z.string().min(1),
    source: z.string().min(1),
    type: z.string().min(1),
    subject: z.string().min(1).optional(),
    time: z.iso.datetime().optional(),
    datacontenttype: z.literal('application/json').optional(),
    data: z.record(z.string(), z.unknown()),
  })
  .readonly()
export type Published = z.output<typeof cloudEvent>

export interface TopicOptions {
  readonly key?: string
  /** Accepted bearer tokens, in place of the key. */
  readonly tokens?: ReadonlySet<string>
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** A local stand-in of a custom topic. It refuses what Event Grid is documented to refuse. */
export class Topic implements AsyncDisposable {
  readonly events: Published[] = []
  readonly batches: number[] = []
  readonly refused: string[] = []
  readonly requests: { readonly path: string; readonly headers: IncomingMessage['headers'] }[] = []
  /** Answers this many requests with 503 first. */
  busy = 0
  readonly #server: Server
  readonly #options: TopicOptions

  private constructor(options: TopicOptions) {
    this.#options = options
    const handle = (request: IncomingMessage, response: ServerResponse) => void this.#take(request, response)
    this.#server = options.tls === undefined ? createPlain(handle) : createSecure(options.tls, handle)
  }

  static async open(options: TopicOptions): Promise<Topic> {
    const topic = new Topic(options)
    await new Promise<void>((resolve) => topic.#server.listen(0, '127.0.0.1', resolve))
    return topic
  }

  get endpoint(): string {
    const { port } = z.custom<AddressInfo>((it) => typeof it === 'object').parse(this.#server.address())
    return this.#options.tls === undefined
      ? `http://127.0.0.1:${port}${published}`
      : `https://localhost:${port}${published}`
  }

  #refusal(request: IncomingMessage, body: Buffer): readonly [number, string] | undefined {
    const url = new URL(request.url ?? '', 'http://topic')
    if (url.pathname !== published || request.method !== 'POST') return [404, 'no such topic']
    if (url.searchParams.get('api-version') !== '2018-01-01') return [400, 'api-version']
    const { key, tokens } = this.#options
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    const proven = tokens === undefined ? request.headers['aeg-sas-key'] === key : tokens.has(bearer ?? '')
    if (!proven) return [401, 'not authorised']
    if (request.headers['content-type'] !== 'application/cloudevents-batch+json; charset=utf-8') return [415, 'schema']
    if (body.length > most) return [413, 'too large']
    const events = z.array(cloudEvent).min(1).safeParse(JSON.parse(body.toString()))
    if (!events.success) return [400, events.error.message]
    this.events.push(...events.data)
    this.batches.push(events.data.length)
    return undefined
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    this.requests.push({ path: request.url ?? '', headers: request.headers })
    if (this.busy > 0) {
      this.busy -= 1
      response.writeHead(503, { 'retry-after': '7' }).end()
      return
    }
    const refusal = this.#refusal(request, Buffer.concat(chunks))
    if (refusal === undefined) {
      response.writeHead(200).end()
      return
    }
    this.refused.push(`${refusal[0]} ${refusal[1]}`)
    response.writeHead(refusal[0], { 'content-type': 'application/json' }).end(JSON.stringify({ error: refusal[1] }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
