import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer as ServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport as ServerTransportV1 } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { createMcpHandler, McpServer as ServerV2 } from '@modelcontextprotocol/server'
import express from 'express'
import fastify from 'fastify'
import { z } from 'zod'
import type { McpGuard, RequestLike } from '../../clients/mcp/index.ts'
import { at } from '../e2e/json.ts'
import { type Listener, listenOn } from './mcprig.ts'

/** Serves what the guard lets through. */
type Serve = (request: RequestLike, response: ServerResponse, body: unknown) => Promise<void>

/** What the tools say: who the guard says that calls. */
const told = (guard: McpGuard, authInfo: unknown, headers: object | undefined, customer: string) => {
  const caller = guard.caller(authInfo)
  if (headers === undefined || /eyJ|authorization/i.test(JSON.stringify([authInfo, headers])))
    throw new Error('a token')
  const text = JSON.stringify({ customer, did: caller?.did, onBehalfOf: caller?.onBehalfOf })
  return { content: [{ type: 'text' as const, text }] }
}

const lookup = { description: 'Looks a customer up', inputSchema: z.object({ customer: z.string() }) }
const erase = { description: 'Erases a customer', inputSchema: z.object({ customer: z.string() }) }
const note = { description: 'Notes anything about a customer', inputSchema: z.object({ customer: z.string() }) }
const dump = { description: 'Forgotten in the list of the bridge', inputSchema: z.object({ customer: z.string() }) }
const tools = Object.entries({ lookup, erase, note, dump })

const v1Server = (guard: McpGuard): ServerV1 => {
  const server = new ServerV1({ name: 'crm', version: '1.0.0' })
  guard.filterTools(server)
  for (const [name, tool] of tools) {
    server.registerTool(name, tool, ({ customer }, { authInfo, requestInfo }) =>
      told(guard, authInfo, requestInfo?.headers, customer),
    )
  }
  return server
}

const v2Server = (guard: McpGuard): ServerV2 => {
  const server = new ServerV2({ name: 'crm', version: '1.0.0' })
  guard.filterTools(server)
  for (const [name, tool] of tools) {
    server.registerTool(name, tool, async ({ customer }, { http }) =>
      told(guard, http?.authInfo, http?.req && Object.fromEntries(http.req.headers), customer),
    )
  }
  return server
}

interface SessionTransport {
  readonly sessionId?: string | undefined
  handleRequest(request: IncomingMessage, response: ServerResponse, body?: unknown): Promise<void>
}

/** A transport for each session, found by its id, as the examples of both SDKs do it. */
const inSessions = (open: (begun: (id: string) => void) => Promise<SessionTransport>): Serve => {
  const sessions = new Map<string, SessionTransport>()
  return async (request, response, body) => {
    const id = request.headers['mcp-session-id']
    const found = typeof id === 'string' ? sessions.get(id) : undefined
    const begun: { transport?: SessionTransport } = {}
    const transport =
      found ??
      (await open((given) => {
        if (begun.transport !== undefined) sessions.set(given, begun.transport)
      }))
    begun.transport = transport
    await transport.handleRequest(request, response, body)
  }
}

/** How each SDK serves. */
export const servers: Readonly<Record<string, (guard: McpGuard) => Serve>> = {
  'v1, in sessions': (guard) =>
    inSessions(async (onsessioninitialized) => {
      const transport = new ServerTransportV1({ sessionIdGenerator: randomUUID, onsessioninitialized })
      // Its declaration does not hold under exactOptionalPropertyTypes, as the transports of v2 do.
      await v1Server(guard).connect(transport as Parameters<ServerV1['connect']>[0])
      return transport
    }),
  'v2, in sessions': (guard) =>
    inSessions(async (onsessioninitialized) => {
      const transport = new NodeStreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized })
      await v2Server(guard).connect(transport)
      return transport
    }),
  'v2, a request each': (guard) => {
    const handler = toNodeHandler(createMcpHandler(() => v2Server(guard)))
    return (request, response, body) => {
      const { method = 'GET', url = '/' } = request
      return handler(Object.assign(request, { method, url }), response, body)
    }
  },
}

/** How each framework is guarded. */
export const hosts: Readonly<Record<string, (guard: McpGuard, serve: Serve) => Promise<Listener>>> = {
  'Express 5': (guard, serve) => {
    const app = express()
    app.use(guard.metadata.serve)
    app.use('/mcp', express.json(), guard.protect, (request, response, next) => {
      serve(request, response, request.body).catch(next)
    })
    return listenOn(app)
  },
  'Fastify 5': async (guard, serve) => {
    const app = fastify({ forceCloseConnections: true })
    app.get(guard.metadata.path, async () => guard.metadata.document)
    app.route({
      method: ['GET', 'POST', 'DELETE'],
      url: '/mcp',
      preHandler: guard.preHandler,
      handler: async (request, reply) => {
        reply.hijack()
        await serve(request.raw, reply.raw, request.body)
      },
    })
    const origin = await app.listen({ host: '127.0.0.1', port: 0 })
    return { origin, [Symbol.asyncDispose]: async () => app.close() }
  },
}

export interface Connected extends AsyncDisposable {
  /** Names of the tools that it is shown. */
  tools(): Promise<string[]>
  /** The text that the tool says. */
  say(name: string, args: Record<string, unknown>): Promise<string>
  /** The same as JSON. */
  call(name: string, args: Record<string, unknown>): Promise<unknown>
  readonly errors: Error[]
}

const said = (result: unknown): string => {
  const text = at(result, 'content', 0, 'text')
  if (typeof text !== 'string') throw new Error(JSON.stringify(result))
  return text
}

const calls = (callTool: (name: string, args: Record<string, unknown>) => Promise<unknown>) => {
  const say: Connected['say'] = async (name, args) => said(await callTool(name, args))
  const call: Connected['call'] = async (name, args) => JSON.parse(await say(name, args))
  return { say, call }
}

/** A client of each SDK, connected with a token. */
export const clients: Readonly<Record<string, (url: string, token: string) => Promise<Connected>>> = {
  v1: async (url, token) => {
    const client = new ClientV1({ name: 'agent', version: '1.0.0' })
    const errors: Error[] = []
    client.onerror = (error) => errors.push(error)
    const requestInit = { headers: { authorization: `Bearer ${token}` } }
    const transport = new TransportV1(new URL(url), { requestInit })
    await client.connect(transport as Parameters<ClientV1['connect']>[0])
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      ...calls((name, args) => client.callTool({ name, arguments: args })),
      errors,
      [Symbol.asyncDispose]: () => client.close(),
    }
  },
  v2: (url, token) => connectV2(url, token, 'legacy'),
  'v2, 2026-07-28': (url, token) => connectV2(url, token, { pin: '2026-07-28' }),
}

const connectV2 = async (url: string, token: string, mode: 'legacy' | { pin: string }): Promise<Connected> => {
  const client = new ClientV2({ name: 'agent', version: '1.0.0' }, { versionNegotiation: { mode } })
  const errors: Error[] = []
  client.onerror = (error) => errors.push(error)
  const authProvider = { token: async () => token }
  await client.connect(new TransportV2(new URL(url), { authProvider }))
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    ...calls((name, args) => client.callTool({ name, arguments: args })),
    errors,
    [Symbol.asyncDispose]: () => client.close(),
  }
}
