import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * What the guard needs of `@modelcontextprotocol/sdk` (v1), `@modelcontextprotocol/server` (v2), Express and Fastify, as
 * structural types: importing the guard loads none of them.
 */

/** What the transports of both versions take from `req.auth` and hand to tools as `authInfo`. */
export interface AuthInfoLike {
  token: string
  clientId: string
  scopes: string[]
  /** Seconds since 1970. */
  expiresAt?: number
  resource?: URL
  /** v2 only: what its own scope challenges name. */
  resourceMetadataUrl?: string
  extra?: Record<string, unknown>
}

/** A request of Node, Express, or the `raw` one of Fastify. */
export type RequestLike = IncomingMessage & {
  /** As a parser before the guard left it; the guard puts it there when there was none. */
  body?: unknown
  /** Express: the URL before it was cut to the part that a router has. */
  originalUrl?: string
  auth?: AuthInfoLike
}

export type Next = (error?: unknown) => void

/** A `preHandler` hook of Fastify has these. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage
  readonly body: unknown
}
export interface FastifyReplyLike {
  readonly raw: ServerResponse
  code(status: number): unknown
  header(name: string, value: string): unknown
  send(body: string): unknown
}

/** Method syntax on purpose, here and below: the messages and transports of both versions then fit. */
interface Hears {
  hear(message: unknown, extra?: unknown): void
}

export interface TransportLike {
  onmessage?: Hears['hear'] | undefined
  send(message: unknown, options?: unknown): Promise<void>
}

/** `McpServer`, or the `Server` in it. */
export interface ServerLike {
  readonly server?: ServerLike
  connect(transport: TransportLike): Promise<void>
}
