import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { z } from 'zod'

const push = z.looseObject({
  seq: z.int(),
  type: z.enum(['suspended', 'resumed', 'capabilities', 'snapshot']),
  did: z.string().optional(),
  holdId: z.string().optional(),
  page: z.int().optional(),
  last: z.boolean().optional(),
  held: z.array(z.looseObject({ did: z.string() })).optional(),
})
export type Received = z.output<typeof push> & { readonly id: string }

/** A status, one that says when to come back, no answer ever, or a connection that is cut. */
export type Reply = number | { readonly status: number; readonly retryAfter: string } | 'hang' | 'cut'

export const secretOf = (text: string): string => `whsec_${Buffer.from(text.padEnd(32, '.')).toString('base64')}`

/** A receiver of signed pushes over a real socket. It refuses what is not signed by one of its secrets. */
export class Receiver implements AsyncDisposable {
  secrets: readonly string[]
  reply: (event: Received) => Reply = () => 204
  /** Asked first: what the receiver does with an event before it answers. */
  handle: (event: Received) => Promise<void> | void = () => undefined
  readonly tried: Received[] = []
  readonly taken: Received[] = []
  readonly unsigned: string[] = []
  readonly #server: Server
  readonly #hanging = new Set<ServerResponse>()

  private constructor(server: Server, secrets: readonly string[]) {
    this.#server = server
    this.secrets = secrets
  }

  static async open(...secrets: string[]): Promise<Receiver> {
    const server = createServer()
    const receiver = new Receiver(server, secrets.length === 0 ? [secretOf('one')] : secrets)
    server.on('request', async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const body = Buffer.concat(chunks).toString()
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      await receiver.#take(body, headers, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  get url(): string {
    const { port }: AddressInfo = z.custom<AddressInfo>((it) => typeof it === 'object').parse(this.#server.address())
    return `http://127.0.0.1:${port}/signals?token=of-the-url`
  }

  /** What was taken, in order: type and DID, or type and number of DIDs. */
  get told(): string[] {
    return this.taken.map(({ type, did, held }) => `${type} ${did ?? held?.length}`)
  }

  async #take(body: string, headers: Record<string, string>, response: ServerResponse): Promise<void> {
    const isSigned = this.secrets.some((secret) => {
      try {
        new Webhook(secret).verify(body, headers)
        return true
      } catch {
        return false
      }
    })
    if (!isSigned) {
      this.unsigned.push(body)
      response.writeHead(401).end()
      return
    }
    const event: Received = { ...push.parse(JSON.parse(body)), id: headers['webhook-id'] ?? '' }
    this.tried.push(event)
    const reply = this.reply(event)
    if (reply === 'cut') {
      response.destroy()
      return
    }
    if (reply === 'hang') {
      this.#hanging.add(response)
      return
    }
    const { status, retryAfter } = typeof reply === 'number' ? { status: reply, retryAfter: undefined } : reply
    if (status < 300) {
      await this.handle(event)
      this.taken.push(event)
    }
    response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': retryAfter }).end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const response of this.#hanging) response.destroy()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
