import type { FastifyInstance, HTTPMethods, RouteOptions } from 'fastify'
import { BridgeError } from '../core/errors.ts'

const all: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Routes by path, as registered: what 405 answers say in `Allow`. */
export const collectMethods = (app: FastifyInstance): Map<string, Set<string>> => {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    const known = methods.get(url) ?? new Set()
    for (const name of [method].flat()) known.add(name)
    methods.set(url, known)
  })
  return methods
}

/** Answers 405 with `Allow` for the methods that a path does not have. Register last. */
export const methodRoutes = (app: FastifyInstance, known: ReadonlyMap<string, ReadonlySet<string>>): void => {
  for (const [url, have] of [...known]) {
    const missing = all.filter((method) => !have.has(method))
    if (url.startsWith('/docs') || missing.length === 0) continue
    const allow = [...have].sort().join(', ')
    app.route({
      method: missing,
      url,
      schema: { hide: true },
      // Before the body is read: there is nobody to read it for.
      onRequest: async (_request, reply) => {
        reply.header('allow', allow)
        throw new BridgeError('E_METHOD', 'This route does not have that method.', { hint: `It has: ${allow}.` })
      },
      handler: async () => undefined,
    })
  }
}
