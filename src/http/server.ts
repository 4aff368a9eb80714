import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Bridge } from '../engine/api.ts'
import type { Standings } from '../engine/callers.ts'
import type { Tracing } from '../lib/tracing.ts'
import { agentRoutes } from './agents.ts'
import { annotatorRoutes } from './annotate.ts'
import { auditExportRoutes } from './auditexport.ts'
import { auditRoutes } from './auditlog.ts'
import { authenticator, type Client, type Door } from './auth.ts'
import { authzenRoutes } from './authzen.ts'
import { blueprintRoutes } from './blueprints.ts'
import { acceptJson } from './body.ts'
import { readCertificates } from './certificates.ts'
import type { App, Context } from './context.ts'
import { decisionRoutes } from './decisions.ts'
import { delegationRoutes } from './delegations.ts'
import { discoverRoutes } from './discover.ts'
import { doctorRoutes } from './doctor.ts'
import { aliveRoute, errorRoute, stateRoutes } from './health.ts'
import { holdRoutes } from './holds.ts'
import { hookRoutes } from './hooks.ts'
import { createOnce } from './idempotency.ts'
import { importRoutes } from './imports.ts'
import { introspectionRoutes } from './introspection.ts'
import { killRoutes } from './kill.ts'
import type { Limits } from './limits.ts'
import { createListener } from './listener.ts'
import { collectMethods, methodRoutes } from './methods.ts'
import type { Visitors } from './oidc.ts'
import { opaRoutes } from './opa.ts'
import { describeApi, documentRoute } from './openapi.ts'
import { operateRoutes } from './operate.ts'
import { planRoutes } from './plan.ts'
import { publishingRoutes } from './publishing.ts'
import { receiptRoutes } from './receipts.ts'
import { replicaRoutes } from './replica.ts'
import { observeRequests, type RequestObserver } from './requests.ts'
import { selfRoutes } from './selfregistration.ts'
import { signalRoutes } from './signals.ts'
import { createStreams, type StreamSettings, streamSettings } from './streams.ts'
import type { Tls } from './tls.ts'
import { toolServerRoutes } from './toolservers.ts'
import { traceRequests } from './tracing.ts'
import { trustRoutes } from './trust.ts'
import { webhookRoutes } from './webhooks.ts'
import { whoamiRoute } from './whoami.ts'

export interface ServerOptions {
  readonly bridge: Bridge
  /** Asked for every request, so that a reload takes effect. */
  readonly clients: () => readonly Client[]
  /** Left out: plain HTTP. */
  readonly tls?: Tls | undefined
  /** Left out: nobody is limited. */
  readonly limits?: Limits | undefined
  /** Which callers are agents; left out, none is. */
  readonly standings?: Standings | undefined
  /** Left out: no directory vouches for anybody. */
  readonly visitors?: Visitors | undefined
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
  /** What listeners of their own have, and this one then has not. */
  readonly apart?: { readonly hooks: boolean; readonly management: boolean } | undefined
  /** Counts the requests of every listener; one of its own when left out. */
  readonly requests?: RequestObserver | undefined
  readonly trace?: Tracing | undefined
}

/**
 * The HTTP API (DESIGN §7), not yet listening: the caller listens and closes. Closing ends the signal streams first, then
 * waits for requests in progress.
 */
export const createServer = (options: ServerOptions): FastifyInstance => {
  const {
    bridge,
    clients,
    log,
    metrics,
    clock,
    version,
    publicUrl,
    trustProxy = [],
    tls,
    standings,
    visitors,
    limits,
  } = options
  const { apart = { hooks: false, management: false } } = options
  const requests = options.requests ?? observeRequests()
  const streams = createStreams({ ...streamSettings, ...options.streams }, (open) =>
    metrics.set('signals_clients', {}, open),
  )
  const app = createListener({
    log,
    requests,
    trustProxy,
    graceMs: options.graceMs,
    tls,
    onStop: () => streams.close(),
  })
  if (options.trace !== undefined) traceRequests(app, options.trace)
  const door: Door = {
    clients,
    certificate: tls?.asks === true ? readCertificates({ ...tls, clock }) : undefined,
    standings,
    visitors,
    limits,
  }
  const methods = collectMethods(app)

  acceptJson(app)
  describeApi(app, version, publicUrl)
  const context: Context = {
    bridge,
    metrics,
    clock,
    version,
    streams,
    door,
    publicUrl,
    requestMetrics: requests.text,
    once: createOnce(bridge.idempotency),
  }
  const families = [
    agentRoutes,
    importRoutes,
    discoverRoutes,
    blueprintRoutes,
    toolServerRoutes,
    delegationRoutes,
    holdRoutes,
    receiptRoutes,
    publishingRoutes,
    killRoutes,
    trustRoutes,
    signalRoutes,
    webhookRoutes,
    decisionRoutes,
    replicaRoutes,
    operateRoutes,
    planRoutes,
    doctorRoutes,
    auditRoutes,
    auditExportRoutes,
    whoamiRoute,
    errorRoute,
    ...(apart.management ? [] : [aliveRoute, stateRoutes]),
  ]
  app.register(async (scope) => {
    const api: App = scope.withTypeProvider<ZodTypeProvider>()
    api.addHook('onRequest', authenticator(door))
    api.addHook('onRoute', documentRoute)
    for (const family of families) family(api, context)
    opaRoutes(api, context, ['gateway'])
    annotatorRoutes(api, context, ['gateway'])
    // Each takes other bodies, or answers other types of them otherwise.
    const hooks = apart.hooks ? [] : [hookRoutes]
    for (const own of [selfRoutes, ...hooks, introspectionRoutes, authzenRoutes]) {
      api.register(async (inner) => own(inner.withTypeProvider<ZodTypeProvider>(), context))
    }
  })
  app.register(async (scope) => methodRoutes(scope, methods))
  return app
}
