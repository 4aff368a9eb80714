import type { ServerResponse } from 'node:http'
import { targetPath } from './credential.ts'
import type { Next, RequestLike } from './sdk.ts'

/** RFC 9728 section 2. */
export interface ResourceMetadata {
  readonly resource: string
  readonly authorization_servers: readonly string[]
  readonly bearer_methods_supported: readonly ['header']
  readonly scopes_supported?: readonly string[]
  readonly resource_name?: string
  readonly resource_documentation?: string
}

export interface Metadata {
  readonly document: ResourceMetadata
  /** Path of the document: the well-known part inserted before the path of the resource (RFC 9728 section 3.1). */
  readonly path: string
  /** Where clients find it, whatever host they reached us by. */
  readonly url: string
  /** Connect and Express middleware, to be mounted at the root: answers for the document, and passes everything else on. */
  readonly serve: (request: RequestLike, response: ServerResponse, next?: Next) => void
}

const wellKnown = '/.well-known/oauth-protected-resource'

/** Everything in it is as configured: nothing of a request, its Host least of all, gets into it. */
export const metadataOf = (resource: URL, document: ResourceMetadata): Metadata => {
  const path = `${wellKnown}${resource.pathname === '/' ? '' : resource.pathname}`
  const text = JSON.stringify(document)
  const answer = (response: ServerResponse, status: number, headers: Readonly<Record<string, string>>, body = '') => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    // Public by its nature; browsers' clients read it from anywhere.
    response.setHeader('access-control-allow-origin', '*')
    response.statusCode = status
    response.end(body)
  }
  return {
    document,
    path,
    url: new URL(path, resource).href,
    serve: (request, response, next) => {
      if (targetPath(request) !== path) {
        if (next !== undefined) return next()
        return answer(response, 404, {})
      }
      const { method } = request
      if (method === 'GET' || method === 'HEAD') {
        const headers = { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' }
        return answer(response, 200, headers, method === 'HEAD' ? '' : text)
      }
      const allow = { allow: 'GET, HEAD, OPTIONS', 'access-control-allow-methods': 'GET, HEAD, OPTIONS' }
      const headers = { ...allow, 'access-control-allow-headers': 'mcp-protocol-version' }
      answer(response, method === 'OPTIONS' ? 204 : 405, headers)
    },
  }
}
