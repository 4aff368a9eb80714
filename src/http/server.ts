import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController, type RouteOptions } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { BridgeError } from '../core/errors.ts'
import type { Bridge } from '../engine/api.ts'
import { agentRoutes } from './agents.ts'
import { auditRoutes } from './auditlog.ts'
import { authenticator, type Client } from './auth.ts'
import { blueprintRoutes } from './blueprints.ts'
import { acceptJson, bodyLimit } from './body.ts'
import { refuseConnection } from './clienterror.ts'
import type { App, Context } from './context.ts'
import { decisionRoutes } from './decisions.ts'
import { healthRoutes } from './health.ts'
import { holdRoutes } from './holds.ts'
import { hookRoutes } from './hooks.ts'
import { createOnce } from './idempotency.ts'
import { killRoutes } from './kill.ts'
import { methodRoutes } from './methods.ts'
import { describeApi, documentRoute } from './openapi.ts'
import { operateRoutes } from './operate.ts'
import { answerProblem, sendProblem } from './problem.ts'
import { receiptRoutes } from './receipts.ts'
import { observeRequests, requestId } from './requests.ts'
import { signalRoutes } from './signals.ts'
import { createStreams, type StreamSettings, streamSettings } from './streams.ts'
import { trustRoutes } from './trust.ts'
import { validatorCompiler } from './validation.ts'
import { whoamiRoute } from './whoami.ts'

export interface ServerOptions {
  readonly bridge: Bridge
  /** Asked for every request, so that a reload takes effect. */
  readonly clients: () => readonly Client[]
  readonly log: FastifyBaseLogger
  readonly metrics: Context['metrics']
  readonly clock: { now(): number }
  readonly version: string
  /** Where callers reach the bridge: the server of the OpenAPI document. */
  readonly publicUrl?: string | undefined
  /** Addresses or CIDRs whose `X-Forwarded-For` is logged. It never authorises. */
  readonly trustProxy?: readonly string[] | undefined
  /** How long a close waits for requests in progress before it cuts them; 10 s when left out. */
  readonly graceMs?: number | undefined
  readonly streams?: Partial<StreamSettings> | undefined
}

const answerHeaders = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
} as const

const GRACE_MS = 10_000
const MAX_CONNECTIONS = 10_000
// A DID of 512 characters, each of up to nine bytes when percent-encoded, and the id of a hold.
const MAX_PARAM = 5_000

/** Routes by path, as registered: what 405 answers say in `Allow`. */
const collectMethods = (app: FastifyInstance): Map<string, Set<string>> => {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    const known = methods.get(url) ?? new Set()
    for (const name of [method].flat()) known.add(name)
    methods.set(url, known)
  })
  return methods
}

/**
 * The HTTP API (DESIGN §7), not yet listening: the caller listens and closes. Closing ends the signal streams first, then
 * waits for requests in progress.
 */
export const createServer = (options: ServerOptions): FastifyInstance => {
  const { bridge, clients, log, metrics, clock, version, publicUrl, trustProxy = [] } = options
  const requests = observeRequests()
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestId,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    bodyLimit,
    // Under the usual idle timeouts of balancers it would be us who close first, and requests would be lost.
    keepAliveTimeout: 75_000,
    requestTimeout: 30_000,
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5_000 },
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, request, reply) => {
      reply.headers({ ...answerHeaders, 'x-request-id': request.id })
      // Such a request meets no hook.
      requests.watch(request, reply)
      sendProblem(error, request, reply)
    },
  })
  app.server.maxConnections = MAX_CONNECTIONS

  let stopping = false
  const streams = createStreams({ ...streamSettings, ...options.streams }, (open) =>
    metrics.set('signals_clients', {}, open),
  )
  app.addHook('preClose', async () => {
    stopping = true
    streams.close()
    // A connection that sends nothing, or too slowly, is nobody's request: it must not keep the process.
    setTimeout(() => app.server.closeAllConnections(), options.graceMs ?? GRACE_MS).unref()
  })
  // Or the connection would stay open, and hold up the close, until its idle timeout.
  app.addHook('onSend', async (_request, reply) => {
    if (stopping) reply.header('connection', 'close')
  })

  app.decorateRequest('client', null)
  app.setValidatorCompiler(validatorCompiler)
  // Answers are built member by member as views: a schema has nothing left to strip.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(answerProblem)
  app.setNotFoundHandler((_request, _reply) => {
    throw new BridgeError('E_NOT_FOUND', 'There is no such route.', { hint: 'The routes are listed at /docs.' })
  })
  app.addHook('onRequest', async (request, reply) => {
    requests.watch(request, reply)
    reply.headers({ ...answerHeaders, 'x-request-id': request.id })
    if (stopping && request.routeOptions.url !== '/healthz') {
      throw new BridgeError('E_SHUTTING_DOWN', 'The bridge is stopping.', { retryAfterMs: 1000 })
    }
  })
  const methods = collectMethods(app)

  acceptJson(app)
  describeApi(app, version, publicUrl)
  const context: Context = {
    bridge,
    metrics,
    clock,
    version,
    streams,
    clients,
    requestMetrics: requests.text,
    once: createOnce(bridge.idempotency),
  }
  const families = [
    agentRoutes,
    blueprintRoutes,
    holdRoutes,
    receiptRoutes,
    killRoutes,
    trustRoutes,
    signalRoutes,
    decisionRoutes,
    operateRoutes,
    auditRoutes,
    whoamiRoute,
    healthRoutes,
  ]
  app.register(async (scope) => {
    const api: App = scope.withTypeProvider<ZodTypeProvider>()
    api.addHook('onRequest', authenticator(clients))
    api.addHook('onRoute', documentRoute)
    for (const family of families) family(api, context)
    api.register(async (hooks) => hookRoutes(hooks.withTypeProvider<ZodTypeProvider>(), context))
  })
  app.register(async (scope) => methodRoutes(scope, methods))
  return app
}
