import type { Answer } from '../faults.ts'
import type { Incoming } from '../incoming.ts'
import { type Origin, throughOf } from './actors.ts'
import { appTarget } from './apps.ts'
import { authenticateClient, OAuthRefusal } from './clientauth.ts'
import { ProofRefusal } from './dpop.ts'
import type { App } from './model.ts'
import { scopesOfOrg } from './scopes.ts'
import { type AuthorizationServer, issueAccess, issuerOf } from './servers.ts'
import type { World } from './world.ts'

/** With the id that the log will know it by. */
export interface OAuthRequest extends Incoming {
  readonly requestId: string
}

/** What a path below `/oauth2` or `/.well-known` asks for, and of which server: undefined is the org's own. */
interface Asked {
  readonly what: string
  readonly server: AuthorizationServer | undefined
}

const discovery = new Set(['openid-configuration', 'oauth-authorization-server'])

function askedOf(world: World, segments: readonly string[]): Asked | undefined {
  const [first, second, third, fourth, ...more] = segments
  if (more.length > 0) return undefined
  if (first === '.well-known') {
    if (second === undefined || !discovery.has(second)) return undefined
    if (third === undefined) return { what: second, server: undefined }
    return third === 'oauth2' ? custom(world, fourth, second) : undefined
  }
  if (second === 'v1') return fourth === undefined ? { what: third ?? '', server: undefined } : undefined
  if (third === 'v1' || (third === '.well-known' && discovery.has(fourth ?? ''))) return custom(world, second, fourth)
  return undefined
}

function custom(world: World, id = '', what = ''): Asked | undefined {
  const server = world.servers.get(id)
  return server === undefined ? undefined : { what, server }
}

/** The authorization servers: metadata, keys, tokens, introspection and revocation. */
export async function serveOAuth(world: World, request: OAuthRequest, segments: readonly string[]): Promise<Answer> {
  const asked = askedOf(world, segments)
  if (asked === undefined) return { status: 404, headers: {} }
  const { server, what } = asked
  const reads = what === 'keys' || discovery.has(what)
  if (request.method !== (reads ? 'GET' : 'POST')) return { status: 405, headers: {} }
  try {
    if (what === 'keys') return keys(world, server)
    if (discovery.has(what)) return metadata(world, server)
    if (world.switches.tokenEndpointDown) return { status: 503, headers: {} }
    if (!/^application\/x-www-form-urlencoded\b/i.test(request.header('content-type') ?? '')) {
      throw new OAuthRefusal(400, 'invalid_request', "The 'Content-Type' must be application/x-www-form-urlencoded.")
    }
    const form = new URLSearchParams(request.text)
    if (what === 'token') return await token(world, server, request, form)
    if (what === 'introspect') return await introspect(world, server, request, form)
    if (what === 'revoke') return await revoke(world, server, request, form)
    return { status: 404, headers: {} }
  } catch (error) {
    if (error instanceof ProofRefusal) return refused(400, error.error, error.message, nonceHeader(world, error))
    if (!(error instanceof OAuthRefusal)) throw error
    return refused(error.status, error.error, error.message, error.headers)
  }
}

function refused(
  status: number,
  error: string,
  error_description: string,
  headers: Readonly<Record<string, string>>,
): Answer {
  return { status, headers: { 'Cache-Control': 'no-cache, no-store', ...headers }, body: { error, error_description } }
}

function nonceHeader(world: World, { error }: ProofRefusal): Record<string, string> {
  return error === 'use_dpop_nonce' ? { 'dpop-nonce': world.proofs.nonce() } : {}
}

/** The org's own keys are those of ID tokens and Universal Logout; none of them signs access tokens. */
function keys(world: World, server: AuthorizationServer | undefined): Answer {
  if (world.switches.jwksDown) return { status: 503, headers: {} }
  const headers = { 'Cache-Control': 'max-age=3832304, must-revalidate' }
  return { status: 200, headers, body: (server?.keys ?? world.orgKeys).jwks() }
}

function metadata(world: World, server: AuthorizationServer | undefined): Answer {
  const issuer = issuerOf(world, server?.id)
  const base = server === undefined ? `${world.origin}/oauth2/v1` : `${issuer}/v1`
  const body = {
    issuer,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    jwks_uri: `${base}/keys`,
    introspection_endpoint: `${base}/introspect`,
    revocation_endpoint: `${base}/revoke`,
    response_types_supported: ['code', 'id_token', 'token'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    dpop_signing_alg_values_supported: ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'],
    scopes_supported: server?.scopes ?? scopesOfOrg,
  }
  return { status: 200, headers: { 'Cache-Control': 'max-age=86400, must-revalidate' }, body }
}

/** The URL of the endpoint as a client must name it in its assertion and in its proof. */
function endpointOf(world: World, request: Incoming): string {
  return `${world.origin}${request.path.split('?', 1)[0]}`
}

async function token(
  world: World,
  server: AuthorizationServer | undefined,
  request: OAuthRequest,
  form: URLSearchParams,
): Promise<Answer> {
  const grant = form.get('grant_type')
  if (grant === null || grant === '') {
    throw new OAuthRefusal(400, 'invalid_request', "'grant_type' request parameter is missing.")
  }
  const endpoint = endpointOf(world, request)
  const app = await authenticateClient(world, form, request.header('authorization'), endpoint)
  if (grant !== 'client_credentials' || app.applicationType !== 'service') {
    throw new OAuthRefusal(
      400,
      'unsupported_grant_type',
      'The authorization grant type is not supported by the authorization server. Configured grant types: [client_credentials].',
    )
  }
  if (server === undefined && app.authMethod !== 'private_key_jwt') {
    throw new OAuthRefusal(
      401,
      'invalid_client',
      'Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.',
    )
  }
  const scopes = grantedScopes(app, server, form.get('scope'))
  const jkt = await boundTo(world, app, request, endpoint)
  const issued = issueAccess(world, {
    clientId: app.id,
    scopes,
    ...(server === undefined ? {} : { server: server.id }),
    ...(jkt === undefined ? {} : { jkt }),
  })
  const eventType =
    server === undefined ? 'app.oauth2.token.grant.access_token' : 'app.oauth2.as.token.grant.access_token'
  world.log.write({ eventType, targets: [appTarget(app)] }, originOf(app, request))
  return {
    status: 200,
    headers: { 'Cache-Control': 'no-cache, no-store' },
    body: {
      token_type: jkt === undefined ? 'Bearer' : 'DPoP',
      expires_in: issued.exp - issued.iat,
      access_token: issued.token,
      scope: scopes.join(' '),
    },
  }
}

function originOf(app: App, request: OAuthRequest): Origin {
  const actor = { id: app.id, type: 'PublicClientApp' as const, alternateId: app.id, displayName: app.label }
  return { actor, through: throughOf(request, request.requestId, { clientId: app.id }) }
}

/** Of the org's scopes those that were granted; a custom server gives what it knows. */
function grantedScopes(app: App, server: AuthorizationServer | undefined, asked: string | null): string[] {
  const scopes = (asked ?? '').split(' ').filter((scope) => scope !== '')
  if (scopes.length === 0) {
    throw new OAuthRefusal(
      400,
      'invalid_scope',
      "The authorization server resource does not have any configured default scopes, 'scope' must be provided.",
    )
  }
  const known = server?.scopes ?? scopesOfOrg
  if (scopes.some((scope) => !known.includes(scope))) {
    throw new OAuthRefusal(
      400,
      'invalid_scope',
      'One or more scopes are not configured for the authorization server resource.',
    )
  }
  const granted = server === undefined ? scopes.filter((scope) => app.granted.has(scope)) : scopes
  if (granted.length === 0) {
    throw new OAuthRefusal(400, 'consent_required', 'You are not allowed any of the requested scopes.')
  }
  return [...new Set(granted)]
}

/** Thumbprint of the key the token will be bound to; a proof binds it even where the app does not demand one. */
async function boundTo(world: World, app: App, request: Incoming, url: string): Promise<string | undefined> {
  const proof = request.header('dpop')
  if (proof !== undefined) return world.proofs.check(proof, { method: 'POST', url, needsNonce: true })
  if (app.dpopBound) throw new ProofRefusal('invalid_dpop_proof', 'The DPoP proof JWT header is missing.')
  return undefined
}

/** `{"active":false}` for whatever this server did not mint, too. */
async function introspect(
  world: World,
  server: AuthorizationServer | undefined,
  request: OAuthRequest,
  form: URLSearchParams,
): Promise<Answer> {
  await authenticateClient(world, form, request.header('authorization'), endpointOf(world, request))
  const found = world.issued.active(form.get('token') ?? '', world.now())
  if (found === undefined || found.serverId !== server?.id) return { status: 200, headers: {}, body: { active: false } }
  const { audience, clientId, exp, iat, issuer, jkt, jti, scopes, subject, userId } = found
  const body = {
    active: true,
    client_id: clientId,
    ...(userId === undefined ? {} : { uid: userId, username: subject }),
    scope: scopes.join(' '),
    sub: subject,
    aud: audience,
    iss: issuer,
    exp,
    iat,
    jti,
    token_type: jkt === undefined ? 'Bearer' : 'DPoP',
    ...(jkt === undefined ? {} : { cnf: { jkt } }),
  }
  return { status: 200, headers: {}, body }
}

/** 200 whatever the token is; a client can revoke its own only. */
async function revoke(
  world: World,
  server: AuthorizationServer | undefined,
  request: OAuthRequest,
  form: URLSearchParams,
): Promise<Answer> {
  const app = await authenticateClient(world, form, request.header('authorization'), endpointOf(world, request))
  const text = form.get('token')
  world.issued.revoke(
    ({ clientId, serverId, token: own }) => own === text && clientId === app.id && serverId === server?.id,
  )
  return { status: 200, headers: {} }
}
