import { type ChainFaults, chainFaults, type Link, soundChain } from '../core/delegation.ts'
import type { DecisionReads } from '../core/judging.ts'
import { blueprintOf } from './carrying.ts'

type Reads = Pick<DecisionReads, 'blueprint'>

/** How many hops may descend from an agent with this blueprint; undefined: as many as any chain may have. */
const depthLimitOf = async (reads: Reads, agent: Pick<Link, 'blueprint'>): Promise<number | undefined> =>
  (await blueprintOf(reads, agent))?.maxDelegationDepth

/** The limits of all agents of a chain, each blueprint looked up once. */
export const depthLimits = async (
  reads: Reads,
  chain: readonly Link[],
): Promise<(link: Link) => number | undefined> => {
  const limits = new Map<string | undefined, number | undefined>()
  for (const link of chain) {
    if (!limits.has(link.blueprint)) limits.set(link.blueprint, await depthLimitOf(reads, link))
  }
  return ({ blueprint }) => limits.get(blueprint)
}

/** What any of these chains says. */
export const faultsAmong = async (
  reads: Reads,
  chains: readonly (readonly Link[])[],
  now: number,
): Promise<ChainFaults> => {
  const found: ChainFaults[] = []
  for (const chain of chains) found.push(await faultsOf(reads, chain, now))
  return { over: found.some(({ over }) => over), tooDeep: found.some(({ tooDeep }) => tooDeep) }
}

/** Whether there is anything to say against a chain at all. */
export const isDelegated = (chain: readonly Link[]): boolean => chain.length > 1 || chain[0]?.parentDid !== undefined

/** What a chain, the agent first, says against it now. */
export const faultsOf = async (reads: Reads, chain: readonly Link[], now: number): Promise<ChainFaults> =>
  isDelegated(chain) ? chainFaults(chain, await depthLimits(reads, chain.slice(1)), now) : soundChain
