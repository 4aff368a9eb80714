import {
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  importJWK,
  type JWTPayload,
  type ProtectedHeaderParameters,
} from 'jose'
import type { App } from './model.ts'
import type { World } from './world.ts'

/** A refusal of an OAuth endpoint. */
export class OAuthRefusal extends Error {
  readonly status: number
  readonly error: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, error: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.error = error
    this.headers = headers
  }
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']
const maxLifeS = 3600

const invalidClient = (
  message = 'Client authentication failed. Either the client or the client credentials are invalid.',
) => new OAuthRefusal(401, 'invalid_client', message)

/** Which client calls that endpoint, by a signed assertion or by its secret; 401 unless it proves it. */
export async function authenticateClient(
  world: World,
  form: URLSearchParams,
  authorization: string | undefined,
  endpoint: string,
): Promise<App> {
  const assertion = form.get('client_assertion')
  if (assertion !== null) {
    if (form.get('client_assertion_type') !== assertionType) {
      throw new OAuthRefusal(400, 'invalid_request', "The 'client_assertion_type' parameter is missing or invalid.")
    }
    return byAssertion(world, form.get('client_id'), assertion, endpoint)
  }
  const [id, secret] = basic(authorization) ?? [form.get('client_id'), form.get('client_secret')]
  const app = id === null ? undefined : active(world, id)
  if (app === undefined || secret === null || app.secret !== secret) throw invalidClient()
  if (app.authMethod !== 'client_secret_basic' && app.authMethod !== 'client_secret_post') throw invalidClient()
  return app
}

function active(world: World, id: string): App | undefined {
  const app = world.apps.current(id)
  return app?.status === 'ACTIVE' ? app : undefined
}

function basic(authorization: string | undefined): [string, string] | undefined {
  const encoded = /^Basic ([\w+/=-]+)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString().split(':')
  return [decodeURIComponent(id), decodeURIComponent(secret.join(':'))]
}

async function byAssertion(world: World, clientId: string | null, assertion: string, endpoint: string): Promise<App> {
  const { claims, header } = decoded(assertion)
  if (claims.iss === undefined || claims.iss !== claims.sub || (clientId !== null && clientId !== claims.iss)) {
    throw invalidClient("The 'iss' and 'sub' claims of client_assertion must both be the client_id.")
  }
  const app = active(world, claims.iss)
  if (app === undefined) throw invalidClient()
  if (app.authMethod !== 'private_key_jwt') {
    throw invalidClient('The client is not configured to authenticate with private_key_jwt.')
  }
  const jwk = keyOf(app, header)
  try {
    await compactVerify(assertion, await importJWK(jwk, header.alg), { algorithms })
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError || cause instanceof TypeError)) throw cause
    throw Object.assign(invalidClient('The client_assertion signature is invalid.'), { cause })
  }
  checkClaims(world, app, claims, endpoint)
  return app
}

function decoded(assertion: string): { claims: JWTPayload; header: ProtectedHeaderParameters } {
  try {
    return { claims: decodeJwt(assertion), header: decodeProtectedHeader(assertion) }
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError || cause instanceof TypeError)) throw cause
    throw Object.assign(invalidClient('The client_assertion is not a valid JWT.'), { cause })
  }
}

/** A header without `kid` will do only where there is a single key. */
function keyOf(app: App, { alg, kid }: ProtectedHeaderParameters) {
  if (alg === undefined || !algorithms.includes(alg)) {
    throw invalidClient('The client_assertion signing algorithm is not supported.')
  }
  const keys = app.keys.filter(({ status }) => status === 'ACTIVE').map(({ jwk }) => jwk)
  const [only] = keys
  const found = kid === undefined && keys.length === 1 ? only : keys.find((key) => key.kid === kid)
  if (found === undefined) throw invalidClient('The client_assertion JWT kid is invalid.')
  return found
}

function checkClaims(world: World, app: App, { aud, exp, iat, jti }: JWTPayload, endpoint: string): void {
  const now = world.now() / 1000
  if (aud !== endpoint && !(Array.isArray(aud) && aud.length === 1 && aud[0] === endpoint)) {
    throw invalidClient('The audience claim for client_assertion must be the endpoint invoked for the request.')
  }
  if (exp === undefined) throw invalidClient("The client_assertion has no 'exp' claim.")
  if (exp <= now) throw invalidClient('The client_assertion token is expired.')
  if (exp > now + maxLifeS) {
    throw invalidClient('The client_assertion token has an expiration too far into the future.')
  }
  if (iat !== undefined && iat > now + 300) {
    throw invalidClient('The client_assertion token was issued in the future.')
  }
  if (jti === undefined) return
  for (const [old, until] of world.usedAssertions) if (until <= now) world.usedAssertions.delete(old)
  if (world.usedAssertions.has(`${app.id} ${jti}`)) throw invalidClient('The client_assertion token was already used.')
  world.usedAssertions.set(`${app.id} ${jti}`, exp)
}
