import type { Did, PrincipalKey } from './types.ts'

/**
 * How a key belongs to a DID. `fingerprint`: the DID is derived from it. `proven`: whoever has it and an account of the
 * agent said so. `declared`: a registrar said so.
 */
export type Binding = 'fingerprint' | 'proven' | 'declared'

/** A public key of an agent; Ed25519, as base64url of its 32 bytes. */
export interface AgentKey {
  readonly key: string
  readonly thumbprint: string
  readonly binding: Binding
  readonly declaredAt: number
  /** When its possession was last shown. */
  readonly provenAt: number | undefined
}

/** The agent showed a key and a token of the account in one request: the mapping is not only somebody's word. */
export interface Proof extends PrincipalKey {
  readonly at: number
  readonly thumbprint: string
}

/** Most keys of one agent. */
export const keysMost = 8

export interface KeyReads {
  /** Oldest first. */
  keysOf(did: Did): Promise<AgentKey[]>
  /** Every agent that has one of these keys, in byte order. */
  holdersOf(thumbprints: readonly string[]): Promise<Did[]>
  proofsOf(did: Did): Promise<Proof[]>
}

export interface KeyWrites {
  /** In place of the same key of the same agent. */
  putKey(did: Did, key: AgentKey): Promise<void>
  /** What it proved goes with it. */
  dropKey(did: Did, thumbprint: string): Promise<void>
  /** In place of an earlier one; goes with the mapping. */
  putProof(did: Did, proof: Proof): Promise<void>
}
