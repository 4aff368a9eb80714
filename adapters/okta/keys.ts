import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { says } from '../../src/lib/fields.ts'

/** A private key to sign with, the algorithm that fits it, and the id it carries itself. */
export interface SigningKey {
  readonly key: KeyObject
  readonly algorithm: string
  readonly keyId: string | undefined
}

const jwk = z.looseObject({ kty: z.string(), kid: z.string().optional(), alg: z.string().optional() })
const curves: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }
const RSA = new Set(['RS256', 'RS384', 'RS512'])
const MIN_RSA_BITS = 2048

/** Reads a JWK or a PKCS#8 PEM, RSA or EC (private_key_jwt, read 2026-11). Undefined when it is neither. */
export function readKey(text: string): SigningKey | undefined {
  try {
    const asJwk = text.trimStart().startsWith('{') ? jwk.parse(JSON.parse(text)) : undefined
    const key = asJwk === undefined ? createPrivateKey(text) : createPrivateKey({ key: toJwk(asJwk), format: 'jwk' })
    const algorithm = algorithmOf(key, asJwk?.alg)
    return algorithm === undefined ? undefined : { key, algorithm, keyId: asJwk?.kid }
  } catch {
    // What a parser says of a key may quote it.
    return undefined
  }
}

const toJwk = (value: z.output<typeof jwk>): JsonWebKey => ({ ...value })

function algorithmOf(key: KeyObject, named: string | undefined): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ec') return curves[details?.namedCurve ?? '']
  if (type !== 'rsa' || (details?.modulusLength ?? 0) < MIN_RSA_BITS) return undefined
  return named !== undefined && RSA.has(named) ? named : 'RS256'
}

/** For the configuration: why this text cannot be the key. */
export const keyFault = (text: string): string | undefined =>
  readKey(text)
    ? undefined
    : says(
        'is not a private key',
        'give a private JWK or a PKCS#8 PEM: RSA of 2048 bits or more, or EC P-256, P-384, P-521',
      )
