import type { Binding } from '../core/keys.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import { fitOf } from '../lib/agentkey.ts'

/** A public key with which an agent may have signed, and what says that it is the agent's. */
interface SigningKey {
  /** Base64url of the 32 bytes. */
  readonly key: string
  readonly binding: Binding
}

/** The keys of an agent; with them one that was offered, if the agent's DID is derived from it. */
export const keysOf = async (
  reads: Pick<StoreReads, 'keysOf'>,
  did: Did,
  offered?: string,
): Promise<readonly SigningKey[]> => {
  const known = await reads.keysOf(did)
  if (offered === undefined || known.some(({ key }) => key === offered)) return known
  return fitOf(did, offered) === 'fits' ? [...known, { key: offered, binding: 'fingerprint' }] : known
}
