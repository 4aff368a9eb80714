import type { StoreReads } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import type { HopView } from './delegationapi.ts'
import { delegationView } from './delegationviews.ts'
import { effectiveIn } from './granting.ts'
import { requireAgent, statusOf } from './views.ts'

/** The chain of an agent, from its root to itself. */
export const chainView = async (reads: StoreReads, did: Did, now: number): Promise<HopView[]> => {
  await requireAgent(reads, did)
  const chain = (await reads.chain(did)).toReversed()
  const effective = effectiveIn(chain, now)
  const agents = new Map((await reads.agentsByDid(chain.map((link) => link.did))).map((agent) => [agent.did, agent]))
  const open = Map.groupBy(await reads.openHoldsByDid([...agents.keys()]), (hold) => hold.did)
  const hops: HopView[] = []
  for (const [depth, link] of chain.entries()) {
    const of = link.parentDid === undefined ? undefined : await delegationView(reads, link.did, now)
    hops.push({
      did: link.did,
      status: statusOf(agents.get(link.did), open.get(link.did) ?? []),
      parentDid: link.parentDid,
      depth,
      granted: of?.capabilities,
      effective: effective(link.did),
      expiresAt: of?.expiresAt,
      ended: of?.ended ?? false,
      signed: of?.signed,
    })
  }
  return hops
}
