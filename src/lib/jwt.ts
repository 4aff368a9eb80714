import { isUtf8 } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import type { Claims, Issuer } from '../core/adapter.ts'
import type { RefusalCode } from '../core/decide.ts'
import type { KeySource } from './jwks.ts'
import { signatureHolds } from './signature.ts'

/** A JWT taken apart. Nothing in it is verified. */
export interface ParsedJwt {
  readonly header: Claims
  readonly claims: Claims
  /** What is signed: header and claims as they were sent. */
  readonly input: string
  /** The signature as it was sent, canonical base64url. */
  readonly signature: string
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
const MAX_DEPTH = 32
const SKEW_SECONDS = 60
/** The last second of the year 9999; past it a date is a mistake or an attack. */
const MAX_DATE = 253_402_300_799
const LETTERS = /^[A-Za-z0-9_-]+$/
/** No configuration can make a shared secret or `none` acceptable. */
const ASYMMETRIC = /^(?:(?:RS|PS|ES)(?:256|384|512)|EdDSA|Ed25519)$/

/**
 * Takes a compact JWS (RFC 7515 §7.1) with a JSON claims set apart, more strictly than the RFC asks: canonical base64url,
 * valid UTF-8, no member name twice in one object, no `__proto__`, bounded size and depth.
 */
export function parseJwt(token: string): ParsedJwt | Refused {
  if (token.length > MAX_LENGTH) return { refused: 'R_TOO_LARGE' }
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  const header = headerOf(token.slice(0, Math.max(0, first)))
  const claims = parseObject(token.slice(first + 1, Math.max(0, second)))
  if (!header || !claims) return { refused: 'R_TOKEN' }
  const signature = token.slice(second + 1)
  if (signature === '') return { refused: header.alg === 'none' ? 'R_ALGORITHM' : 'R_TOKEN' }
  return isCanonical(signature) ? { header, claims, input: token.slice(0, second), signature } : { refused: 'R_TOKEN' }
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
  const { input, signature } = parsed
  const holds = await signatureHolds(named.alg, key, Buffer.from(input, 'latin1'), Buffer.from(signature, 'base64url'))
  if (!holds) return { refused: 'R_SIGNATURE' }
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

/** Whether it is what encoding its bytes gives (RFC 4648 §3.5, §5): no padding, no space, no stray trailing bits. */
function isCanonical(part: string): boolean {
  if (!LETTERS.test(part)) return false
  const rest = part.length % 4
  if (rest === 0) return true
  return rest !== 1 && (rest === 2 ? 'AQgw' : 'AEIMQUYcgkosw048').includes(part.charAt(part.length - 1))
}

/**
 * Every token of one key begins with the same header: those in use are taken apart once. A header is no secret.
 */
const headers = new Map<string, Claims>()
const MAX_HEADERS = 100
const MAX_KEPT_LENGTH = 512

function headerOf(part: string): Claims | undefined {
  const known = headers.get(part)
  if (known) return known
  const header = parseObject(part)
  if (!header || part.length > MAX_KEPT_LENGTH) return header
  if (headers.size >= MAX_HEADERS) for (const oldest of headers.keys()) if (headers.delete(oldest)) break
  // The part is a window on the whole token, which would be kept with it: a copy is not.
  headers.set(Buffer.from(part, 'latin1').toString('latin1'), Object.freeze(header))
  return header
}

function parseObject(part: string): Claims | undefined {
  if (!isCanonical(part)) return undefined
  const bytes = Buffer.from(part, 'base64url')
  if (!isUtf8(bytes)) return undefined
  const text = bytes.toString()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isObject(value) && namesAreSound(text) ? value : undefined
}

const isObject = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const [QUOTE, COMMA, OPEN_LIST, ESCAPE, CLOSE_LIST, OPEN, CLOSE] = [0x22, 0x2c, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d]

/** Of valid JSON: no object names a member twice (after unescaping) or `__proto__`, and nesting is bounded. */
export function namesAreSound(json: string, maxDepth = MAX_DEPTH): boolean {
  /** One a level: the names so far of an object, undefined for an array. */
  const open: (Set<string> | undefined)[] = []
  let names: Set<string> | undefined
  let nameNext = false
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case OPEN:
      case OPEN_LIST:
        nameNext = json.charCodeAt(at) === OPEN
        names = nameNext ? new Set() : undefined
        open.push(names)
        if (open.length > maxDepth) return false
        break
      case CLOSE:
      case CLOSE_LIST:
        open.pop()
        names = open.at(-1)
        nameNext = false
        break
      case COMMA:
        nameNext = names !== undefined
        break
      case QUOTE: {
        const end = endOfText(json, at)
        if (nameNext && names) {
          const written = json.slice(at + 1, end)
          const name: unknown = written.includes('\\') ? JSON.parse(`"${written}"`) : written
          if (typeof name !== 'string' || name === '__proto__' || names.has(name)) return false
          names.add(name)
          nameNext = false
        }
        at = end
        break
      }
    }
  }
  return true
}

/** Where the text ends that begins at this quote: at the next one before which stands an even number of backslashes. */
function endOfText(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let before = end
    while (json.charCodeAt(before - 1) === ESCAPE) before--
    if ((end - before) % 2 === 0) return end
  }
  return json.length
}
