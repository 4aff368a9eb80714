import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { Claims, Issuer, TokenRefusal, TokenSubject } from '../../src/core/adapter.ts'
import type { Clock } from '../../src/lib/clock.ts'

type Pair = Awaited<ReturnType<typeof generateKeyPair>>

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
const isClaims = (value: unknown): value is Claims => typeof value === 'object' && value !== null

/**
 * `sub` is the acting account, `azp` another id of it, `obo` the person for whom it acts, `act` the chain. A token
 * without `sub` names no agent.
 */
export function identify(claims: Claims, realm: string): TokenSubject | TokenRefusal | undefined {
  if (claims.realm !== realm) return { refused: 'R_TENANT' }
  const principals = [text(claims.sub), text(claims.azp)].filter((id) => id !== undefined)
  if (principals.length === 0) return undefined
  const person = text(claims.obo)
  const act: Claims[] = []
  for (let each = claims.act; isClaims(each) && act.length < 16; each = each.act) act.push(each)
  return {
    principals: [...new Set(principals)],
    onBehalfOf: person ? { id: person, kind: 'person' } : undefined,
    act,
    scopes: text(claims.scope)?.split(' ').filter(Boolean) ?? [],
  }
}

/** The token side of a memory directory: ES256 keys made on first use and served to the verifier without a socket. */
export class MemoryTokens {
  readonly issuer: string
  readonly jwksUri: string
  /** Set to make the key endpoint fail. */
  down = false
  readonly #realm: string
  readonly #clock: Clock
  #pairs: Promise<Pair>[] = []

  constructor(realm: string, clock: Clock) {
    this.#realm = realm
    this.#clock = clock
    this.issuer = `https://${realm}.memory.invalid/`
    this.jwksUri = `${this.issuer}keys`
  }

  describe(audiences: readonly string[]): Issuer {
    const { issuer, jwksUri } = this
    return { issuer, audiences, algorithms: ['ES256'], jwksUri, fetch: () => this.#serve() }
  }

  /** A signed token. Unless given: `realm` is ours, issued now, good for an hour. */
  async sign(claims: JWTPayload): Promise<string> {
    const kid = String(Math.max(1, this.#pairs.length))
    const { privateKey } = await this.#newest()
    const iat = Math.floor(this.#clock.now() / 1000)
    const payload = { iss: this.issuer, realm: this.#realm, iat, exp: iat + 3600, ...claims }
    return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' }).sign(privateKey)
  }

  /** Signs with a new key from now on; the old one stays published. */
  rotate(): void {
    this.#pairs.push(generateKeyPair('ES256'))
  }

  identify(claims: Claims): TokenSubject | TokenRefusal | undefined {
    return identify(claims, this.#realm)
  }

  #newest(): Promise<Pair> {
    if (this.#pairs.length === 0) this.rotate()
    const pair = this.#pairs.at(-1)
    return pair ?? generateKeyPair('ES256')
  }

  async #serve(): Promise<Response> {
    if (this.down) return new Response(null, { status: 503 })
    await this.#newest()
    const pairs = await Promise.all(this.#pairs)
    const keys = await Promise.all(
      pairs.map(async ({ publicKey }, at) => ({ ...(await exportJWK(publicKey)), kid: `${at + 1}`, alg: 'ES256' })),
    )
    return Response.json({ keys })
  }
}
