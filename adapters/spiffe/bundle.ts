import { createPublicKey } from 'node:crypto'
import { z } from 'zod'
import { type KeySet, parseKeySet } from '../../src/lib/jwkset.ts'
import { parseSound } from '../../src/lib/names.ts'

/** One trust bundle, as far as it is used. */
export interface Bundle {
  /** Keys of JWT-SVIDs. None: nobody of this trust domain is believed. */
  readonly keys: KeySet
  /** Authorities of X.509-SVIDs, DER. */
  readonly authorities: readonly Buffer[]
  readonly sequence: number | undefined
  readonly refreshHintMs: number | undefined
}

const document = z.object({
  // 64 bits: past 2^53 neighbours become equal, and never out of order.
  spiffe_sequence: z.number().min(0).optional(),
  spiffe_refresh_hint: z.number().min(0).optional(),
  keys: z.array(
    z.looseObject({ use: z.unknown().optional(), kid: z.unknown().optional(), x5c: z.unknown().optional() }),
  ),
})
const bundleMap = z.object({ trust_domains: z.record(z.string(), z.unknown()) })
const chain = z.array(z.string()).length(1)

/** SPIFFE's own `use` is what tells the keys apart; of a plain key set it would mean nothing and is taken off. */
function keysOf(jwks: readonly Readonly<Record<string, unknown>>[], before: KeySet): KeySet {
  return parseKeySet(JSON.stringify({ keys: jwks }), before)
}

/**
 * The document of a bundle endpoint, or of a file, which may be a map of several (SPIFFE Trust Domain and Bundle §4,
 * SPIFFE Federation §4). Keys of an unknown use are passed over.
 *
 * @throws Error when it is no bundle of this trust domain
 */
export function parseBundle(text: string, trustDomain: string, before: KeySet): Bundle {
  const json = parseSound(text)
  const map = bundleMap.safeParse(json)
  if (map.success && !Object.hasOwn(map.data.trust_domains, trustDomain))
    throw new Error(`the bundle map has no bundle of ${trustDomain}`)
  const parsed = document.safeParse(map.success ? map.data.trust_domains[trustDomain] : json)
  if (!parsed.success) throw new Error('it is not a bundle')
  const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: hint } = parsed.data
  const jwt = keys.filter(({ use }) => use === 'jwt-svid').map(({ use: _, ...key }) => key)
  const authorities = keys
    .filter(({ use, kid }) => use === 'x509-svid' && kid === undefined)
    .flatMap(({ x5c }) => chain.safeParse(x5c).data ?? [])
    .map((base64) => Buffer.from(base64, 'base64'))
  return { keys: keysOf(jwt, before), authorities, sequence, refreshHintMs: hint === undefined ? hint : hint * 1000 }
}

const count = z
  .string()
  .regex(/^-?\d{1,20}$/)
  .transform(Number)
const bytes = z.instanceof(Uint8Array)

/** `spire.api.types.Bundle`. */
export const message = z.object({
  trust_domain: z.string(),
  x509_authorities: z.array(z.object({ asn1: bytes, tainted: z.boolean() })),
  jwt_authorities: z.array(
    z.object({ public_key: bytes, key_id: z.string(), expires_at: count, tainted: z.boolean() }),
  ),
  refresh_hint: count,
  sequence_number: count,
})

/**
 * The answer of the server: what is tainted or has expired is passed over.
 * @throws Error when a key is none, or it is of another trust domain
 */
export function bundleOf(read: z.output<typeof message>, trustDomain: string, now: number, before: KeySet): Bundle {
  if (read.trust_domain !== trustDomain) throw new Error('it is the bundle of another trust domain')
  const good = read.jwt_authorities.filter(({ tainted, expires_at: at }) => !tainted && (at === 0 || at * 1000 > now))
  const jwks = good.map(({ public_key, key_id: kid }) => {
    const key = createPublicKey({ key: Buffer.from(public_key), format: 'der', type: 'spki' })
    return { ...key.export({ format: 'jwk' }), kid }
  })
  return {
    keys: keysOf(jwks, before),
    authorities: read.x509_authorities.filter(({ tainted }) => !tainted).map(({ asn1 }) => Buffer.from(asn1)),
    sequence: read.sequence_number,
    refreshHintMs: read.refresh_hint > 0 ? read.refresh_hint * 1000 : undefined,
  }
}
