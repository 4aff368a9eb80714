import { randomUUID } from 'node:crypto'
import type { App } from './apps.ts'
import { verifyAssertion } from './assertion.ts'
import { graphAudiences } from './bearer.ts'
import { LoginRefusal } from './loginerror.ts'
import type { Answer } from './wire.ts'
import type { World } from './world.ts'

export interface LoginRequest {
  readonly method: string
  readonly segments: readonly string[]
  readonly text: string
  readonly header: (name: string) => string | undefined
}

/** The login host: metadata, keys and the token endpoint of the one tenant. */
export async function serveLogin(world: World, request: LoginRequest): Promise<Answer> {
  const [tenant, ...rest] = request.segments
  const path = rest.join('/')
  if (path === 'oauth2/v2.0/token') return tokenEndpoint(world, request, tenant ?? '')
  if (request.method !== 'GET') return { status: 405, headers: {} }
  if (tenant !== world.tenantId) return refused(world, new LoginRefusal(90002, 'invalid_tenant', unknownTenant(tenant)))
  if (path === 'v2.0/.well-known/openid-configuration') return metadata(world, request, 'v2')
  if (path === '.well-known/openid-configuration') return metadata(world, request, 'v1')
  if (path === 'discovery/v2.0/keys') return keys(world, world.tokens.issuer('v2'))
  if (path === 'discovery/keys') return keys(world, undefined)
  return { status: 404, headers: {} }
}

function unknownTenant(tenant = ''): string {
  return `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID.`
}

function keys(world: World, issuer: string | undefined): Answer {
  if (world.switches.jwksDown) return { status: 503, headers: {} }
  return { status: 200, headers: { 'Cache-Control': 'max-age=86400, private' }, body: world.keys.jwks(issuer) }
}

/** Endpoints come back as `https:` to a client that only speaks that and has its transport rewritten to plain HTTP. */
function metadata(world: World, request: LoginRequest, version: 'v1' | 'v2'): Answer {
  const origin =
    request.header('x-sandbox-authority') === 'https' ? world.origin.replace(/^http:/, 'https:') : world.origin
  const base = `${origin}/${world.tenantId}`
  const v2 = version === 'v2'
  return {
    status: 200,
    headers: {},
    body: {
      token_endpoint: `${base}/oauth2/v2.0/token`,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
      jwks_uri: v2 ? `${base}/discovery/v2.0/keys` : `${base}/discovery/keys`,
      response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      issuer: world.tokens.issuer(version),
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      tenant_region_scope: 'EU',
      cloud_instance_name: 'microsoftonline.com',
      msgraph_host: 'graph.microsoft.com',
    },
  }
}

async function tokenEndpoint(world: World, request: LoginRequest, tenant: string): Promise<Answer> {
  if (request.method !== 'POST') return { status: 405, headers: {} }
  if (world.switches.tokenEndpointDown) return { status: 503, headers: {} }
  try {
    const form = new URLSearchParams(request.text)
    if (tenant !== world.tenantId) throw new LoginRefusal(90002, 'invalid_request', unknownTenant(tenant))
    return await clientCredentials(world, form)
  } catch (error) {
    if (!(error instanceof LoginRefusal)) throw error
    return refused(world, error)
  }
}

async function clientCredentials(world: World, form: URLSearchParams): Promise<Answer> {
  const grant = required(form, 'grant_type')
  if (grant !== 'client_credentials') {
    throw new LoginRefusal(70003, 'unsupported_grant_type', `The app requested an unsupported grant type '${grant}'.`)
  }
  const clientId = required(form, 'client_id')
  const scope = required(form, 'scope')
  const app = world.apps.get(clientId)
  if (app === undefined) {
    throw new LoginRefusal(
      700016,
      'unauthorized_client',
      `Application with identifier '${clientId}' was not found in the directory.`,
    )
  }
  const clientAuth = await authenticate(world, app, form)
  refuseDisabled(world, app)
  const cae = form.get('claims')?.includes('"cp1"') === true
  // Lifetimes vary between 60 and 90 minutes; a client that takes part in continuous evaluation gets a day.
  const lifetimeMs = cae ? 24 * 3_600_000 : 3_600_000 + Math.floor(Math.random() * 1_800_000)
  const claims = cae ? { xms_cc: ['cp1'] } : {}
  const issued = issueFor(world, app, resourceOf(scope), { clientAuth, lifetimeMs, claims })
  const seconds = Math.floor(lifetimeMs / 1000) - 1
  return {
    status: 200,
    headers: { 'Cache-Control': 'no-store, no-cache', Pragma: 'no-cache' },
    body: { token_type: 'Bearer', expires_in: seconds, ext_expires_in: seconds, access_token: issued },
  }
}

function required(form: URLSearchParams, name: string): string {
  const value = form.get(name)
  if (value !== null && value !== '') return value
  throw new LoginRefusal(900144, 'invalid_request', `The request body must contain the following parameter: '${name}'.`)
}

async function authenticate(world: World, app: App, form: URLSearchParams): Promise<'1' | '2'> {
  const secret = form.get('client_secret')
  const assertion = form.get('client_assertion')
  if (secret !== null) {
    if (app.secrets.has(secret)) return '1'
    throw new LoginRefusal(7000215, 'invalid_client', `Invalid client secret provided for app '${app.appId}'.`)
  }
  if (assertion === null) {
    throw new LoginRefusal(
      7000218,
      'invalid_client',
      "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    )
  }
  if (form.get('client_assertion_type') !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') {
    throw new LoginRefusal(900144, 'invalid_request', "The parameter 'client_assertion_type' is missing or unknown.")
  }
  await verifyAssertion(world, app, assertion)
  return '2'
}

function refuseDisabled(world: World, app: App): void {
  const state = world.directory.row(app.servicePrincipalId)?.state.current
  if (state?.life !== 'live') {
    const message = `The client application ${app.appId} is missing service principal in the tenant ${world.tenantId}.`
    throw new LoginRefusal(7000229, 'unauthorized_client', message)
  }
  const { accountEnabled, isDisabled, disabledByMicrosoftStatus: microsoft } = state.properties
  const blocked = microsoft !== undefined && microsoft !== null && microsoft !== 'NotDisabled'
  if (accountEnabled === false || isDisabled === true || blocked) {
    throw new LoginRefusal(7000112, 'unauthorized_client', `Application '${app.appId}'(${app.name}) is disabled.`)
  }
}

function resourceOf(scope: string): string {
  const resource = /^(.+)\/\.default$/.exec(scope)?.[1]
  if (resource !== undefined) return resource
  throw new LoginRefusal(
    1002012,
    'invalid_scope',
    `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with /.default.`,
  )
}

/** A token for Graph with the app's roles, or for another registered app with what it was granted there. */
export function issueFor(
  world: World,
  app: App,
  resource: string,
  options: { clientAuth: '1' | '2'; lifetimeMs: number; claims?: Record<string, unknown> },
): string {
  const base = { ...options, id: app.servicePrincipalId, appId: app.appId }
  if (graphAudiences(world.origin).includes(resource)) {
    return world.tokens.issueApp({ ...base, audience: resource, roles: [...app.roles], isGraph: true })
  }
  const api = world.apps.resource(resource)
  if (api === undefined) {
    const message = `The resource principal named ${resource} was not found in the tenant ${world.tenantId}.`
    throw new LoginRefusal(500011, 'invalid_resource', message)
  }
  const state = world.directory.row(api.servicePrincipalId)?.state.current
  if (state?.properties.accountEnabled === false) {
    throw new LoginRefusal(500014, 'invalid_resource', `The service principal for resource '${resource}' is disabled.`)
  }
  const granted = [api.appId, ...api.identifierUris].flatMap((name) => app.apiRoles[name] ?? [])
  return world.tokens.issueApp({
    ...base,
    version: api.tokenVersion,
    audience: api.tokenVersion === 'v2' ? api.appId : resource,
    ...(granted.length === 0 ? {} : { roles: granted }),
    isGraph: false,
  })
}

function refused(world: World, refusal: LoginRefusal): Answer {
  const [trace, correlation] = [randomUUID(), randomUUID()]
  const timestamp = `${new Date(world.now()).toISOString().slice(0, 19).replace('T', ' ')}Z`
  const trail = `Trace ID: ${trace} Correlation ID: ${correlation} Timestamp: ${timestamp}`
  return {
    status: refusal.error === 'invalid_client' ? 401 : 400,
    headers: { 'Cache-Control': 'no-store, no-cache' },
    body: {
      error: refusal.error,
      error_description: `AADSTS${refusal.code}: ${refusal.message} ${trail}`,
      error_codes: [refusal.code],
      timestamp,
      trace_id: trace,
      correlation_id: correlation,
      error_uri: `https://login.microsoftonline.com/error?code=${refusal.code}`,
    },
  }
}
