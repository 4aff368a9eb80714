import { deflateSync, inflateSync } from 'node:zlib'
import { z } from 'zod'
import { type StatusList, statusListType } from '../core/passport.ts'
import { type Bits, bitsOfList } from '../core/statuslist.ts'
import { type JwsFault, openStrict, type VerifyKey } from './jws.ts'

/** Unpacked: 32 million agents of two bits. A list that grows beyond it is not read. */
const unpackedMost = 8 * 1024 * 1024
const packedMost = 16 * 1024 * 1024

/** `lst`: DEFLATE in the ZLIB format, base64url (section 4.1). */
export const packStatuses = (bytes: Uint8Array): string => deflateSync(bytes, { level: 9 }).toString('base64url')

/** Undefined for what is no such list, or a list too large. */
export const unpackStatuses = (lst: string): Uint8Array | undefined => {
  const packed = Buffer.from(lst, 'base64url')
  if (packed.toString('base64url') !== lst) return undefined
  try {
    return inflateSync(packed, { maxOutputLength: unpackedMost })
  } catch {
    return undefined
  }
}

const seconds = z.int().min(0).max(253_402_300_799)
const place = z.string().regex(/^(0|[1-9]\d{0,8})$/)

const claims = z.object({
  sub: z.string().min(1),
  iat: seconds,
  /** Recommended by the draft; without it a list never grows old, and those of a bridge have it. */
  exp: seconds,
  ttl: z.int().min(1).optional(),
  status_list: z.object({ bits: z.literal(bitsOfList), lst: z.string(), aggregation_uri: z.string().optional() }),
  released: z.record(place, seconds).optional(),
  released_all: seconds.optional(),
})

/** The claims of a Status List Token (section 5.1). Times in seconds. */
export interface StatusListClaims {
  readonly sub: string
  readonly iat: number
  readonly exp: number
  readonly ttl: number
  readonly status_list: { readonly bits: Bits; readonly lst: string; readonly aggregation_uri: string }
  /** When places were released lately; left out when none was. */
  readonly released?: Readonly<Record<string, number>> | undefined
  readonly released_all?: number | undefined
}

const told: Readonly<Record<JwsFault, string>> = {
  form: 'it is not a compact JWS',
  algorithm: 'it is not signed with EdDSA',
  type: 'it is not a status list',
  header: 'its header has members that no list of a bridge has',
  key: 'it is not signed by any of these keys',
  signature: 'the signature does not fit: it was altered, or signed by somebody else',
}

/** A Status List Token that one of the keys signed, or why it is none. Whose list it is and how old, the caller judges. */
export const openStatusList = async (jws: string, keys: readonly VerifyKey[]): Promise<StatusList | string> => {
  if (jws.length > packedMost) return 'it is too large'
  const opened = await openStrict(jws, statusListType, keys)
  if (opened.fault !== undefined) return told[opened.fault]
  const parsed = claims.safeParse(json(opened.payload))
  if (!parsed.success) return 'what is signed is not a status list'
  const { exp, iat, released, released_all, status_list, sub, ttl } = parsed.data
  const bytes = unpackStatuses(status_list.lst)
  if (bytes === undefined) return 'its statuses cannot be unpacked'
  return {
    sub,
    iat,
    exp,
    ttl,
    bits: status_list.bits,
    bytes,
    released: new Map(Object.entries(released ?? {}).map(([idx, at]) => [Number(idx), at])),
    releasedAll: released_all,
  }
}

const json = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
