import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import type { Caller } from './agentapi.ts'

/**
 * An agent takes no part in a release on itself, its ancestor or its descendant (rule 5). Of callers that are none nothing
 * is read.
 * @throws BridgeError E_FORBIDDEN
 */
export const checkKin = async (
  reads: Pick<StoreReads, 'chain' | 'descendants'>,
  { name, dids = [] }: Caller,
  released: readonly Did[],
): Promise<void> => {
  for (const did of dids) {
    const kin = new Set([did, ...(await reads.chain(did)).map((link) => link.did), ...(await reads.descendants(did))])
    const found = released.find((one) => kin.has(one))
    if (found === undefined) continue
    const text = `The client ${name} is the agent ${did}, and ${found === did ? 'that is held' : `${found} is held, of its own family`}.`
    throw new BridgeError('E_FORBIDDEN', text, {
      hint: 'No agent releases itself, an ancestor or a descendant: ask clients that are other agents, or none.',
    })
  }
}

/** Whether the caller is this agent, its ancestor or its descendant. Of callers that are no agents nothing is read. */
export const isKin = async (reads: Pick<StoreReads, 'chain'>, { dids = [] }: Caller, of: Did): Promise<boolean> => {
  if (dids.length === 0) return false
  const line = async (did: Did) => [did, ...(await reads.chain(did)).map((link) => link.did)]
  const above = await line(of)
  if (dids.some((did) => above.includes(did))) return true
  for (const did of dids) if ((await line(did)).includes(of)) return true
  return false
}
