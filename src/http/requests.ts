import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Counter, Histogram, Registry } from 'prom-client'
import { REQUEST } from '../lib/log.ts'

const debugging = new Set(['debug', 'trace'])
const idForm = /^[A-Za-z0-9._~:/+=@-]{1,128}$/

/** The caller's `X-Request-Id` if it is fit to be logged and echoed, else a new one. */
export const requestId = (request: Pick<IncomingMessage, 'headers'>): string => {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && idForm.test(given) ? given : randomUUID()
}

const path = (url: string): string => {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

export interface RequestObserver {
  /** To be called once for a request, before its answer. */
  watch(request: FastifyRequest, reply: FastifyReply): void
  /** The counters in exposition format. */
  text(): Promise<string>
}

/**
 * Counts and logs every request once, when its answer is out or its caller gone. The path is logged without its query,
 * where keys of hooks travel; headers and bodies never. Labels are route templates: what a caller makes up is `none`.
 */
export const observeRequests = (): RequestObserver => {
  const registry = new Registry()
  const total = new Counter({
    name: 'idp_bridge_http_requests_total',
    help: 'Requests answered, by route, method and status class',
    labelNames: ['route', 'method', 'status'],
    registers: [registry],
  })
  const seconds = new Histogram({
    name: 'idp_bridge_http_request_seconds',
    help: 'Time to answer a request; signal streams are left out',
    labelNames: ['route', 'method'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  const answered = (request: FastifyRequest, reply: FastifyReply) => {
    const route = request.routeOptions.url ?? 'none'
    const { method } = request
    const { statusCode, elapsedTime } = reply
    // Undefined on what was refused before it had a route.
    const client = request.client?.name
    total.inc({ route, method, status: `${Math.floor(statusCode / 100)}xx` })
    const streamed = reply.raw.getHeader('content-type')?.toString().startsWith('text/event-stream') === true
    if (!streamed) seconds.observe({ route, method }, elapsedTime / 1000)
    const isQuiet = statusCode < 400 && request.routeOptions.config.quiet === true
    const level = statusCode >= 500 ? 'warn' : isQuiet ? 'debug' : 'info'
    if (isQuiet && !debugging.has(request.log.level)) return
    const fields = {
      method,
      route,
      path: path(request.url),
      status: reply.raw.statusCode,
      ms: Math.round(elapsedTime * 10) / 10,
      ip: request.ip,
      ...(client === undefined ? {} : { client }),
      ...(reply.raw.writableFinished ? {} : { aborted: true }),
    }
    request.log[level](fields, REQUEST)
  }
  return {
    // Not `onResponse`: a caller that leaves before the end, as those of streams do, would never be seen.
    watch: (request, reply) => reply.raw.once('close', () => answered(request, reply)),
    text: () => registry.metrics(),
  }
}
