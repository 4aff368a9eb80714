import type { FastifyInstance, HTTPMethods } from 'fastify'
import { BridgeError } from '../core/errors.ts'

const all: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

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
