import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { CompactSign, calculateJwkThumbprint, compactVerify, errors } from 'jose'
import { canonical } from '../core/canonical.ts'
import { BridgeError } from '../core/errors.ts'
import { thumbprintOf } from './agentkey.ts'
import { parseSound } from './names.ts'

/** The public half of a signing key as it is published (RFC 7517, RFC 8037); `kid` is its thumbprint (RFC 7638). */
export interface SigningJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  readonly kid: string
  readonly use: 'sig'
  readonly alg: 'EdDSA'
}

const jwkOf = async (key: KeyObject): Promise<SigningJwk> => {
  const { x } = key.export({ format: 'jwk' })
  if (key.asymmetricKeyType !== 'ed25519' || x === undefined) throw badKey(undefined)
  const jwk = { kty: 'OKP', crv: 'Ed25519', x } as const
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), use: 'sig', alg: 'EdDSA' }
}

/**
 * The public key of a PEM, private or public.
 * @throws BridgeError E_SIGNING_KEY when it is not an Ed25519 key
 */
export const publicJwk = async (pem: string): Promise<SigningJwk> => {
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (cause) {
    throw badKey(cause)
  }
  return jwkOf(key)
}

/** `kid` of a PEM, private or public; undefined for what is no Ed25519 key. */
export const kidOf = (pem: string): string | undefined => {
  try {
    const { crv, x } = createPublicKey(pem).export({ format: 'jwk' })
    return crv === 'Ed25519' && x !== undefined ? thumbprintOf(x) : undefined
  } catch {
    return undefined
  }
}

/**
 * Compact JWS (RFC 7515) over canonical JSON (RFC 8785) with an Ed25519 key (RFC 8037).
 * @throws BridgeError E_SIGNING_KEY when the PEM is not an Ed25519 private key
 */
export const signJson = async (value: unknown, typ: string, pem: string): Promise<string> => {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (cause) {
    throw badKey(cause)
  }
  const { kid } = await jwkOf(createPublicKey(key))
  const payload = new TextEncoder().encode(canonical(value))
  return new CompactSign(payload).setProtectedHeader({ alg: 'EdDSA', typ, kid }).sign(key)
}

const badKey = (cause: unknown) =>
  new BridgeError('E_SIGNING_KEY', 'The signing key is not an Ed25519 private key in PEM.', {
    cause,
    hint: 'openssl genpkey -algorithm ed25519 -out ed25519.pem',
  })

/** The JSON a JWS of this type carries, if one of the keys (PEM, public or private) signed it; undefined otherwise. */
export const openJson = async (jws: string, typ: string, pems: readonly string[]): Promise<unknown> => {
  for (const pem of pems) {
    try {
      const { payload, protectedHeader } = await compactVerify(jws, createPublicKey(pem), { algorithms: ['EdDSA'] })
      if (protectedHeader.typ === typ) return JSON.parse(new TextDecoder().decode(payload))
    } catch {
      // Not by this key: the next one may fit; when none does the answer is no.
    }
  }
  return undefined
}

/** Why a JWS is not taken. `key`: none of the keys is the one that its header names. */
export type JwsFault = 'form' | 'algorithm' | 'type' | 'header' | 'key' | 'signature'

export type Opened =
  | { readonly fault: JwsFault }
  | { readonly fault?: undefined; readonly payload: string; readonly kid: string }

export interface VerifyKey {
  readonly kid: string
  /** Ed25519; anything else never verifies. */
  readonly key: KeyObject
}

const shape = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const members = new Set(['alg', 'typ', 'kid'])

/** Undefined for anything that does not encode back to itself: padding, stray trailing bits, bytes that are no UTF-8. */
const decode = (part: string): string | undefined => {
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.toString('base64url') !== part) return undefined
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

const headerOf = (text: string | undefined): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = text === undefined ? undefined : parseSound(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/**
 * A compact JWS that we signed, checked more strictly than the RFC asks: `EdDSA` only, this very `typ`, a `kid` of one of
 * the keys and no other header member, so that nothing in it chooses how it is verified (RFC 8725).
 */
export const openStrict = async (jws: string, typ: string, keys: readonly VerifyKey[]): Promise<Opened> => {
  const [, first = '', second = '', signature = ''] = shape.exec(jws) ?? []
  const header = headerOf(decode(first))
  const payload = decode(second)
  if (header === undefined || payload === undefined) return { fault: 'form' }
  if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return { fault: 'form' }
  const { alg, kid } = header
  if (alg !== 'EdDSA') return { fault: 'algorithm' }
  if (header.typ !== typ) return { fault: 'type' }
  if (Object.keys(header).some((name) => !members.has(name))) return { fault: 'header' }
  const named = keys.filter((one) => one.kid === kid && one.key.asymmetricKeyType === 'ed25519')
  if (typeof kid !== 'string' || named.length === 0) return { fault: 'key' }
  for (const { key } of named) {
    try {
      await compactVerify(jws, key, { algorithms: ['EdDSA'] })
      return { payload, kid }
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error
    }
  }
  return { fault: 'signature' }
}
