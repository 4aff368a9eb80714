import { createHash, randomBytes } from 'node:crypto'
import {
  calculateJwkThumbprint,
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  EmbeddedJWK,
  errors,
  type JWTPayload,
} from 'jose'

/** What the org says to a proof it does not take. */
export class ProofRefusal extends Error {
  readonly error: 'invalid_dpop_proof' | 'use_dpop_nonce'

  constructor(error: 'invalid_dpop_proof' | 'use_dpop_nonce', message: string) {
    super(message)
    this.error = error
  }
}

const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']
const skewS = 300
const renewedAfterMs = 24 * 3_600_000
const keptForMs = 3 * renewedAfterMs

/** Proofs of possession (RFC 9449): which were used, and the nonces that proofs for a token must carry. */
export class Proofs {
  readonly #now: () => number
  readonly #seen = new Map<string, number>()
  #nonces: { readonly value: string; readonly madeAt: number }[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  /** The nonce to be used; a new one every 24 hours, the old ones work three days. */
  nonce(): string {
    const now = this.#now()
    this.#nonces = this.#nonces.filter(({ madeAt }) => now - madeAt < keptForMs)
    const newest = this.#nonces.at(-1)
    if (newest !== undefined && now - newest.madeAt < renewedAfterMs) return newest.value
    const value = randomBytes(24).toString('base64url')
    this.#nonces.push({ value, madeAt: now })
    return value
  }

  /** No nonce given out so far is taken any more. */
  forgetNonces(): void {
    this.#nonces = []
  }

  /** The thumbprint of the key that a good proof is by. For a token a nonce is needed, for a call the token's hash. */
  async check(
    proof: string,
    want: { method: string; url: string; accessToken?: string; needsNonce: boolean },
  ): Promise<string> {
    const { claims, jkt } = await verified(proof)
    const { ath, htm, htu, iat, jti, nonce } = claims
    if (htm !== want.method) throw refuse("The DPoP proof JWT's 'htm' claim does not match the request method.")
    if (typeof htu !== 'string' || bare(htu) === undefined || bare(htu) !== bare(want.url) || /[?#]/.test(htu)) {
      throw refuse("The DPoP proof JWT's 'htu' claim does not match the request URL.")
    }
    const now = this.#now()
    if (iat === undefined || Math.abs(iat - now / 1000) > skewS) {
      throw refuse("The DPoP proof JWT's 'iat' claim is missing or not within the accepted time.")
    }
    if (want.accessToken !== undefined) {
      const hash = createHash('sha256').update(want.accessToken).digest('base64url')
      if (ath !== hash) throw refuse("The DPoP proof JWT's 'ath' claim does not match the access token.")
    }
    if (typeof jti !== 'string' || jti === '') throw refuse("The DPoP proof JWT has no 'jti' claim.")
    this.#use(`${jkt} ${jti}`, now)
    if (want.needsNonce && !this.#takes(nonce)) {
      throw new ProofRefusal('use_dpop_nonce', 'Authorization server requires nonce in DPoP proof.')
    }
    return jkt
  }

  #takes(nonce: unknown): boolean {
    this.nonce()
    return this.#nonces.some(({ value }) => value === nonce)
  }

  #use(name: string, now: number): void {
    for (const [old, until] of this.#seen) if (until <= now) this.#seen.delete(old)
    if (this.#seen.has(name)) throw refuse('The DPoP proof JWT has already been used.')
    this.#seen.set(name, now + 2 * skewS * 1000)
  }
}

function refuse(message: string): ProofRefusal {
  return new ProofRefusal('invalid_dpop_proof', message)
}

async function verified(proof: string): Promise<{ claims: JWTPayload; jkt: string }> {
  try {
    const { jwk, typ } = decodeProtectedHeader(proof)
    if (typ !== 'dpop+jwt') throw refuse("The DPoP proof JWT header's 'typ' must be 'dpop+jwt'.")
    if (jwk === undefined || 'd' in jwk) throw refuse("The DPoP proof JWT header must contain a public 'jwk'.")
    await compactVerify(proof, EmbeddedJWK, { algorithms })
    return { claims: decodeJwt(proof), jkt: await calculateJwkThumbprint(jwk) }
  } catch (cause) {
    if (cause instanceof ProofRefusal) throw cause
    if (!(cause instanceof errors.JOSEError || cause instanceof TypeError)) throw cause
    throw Object.assign(refuse('The DPoP proof JWT is invalid.'), { cause })
  }
}

function bare(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}
