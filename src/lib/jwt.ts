import { type CryptoKey, compactVerify, errors } from 'jose'
import type { Claims, Issuer } from '../core/adapter.ts'
import type { RefusalCode } from '../core/decide.ts'
import type { KeySource } from './jwks.ts'

/** A JWT taken apart. Nothing in it is verified. */
export interface ParsedJwt {
  readonly token: string
  readonly header: Claims
  readonly claims: Claims
}

export interface VerifiedJwt {
  readonly claims: Claims
  readonly header: Claims
  /** What its signature was checked with. */
  readonly signedBy: { readonly alg: string; readonly kid: string; readonly key: CryptoKey }
  /** `iat` in milliseconds; for an issuer that omits it, `exp` less the configured lifetime. */
  readonly issuedAt: number
  /** `exp` in milliseconds. */
  readonly expiresAt: number
}

export interface Refused {
  readonly refused: RefusalCode
}

const MAX_LENGTH = 16 * 1024
const MAX_DEPTH = 32
const SKEW_SECONDS = 60
/** The last second of the year 9999; past it a date is a mistake or an attack. */
const MAX_DATE = 253_402_300_799
const SHAPE = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)$/
/** No configuration can make a shared secret or `none` acceptable. */
const ASYMMETRIC = /^(?:(?:RS|PS|ES)(?:256|384|512)|EdDSA|Ed25519)$/

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Takes a compact JWS (RFC 7515 §7.1) with a JSON claims set apart, more strictly than the RFC asks: canonical base64url,
 * valid UTF-8, no member name twice in one object, no `__proto__`, bounded size and depth.
 */
export function parseJwt(token: string): ParsedJwt | Refused {
  if (token.length > MAX_LENGTH) return { refused: 'R_TOO_LARGE' }
  const [, first = '', second = '', signature = ''] = SHAPE.exec(token) ?? []
  const header = parseObject(first)
  const claims = parseObject(second)
  if (!header || !claims) return { refused: 'R_TOKEN' }
  if (signature === '') return { refused: header.alg === 'none' ? 'R_ALGORITHM' : 'R_TOKEN' }
  return decodeCanonical(signature) ? { token, header, claims } : { refused: 'R_TOKEN' }
}

/**
 * Verifies one JWT against one pinned issuer (RFC 7519 §7.2, RFC 8725). The algorithm is checked before any key is looked
 * for, and `jwk`, `jku`, `x5u` and `x5c` are never read. Dates are checked with 60 s of skew.
 *
 * @param now milliseconds since 1970
 * @throws BridgeError E_JWKS_DOWN when the issuer's keys cannot be had: the token is then neither good nor bad
 */
export async function verifyJwt(
  token: string | ParsedJwt,
  issuer: Issuer,
  keys: Pick<KeySource, 'key'>,
  now: number,
): Promise<VerifiedJwt | Refused> {
  const parsed = typeof token === 'string' ? parseJwt(token) : token
  if ('refused' in parsed) return parsed
  const { header, claims } = parsed
  const named = checkHeader(header, issuer)
  if ('refused' in named) return named
  const key = await keys.key(named, issuer.issuer)
  if (!key) return { refused: 'R_KEY' }
  try {
    await compactVerify(parsed.token, key, { algorithms: [named.alg] })
  } catch (error) {
    if (error instanceof errors.JOSEError) return { refused: 'R_SIGNATURE' }
    throw error
  }
  const dates = checkClaims(claims, issuer, now)
  return 'refused' in dates ? dates : { claims, header, signedBy: { ...named, key }, ...dates }
}

/** What a token must name for a key to be looked up: RFC 7515 §4.1, RFC 7797 §3. */
function checkHeader(header: Claims, issuer: Issuer): { alg: string; kid: string } | Refused {
  const { alg, kid } = header
  if (typeof alg !== 'string' || !ASYMMETRIC.test(alg) || !issuer.algorithms.includes(alg)) {
    return { refused: 'R_ALGORITHM' }
  }
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) return { refused: 'R_CRIT' }
  if (!typeAccepted(header, issuer)) return { refused: 'R_TOKEN' }
  if (typeof kid !== 'string' || kid === '') return { refused: 'R_KEY' }
  return { alg, kid }
}

/** RFC 7519 §4.1. */
function checkClaims(claims: Claims, issuer: Issuer, now: number): { issuedAt: number; expiresAt: number } | Refused {
  if (claims.iss !== issuer.issuer) return { refused: 'R_ISSUER' }
  if (!audiencesOf(claims).some((audience) => issuer.audiences.includes(audience))) return { refused: 'R_AUDIENCE' }

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

/** `aud` as a list, RFC 7519 §4.1.3; empty when it is neither a string nor a list of strings. */
export function audiencesOf({ aud }: Claims): readonly string[] {
  if (typeof aud === 'string') return [aud]
  return Array.isArray(aud) && aud.every((audience) => typeof audience === 'string') ? aud : []
}

/** `typ` is compared without case and without a leading `application/` (RFC 7515 §4.1.9). */
function typeAccepted(header: Claims, { types }: Issuer): boolean {
  if (!Object.hasOwn(header, 'typ')) return types === undefined
  if (typeof header.typ !== 'string') return false
  return types === undefined || types.includes(header.typ.toLowerCase().replace(/^application\//, ''))
}

const isDate = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= MAX_DATE

/** Undefined for anything that does not encode back to itself: padding, spaces, stray trailing bits. */
function decodeCanonical(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}

function parseObject(part: string): Claims | undefined {
  const bytes = decodeCanonical(part)
  if (!bytes) return undefined
  let text: string
  let value: unknown
  try {
    text = utf8.decode(bytes)
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isObject(value) && namesAreSound(text) ? value : undefined
}

const isObject = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Of valid JSON: no object names a member twice (after unescaping) or `__proto__`, and nesting is bounded. */
export function namesAreSound(json: string): boolean {
  /** One a level: the names so far of an object, undefined for an array. */
  const open: (Set<string> | undefined)[] = []
  let nameNext = false
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case '{':
      case '[':
        nameNext = json[at] === '{'
        open.push(nameNext ? new Set() : undefined)
        if (open.length > MAX_DEPTH) return false
        break
      case '}':
      case ']':
        open.pop()
        nameNext = false
        break
      case ',':
        nameNext = open.at(-1) !== undefined
        break
      case '"': {
        const start = at
        for (at++; json[at] !== '"'; at++) if (json[at] === '\\') at++
        const names = open.at(-1)
        if (!nameNext || !names) break
        const name: unknown = JSON.parse(json.slice(start, at + 1))
        if (typeof name !== 'string' || name === '__proto__' || names.has(name)) return false
        names.add(name)
        nameNext = false
        break
      }
    }
  }
  return true
}
