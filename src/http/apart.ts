import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Tracing } from '../lib/tracing.ts'
import type { App, Context } from './context.ts'
import { aliveRoute, stateRoutes } from './health.ts'
import { hookRoutes } from './hooks.ts'
import { createListener, type ListenerOptions } from './listener.ts'
import { collectMethods, methodRoutes } from './methods.ts'
import { traceRequests } from './tracing.ts'

export type ApartOptions = Omit<ListenerOptions, 'onStop' | 'asks'> &
  Pick<Context, 'bridge' | 'metrics' | 'clock' | 'version'> & { readonly trace?: Tracing | undefined }

type Family = (app: App, options: ApartOptions & Pick<Context, 'requestMetrics'>) => void

/** A listener with these routes and no others, none of which asks for a token. Not yet listening. */
const listenerOf = (options: ApartOptions, families: readonly Family[]): FastifyInstance => {
  const app = createListener({ ...options, asks: false })
  if (options.trace !== undefined) traceRequests(app, options.trace)
  const methods = collectMethods(app)
  for (const family of families) {
    app.register(async (scope) =>
      family(scope.withTypeProvider<ZodTypeProvider>(), { ...options, requestMetrics: options.requests.text }),
    )
  }
  app.register(async (scope) => methodRoutes(scope, methods))
  return app
}

/** For the deliveries of directories: what may be reached from the internet, and nothing besides. */
export const createHooksServer = (options: ApartOptions): FastifyInstance =>
  listenerOf(options, [hookRoutes, aliveRoute])

/** For probes and Prometheus. Plain HTTP: what asks here knows no authority of ours, and is told no secret. */
export const createManagementServer = (options: Omit<ApartOptions, 'tls'>): FastifyInstance =>
  listenerOf(options, [aliveRoute, stateRoutes])
