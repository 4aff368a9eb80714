import type { StoreReads } from '../core/store.ts'
import type { Agent, Did } from '../core/types.ts'

interface Names<A> {
  agent(did: Did): Promise<A | undefined>
  aliased(alias: Did): Promise<Did | undefined>
}

/** Who is meant by a DID. */
export interface Named<A = Agent> {
  /** The DID the agent is registered under; the given one when nobody is. */
  readonly did: Did
  readonly agent: A | undefined
}

/**
 * Takes any spelling of an agent's DID. Asked in the transaction of an effect, never before it: between the two the
 * spelling may become the agent's.
 */
export const named = async <A>(reads: Names<A>, given: Did): Promise<Named<A>> => {
  const agent = await reads.agent(given)
  if (agent !== undefined) return { did: given, agent }
  const did = await reads.aliased(given)
  return did === undefined ? { did: given, agent: undefined } : { did, agent: await reads.agent(did) }
}

/** The same for many DIDs, in their order; without what is registered of them. */
export const canonicalOf = async (
  reads: Pick<StoreReads, 'aliasesAmong'>,
  dids: readonly Did[],
): Promise<readonly Did[]> => {
  const aliases = new Map((await reads.aliasesAmong(dids)).map(({ alias, did }) => [alias, did]))
  return aliases.size === 0 ? dids : dids.map((did) => aliases.get(did) ?? did)
}

/** The DID with every other spelling of it. */
export const spellingsOf = async (
  reads: Pick<StoreReads, 'agent' | 'aliased' | 'aliasesOf'>,
  given: Did,
): Promise<Did[]> => {
  const { did } = await named(reads, given)
  return [did, ...(await reads.aliasesOf(did)).map(({ alias }) => alias)]
}
