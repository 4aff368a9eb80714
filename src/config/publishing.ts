import { createPrivateKey } from 'node:crypto'
import { z } from 'zod'
import { passportMostMs } from '../core/passport.ts'
import { duration, says, secret } from '../lib/fields.ts'

/** What is signed and published, and with which keys. */

function privateKey(pem: string): string | undefined {
  try {
    if (createPrivateKey(pem).asymmetricKeyType === 'ed25519') return undefined
  } catch {
    // Not a key at all.
  }
  return says('is not an Ed25519 private key in PEM (PKCS #8)', 'openssl genpkey -algorithm ed25519 -out ed25519.pem')
}

export const passports = z.strictObject({
  lifetime: duration({ minMs: 60_000, maxMs: passportMostMs }).prefault('15m').describe('At most 1h'),
  sponsor: z
    .enum(['none', 'id', 'email'])
    .prefault('id')
    .describe('What a passport tells of the sponsor: email tells both'),
})

export const statusLists = z
  .strictObject({
    ttl: duration({ minMs: 1000, maxMs: passportMostMs }).prefault('10s').describe('How long a list may be kept'),
    lifetime: duration({ minMs: 60_000, maxMs: passportMostMs })
      .prefault('5m')
      .describe('After which a list is no good any more, also where the bridge cannot be reached'),
  })
  .refine(({ lifetime, ttl }) => ttl < lifetime, {
    message: says('may be kept for longer than it is good', 'make ttl shorter than lifetime'),
    params: { code: 'conflict' },
  })

const kid = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, says('is not the kid of a signing key', 'copy it from /.well-known/jwks.json'))

export const signing = z.strictObject({
  keys: z.array(secret({ check: privateKey })).prefault([]),
  revoked: z
    .array(kid)
    .prefault([])
    .describe('Keys that must not be believed any more, by kid, configured or not: told to everybody'),
})
