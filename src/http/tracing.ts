import type { FastifyInstance } from 'fastify'
import type { Tracing } from '../lib/tracing.ts'

/** Every request that may change something is a span, below its caller's when it says so. Questions and readings are not. */
export const traceRequests = (app: FastifyInstance, trace: Pick<Tracing, 'serve'>): void => {
  app.addHook('onRequest', (request, reply, done) => {
    const { method } = request
    const { config, url: route } = request.routeOptions
    if (method === 'GET' || method === 'HEAD' || route === undefined || config.quiet === true) return done()
    const attributes = { 'http.request.method': method, 'http.route': route, requestId: request.id }
    const end = trace.serve(`${method} ${route}`, request.headers.traceparent, attributes, done)
    reply.raw.once('close', () => end(reply.raw.statusCode))
  })
}
