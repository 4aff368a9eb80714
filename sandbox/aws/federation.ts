import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { type Answer, deliver } from '../faults.ts'
import { serveEach } from '../incoming.ts'
import { Listener } from '../listener.ts'
import { encode } from '../signing.ts'
import { Refusal } from './errors.ts'

export type Algorithm = 'RS256' | 'ES384'

interface Key {
  readonly kid: string
  readonly alg: Algorithm
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** One that signs tokens: of an account, of a cluster, of a user pool. */
interface Issuer {
  readonly url: string
  /** Below the issuer. */
  readonly jwksPath: string
  readonly algorithms: readonly Algorithm[]
  keys: readonly Key[] | undefined
  generation: number
}

interface Options {
  readonly host: string
  /** Of the services: below it are the issuers that no account has to itself. */
  readonly origin: string
  /** Whether keys cannot be read. */
  readonly isDown: () => boolean
}

/** The issuers of the accounts: outbound identity federation, and those whose tokens are exchanged for sessions. */
export class Federation {
  readonly #options: Options
  readonly #issuers = new Map<string, Issuer>()
  /** By account; one that is switched off keeps its issuer, and so does what was issued. */
  readonly #outbound = new Map<string, { readonly issuer: string; enabled: boolean }>()
  readonly #listeners: Listener[] = []

  constructor(options: Options) {
    this.#options = options
  }

  /** Returns the issuer, which is an origin of its own and the account's for ever. */
  async enable(accountId: string): Promise<string> {
    const known = this.#outbound.get(accountId)
    if (known !== undefined) {
      known.enabled = true
      return known.issuer
    }
    const server = createServer()
    const listener = new Listener(server, this.#options.host)
    await listener.open(0)
    this.#listeners.push(listener)
    serveEach(server, async (request, response) => {
      request.resume()
      const path = request.method === 'GET' ? `${listener.origin}${request.url ?? ''}` : ''
      await deliver(response, this.serve(path) ?? { status: 404, headers: {} }, undefined)
    })
    this.#issuers.set(listener.origin, newIssuer(listener.origin, ['RS256', 'ES384'], '.well-known/jwks.json'))
    this.#outbound.set(accountId, { issuer: listener.origin, enabled: true })
    return listener.origin
  }

  /** No new tokens; those that were issued go on. */
  disable(accountId: string): void {
    const known = this.#outbound.get(accountId)
    if (known !== undefined) known.enabled = false
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.down()))
  }

  enabledIssuer(accountId: string): string {
    const own = this.#outbound.get(accountId)
    if (own?.enabled === true) return own.issuer
    throw new Refusal('FeatureDisabled', 'Outbound web identity federation is not enabled for this account.', 404)
  }

  /** Any other issuer below this origin, say of a cluster (`keys`) or a user pool. Returns it. */
  add(path: string, algorithms: readonly Algorithm[] = ['RS256'], jwksPath = '.well-known/jwks.json'): string {
    const url = `${this.#options.origin}/${path}`
    this.#issuers.set(url, newIssuer(url, algorithms, jwksPath))
    return url
  }

  /** The key that verifies what an issuer signed. */
  publicKey(issuer: string, kid: string): KeyObject | undefined {
    const found = this.#issuers.get(issuer)
    return found === undefined ? undefined : keysOf(found).find((key) => key.kid === kid)?.publicKey
  }

  sign(
    issuer: string,
    claims: Readonly<Record<string, unknown>>,
    { alg = 'RS256', header = {} }: { alg?: Algorithm; header?: Readonly<Record<string, unknown>> } = {},
  ): string {
    const found = this.#issuers.get(issuer)
    const key = found === undefined ? undefined : keysOf(found).findLast((each) => each.alg === alg)
    if (key === undefined) throw new Error(`${issuer} does not sign with ${alg}`)
    const text = `${encode({ kid: key.kid, typ: 'JWT', alg, ...header })}.${encode(claims)}`
    const hash = alg === 'RS256' ? 'sha256' : 'sha384'
    const made = sign(hash, Buffer.from(text), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
    return `${text}.${made.toString('base64url')}`
  }

  /** A new key signs from now on. `emergency`: the old ones are published no longer. */
  rotate(issuer: string, { emergency = false }: { emergency?: boolean } = {}): void {
    const found = this.#issuers.get(issuer)
    if (found === undefined) throw new Error(`there is no issuer ${issuer}`)
    const old = emergency ? [] : keysOf(found)
    found.generation += 1
    found.keys = [...old, ...newKeys(found)]
  }

  /** Discovery and keys; undefined for any other address. */
  serve(address: string): Answer | undefined {
    const [url] = address.split('?', 1)
    const isDown = this.#options.isDown()
    for (const issuer of this.#issuers.values()) {
      if (url === `${issuer.url}/.well-known/openid-configuration`) {
        return isDown ? { status: 503, headers: {} } : { status: 200, headers: {}, body: discovery(issuer) }
      }
      if (url === `${issuer.url}/${issuer.jwksPath}`) {
        const headers = { 'Cache-Control': 'public, max-age=3600' }
        return isDown ? { status: 503, headers: {} } : { status: 200, headers, body: { keys: jwks(issuer) } }
      }
    }
    return undefined
  }
}

function newIssuer(url: string, algorithms: readonly Algorithm[], jwksPath: string): Issuer {
  return { url, jwksPath, algorithms, keys: undefined, generation: 0 }
}

function keysOf(issuer: Issuer): readonly Key[] {
  issuer.keys ??= newKeys(issuer)
  return issuer.keys
}

function newKeys({ algorithms, generation }: Issuer): Key[] {
  return algorithms.map((alg) => {
    const pair =
      alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-384' })
    return { ...pair, alg, kid: `${alg === 'RS256' ? 'RSA' : 'EC384'}_${generation}` }
  })
}

function jwks(issuer: Issuer) {
  return keysOf(issuer).map(({ alg, kid, publicKey }) => ({
    ...publicKey.export({ format: 'jwk' }),
    kid,
    alg,
    use: 'sig',
  }))
}

function discovery({ algorithms, jwksPath, url }: Issuer) {
  return {
    issuer: url,
    jwks_uri: `${url}/${jwksPath}`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: algorithms,
    claims_supported: ['aud', 'exp', 'iat', 'iss', 'jti', 'sub'],
  }
}
