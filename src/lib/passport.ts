import { z } from 'zod'
import { canonical } from '../core/canonical.ts'
import {
  type Checked,
  type Expected,
  judgePassport,
  judgeStatus,
  type Passport,
  passportMostBytes,
  passportType,
} from '../core/passport.ts'
import { type JwsFault, openStrict, type VerifyKey } from './jws.ts'
import { openStatusList } from './statuslist.ts'

/** Any date that a JSON number of seconds can name. */
const seconds = z.int().min(0).max(253_402_300_799)
const names = z.array(z.string())
const hop = z.object({
  did: z.string(),
  depth: z.int().min(0),
  granted: names.nullable(),
  expiresAt: seconds.nullable(),
  signed: z.object({ key: z.string(), signature: z.string() }).nullable(),
})

/** What is known of a passport; a later release may say more. */
const claims = z.object({
  iss: z.string().min(1),
  sub: z.string().min(1),
  iat: seconds,
  exp: seconds,
  jti: z.string().min(1),
  aud: z.string().min(1).optional(),
  name: z.string(),
  principals: z.array(
    z.object({ adapter: z.string(), kind: z.string(), realm: z.string().nullable(), id: z.string() }),
  ),
  capabilities: names,
  sponsor: z.object({ objectId: z.string().optional(), email: z.string().optional() }).nullable(),
  delegation: z.array(hop),
  status: z.object({ status_list: z.object({ idx: z.int().min(0), uri: z.string().min(1) }) }),
  cnf: z.object({ jwk: z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() }) }).optional(),
  delegation_claims: z.object({
    authority_scope: names,
    issued_at: z.string(),
    revocation_check_url: z.string(),
  }),
}) satisfies z.ZodType<Passport>

const told: Readonly<Record<JwsFault | 'size', string>> = {
  size: 'it is longer than any passport',
  form: 'it is not a compact JWS',
  algorithm: 'it is not signed with EdDSA',
  type: 'it is not a passport',
  header: 'its header has members that no passport has',
  key: 'it is not signed by any of these keys',
  signature: 'the signature does not fit: it was altered, or signed by somebody else',
}

const parsed = (payload: string): Passport | undefined => {
  try {
    const value: unknown = JSON.parse(payload)
    return canonical(value) === payload ? claims.parse(value) : undefined
  } catch {
    return undefined
  }
}

export interface PassportTerms extends Expected {
  /** Of the issuer. */
  readonly keys: readonly VerifyKey[]
  /** `kid`s that the issuer took back; undefined: whether it took the key back is not looked at. */
  readonly revoked: readonly string[] | undefined
  /** The status list that the passport names, as it was fetched; undefined: the status is not looked at. */
  readonly statusList: string | undefined
}

export interface PassportVerdict {
  readonly valid: boolean
  /** All that were made, in order; after one of `signature`, `claims` or `list` that failed, what needs it is not made. */
  readonly checks: readonly Checked[]
  /** Undefined unless it is the issuer's. */
  readonly passport: Passport | undefined
}

/**
 * Whether a passport holds, by what is handed in and nothing else. The algorithm is fixed, nothing in the token names a
 * key, and the list is signed by the same keys: see `openStrict`.
 */
export const verifyPassport = async (jws: string, terms: PassportTerms): Promise<PassportVerdict> => {
  const verdict = (checks: readonly Checked[], passport?: Passport): PassportVerdict => ({
    valid: checks.every(({ ok }) => ok),
    checks,
    passport,
  })
  const opened =
    jws.length > passportMostBytes ? { fault: 'size' as const } : await openStrict(jws, passportType, terms.keys)
  if (opened.fault !== undefined) return verdict([{ check: 'signature', ok: false, text: told[opened.fault] }])
  const checks: Checked[] = [{ check: 'signature', ok: true, text: `signed with the key ${opened.kid}` }]
  const passport = parsed(opened.payload)
  if (passport === undefined) {
    return verdict([
      ...checks,
      { check: 'claims', ok: false, text: 'what is signed is not a passport of this release' },
    ])
  }
  const { revoked } = terms
  checks.push({ check: 'claims', ok: true, text: `passport ${passport.jti} of ${passport.sub}` })
  if (revoked !== undefined) {
    const ok = !revoked.includes(opened.kid)
    checks.push({ check: 'key', ok, text: ok ? 'the key was not taken back' : 'the issuer took this key back' })
  }
  checks.push(...judgePassport(passport, terms))
  if (terms.statusList === undefined) return verdict(checks, passport)
  const keys = terms.keys.filter(({ kid }) => !revoked?.includes(kid))
  const list = await openStatusList(terms.statusList, keys)
  if (typeof list === 'string') checks.push({ check: 'list', ok: false, text: `the status list: ${list}` })
  else checks.push(...judgeStatus(passport, list, terms))
  return verdict(checks, passport)
}
