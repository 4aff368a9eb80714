import { createHash, timingSafeEqual } from 'node:crypto'
import type { Issuer } from '../src/core/adapter.ts'
import { BridgeError, codeOf } from '../src/core/errors.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { KeySource } from '../src/lib/jwks.ts'
import { type ParsedJwt, type VerifiedJwt, verifyJwt } from '../src/lib/jwt.ts'
import type { SecretRef } from '../src/lib/secret.ts'

/** What the web hooks of every directory ask of a delivery. */

/**
 * A delivery that is proven wrong.
 * @param text one safe sentence
 */
export const unverified = (text: string, hint?: string): BridgeError =>
  new BridgeError('E_HOOK_UNVERIFIED', text, hint === undefined ? {} : { hint })

/** @throws BridgeError E_HOOK_BODY */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new BridgeError('E_HOOK_BODY', 'the delivery is not JSON')
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest()

/**
 * Whether one of the secrets fits. Each is looked at, whichever fits: the time taken tells nothing. One that cannot be read,
 * such as the old one after a rotation, counts only where no other fits.
 * @throws BridgeError E_SECRET
 */
export function fitsOne(secrets: readonly SecretRef[], fits: (secret: string) => boolean): boolean {
  const unread: unknown[] = []
  const found = secrets.map((secret) => {
    try {
      return fits(secret.read())
    } catch (error) {
      unread.push(error)
      return false
    }
  })
  if (found.includes(true)) return true
  if (unread.length > 0) throw unread[0]
  return false
}

/** Whether it is one of the secrets, each compared in full. @throws BridgeError E_SECRET */
export function isSecret(given: string, secrets: readonly SecretRef[]): boolean {
  const sent = digest(given)
  return fitsOne(secrets, (secret) => timingSafeEqual(digest(secret), sent))
}

/** `Authorization: Bearer …`, RFC 6750 §2.1. */
export const bearerOf = (header: string | undefined): string | undefined => /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]

/** What may be right in a moment: a key not fetched yet, a clock that is behind. */
const undecided = new Set(['R_KEY', 'R_NOT_YET_VALID'])

/**
 * The token of a delivery, verified by whichever of the issuers it names.
 * @throws BridgeError E_HOOK_UNVERIFIED, E_HOOK_CANNOT_CHECK
 */
export async function verifiedSender(
  jwt: ParsedJwt | { readonly refused: string },
  issuers: readonly Issuer[],
  keys: (issuer: Issuer) => Pick<KeySource, 'key'>,
  clock: Pick<Clock, 'now'>,
): Promise<VerifiedJwt> {
  const issuer = 'claims' in jwt ? issuers.find((each) => each.issuer === jwt.claims.iss) : undefined
  if (!('claims' in jwt) || !issuer) throw unverified('the delivery carries no token of this directory')
  try {
    const verified = await verifyJwt(jwt, issuer, keys(issuer), clock.now())
    if (!('refused' in verified)) return verified
    if (!undecided.has(verified.refused))
      throw unverified(`the token of the delivery does not hold (${verified.refused})`)
    throw new BridgeError('E_HOOK_CANNOT_CHECK', `the token of the delivery cannot be judged (${verified.refused})`)
  } catch (error) {
    if (codeOf(error) !== 'E_JWKS_DOWN') throw error
    const text = 'the signing keys of the directory cannot be read now'
    throw new BridgeError('E_HOOK_CANNOT_CHECK', text, { cause: error })
  }
}
