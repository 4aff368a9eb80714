import type { StoreReads } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import { fitOf } from '../lib/agentkey.ts'

/** A public key of an agent, and what says that it is one. */
export interface AgentKey {
  /** Base64url of the 32 bytes. */
  readonly key: string
  readonly binding: 'fingerprint' | 'proven' | 'declared'
}

/** The keys of an agent; with them one that was offered, if the agent's DID is derived from it. */
export const keysOf = async (_reads: StoreReads, did: Did, offered?: string): Promise<AgentKey[]> =>
  offered !== undefined && fitOf(did, offered) === 'fits' ? [{ key: offered, binding: 'fingerprint' }] : []
