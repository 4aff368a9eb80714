import { createHash, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { ServerTime } from '../servertime.ts'

/** RFC 9449. The algorithm is the one of Okta's own description (guides/dpop, read 2026-11). */
const ALGORITHM = 'RS256'

export interface Proven {
  readonly method: string
  readonly url: string
  /** Of the token endpoint's last answer. */
  readonly nonce?: string | undefined
  /** The access token that goes with it. */
  readonly token?: string | undefined
}

/** Proves possession of a key that never leaves this process. Every proof is new, a repeated request's too. */
export class Prover {
  readonly #time: ServerTime
  #pair: ReturnType<typeof generate> | undefined

  constructor(time: ServerTime) {
    this.#time = time
  }

  async proof({ method, url, nonce, token }: Proven): Promise<string> {
    this.#pair ??= generate()
    const { privateKey, jwk } = await this.#pair
    const { origin, pathname } = new URL(url)
    const ath = token === undefined ? undefined : createHash('sha256').update(token).digest('base64url')
    const claims = { htm: method, htu: `${origin}${pathname}`, ...(nonce && { nonce }), ...(ath && { ath }) }
    return new SignJWT(claims)
      .setProtectedHeader({ typ: 'dpop+jwt', alg: ALGORITHM, jwk })
      .setJti(randomUUID())
      .setIssuedAt(Math.floor(this.#time.now() / 1000))
      .sign(privateKey)
  }
}

async function generate() {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { modulusLength: 2048 })
  return { privateKey, jwk: { ...(await exportJWK(publicKey)) } }
}
