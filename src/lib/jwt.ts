import { isUtf8 } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import type { Claims, Issuer } from '../core/adapter.ts'
import type { RefusalCode } from '../core/decide.ts'
import type { KeySource } from './jwks.ts'
import { parseSound } from './names.ts'
import { signatureHolds } from './signature.ts'
import { type Soon, soon } from './soon.ts'

/** A JWT taken apart. Nothing in it is verified. */
export interface ParsedJwt {
  readonly header: Claims
  readonly claims: Claims
  /** What is signed: header and claims as they were sent. */
  readonly input: string
  readonly signature: Buffer
}

export interface VerifiedJwt {
  readonly claims: Claims
  readonly header: Claims
  /** What its signature was checked with. */
  readonly signedBy: { readonly alg: string; readonly kid: string; readonly key: KeyObject }
  /** `iat` in milliseconds; for an issuer that omits it, `exp` less the configured lifetime. */
  readonly issuedAt: number
  /** `exp` in milliseconds. */
  readonly expiresAt: number
}

export interface Refused {
  readonly refused: RefusalCode
}

const MAX_LENGTH = 16 * 1024
const SKEW_SECONDS = 60
/** The last second of the year 9999; past it a date is a mistake or an attack. */
const MAX_DATE = 253_402_300_799
/** No configuration can make a shared secret or `none` acceptable. */
const ASYMMETRIC = /^(?:(?:RS|PS|ES)(?:256|384|512)|EdDSA|Ed25519)$/

/** What is refused without a look at it. */
export const isTooLarge = (token: string): boolean => token.length > MAX_LENGTH

/**
 * Takes a compact JWS (RFC 7515 §7.1) with a JSON claims set apart, more strictly than the RFC asks: canonical base64url,
 * valid UTF-8, no member name twice in one object, no `__proto__`, bounded size and depth.
 */
export function parseJwt(token: string): ParsedJwt | Refused {
  if (isTooLarge(token)) return { refused: 'R_TOO_LARGE' }
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  const head = token.slice(0, Math.max(0, first))
  const header = headers.get(head) ?? parseObject(head)
  const claims = parseObject(token.slice(first + 1, Math.max(0, second)))
  if (!header || !claims) return { refused: 'R_TOKEN' }
  const signed = token.slice(second + 1)
  if (signed === '') return { refused: header.alg === 'none' ? 'R_ALGORITHM' : 'R_TOKEN' }
  const signature = bytesOf(signed)
  return signature ? { header, claims, input: token.slice(0, second), signature } : { refused: 'R_TOKEN' }
}

/**
 * Verifies one JWT against one pinned issuer (RFC 7519 §7.2, RFC 8725). The algorithm is checked before any key is looked
 * for, and `jwk`, `jku`, `x5u` and `x5c` are never read. Dates are checked with 60 s of skew.
 *
 * @param now milliseconds since 1970
 * @returns at once when the key is known and this thread checks the signature. It rejects, and throws only what the keys throw:
 *   BridgeError E_JWKS_DOWN when the issuer's keys cannot be had: the token is then neither good nor bad
 */
export function verifyJwt(
  token: string | ParsedJwt,
  issuer: Issuer,
  keys: Keys,
  now: number,
): Soon<VerifiedJwt | Refused> {
  const parsed = typeof token === 'string' ? parseJwt(token) : token
  if ('refused' in parsed) return parsed
  const named = namedBy(parsed.header, issuer)
  if ('refused' in named) return named
  return soon(keyOf(keys, named, issuer.issuer), (key) =>
    key ? verifyBy(key, named, parsed, issuer, now) : { refused: 'R_KEY' },
  )
}

/** Where the keys are; one that cannot tell at once what it has is asked. */
export type Keys = Pick<KeySource, 'key'> & Partial<Pick<KeySource, 'held'>>

/** At once, where it can be told so. Rejects as `key` does. */
export const keyOf = (keys: Keys, named: Named, issuer: string): Soon<KeyObject | undefined> =>
  keys.held?.(named, issuer) ?? keys.key(named, issuer)

interface Named {
  readonly alg: string
  readonly kid: string
}

function verifyBy(
  key: KeyObject,
  named: Named,
  parsed: ParsedJwt,
  issuer: Issuer,
  now: number,
): Soon<VerifiedJwt | Refused> {
  const { header, claims, input, signature } = parsed
  return soon(signatureHolds(named.alg, key, Buffer.from(input, 'latin1'), signature), (holds) => {
    if (!holds) return { refused: 'R_SIGNATURE' }
    remember(parsed, issuer, named)
    const dates = checkClaims(claims, issuer, now)
    if ('refused' in dates) return dates
    const { alg, kid } = named
    const { issuedAt, expiresAt } = dates
    return { claims, header, signedBy: { alg, kid, key }, issuedAt, expiresAt }
  })
}

/** What a token must name for a key to be looked up: RFC 7515 §4.1, RFC 7797 §3. */
function checkHeader(header: Claims, issuer: Issuer): Named | Refused {
  const { alg, kid } = header
  if (typeof alg !== 'string' || !ASYMMETRIC.test(alg) || !issuer.algorithms.includes(alg)) {
    return { refused: 'R_ALGORITHM' }
  }
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) return { refused: 'R_CRIT' }
  if (!Object.keys(header).every((name) => issuer.headers?.includes(name) ?? true)) return { refused: 'R_TOKEN' }
  if (!typeAccepted(header, issuer)) return { refused: 'R_TOKEN' }
  if (typeof kid !== 'string' || kid === '') return { refused: 'R_KEY' }
  return { alg, kid }
}

/** RFC 7519 §4.1. */
function checkClaims(claims: Claims, issuer: Issuer, now: number): { issuedAt: number; expiresAt: number } | Refused {
  const named = issuer.namedBy === 'sub' ? authorityOf(claims.sub) : claims.iss
  if (named !== issuer.issuer) return { refused: 'R_ISSUER' }
  if (!audiencesOf(claims, issuer.audienceClaim).some((audience) => issuer.audiences.includes(audience)))
    return { refused: 'R_AUDIENCE' }

  const { exp, nbf } = claims
  if (!isDate(exp)) return { refused: 'R_CLAIMS' }
  const assumed = issuer.lifetimeMs === undefined ? undefined : exp - issuer.lifetimeMs / 1000
  const iat = Object.hasOwn(claims, 'iat') ? claims.iat : assumed
  if (!isDate(iat)) return { refused: 'R_CLAIMS' }
  if (Object.hasOwn(claims, 'nbf') && !isDate(nbf)) return { refused: 'R_CLAIMS' }

  const seconds = now / 1000
  if (seconds >= exp + SKEW_SECONDS) return { refused: 'R_EXPIRED' }
  const from = isDate(nbf) ? Math.max(nbf, iat) : iat
  if (from > seconds + SKEW_SECONDS) return { refused: 'R_NOT_YET_VALID' }
  return { issuedAt: iat * 1000, expiresAt: exp * 1000 }
}

/** `aud`, or what stands for it, as a list: RFC 7519 §4.1.3; empty when it is neither a string nor a list of strings. */
export function audiencesOf(claims: Claims, claim = 'aud'): readonly string[] {
  const aud = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  if (typeof aud === 'string') return [aud]
  return Array.isArray(aud) && aud.every((audience) => typeof audience === 'string') ? aud : []
}

/** Scheme and authority of a URI (RFC 3986 §3), as written; undefined when it has none. */
export function authorityOf(uri: unknown): string | undefined {
  return typeof uri === 'string' ? /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+(?=\/)/.exec(uri)?.[0] : undefined
}

/** `typ` is compared without case and without a leading `application/` (RFC 7515 §4.1.9). */
function typeAccepted(header: Claims, { types }: Issuer): boolean {
  if (!Object.hasOwn(header, 'typ')) return types === undefined || types.includes('')
  if (typeof header.typ !== 'string') return false
  return types === undefined || types.includes(header.typ.toLowerCase().replace(/^application\//, ''))
}

const isDate = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= MAX_DATE

/** Undefined for what is not what encoding its bytes gives (RFC 4648 §3.5, §5): padding, a space, stray trailing bits. */
function bytesOf(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}

/**
 * Every token of one key begins with the same header: those in use, of tokens whose signature held, are taken apart and
 * checked once. A header is no secret.
 */
const headers = new Map<string, Claims>()
/** What was found of a header that is remembered, and for whom: the last issuer that asked. */
const judged = new WeakMap<Claims, { readonly issuer: Issuer; readonly named: Named }>()
const MAX_HEADERS = 100
const MAX_KEPT_LENGTH = 512

function namedBy(header: Claims, issuer: Issuer): Named | Refused {
  const known = judged.get(header)
  return known?.issuer === issuer ? known.named : checkHeader(header, issuer)
}

function remember({ header, input }: ParsedJwt, issuer: Issuer, named: Named): void {
  const known = judged.get(header)
  if (known?.issuer === issuer) return
  if (known === undefined) {
    const part = input.slice(0, input.indexOf('.'))
    if (part.length > MAX_KEPT_LENGTH) return
    if (headers.size >= MAX_HEADERS) for (const oldest of headers.keys()) if (headers.delete(oldest)) break
    // The part is a window on the whole token, which would be kept with it: a copy is not.
    headers.set(Buffer.from(part, 'latin1').toString('latin1'), Object.freeze(header))
  }
  judged.set(header, { issuer, named })
}

function parseObject(part: string): Claims | undefined {
  const bytes = bytesOf(part)
  if (!bytes || !isUtf8(bytes)) return undefined
  let value: unknown
  try {
    value = parseSound(bytes.toString())
  } catch {
    return undefined
  }
  return isObject(value) ? value : undefined
}

const isObject = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
