import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { type NewApp, type OktaOrg, type OktaOrgOptions, startOktaOrg } from '../../sandbox/okta/index.ts'
import { at, type Reply, send, text } from './client.ts'

export interface SigningKey {
  readonly alg: string
  readonly publicJwk: JWK & { readonly kid: string }
  readonly privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
}

export async function newSigningKey(alg = 'ES256', kid = `key-${randomUUID()}`): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, publicJwk: { ...(await exportJWK(publicKey)), kid, alg }, privateKey }
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

interface AssertionOptions {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

/** A client assertion; `undefined` among the claims takes one away. */
export async function assertion(
  clientId: string,
  endpoint: string,
  key: SigningKey,
  { claims = {}, header = {} }: AssertionOptions = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const all = { iss: clientId, sub: clientId, aud: endpoint, iat: now, exp: now + 300, jti: randomUUID(), ...claims }
  const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  const protectedHeader = { alg: key.alg, kid: key.publicJwk.kid, ...header }
  const kept = Object.fromEntries(Object.entries(protectedHeader).filter(([, value]) => value !== undefined))
  return new SignJWT(payload).setProtectedHeader({ alg: key.alg, ...kept }).sign(key.privateKey)
}

interface ProofOptions {
  readonly accessToken?: string
  readonly nonce?: string
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

export async function proof(
  method: string,
  url: string,
  key: SigningKey,
  { accessToken, claims = {}, header = {}, nonce }: ProofOptions = {},
): Promise<string> {
  const { alg: _alg, kid: _kid, ...jwk } = key.publicJwk
  const ath = accessToken === undefined ? {} : { ath: createHash('sha256').update(accessToken).digest('base64url') }
  const payload = {
    htm: method,
    htu: url.split('?', 1)[0],
    iat: Math.floor(Date.now() / 1000),
    jti: randomUUID(),
    ...ath,
    ...(nonce === undefined ? {} : { nonce }),
    ...claims,
  }
  return new SignJWT(payload).setProtectedHeader({ typ: 'dpop+jwt', alg: key.alg, jwk, ...header }).sign(key.privateKey)
}

/** A form to an endpoint of the org's or of a custom authorization server. */
export function postForm(
  url: string,
  form: Readonly<Record<string, string>>,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return send(url, { method: 'POST', body: new URLSearchParams(form), headers })
}

export async function requestToken(
  org: OktaOrg,
  clientId: string,
  key: SigningKey,
  scope: string,
  options: AssertionOptions & { readonly headers?: Record<string, string>; readonly server?: string } = {},
): Promise<Reply> {
  const server = options.server === undefined ? '' : `/${options.server}`
  const url = `${org.origin}/oauth2${server}/v1/token`
  const client_assertion = await assertion(clientId, url, key, options)
  const form = { grant_type: 'client_credentials', scope, client_assertion_type: assertionType, client_assertion }
  return postForm(url, form, options.headers)
}

/** A caller of the management API. */
export class OktaClient {
  readonly org: OktaOrg
  readonly clientId: string
  readonly authorization: string

  constructor(org: OktaOrg, clientId: string, authorization: string) {
    this.org = org
    this.clientId = clientId
    this.authorization = authorization
  }

  /** A service app that signed in; super administrator unless its rights are named. */
  static async signIn(org: OktaOrg, scopes: readonly string[], app: NewApp = {}): Promise<OktaClient> {
    const key = await newSigningKey()
    const rights = app.permissions === undefined && app.roles === undefined ? { roles: ['SUPER_ADMIN'] as const } : {}
    const clientId = org.addApp({ label: 'test client', keys: [key.publicJwk], scopes, ...rights, ...app })
    const reply = await requestToken(org, clientId, key, scopes.join(' '))
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    return new OktaClient(org, clientId, `Bearer ${text(at(reply.body, 'access_token'))}`)
  }

  /** The administrator's API token, which may do anything. */
  static admin(org: OktaOrg): OktaClient {
    return new OktaClient(org, org.admin, `SSWS ${org.addApiToken(org.admin)}`)
  }

  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    return send(path.startsWith('http') ? path : `${this.org.origin}${path}`, {
      method,
      headers: {
        Authorization: this.authorization,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }

  get(path: string, headers?: Record<string, string>): Promise<Reply> {
    return this.call('GET', path, undefined, headers)
  }

  post(path: string, body?: unknown): Promise<Reply> {
    return this.call('POST', path, body)
  }

  /** All pages by their `Link` headers. */
  async all(path: string): Promise<{ rows: unknown[]; pages: Reply[] }> {
    const pages: Reply[] = []
    const rows: unknown[] = []
    for (let next: string | undefined = path; next !== undefined; ) {
      const page: Reply = await this.get(next)
      assert.equal(page.status, 200, JSON.stringify(page.body))
      assert.ok(Array.isArray(page.body))
      pages.push(page)
      rows.push(...page.body)
      next = nextOf(page)
    }
    return { rows, pages }
  }
}

/** The address of the next page; undefined on the last one. */
export function nextOf(reply: Reply): string | undefined {
  return /<([^>]+)>; rel="next"/.exec(reply.headers.get('link') ?? '')?.[1]
}

/** Status, code and causes of a refusal. */
export function refusal(reply: Reply): [number, unknown, ...unknown[]] {
  const causes = at(reply.body, 'errorCauses')
  const texts = Array.isArray(causes) ? causes.map((cause) => at(cause, 'errorSummary')) : []
  return [reply.status, at(reply.body, 'errorCode'), ...texts]
}

export async function withAdmin(options: OktaOrgOptions = {}) {
  const org = await startOktaOrg({ limits: false, ...options })
  return {
    org,
    admin: OktaClient.admin(org),
    [Symbol.asyncDispose]: () => org.close(),
  }
}

/** An event hook's endpoint that passes the challenge and takes everything. */
export async function startEcho() {
  const server = createServer((request, response) => {
    request.resume()
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ verification: request.headers['x-okta-verification-challenge'] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
