import type { Claims, IssuerKeys } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { type KeySet, onlyKey, parseKeySet } from '../../src/lib/jwkset.ts'

/** Keys of an issuer as the bridge told them, which has them from where no other process can. Null: it could not tell them. */
export const toldKeys = (told: readonly Claims[] | null): IssuerKeys => {
  const keys: KeySet | undefined = told === null ? undefined : parseKeySet(JSON.stringify({ keys: told }), new Map())
  return {
    async key(header) {
      if (keys !== undefined) return onlyKey(keys, header)
      throw new BridgeError('E_JWKS_DOWN', 'The bridge cannot tell the signing keys of the issuer now.')
    },
    version: () => keys,
    published: () => told ?? undefined,
  }
}
