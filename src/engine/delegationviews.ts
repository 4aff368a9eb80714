import { type Delegation, isOver } from '../core/delegation.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import { thumbprintOf } from '../lib/agentkey.ts'
import type { DelegationView, SignedView } from './delegationapi.ts'
import { keysOf } from './parentkeys.ts'

const signedView = async (reads: StoreReads, of: Delegation): Promise<SignedView | undefined> => {
  const { key, parentDid, signature } = of
  if (key === undefined || signature === undefined) return undefined
  const held = (await keysOf(reads, parentDid, key)).find((one) => one.key === key)
  return { key: thumbprintOf(key), binding: held?.binding, signature }
}

/** What the agent was granted, as the API shows it. */
export const delegationView = async (reads: StoreReads, did: Did, now: number): Promise<DelegationView | undefined> => {
  const of = await reads.delegation(did)
  if (of === undefined) return undefined
  const { capabilities, expiresAt, grantedAt, grantedBy } = of
  return {
    capabilities,
    grantedAt,
    grantedBy,
    expiresAt,
    ended: isOver(of, now),
    signed: await signedView(reads, of),
  }
}
