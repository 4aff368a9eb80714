import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import type { ErrorCode } from '../core/errors.ts'
import type { Bridge } from '../engine/api.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Access, Door } from './auth.ts'
import type { Once } from './idempotency.ts'
import type { Lane } from './limits.ts'
import type { Streams } from './streams.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call. Every route of the API has one; without it the server does not start. */
    access?: Access
    /** Broken characters in a body are replaced, where refusing it would do more harm. */
    mendText?: boolean
    /** No object of a body may name a member twice: others read the other one. */
    uniqueNames?: boolean
    /** An endpoint of OAuth: takes HTTP Basic as well, and its failures carry `error` (RFC 6749 section 5.2). */
    oauth?: boolean
    /**
     * Asked all the time: unless it is refused or fails, a request is a line for debugging, and counted like any other. Its
     * answer goes out with those of others (together.ts).
     */
    quiet?: boolean
    /** Charged to a budget of its own: it stops an agent, or tells of one to be stopped. */
    lane?: Lane
    /** Public, and not limited by address: probes, and deliveries that prove themselves. */
    unlimited?: boolean
    /** Codes the route may answer besides those every route may: for the documentation. */
    errors?: readonly ErrorCode[]
  }
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** What every family of routes is given. */
export interface Context {
  readonly bridge: Bridge
  readonly metrics: Pick<Metrics, 'inc' | 'set' | 'observe' | 'text' | 'contentType'>
  readonly clock: { now(): number }
  readonly version: string
  /** Where callers reach the bridge, when that is configured. */
  readonly publicUrl: string | undefined
  readonly once: Once
  readonly streams: Streams
  /** How callers are known now. */
  readonly door: Door
  /** Counters of this listener, in exposition format. */
  readonly requestMetrics: () => Promise<string>
}

/** One JSON answer of a route, for its `response` table. */
export const answers = <T extends z.ZodType>(description: string, schema: T) => ({
  description,
  content: { 'application/json': { schema } },
})
