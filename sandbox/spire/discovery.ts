import { createServer } from 'node:http'
import { Listener } from '../listener.ts'
import { keySet, type Trust } from './trust.ts'

/** SPIRE's OIDC discovery provider: what makes JWT-SVIDs verifiable for who knows OpenID providers only. */
export interface DiscoveryProvider extends AsyncDisposable {
  readonly issuer: string
  /** How often the keys were asked for. */
  readonly keyReads: number
}

/**
 * Serves the metadata and the keys over plain HTTP on loopback, as with `allow_insecure_scheme`. Keys have no `use` and no
 * fields of SPIFFE, and those that were revoked are gone at once.
 */
export async function startDiscoveryProvider(trust: Trust): Promise<DiscoveryProvider> {
  let keyReads = 0
  const server = createServer((request, response) => {
    const send = (status: number, body: string) =>
      response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' }).end(body)
    if (request.method !== 'GET') return send(405, '{}')
    if (request.url === '/keys') {
      keyReads += 1
      return send(200, keySet(trust.bundle))
    }
    if (request.url !== '/.well-known/openid-configuration') return send(404, '{}')
    const issuer = listener.origin
    return send(
      200,
      JSON.stringify({
        issuer,
        jwks_uri: `${issuer}/keys`,
        authorization_endpoint: '',
        response_types_supported: ['id_token'],
        subject_types_supported: [],
        id_token_signing_alg_values_supported: ['RS256', 'ES256', 'ES384'],
      }),
    )
  })
  const listener = new Listener(server, '127.0.0.1')
  await listener.open(0)
  return {
    issuer: listener.origin,
    get keyReads() {
      return keyReads
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  }
}
