import { type Bits, statusAt, statusValues } from './statuslist.ts'
import type { Did } from './types.ts'

/**
 * A passport: what the bridge vouches for about one agent, to be checked without asking the bridge. A JWT
 * (RFC 7519) of `typ` `agent-passport+jwt`.
 */
export const passportType = 'agent-passport+jwt'
export const statusListType = 'statuslist+jwt'

/** However long a passport may live by configuration: past it, what a list says of releases may be forgotten. */
export const passportMostMs = 3_600_000
/** How far the clocks of those who check may be off. */
export const skewSeconds = 60
/** More is no passport. */
export const passportMostBytes = 16 * 1024

export interface Hop {
  readonly did: Did
  readonly depth: number
  /** What its parent granted it; null for a root, or one that was never granted anything. */
  readonly granted: readonly string[] | null
  /** Seconds; null: until it is withdrawn. */
  readonly expiresAt: number | null
  /** The parent's signature on the grant, and the thumbprint of the key that made it. */
  readonly signed: { readonly key: string; readonly signature: string } | null
}

/** The claims, times in seconds. */
export interface Passport {
  readonly iss: string
  readonly sub: Did
  readonly iat: number
  readonly exp: number
  readonly jti: string
  /** The one it is for; undefined: anybody. */
  readonly aud?: string | undefined
  readonly name: string
  readonly principals: readonly { adapter: string; kind: string; realm: string | null; id: string }[]
  readonly capabilities: readonly string[]
  readonly sponsor: { readonly objectId?: string | undefined; readonly email?: string | undefined } | null
  /** From the root to the agent. */
  readonly delegation: readonly Hop[]
  readonly status: { readonly status_list: { readonly idx: number; readonly uri: string } }
  /** RFC 7800: whoever shows the passport must show that it has this key. */
  readonly cnf?: { readonly jwk: { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string } } | undefined
  /** What AGT's reader of foreign tokens looks for. */
  readonly delegation_claims: {
    readonly authority_scope: readonly string[]
    readonly issued_at: string
    readonly revocation_check_url: string
  }
}

/** A status list whose signature holds. Times in seconds. */
export interface StatusList {
  readonly sub: string
  readonly iat: number
  readonly exp: number
  readonly ttl: number | undefined
  readonly bits: Bits
  readonly bytes: Uint8Array
  /** Of lists of a bridge: when places were released lately, by place. */
  readonly released: ReadonlyMap<number, number>
  /** Of lists of a bridge: every place may have been released up to here. */
  readonly releasedAll: number | undefined
}

export const passportChecks = [
  'signature',
  'claims',
  'key',
  'issuer',
  'audience',
  'time',
  'list',
  'listTime',
  'status',
  'released',
] as const
export type PassportCheck = (typeof passportChecks)[number]

export interface Checked {
  readonly check: PassportCheck
  readonly ok: boolean
  /** For people. */
  readonly text: string
}

export interface Expected {
  /** Of whoever checks, in ms. */
  readonly now: number
  /** Who must have issued it; undefined: whoever has the key. */
  readonly issuer?: string | undefined
  /** Who checks; a passport for another audience, or for one when nobody says who checks, is refused. */
  readonly audience?: string | undefined
}

const moment = (seconds: number) => new Date(seconds * 1000).toISOString()

/** What the claims say against a passport whose signature holds. Everything is checked, so that all is named. */
export const judgePassport = (passport: Passport, { audience, issuer, now }: Expected): Checked[] => {
  const seconds = now / 1000
  const { aud, exp, iat, iss } = passport
  const isOver = !(seconds < exp + skewSeconds)
  const isEarly = !(iat <= seconds + skewSeconds)
  const tooLong = !(exp > iat && exp - iat <= passportMostMs / 1000)
  const time = tooLong
    ? 'it lives longer than a passport may'
    : isOver
      ? `it expired at ${moment(exp)}`
      : isEarly
        ? `it is from the future: ${moment(iat)}`
        : `issued ${moment(iat)}, good until ${moment(exp)}`
  return [
    {
      check: 'issuer',
      ok: issuer === undefined || iss === issuer,
      text: issuer === undefined || iss === issuer ? `issued by ${iss}` : `issued by ${iss}, not by ${issuer}`,
    },
    {
      check: 'audience',
      ok: aud === undefined || aud === audience,
      text: aud === undefined ? 'for anybody' : `for ${aud}${aud === audience ? '' : ', and that is not who checks'}`,
    },
    { check: 'time', ok: !isOver && !isEarly && !tooLong, text: time },
  ]
}

/**
 * What a status list says against a passport (section 8.3 of the draft, and what lists of a bridge say besides): a list
 * that is not the one the passport names, or that is old, tells nothing, and that is a no.
 */
export const judgeStatus = (passport: Passport, list: StatusList, { now }: Pick<Expected, 'now'>): Checked[] => {
  const { idx, uri } = passport.status.status_list
  const seconds = now / 1000
  const value = list.sub === uri ? statusAt(list.bytes, list.bits, idx) : undefined
  const until = Math.min(list.exp, list.iat + (list.ttl ?? Number.POSITIVE_INFINITY))
  const isOver = !(seconds < list.exp + skewSeconds)
  const isEarly = !(list.iat <= seconds + skewSeconds)
  const releasedAt = Math.max(list.releasedAll ?? 0, list.released.get(idx) ?? 0)
  const isAfter = passport.iat > releasedAt
  const words: Readonly<Record<number, string>> = {
    [statusValues.valid]: 'valid',
    [statusValues.invalid]: 'invalid: the agent was decommissioned',
    [statusValues.suspended]: 'suspended',
  }
  return [
    {
      check: 'list',
      ok: value !== undefined,
      text:
        list.sub !== uri
          ? `it is the list ${list.sub}, and the passport names ${uri}`
          : value === undefined
            ? `the list has no place ${idx}`
            : `the list that the passport names, ${uri}`,
    },
    {
      check: 'listTime',
      ok: !isOver && !isEarly,
      text: isOver
        ? `the list expired at ${moment(list.exp)}`
        : isEarly
          ? `the list is from the future: ${moment(list.iat)}`
          : `as of ${moment(list.iat)}${seconds > until ? ', and there is a newer one' : ''}`,
    },
    {
      check: 'status',
      ok: value === statusValues.valid,
      text: value === undefined ? 'unknown' : (words[value] ?? `status ${value}`),
    },
    {
      check: 'released',
      ok: isAfter,
      text: isAfter ? 'not released since it was issued' : `issued before the release of ${moment(releasedAt)}`,
    },
  ]
}
