import assert from 'node:assert/strict'
import { type CryptoKey, errors, importJWK, type JWTHeaderParameters, jwtVerify } from 'jose'
import { AUDIENCE, ISSUER, token } from '../unit/issuer.ts'
import { dice, mutated } from './mutate.ts'
import { algorithms, Target } from './rig.ts'

export interface Fuzzed {
  readonly cases: number
  /** Texts that were one of the valid tokens, letter by letter: the only ones that may be accepted. */
  readonly identical: number
  readonly refused: Readonly<Record<string, number>>
  /** Compared with jose; `stricter`: it took what has more than one reading, or dates that are none. */
  readonly compared: number
  readonly stricter: number
}

export interface FuzzOptions {
  readonly cases: number
  readonly seed: number
  /** Every case is also put to jose. */
  readonly differential: boolean
  /** Verifies in our place: to see that a broken rule is found. */
  readonly verify?: Target['verify']
}

/** Verified one by one elsewhere, a big curve would take all the time there is. */
const weight = (alg: string): number => (['RS256', 'PS256', 'ES256', 'EdDSA'].includes(alg) ? 80 : 3)
const lanes = 64
/** What we refuse by rule where jose may not: one reading of the form, dates of this era, no demands, a key by name. */
const ours = new Set(['R_TOKEN', 'R_TOO_LARGE', 'R_CRIT', 'R_CLAIMS', 'R_KEY'])

/** A PSS signature that lost its leading zero: OpenSSL fills it up again, also below jose (RFC 8017 §8.1.2 does not). */
const isCut = (text: string): boolean => {
  const [header = '', , signed = ''] = text.split('.')
  const { alg }: { alg?: unknown } = JSON.parse(Buffer.from(header, 'base64url').toString())
  return String(alg).startsWith('PS') && Buffer.from(signed, 'base64url').length === rsaBytes - 1
}
const rsaBytes = 256

/**
 * Valid tokens of every algorithm, changed in every region and put to the verifier, so many at once. A changed one is
 * never accepted and nothing is ever thrown. jose, asked the same, accepts whatever we accept, and what it accepts beyond
 * that is refused here for its form alone: never for its signature, unless that is a byte short.
 *
 * @throws AssertionError with the token that broke a rule
 */
export const fuzz = async ({ cases, seed, differential, verify }: FuzzOptions): Promise<Fuzzed> => {
  await using target = await Target.open()
  const judge = verify ?? ((text: string) => target.verify(text))
  const now = target.clock.now()
  const currentDate = new Date(now)
  const tokens = algorithms.flatMap((alg) =>
    Array.from({ length: weight(alg) }, (_, n) =>
      token(target.key(alg), now, { oid: `account-${n}`, jti: `${alg}-${n}` }),
    ),
  )
  const valid = new Set(tokens)
  const keys = new Map<string, CryptoKey>()
  for (const [kid, key] of target.keys) {
    for (const alg of algorithms) {
      // A key without alg serves every algorithm of its kind, here as there.
      const made = await importJWK(key.jwk, alg).catch(() => undefined)
      if (made !== undefined && !(made instanceof Uint8Array)) keys.set(`${kid} ${alg}`, made)
    }
  }
  const accepts = async (text: string): Promise<boolean> => {
    const options = {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms,
      clockTolerance: 60,
      currentDate,
      requiredClaims: ['exp', 'iat'],
    }
    try {
      await jwtVerify(
        text,
        ({ alg, kid }: JWTHeaderParameters) => {
          const key = keys.get(`${kid} ${alg}`)
          if (key === undefined) throw new errors.JWKSNoMatchingKey()
          return key
        },
        options,
      )
      return true
    } catch {
      return false
    }
  }

  const d = dice(seed)
  const refused: Record<string, number> = {}
  let [begun, identical, compared, stricter] = [0, 0, 0, 0]
  const one = async (): Promise<void> => {
    const text = mutated(tokens, d)
    const [result, there] = await Promise.all([judge(text), differential ? accepts(text) : undefined])
    const said = () => `seed ${seed}: ${JSON.stringify(text)}`
    if ('refused' in result) {
      refused[result.refused] = (refused[result.refused] ?? 0) + 1
      assert.ok(!valid.has(text), `a valid token was refused with ${result.refused}; ${said()}`)
      if (there) assert.ok(ours.has(result.refused) || isCut(text), `jose accepts, we say ${result.refused}; ${said()}`)
      if (there) stricter += 1
    } else {
      identical += 1
      assert.ok(valid.has(text), `a changed token was accepted; ${said()}`)
      if (there !== undefined) assert.ok(there, `jose refuses what we accept; ${said()}`)
    }
    if (there !== undefined) compared += 1
  }
  const lane = async () => {
    while (begun < cases) {
      begun += 1
      try {
        await one()
      } catch (error) {
        // One broken rule is enough: the other lanes end with what they have begun.
        begun = cases
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return { cases, identical, refused, compared, stricter }
}
