import { chmodSync, lstatSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { BridgeError } from '../core/errors.ts'
import { annotatorRoutes } from './annotate.ts'
import { acceptJson } from './body.ts'
import type { App } from './context.ts'
import { extAuthzRoutes } from './extauthz.ts'
import type { FaceContext } from './faces.ts'
import { createOnce } from './idempotency.ts'
import { createListener, type ListenerOptions } from './listener.ts'
import { opaRoutes } from './opa.ts'

/** A Unix socket, or a port of a loopback address. */
export type PolicyAddress = { readonly path: string } | { readonly host: string; readonly port: number }

export type PolicyOptions = Omit<ListenerOptions, 'trustProxy' | 'onStop'> & Pick<FaceContext, 'bridge' | 'metrics'>

const localHost = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/i

/**
 * For policy engines beside the daemon that cannot send a token: the policy query, the annotator and external
 * authorisation, and nothing else. Whoever reaches it may ask, so it listens on this machine only. Not yet listening.
 */
export const createPolicyServer = ({ bridge, metrics, ...options }: PolicyOptions): FastifyInstance => {
  const app = createListener({ ...options, trustProxy: [] })
  const context = { bridge, metrics, once: createOnce(bridge.idempotency) }
  acceptJson(app)
  app.register(async (scope) => {
    const api: App = scope.withTypeProvider<ZodTypeProvider>()
    api.addHook('onRequest', async ({ headers, socket }) => {
      // A page in a browser on this machine may have had its name pointed here. A Unix socket is out of its reach.
      if (socket.remoteAddress === undefined || localHost.test(headers.host ?? '')) return
      throw new BridgeError('E_FORBIDDEN', 'This listener is for callers on the same machine.', {
        hint: 'Call it as localhost, 127.0.0.1 or [::1].',
      })
    })
    opaRoutes(api, context, 'public')
    annotatorRoutes(api, context, 'public')
    // AGT's Python backend asks here whether its policy agent is well.
    api.route({
      method: 'GET',
      url: '/health',
      config: { access: 'public', quiet: true },
      schema: { hide: true },
      handler: async () => ({}),
    })
  })
  // A proxy sends the host that its own caller named; the token that it sends along is what counts.
  app.register(async (scope) => extAuthzRoutes(scope.withTypeProvider<ZodTypeProvider>(), context))
  return app
}

/** Where it listens now. A socket that a process left behind which is gone makes way; group and owner may connect. */
export const listenLocally = async (app: FastifyInstance, address: PolicyAddress): Promise<string> => {
  if (!('path' in address)) return app.listen({ host: address.host, port: address.port })
  const { path } = address
  if (isSocket(path) && !(await answers(path))) rmSync(path)
  await app.listen({ path })
  chmodSync(path, 0o660)
  return `unix:${path}`
}

const isSocket = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Any other failure (a full queue, no permission) is of one that is there.
    socket.once('error', (error) => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  })
