import { randomBytes, sign } from 'node:crypto'
import { encode, newSigningKey, type SigningKey } from '../signing.ts'

const newKey = (): SigningKey => newSigningKey(32)

/** Signing keys of one authorization server: the next one is published long before it signs. Made when first needed. */
export class SigningKeys {
  #ring: { current: SigningKey; next: SigningKey; old: readonly SigningKey[] } | undefined

  get #keys(): { current: SigningKey; next: SigningKey; old: readonly SigningKey[] } {
    this.#ring ??= { current: newKey(), next: newKey(), old: [] }
    return this.#ring
  }

  /** The next key signs from now on. `emergency`: one that nobody has seen, and the old ones are gone. */
  rotate({ emergency = false }: { emergency?: boolean } = {}): void {
    const { current, next, old } = this.#keys
    this.#ring = emergency
      ? { current: newKey(), next: newKey(), old: [] }
      : { current: next, next: newKey(), old: [current, ...old].slice(0, 2) }
  }

  jwks(): { keys: Record<string, unknown>[] } {
    const { current, next, old } = this.#keys
    const keys = [current, next, ...old].map(({ kid, publicKey }) => {
      const { n, e } = publicKey.export({ format: 'jwk' })
      return { kty: 'RSA', alg: 'RS256', kid, use: 'sig', e, n }
    })
    return { keys }
  }

  /** A compact JWS by the current key. */
  sign(payload: Readonly<Record<string, unknown>>, header: Readonly<Record<string, unknown>> = {}): string {
    const { kid, privateKey } = this.#keys.current
    const text = `${encode({ kid, alg: 'RS256', ...header })}.${encode(payload)}`
    return `${text}.${sign('RSA-SHA256', Buffer.from(text), privateKey).toString('base64url')}`
  }
}

/** A token of the org server: it looks like a JWS, by a key that is published nowhere. */
export function sealed(payload: Readonly<Record<string, unknown>>): string {
  const header = { kid: randomBytes(32).toString('base64url'), alg: 'RS256' }
  return `${encode(header)}.${encode(payload)}.${randomBytes(256).toString('base64url')}`
}
