import { KeyObject } from 'node:crypto'
import { importJWK, type JWK } from 'jose'

const MAX_KEYS = 1000
const MAX_KID_LENGTH = 1024

/** One usable key of a JSON Web Key Set. */
export interface PublishedKey {
  readonly kid: string
  readonly jwk: JWK
  /** `alg` of the JWK when it has one: the only one it may be used with. */
  readonly alg: string | undefined
  readonly issuer: string | undefined
  /** Equal for equal keys. */
  readonly identity: string
  readonly imported: Map<string, Promise<KeyObject | undefined>>
  /** Those of them that are there. */
  readonly ready: Map<string, KeyObject>
}

export type KeySet = ReadonlyMap<string, readonly PublishedKey[]>

/**
 * JSON Web Key Set (RFC 7517 §5) → its keys by `kid`. Keys that are not ours to use (encryption, symmetric, private, weak,
 * without `kid`) are left out; keys that `before` has too are taken over, so that they stay the same objects.
 *
 * @throws Error when the document is malformed or has over 1000 keys
 */
export function parseKeySet(text: string, before: KeySet): KeySet {
  const document: unknown = JSON.parse(text)
  if (!isObject(document) || !Array.isArray(document.keys)) throw new Error('the answer is not a key set')
  const listed: unknown[] = document.keys
  if (listed.length > MAX_KEYS) throw new Error(`the key set has over ${MAX_KEYS} keys`)
  const keys = new Map<string, PublishedKey[]>()
  for (const member of listed) {
    const key = parseKey(member)
    if (!key) continue
    const same = keys.get(key.kid) ?? []
    if (same.some((other) => other.identity === key.identity)) continue
    const known = before.get(key.kid)?.find((other) => other.identity === key.identity)
    keys.set(key.kid, [...same, known ?? key])
  }
  return keys
}

function parseKey(member: unknown): PublishedKey | undefined {
  if (!isObject(member)) return undefined
  const { kid, use, key_ops: ops, alg, issuer } = member
  if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH) return undefined
  if (use !== undefined && use !== 'sig') return undefined
  if (ops !== undefined && !(Array.isArray(ops) && ops.includes('verify'))) return undefined
  if (alg !== undefined && typeof alg !== 'string') return undefined
  if (issuer !== undefined && typeof issuer !== 'string') return undefined
  const jwk = publicPart(member)
  if (!jwk) return undefined
  return { kid, jwk, alg, issuer, identity: JSON.stringify([jwk, alg, issuer]), imported: new Map(), ready: new Map() }
}

/** Only the members that make up the public key: certificates and private parts are never looked at. */
function publicPart({ kty, crv, n, e, x, y, d, k }: Record<string, unknown>): JWK | undefined {
  if (d !== undefined || k !== undefined) return undefined
  if (kty === 'RSA' && typeof n === 'string' && typeof e === 'string') {
    const bits = bitLength(n)
    const exponent = bitLength(e)
    const fine = bits >= 2048 && bits <= 16_384 && exponent >= 2 && exponent <= 64 && isOdd(n) && isOdd(e)
    return fine ? { kty, n, e } : undefined
  }
  if (kty === 'EC' && typeof crv === 'string' && typeof x === 'string' && typeof y === 'string') {
    return ['P-256', 'P-384', 'P-521'].includes(crv) ? { kty, crv, x, y } : undefined
  }
  if (kty === 'OKP' && crv === 'Ed25519' && typeof x === 'string') return isSoundPoint(x) ? { kty, crv, x } : undefined
  return undefined
}

const isOdd = (base64url: string): boolean => ((Buffer.from(base64url, 'base64url').at(-1) ?? 0) & 1) === 1

const prime = 2n ** 255n - 19n
const order8 = 0x5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
/** The points of Ed25519 whose order divides eight, by y: as keys they hold for signatures that nobody made. */
const smallOrder: ReadonlySet<bigint> = new Set([0n, 1n, prime - 1n, order8, prime - order8])

/** RFC 8032 §5.1.3, and not one of small order; whether it lies on the curve is seen when it is imported. */
function isSoundPoint(base64url: string): boolean {
  const bytes = Buffer.from(base64url, 'base64url')
  if (bytes.length !== 32) return false
  const y = BigInt(`0x${bytes.reverse().toString('hex')}`) & (2n ** 255n - 1n)
  return y < prime && !smallOrder.has(y)
}

function bitLength(base64url: string): number {
  const bytes = Buffer.from(base64url, 'base64url')
  const first = bytes.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24
}

/** Whether the key may verify this algorithm: RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864. */
export function fits({ jwk, alg: pinned }: PublishedKey, alg: string): boolean {
  if (pinned !== undefined && pinned !== alg) return false
  if (/^[RP]S(256|384|512)$/.test(alg)) return jwk.kty === 'RSA'
  const curves: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }
  if (Object.hasOwn(curves, alg)) return jwk.kty === 'EC' && jwk.crv === curves[alg]
  return (alg === 'EdDSA' || alg === 'Ed25519') && jwk.crv === 'Ed25519'
}

/**
 * A key may be restricted to one issuer by an `issuer` member, in which `{tenantid}` stands for one path segment
 * (Microsoft identity platform, access tokens, read 2026-11).
 */
export function speaksFor(member: string | undefined, issuer: string): boolean {
  if (member === undefined || member === issuer) return true
  const [before, after, ...more] = member.split('{tenantid}')
  if (before === undefined || after === undefined || more.length > 0) return false
  if (!issuer.startsWith(before) || !issuer.endsWith(after)) return false
  return /^[^/]+$/.test(issuer.slice(before.length, issuer.length - after.length))
}

/** Undefined when the members do not make a key (a point off its curve): the issuer then has no such key. */
export function importKey(key: PublishedKey, alg: string): Promise<KeyObject | undefined> {
  let imported = key.imported.get(alg)
  if (!imported) {
    imported = importJWK(key.jwk, alg).then(
      (result) => {
        if (result instanceof Uint8Array) return undefined
        const made = KeyObject.from(result)
        key.ready.set(alg, made)
        return made
      },
      () => undefined,
    )
    key.imported.set(alg, imported)
  }
  return imported
}

/** The same, once it was imported. */
export const importedKey = (key: PublishedKey, alg: string): KeyObject | undefined => key.ready.get(alg)

/** The one key of this name that may verify this algorithm; none when there are several, which could be anybody's. */
export async function onlyKey(
  keys: KeySet,
  { alg, kid }: { alg: string; kid: string },
): Promise<KeyObject | undefined> {
  const [only, ...more] = (keys.get(kid) ?? []).filter((key) => fits(key, alg))
  return only && more.length === 0 ? importKey(only, alg) : undefined
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
