import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerFactory,
  LogController,
} from 'fastify'
import { BridgeError } from '../core/errors.ts'
import { bodyLimit } from './body.ts'
import { refuseConnection } from './clienterror.ts'
import { answerProblem, sendProblem } from './problem.ts'
import { type RequestObserver, requestId } from './requests.ts'
import type { Tls } from './tls.ts'
import { createTogether } from './together.ts'
import { validatorCompiler } from './validation.ts'

export interface ListenerOptions {
  readonly log: FastifyBaseLogger
  readonly requests: RequestObserver
  readonly trustProxy: readonly string[]
  /** How long a close waits for requests in progress before it cuts them; 10 s when left out. */
  readonly graceMs: number | undefined
  /** Left out: plain HTTP. */
  readonly tls?: Tls | undefined
  /** Whether it asks for certificates, when its TLS does. */
  readonly asks?: boolean
  /** Before anything else when it closes. */
  readonly onStop?: () => void
}

const answerHeaders = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
} as const

/** A year: once reached by TLS, no browser asks in the clear any more (RFC 6797). */
const overTls = { 'strict-transport-security': 'max-age=31536000' } as const

const KEEP_ALIVE_MS = 75_000
const REQUEST_MS = 30_000
const timeouts = { headersTimeout: 15_000, connectionsCheckingInterval: 5_000 } as const
const GRACE_MS = 10_000
const MAX_CONNECTIONS = 10_000
// A DID of 512 characters, each of up to nine bytes when percent-encoded, and the id of a hold.
const MAX_PARAM = 5_000

/** Fastify sets its own timeouts on servers that it makes, and on no others. */
const serveBy =
  (tls: Tls, asks: boolean | undefined): FastifyServerFactory =>
  (handler) => {
    const own = { ...timeouts, keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_MS }
    return tls.serve(handler, own, asks)
  }

/** What every listener of the daemon does alike: limits, headers, ids, counters, problems, and how it stops. No routes yet. */
export const createListener = (options: ListenerOptions): FastifyInstance => {
  const { log, requests, trustProxy, graceMs, tls, onStop } = options
  const headers = tls === undefined ? answerHeaders : { ...answerHeaders, ...overTls }
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    // Without options, which set anew for each request what it inherits.
    childLoggerFactory: (logger, bindings) => logger.child(bindings),
    genReqId: requestId,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    bodyLimit,
    // Under the usual idle timeouts of balancers it would be us who close first, and requests would be lost.
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_MS,
    http: timeouts,
    ...(tls && { serverFactory: serveBy(tls, options.asks) }),
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, request, reply) => {
      reply.headers({ ...headers, 'x-request-id': request.id })
      // Such a request meets no hook.
      requests.watch(request, reply)
      sendProblem(error, request, reply)
    },
  })
  app.server.maxConnections = MAX_CONNECTIONS

  let stopping = false
  app.addHook('preClose', async () => {
    stopping = true
    onStop?.()
    // A connection that sends nothing, or too slowly, is nobody's request: it must not keep the process.
    setTimeout(() => app.server.closeAllConnections(), graceMs ?? GRACE_MS).unref()
  })
  const together = createTogether()
  app.addHook('onSend', (request, reply, _payload, done) => {
    const answer = {
      send: () => {
        // Or the connection would stay open, and hold up the close, until its idle timeout.
        if (stopping) reply.header('connection', 'close')
        done()
      },
      failed: (err: unknown) => {
        request.log.error({ err }, 'an answer could not be sent')
        // As what it is counted.
        reply.raw.statusCode = 500
        reply.raw.destroy()
      },
    }
    if (request.routeOptions.config.quiet === true) together.wait(answer)
    else together.next(answer)
  })

  app.decorateRequest('client', null)
  app.setValidatorCompiler(validatorCompiler)
  // Answers are built member by member as views: a schema has nothing left to strip.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(answerProblem)
  app.setNotFoundHandler((_request, _reply) => {
    throw new BridgeError('E_NOT_FOUND', 'There is no such route.', { hint: 'The routes are listed at /docs.' })
  })
  app.addHook('onRequest', (request, reply, done) => {
    requests.watch(request, reply)
    reply.headers({ ...headers, 'x-request-id': request.id })
    const open = !stopping || request.routeOptions.url === '/healthz'
    done(open ? undefined : new BridgeError('E_SHUTTING_DOWN', 'The bridge is stopping.', { retryAfterMs: 1000 }))
  })
  return app
}
