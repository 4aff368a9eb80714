import type { HTTPMethods } from 'fastify'
import { refusals } from '../core/decide.ts'
import type { App } from './context.ts'
import { asker, type FaceContext } from './faces.ts'

/** Every method that a proxied request may have; what else comes is answered 404, which is a denial. */
const methods: HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

const bearer = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i

/** Refusals that another token could mend. All others are about the agent. */
const names = Object.keys(refusals)
const ofToken: ReadonlySet<string> = new Set([...names.slice(0, names.indexOf('R_NOT_AGENT')), 'R_BEFORE_RESUME'])

/**
 * The HTTP protocol of a proxy's external authorisation: it sends the head of each request with a prefix before the path,
 * and lets the request pass on 200 alone. The Authorization header is the agent's, so nothing is left for the proxy to
 * prove itself by: only for listeners that nobody else can reach.
 */
export const extAuthzRoutes = (app: App, context: FaceContext): void => {
  const ask = asker(context, 'ext_authz')
  // The proxied body, should it be sent along, is nothing to judge by.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume()
    done(null)
  })
  for (const url of ['/ext_authz', '/ext_authz/*']) {
    app.route({
      method: methods,
      url,
      exposeHeadRoute: false,
      config: { access: 'public', quiet: true },
      schema: { hide: true },
      handler: async (request, reply) => {
        // Of several Node hands over the first, and whoever is asked next may take another.
        const [authorization, ...more] = request.raw.headersDistinct.authorization ?? []
        const one = authorization !== undefined && more.length === 0
        const token = one ? bearer.exec(authorization)?.[1] : undefined
        if (token === undefined) {
          return reply
            .code(401)
            .header('www-authenticate', 'Bearer')
            .send({ codes: ['R_TOKEN'] })
        }
        const capability = request.headers['x-bridge-capability']
        if (Array.isArray(capability) || capability === '') return reply.code(403).send({ codes: ['R_CAPABILITY'] })
        const view = await ask({ token, capability }, reply)
        const { actor, allow, codes, onBehalfOf } = view
        if (!allow) {
          if (!codes.every((code) => ofToken.has(code))) return reply.code(403).send({ codes: [...codes] })
          reply.code(401).header('www-authenticate', 'Bearer error="invalid_token"')
          return { codes: [...codes] }
        }
        // A header cannot carry every character of a DID.
        reply.header('x-agent-did', encodeURIComponent(actor?.did ?? ''))
        reply.header('x-agent-on-behalf-of', encodeURIComponent(onBehalfOf?.id ?? ''))
        reply.header('x-agent-epoch', String(view.epoch.seq))
        return { codes: [] }
      },
    })
  }
}
