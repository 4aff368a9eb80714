import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { EntraTenant } from '../../sandbox/entra/index.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** The value at that path of a JSON document. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null) return undefined
    found = Reflect.get(found, name)
  }
  return found
}

export function list(value: unknown): unknown[] {
  assert.ok(Array.isArray(value), `expected a list, got ${JSON.stringify(value)}`)
  return value
}

export function text(value: unknown): string {
  assert.equal(typeof value, 'string', `expected text, got ${JSON.stringify(value)}`)
  return String(value)
}

export function rows(reply: Reply): unknown[] {
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  return list(at(reply.body, 'value'))
}

export function ids(reply: Reply): string[] {
  return rows(reply).map((row) => text(at(row, 'id')))
}

export function code(reply: Reply): [number, unknown] {
  return [reply.status, at(reply.body, 'error', 'code')]
}

export async function send(url: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(url, init)
  const body = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return { status: response.status, headers: response.headers, body: isJson && body !== '' ? JSON.parse(body) : body }
}

export async function requestToken(tenant: EntraTenant, form: Record<string, string>): Promise<Reply> {
  const url = `${tenant.origin}/${tenant.tenantId}/oauth2/v2.0/token`
  return send(url, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', ...form }) })
}

/** A Graph client with the permissions given, signed in over the token endpoint. */
export class GraphClient {
  readonly appId: string
  readonly servicePrincipalId: string
  readonly secret: string
  readonly tenant: EntraTenant
  readonly token: string

  constructor(tenant: EntraTenant, app: { appId: string; servicePrincipalId: string; secret: string }, token: string) {
    this.tenant = tenant
    this.appId = app.appId
    this.servicePrincipalId = app.servicePrincipalId
    this.secret = app.secret
    this.token = token
  }

  static async signIn(tenant: EntraTenant, ...roles: string[]): Promise<GraphClient> {
    const app = tenant.registerApp({ name: 'test client', roles })
    const { appId: client_id, secret: client_secret } = app
    const scope = 'https://graph.microsoft.com/.default'
    const reply = await requestToken(tenant, { client_id, client_secret, scope })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    return new GraphClient(tenant, app, text(at(reply.body, 'access_token')))
  }

  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    const url = path.startsWith('http') ? path : `${this.tenant.origin}/v1.0${path}`
    return send(url, {
      method,
      headers: {
        Authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }

  get(path: string, headers?: Record<string, string>): Promise<Reply> {
    return this.call('GET', path, undefined, headers)
  }

  patch(path: string, body: unknown): Promise<Reply> {
    return this.call('PATCH', path, body)
  }

  post(path: string, body?: unknown): Promise<Reply> {
    return this.call('POST', path, body)
  }

  async batch(requests: unknown[]): Promise<Map<string, { status: number; headers: unknown; body: unknown }>> {
    const reply = await this.post('/$batch', { requests })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    return new Map(
      list(at(reply.body, 'responses')).map((each) => [
        text(at(each, 'id')),
        { status: Number(at(each, 'status')), headers: at(each, 'headers'), body: at(each, 'body') },
      ]),
    )
  }

  /** All pages of a list or of a delta round. */
  async all(
    path: string,
    headers?: Record<string, string>,
  ): Promise<{ rows: unknown[]; pages: Reply[]; delta: string }> {
    const pages: Reply[] = []
    const found: unknown[] = []
    let next: unknown = path
    while (typeof next === 'string') {
      const page: Reply = await this.get(next, headers)
      pages.push(page)
      found.push(...rows(page))
      next = at(page.body, '@odata.nextLink')
    }
    const delta = at(pages.at(-1)?.body, '@odata.deltaLink')
    return { rows: found, pages, delta: typeof delta === 'string' ? delta : '' }
  }
}

/** A clock the test moves. */
export function clock(start = Date.now()) {
  let now = start
  return {
    now: () => now,
    advance: (ms: number) => {
      now += ms
    },
  }
}

export interface Delivered {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

/** A webhook on loopback that answers as told and keeps what it got. */
export async function startReceiver(
  answer: (request: Delivered) => { status: number; headers?: Record<string, string>; body?: unknown },
) {
  return startHook((request) => {
    const { status, headers, body } = answer(request)
    return { status, headers, text: body === undefined ? undefined : JSON.stringify(body), type: 'application/json' }
  })
}

/** The same, with answers of text. */
export async function startHook(
  answer: (request: Delivered) => {
    status: number
    headers?: Record<string, string> | undefined
    text?: string | undefined
    type?: string
  },
) {
  const received: Delivered[] = []
  const server = createServer(async (request, response) => {
    let raw = ''
    for await (const chunk of request) raw += String(chunk)
    const body: unknown = raw === '' ? undefined : JSON.parse(raw)
    const got = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body }
    received.push(got)
    const said = answer(got)
    response.writeHead(said.status, { 'Content-Type': said.type ?? 'text/plain', ...said.headers })
    response.end(said.text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    url: `http://127.0.0.1:${address.port}/hooks/contoso`,
    received,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
