import { kidOf } from '../lib/jws.ts'

/** A signing key of the configuration, PEM. */
export interface SigningKey {
  read(): string
}

const kidOfKey = (key: SigningKey): string | undefined => {
  try {
    return kidOf(key.read())
  } catch {
    // Who signs with it is told why it cannot be read.
    return undefined
  }
}

/** Those that were not taken back: the first of them signs, and they alone are published. */
export const keysInForce = <K extends SigningKey>(keys: readonly K[], revoked: readonly string[]): readonly K[] =>
  revoked.length === 0 ? keys : keys.filter((key) => !revoked.includes(kidOfKey(key) ?? ''))

/** Of all of them, whatever became of them. */
export const kidsOf = (keys: readonly SigningKey[]): readonly string[] => keys.flatMap((key) => kidOfKey(key) ?? [])
