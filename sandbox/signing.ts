import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'

/** An RSA key that a local authorization server signs with. */
export interface SigningKey {
  readonly kid: string
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** @param kidBytes how long the ids of the vendor's keys are */
export function newSigningKey(kidBytes: number): SigningKey {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...pair, kid: randomBytes(kidBytes).toString('base64url') }
}

/** A part of a compact JWS. */
export function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
