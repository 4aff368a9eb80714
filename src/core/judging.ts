import type { Blueprint } from './blueprints.ts'
import type { Link } from './delegation.ts'
import type { ToolReads } from './tools.ts'
import type { Account, Agent, CapabilitySource, Did, Hold, Principal, PrincipalKey, Sharer } from './types.ts'

/**
 * What decisions read, and nothing else of the records: whoever has this much answers as the bridge does, also in another
 * process. The store is one such reader, a replica of it another.
 */
export type JudgedAgent = Pick<Agent, 'did' | 'blueprint' | 'parentDid' | 'decommissioned' | 'resumedAt'> &
  Partial<Pick<Agent, 'name'>>

export type JudgedHold = Pick<Hold, 'did' | 'origin' | 'severity' | 'publicReason' | 'placedAt' | 'releasedAt'>

export interface JudgedPrincipal
  extends PrincipalKey,
    Pick<Principal, 'did' | 'shared' | 'scopes'>,
    Partial<Pick<Principal, 'kind'>> {
  readonly account: Pick<Account, 'observedAt'>
}

export type JudgedSharer = Pick<Sharer, 'did' | 'scopes'>

/** The part of the policy that decides. A reload puts another object in its place. */
export interface JudgedPolicy {
  readonly maxStaleness: { readonly denyMs: number }
  /** Whether an actor in a token's `act` chain that nobody knows denies. */
  readonly unknownActors: 'deny' | 'allow'
}

/** Who is who, and what holds them. Each member is as in `StoreReads`. */
export interface AgentReads {
  agent(did: Did): Promise<JudgedAgent | undefined>
  openHolds(did: Did): Promise<readonly JudgedHold[]>
  principalsOf(did: Did): Promise<readonly JudgedPrincipal[]>
  principal(key: PrincipalKey): Promise<JudgedPrincipal | undefined>
  principalsById(adapter: string, ids: readonly string[]): Promise<readonly JudgedPrincipal[]>
  principalsNamed(adapter: string, names: readonly string[]): Promise<readonly JudgedPrincipal[]>
  sharersOf(key: PrincipalKey): Promise<readonly JudgedSharer[]>
}

/** All that a decision reads. */
export interface DecisionReads extends AgentReads, ToolReads {
  aliased(alias: Did): Promise<Did | undefined>
  chain(did: Did): Promise<readonly Link[]>
  sourcesOf(did: Did): Promise<readonly CapabilitySource[]>
  blueprint(name: string): Promise<Pick<Blueprint, 'maxDelegationDepth'> | undefined>
  auditHead(): Promise<{ readonly seq: number }>
  meta(key: string): Promise<string | undefined>
}
