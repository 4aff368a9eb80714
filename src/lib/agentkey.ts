import { createHash, createPublicKey, verify } from 'node:crypto'
import { BridgeError } from '../core/errors.ts'
import { isCurvePoint } from './edwards.ts'

/** The public half of an agent's key (RFC 8037). `kid` is no part of it: whoever made the JWK chose that. */
export interface KeyJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
}

/**
 * What a DID says about a key. `fits`: the DID is derived from it. `misfit`: the DID carries the fingerprint of another
 * key. `free`: the DID says nothing, because it is a name, random, or of an unknown make.
 */
export type Fit = 'fits' | 'misfit' | 'free'

const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')
const signatureBytes = 64
const maxKeyText = 256

/**
 * An Ed25519 public key in any form that AGT's SDKs export (facts read 2026-11): a JWK, base64 of the SPKI DER form,
 * base64 or base64url of the 32 bytes, with or without `ed25519:` before it.
 * @returns base64url of the 32 bytes: the one form in which keys are kept and compared
 * @throws BridgeError E_KEY; nothing of the value is in it, since it may be a private key
 */
export const parseAgentKey = (value: unknown): string => {
  const bytes = typeof value === 'string' ? ofText(value) : ofJwk(value)
  if (!isCurvePoint(bytes)) throw fault('it is no point that a signature can be checked with')
  return bytes.toString('base64url')
}

const ofText = (text: string): Buffer => {
  if (text.length > maxKeyText) throw fault(`it is longer than ${maxKeyText} characters`)
  const bytes = decode(text.startsWith('ed25519:') ? text.slice('ed25519:'.length) : text)
  if (bytes?.length === 32) return bytes
  if (bytes?.length === 44 && bytes.subarray(0, 12).equals(spkiPrefix)) return bytes.subarray(12)
  throw fault('it is neither the 32 bytes nor the SPKI form of an Ed25519 key in base64')
}

const ofJwk = (value: unknown): Buffer => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fault('it is neither a JWK nor a string')
  const jwk: Readonly<Record<string, unknown>> = { ...value }
  if (Object.hasOwn(jwk, 'd') || Object.hasOwn(jwk, 'privateKey')) {
    throw fault('it has a private part, which belongs to the agent alone')
  }
  if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519') throw fault('the JWK is not of kty OKP and crv Ed25519')
  if (jwk.use !== undefined && jwk.use !== 'sig') throw fault('the JWK is not for signatures')
  const bytes = typeof jwk.x === 'string' && jwk.x.length <= maxKeyText ? decode(jwk.x) : undefined
  if (bytes?.length !== 32) throw fault('`x` of the JWK is not 32 bytes in base64url')
  return bytes
}

/** Either alphabet, padded or not; undefined for anything that does not encode back to itself. */
const decode = (text: string): Buffer | undefined => {
  const bare = text.replace(/={1,2}$/, '')
  if (bare !== text && text.length % 4 !== 0) return undefined
  const bytes = Buffer.from(bare, 'base64')
  const same = bytes.toString('base64url') === bare || bytes.toString('base64').replace(/=+$/, '') === bare
  return same ? bytes : undefined
}

const fault = (why: string) =>
  new BridgeError('E_KEY', `The key is not usable: ${why}.`, {
    hint: 'Send the public key alone: a JWK, or the `publicKey` of the identity as its SDK exports it.',
  })

/** As it is published, of a key as `parseAgentKey` gave it. */
export const keyJwk = (key: string): KeyJwk => ({ kty: 'OKP', crv: 'Ed25519', x: key })

/** JWK thumbprint (RFC 7638), SHA-256 in base64url. */
export const thumbprintOf = (key: string): string =>
  createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${key}"}`).digest('base64url')

/**
 * Whether a DID is derived from a key. `did:mesh:` and 32 hex digits may be the first half of SHA-256 over the 32 bytes,
 * and may as well be random: other digits are `free`. What follows the last colon of `did:agentmesh:<name>:<16 hex>` is the
 * start of SHA-256 over the SPKI form: other digits are a `misfit`.
 */
export const fitOf = (did: string, key: string): Fit => {
  if (/^did:mesh:[0-9a-f]{32}$/.test(did)) {
    return did === meshDidOf(key) ? 'fits' : 'free'
  }
  const [, fingerprint] = /^did:agentmesh:.*:([0-9a-f]{16})$/isu.exec(did) ?? []
  if (fingerprint === undefined) return 'free'
  return fingerprint === sha256Hex(Buffer.concat([spkiPrefix, Buffer.from(key, 'base64url')])).slice(0, 16)
    ? 'fits'
    : 'misfit'
}

/** The one DID of two segments that is derived from a key. */
export const meshDidOf = (key: string): string => `did:mesh:${sha256Hex(Buffer.from(key, 'base64url')).slice(0, 32)}`

const sha256Hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/**
 * Whether the key made this Ed25519 signature (RFC 8032, 64 bytes in base64 or base64url) over these bytes. Anything else
 * is false: another length, bits left over, the second form of a signature that `S + L` would give.
 */
export const verifySignature = (key: string, bytes: Uint8Array, signature: string): boolean => {
  if (signature.length > 2 * signatureBytes) return false
  const decoded = decode(signature)
  if (decoded?.length !== signatureBytes) return false
  try {
    return verify(null, bytes, createPublicKey({ key: { ...keyJwk(key) }, format: 'jwk' }), decoded)
  } catch {
    return false
  }
}
