import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { encode } from '../signing.ts'
import { type Certified, issue, newAuthority } from './x509.ts'

interface JwtKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly expiresAt: number
  tainted: boolean
}

/** What others are told of a trust domain. */
export interface Bundle {
  readonly trustDomain: string
  readonly sequence: number
  readonly x509: readonly Buffer[]
  readonly jwt: readonly {
    readonly kid: string
    readonly publicKey: KeyObject
    readonly expiresAt: number
    readonly tainted: boolean
  }[]
}

export interface TrustOptions {
  readonly trustDomain: string
  readonly now: () => number
  readonly jwtIssuer?: string | undefined
  readonly jwtKeyType: JwtKeyType
}

/** As `jwt_key_type` of the server. */
export type JwtKeyType = 'ec-p256' | 'rsa-2048'

const lifetimeMs = 24 * 3600 * 1000
const seconds = (ms: number) => Math.floor(ms / 1000)

/** The authorities of a trust domain and what they sign. */
export class Trust {
  readonly #options: TrustOptions
  readonly #authority: ReturnType<typeof newAuthority>
  /** In tokens from now on. */
  jwtIssuer: string | undefined
  #jwtKeys: JwtKey[] = []
  #sequence = 0

  constructor(options: TrustOptions) {
    this.#options = options
    this.jwtIssuer = options.jwtIssuer
    this.#authority = newAuthority(`spiffe://${options.trustDomain}`, options.now(), lifetimeMs)
    this.addJwtKey()
  }

  get bundle(): Bundle {
    return {
      trustDomain: this.#options.trustDomain,
      sequence: this.#sequence,
      x509: [this.#authority.certificate],
      jwt: this.#jwtKeys,
    }
  }

  get kids(): readonly string[] {
    return this.#jwtKeys.map(({ kid }) => kid)
  }

  /** Published, and signed with from now on. */
  addJwtKey(): string {
    const kid = randomBytes(24).toString('base64url').replace(/[-_]/g, 'x')
    const pair =
      this.#options.jwtKeyType === 'ec-p256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.#jwtKeys.push({ ...pair, kid, expiresAt: seconds(this.#options.now() + lifetimeMs), tainted: false })
    this.#sequence += 1
    return kid
  }

  taintJwtKey(kid: string): void {
    const key = this.#jwtKeys.find((each) => each.kid === kid)
    if (key === undefined) throw new Error(`there is no key ${kid}`)
    key.tainted = true
    this.#sequence += 1
  }

  revokeJwtKey(kid: string): void {
    this.#jwtKeys = this.#jwtKeys.filter((each) => each.kid !== kid)
    this.#sequence += 1
  }

  jwtSvid(subject: string, audience: readonly string[], ttlS: number, includeJti = false) {
    const key = this.#jwtKeys.at(-1)
    if (key === undefined) throw new Error('the trust domain has no key to sign with')
    const alg = key.privateKey.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256'
    const issuedAt = seconds(this.#options.now())
    const expiresAt = Math.min(issuedAt + ttlS, key.expiresAt)
    const claims = {
      aud: audience,
      exp: expiresAt,
      iat: issuedAt,
      ...(this.jwtIssuer === undefined ? {} : { iss: this.jwtIssuer }),
      ...(includeJti ? { jti: randomBytes(16).toString('base64url') } : {}),
      sub: subject,
    }
    const unsigned = `${encode({ alg, kid: key.kid, typ: 'JWT' })}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(unsigned), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
    return { token: `${unsigned}.${signature.toString('base64url')}`, issuedAt, expiresAt }
  }

  x509Svid(id: string, ttlS: number): Certified {
    return issue(this.#authority, { uri: id }, this.#options.now(), ttlS * 1000)
  }

  /** For a server on loopback that is not known by a SPIFFE ID: the authority stands in for the one of the web. */
  webCertificate(host: string): Certified {
    return issue(this.#authority, { host }, this.#options.now(), lifetimeMs)
  }
}

/** As the server API tells it. */
export function bundleMessage({ jwt, sequence, trustDomain, x509 }: Bundle) {
  return {
    trust_domain: trustDomain,
    x509_authorities: x509.map((asn1) => ({ asn1, tainted: false })),
    jwt_authorities: jwt.map(({ expiresAt, kid, publicKey, tainted }) => ({
      public_key: publicKey.export({ type: 'spki', format: 'der' }),
      key_id: kid,
      expires_at: expiresAt,
      tainted,
    })),
    refresh_hint: 0,
    sequence_number: sequence,
    wit_authorities: [],
  }
}

/** The keys of tokens as a plain key set, as the Workload API hands them out. */
export function keySet({ jwt }: Bundle): string {
  return JSON.stringify({ keys: jwt.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid })) })
}

/** The document of a bundle endpoint. */
export function bundleDocument({ jwt, sequence, x509 }: Bundle, refreshHintS: number): string {
  const certificates = x509.map((certificate) => ({
    use: 'x509-svid',
    ...new X509Certificate(certificate).publicKey.export({ format: 'jwk' }),
    x5c: [certificate.toString('base64')],
  }))
  const keys = jwt.map(({ kid, publicKey }) => ({ use: 'jwt-svid', ...publicKey.export({ format: 'jwk' }), kid }))
  return JSON.stringify({
    keys: [...certificates, ...keys],
    spiffe_sequence: sequence,
    spiffe_refresh_hint: refreshHintS,
  })
}
