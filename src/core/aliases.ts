import type { Did } from './types.ts'

/**
 * What a spelling was accepted for. `fingerprint`: it is derived from a key of the agent. `signature`: a key of the agent
 * signed it. `asserted`: an operator said so.
 */
export type Vouched = 'fingerprint' | 'signature' | 'asserted'

/** Another spelling of one agent's DID. Never a registered DID itself, and never of two agents. */
export interface Alias {
  readonly alias: Did
  readonly did: Did
  readonly how: Vouched
  readonly at: number
}

/** Most aliases of one agent: each of its signals carries them all. */
export const aliasesMost = 8

/** What a key of the agent signs to vouch for an alias, as UTF-8. */
export const aliasText = (did: Did, alias: Did): string => `agentmesh-alias-v1\n${did}\n${alias}`

export interface AliasReads {
  /** The agent that has this alias. */
  aliased(alias: Did): Promise<Did | undefined>
  /** Those of the DIDs that are aliases. */
  aliasesAmong(dids: readonly Did[]): Promise<Alias[]>
  /** In byte order. */
  aliasesOf(did: Did): Promise<Alias[]>
}

export interface AliasWrites {
  insertAlias(alias: Alias): Promise<void>
  dropAlias(alias: Did): Promise<void>
  /** Every hold of the DID, open or not, becomes another DID's, with the releases of them that wait. */
  moveHolds(from: Did, to: Did): Promise<void>
}
