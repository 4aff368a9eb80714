import { createHash, sign, verify } from 'node:crypto'
import { encode, newSigningKey, type SigningKey } from '../signing.ts'

const newKey = (): SigningKey => newSigningKey(20)

/** The tenant's signing keys: always several, the order meaningless, rolled without notice. */
export class Keys {
  #current = newKey()
  #published = [newKey(), this.#current]

  get currentKid(): string {
    return this.#current.kid
  }

  /** A new key signs from now on. The old ones stay published unless withdrawn, as in an emergency. */
  rotate(withdraw: boolean): void {
    this.#current = newKey()
    this.#published = withdraw ? [this.#current, newKey()] : [this.#current, ...this.#published]
  }

  /** The key set document; `issuer` is set on each key, as on the v2 endpoint. */
  jwks(issuer: string | undefined): { keys: Record<string, unknown>[] } {
    const keys = this.#published.map(({ kid, publicKey }) => {
      const { n, e } = publicKey.export({ format: 'jwk' })
      return { kty: 'RSA', use: 'sig', kid, x5t: kid, n, e, ...(issuer === undefined ? {} : { issuer }) }
    })
    return { keys }
  }

  /**
   * A compact JWS by the current key. `nonce`: as in tokens for Graph, whose header carries a nonce that was hashed before
   * signing, so that nobody but Graph can verify them with the published keys.
   */
  sign(payload: Readonly<Record<string, unknown>>, header: Readonly<Record<string, unknown>>, nonce?: string): string {
    const plain = { typ: 'JWT', alg: 'RS256', kid: this.#current.kid, ...header }
    const signed = nonce === undefined ? plain : { ...plain, nonce: hashed(nonce) }
    const body = encode(payload)
    const signature = sign('RSA-SHA256', Buffer.from(`${encode(signed)}.${body}`), this.#current.privateKey)
    const shown = nonce === undefined ? plain : { ...plain, nonce }
    return `${encode(shown)}.${body}.${signature.toString('base64url')}`
  }

  /** Is this one of our signatures, by a key still published? */
  verifies(token: string, header: { kid: string; nonce?: string | undefined }): boolean {
    const key = this.#published.find((each) => each.kid === header.kid)
    const [first = '', body = '', signature = ''] = token.split('.')
    if (key === undefined) return false
    const fields: unknown = JSON.parse(Buffer.from(first, 'base64url').toString())
    const signed =
      header.nonce === undefined || typeof fields !== 'object'
        ? first
        : encode({ ...fields, nonce: hashed(header.nonce) })
    return verify('RSA-SHA256', Buffer.from(`${signed}.${body}`), key.publicKey, Buffer.from(signature, 'base64url'))
  }
}

function hashed(nonce: string): string {
  return createHash('sha256').update(nonce).digest('base64url')
}
