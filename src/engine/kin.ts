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

/**
 * Tells whether the caller is an agent, its ancestor or its descendant. Of callers that are none nothing is read, and of the
 * others their own ancestors once.
 */
export const kinOf = (
  reads: Pick<StoreReads, 'chain'>,
  { dids = [] }: Pick<Caller, 'dids'>,
): ((of: Did) => Promise<boolean>) => {
  const lineOf = async (did: Did) => new Set([did, ...(await reads.chain(did)).map((link) => link.did)])
  const ours = async () => {
    const all = new Set<Did>()
    for (const did of dids) for (const one of await lineOf(did)) all.add(one)
    return all
  }
  let own: Promise<Set<Did>> | undefined
  return async (of) => {
    if (dids.length === 0) return false
    const line = await lineOf(of)
    if (dids.some((did) => line.has(did))) return true
    own ??= ours()
    return (await own).has(of)
  }
}
