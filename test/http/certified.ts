import { Agent, request } from 'node:https'
import type { Socket } from 'node:net'
import type { Client } from '../../src/http/auth.ts'
import type { ServerOptions } from '../../src/http/server.ts'
import { createTls, type Tls } from '../../src/http/tls.ts'
import { authority, type Made, serverCertificate } from './certificates.ts'
import { type Listening, listen } from './listen.ts'

export interface Reply {
  readonly status: number
  readonly code: unknown
  readonly name: unknown
  readonly hint: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The connection it came by. */
  readonly socket: Socket
}

export interface Asking {
  /** The certificate to show, and those of the authorities between. */
  readonly by?: Made | undefined
  readonly between?: readonly Made[]
  readonly token?: string
  readonly path?: string
  /** Keeps the connection for the next one that names it. */
  readonly agent?: Agent
}

export interface Certified extends AsyncDisposable {
  readonly server: Listening
  readonly tls: Tls
  /** What the files hold now. */
  readonly files: { cert: string; key: string; clientCa: string | undefined }
  readonly root: Made
  readonly alerts: string[]
  readonly clients: Client[]
  readonly clock: { now(): number }
  /** Keeps one connection. */
  readonly agent: Agent
  ask(asking?: Asking): Promise<Reply>
}

export const client = (name: string, more: Partial<Client>): Client => ({
  name,
  roles: ['reader'],
  tokenSha256: [],
  labels: undefined,
  ...more,
})

/** The API with TLS on loopback, and clients who show certificates. */
export const certified = async (
  clientCa: readonly Made[] | undefined,
  clients: readonly Client[],
  more: Partial<ServerOptions> = {},
  asks = true,
): Promise<Certified> => {
  const root = authority()
  const own = serverCertificate(root)
  const files = { cert: own.pem, key: own.key, clientCa: clientCa?.map(({ pem }) => pem).join('') }
  const alerts: string[] = []
  const clock = { now: () => Date.now() }
  const text = (name: 'cert' | 'key' | 'clientCa') => ({ read: () => files[name] ?? '' })
  const log = { info: () => undefined, warn: () => undefined }
  const tls = createTls(
    { cert: text('cert'), key: text('key'), clientCa: clientCa && text('clientCa'), asks },
    { clock: { now: () => clock.now() }, log, alert: (code) => alerts.push(code), metrics: { set: () => undefined } },
  )
  const server = await listen({ tls, clock: { now: () => clock.now() }, ...more })
  server.clients.push(...clients)

  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = ({ by, between = [], token, path = '/v1/whoami', agent: kept }: Asking = {}): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const sent = request({
        host: '127.0.0.1',
        port: server.port,
        path,
        agent: kept ?? false,
        ca: [root.pem],
        ...(by && { cert: by.pem + between.map(({ pem }) => pem).join(''), key: by.key }),
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      })
      sent.on('error', reject)
      sent.on('response', (response) => {
        const { socket } = response
        let body = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          const json: unknown = body === '' ? {} : JSON.parse(body)
          const member = (name: string): unknown => Object.entries(json ?? {}).find(([key]) => key === name)?.[1]
          resolve({
            status: response.statusCode ?? 0,
            code: member('code'),
            name: member('name'),
            hint: String(member('hint')),
            headers: response.headers,
            socket,
          })
        })
      })
      sent.end()
    })

  return {
    server,
    tls,
    files,
    root,
    alerts,
    clients: server.clients,
    clock,
    agent,
    ask,
    [Symbol.asyncDispose]: async () => {
      agent.destroy()
      await server[Symbol.asyncDispose]()
    },
  }
}
