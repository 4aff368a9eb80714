import { kidOf } from '../lib/jws.ts'

/** A signing key of the configuration, PEM. */
export interface SigningKey {
  read(): string
}

const known = new WeakMap<SigningKey, { readonly pem: string; readonly kid: string | undefined }>()

/**
 * `kid` of a key as it is now; undefined when it is not usable. Remembered, since parsing one takes longer than serving
 * what it signed.
 * @throws BridgeError E_SECRET when it cannot be read
 */
export const kidOfKey = (key: SigningKey): string | undefined => {
  const pem = key.read()
  const last = known.get(key)
  if (last?.pem === pem) return last.kid
  const kid = kidOf(pem)
  known.set(key, { pem, kid })
  return kid
}

const kidOrNone = (key: SigningKey): string | undefined => {
  try {
    return kidOfKey(key)
  } catch {
    // Who signs with it is told why it cannot be read.
    return undefined
  }
}

/** Those that were not taken back: the first of them signs, and they alone are published. */
export const keysInForce = <K extends SigningKey>(keys: readonly K[], revoked: readonly string[]): readonly K[] =>
  revoked.length === 0 ? keys : keys.filter((key) => !revoked.includes(kidOrNone(key) ?? ''))

/** Of all of them, whatever became of them. */
export const kidsOf = (keys: readonly SigningKey[]): readonly string[] => keys.flatMap((key) => kidOrNone(key) ?? [])
