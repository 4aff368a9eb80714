import { BridgeError } from '../core/errors.ts'
import type { Agent, Did } from '../core/types.ts'
import type { Change } from './change.ts'
import { checkDepth } from './delegating.ts'
import { inheritCascade } from './placing.ts'

/**
 * The parent must be registered, must not descend from the child and not be too far from its root.
 * @throws BridgeError E_PARENT, E_CYCLE, E_DEPTH
 */
export const checkParent = async (c: Change, did: Did, parentDid: Did | undefined): Promise<void> => {
  if (parentDid === undefined) return
  const cycle = () =>
    new BridgeError('E_CYCLE', 'The parent descends from this agent.', {
      hint: 'A delegation chain ends at an agent without a parent.',
    })
  if (parentDid === did) throw cycle()
  const parent = await c.tx.agent(parentDid)
  if (parent === undefined) {
    throw new BridgeError('E_PARENT', 'The parent is not registered.', { hint: 'Register the parent first.' })
  }
  if (parent.decommissioned) throw new BridgeError('E_PARENT', 'The parent was decommissioned.')
  if ((await c.tx.chain(parentDid)).some((link) => link.did === did)) throw cycle()
  await checkDepth(c, did, parentDid)
}

/** @throws BridgeError E_HELD while the agent or either parent is held (rule 10) */
export const reparent = async (c: Change, agent: Agent, next: Agent): Promise<void> => {
  if (agent.parentDid === next.parentDid) return
  await checkParent(c, agent.did, next.parentDid)
  for (const did of [agent.did, agent.parentDid, next.parentDid]) {
    if (did === undefined || (await c.tx.openHolds(did)).length === 0) continue
    throw new BridgeError('E_HELD', 'The parent cannot change while the agent or either parent is held.', {
      hint: `${did} is held; release its holds first.`,
    })
  }
  // What still waits to end for an ancestor it leaves is out of that one's reach from now on.
  await inheritCascade(c, agent)
  await inheritCascade(c, next)
}
