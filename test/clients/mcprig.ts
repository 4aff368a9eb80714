import { createServer, type RequestListener } from 'node:http'
import { text } from 'node:stream/consumers'
import {
  type CallRecord,
  createMcpGuard,
  createRemoteAuthority,
  type McpGuard,
  type McpGuardError,
  type McpGuardOptions,
  type RequestLike,
} from '../../clients/mcp/index.ts'
import { type Client, client } from '../e2e/client.ts'
import { audience } from '../engine/harness.ts'
import { type FaceWorld, faceWorld } from '../http/faceworld.ts'

/** What the guarded server is called, whatever port it listens on. */
export const resource = 'https://mcp.contoso.com/crm'
export const issuer = 'https://login.contoso.com/'
export const contact = 'soc@contoso.com'

export interface Listener extends AsyncDisposable {
  readonly origin: string
}

/** On a free port of loopback; ended with every connection it has. */
export const listenOn = async (listener: RequestListener): Promise<Listener> => {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A guard, and what it told its host. */
export interface Guarded {
  readonly guard: McpGuard
  readonly records: CallRecord[]
  readonly errors: McpGuardError[]
}

export const guarded = (options: Pick<McpGuardOptions, 'authority'> & Partial<McpGuardOptions>): Guarded => {
  const records: CallRecord[] = []
  const errors: McpGuardError[] = []
  const guard = createMcpGuard({
    resource,
    authorizationServers: [issuer],
    contact,
    onCall: (record) => {
      records.push(record)
    },
    onError: (error) => errors.push(error),
    ...options,
  })
  return { guard, records, errors }
}

export interface McpWorld extends Guarded, AsyncDisposable {
  readonly faces: FaceWorld
  readonly origin: string
  /** What got through the guard, in order. */
  readonly passed: RequestLike[]
  /** A token for this server, of the account of that name. */
  token(sub: string, claims?: object): Promise<string>
  as(token: string | undefined): Client
}

/**
 * The real engine behind its HTTP interface, the guard asking it, and behind the guard a server that says of every request
 * that it got it; a GET stays open.
 */
export const mcpWorld = async (options: Partial<McpGuardOptions> = {}): Promise<McpWorld> => {
  await using stack = new AsyncDisposableStack()
  const faces = stack.use(await faceWorld())
  const url = `http://127.0.0.1:${faces.server.port}`
  const authority = stack.use(createRemoteAuthority({ url, token: 'gateway-token', timeoutMs: 20_000 }))
  const parts = guarded({ authority, ...options })
  stack.use(parts.guard)
  const passed: RequestLike[] = []
  const listener = stack.use(
    await listenOn((request: RequestLike, response) => {
      parts.guard.metadata.serve(request, response, () => {
        parts.guard.protect(request, response, () => {
          passed.push(request)
          if (request.method === 'GET')
            response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n')
          else response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: {} }))
        })
      })
    }),
  )
  const held = stack.move()
  return {
    ...parts,
    faces,
    origin: listener.origin,
    passed,
    token: (sub, claims = {}) => faces.token({ sub, aud: [audience, resource], ...claims }),
    as: (token) => client(listener.origin, token),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

export const call = (tool: string, args: object = {}, id: string | number = 1) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: tool, arguments: args },
})

export const listTools = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

/** Opens a GET and gives its status and, once it has ended, how. */
export const openStream = async (origin: string, token: string) => {
  const abort = new AbortController()
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' }
  const response = await fetch(`${origin}/mcp`, { headers, signal: abort.signal })
  const { body } = response
  const ended =
    body === null
      ? Promise.resolve('no body')
      : text(body).then(
          () => 'ended',
          () => 'cut',
        )
  return { status: response.status, ended, close: () => abort.abort() }
}

/** Of an authority that lets everyone in. */
export const yes = {
  allow: true,
  did: 'did:mesh:a',
  codes: [],
  holds: [],
  actor: { did: 'did:mesh:a', principal: null },
  onBehalfOf: null,
  token: {
    issuer,
    adapter: 'north',
    audience: [resource],
    scopes: [],
    issuedAt: '',
    expiresAt: '2026-11-22T00:00:00Z',
  },
  act: [],
  grants: [],
  epoch: 1,
  generation: 'g',
}
