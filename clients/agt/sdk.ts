/**
 * What the client needs of `@microsoft/agent-governance-sdk`, as structural types: 4.0.0, its successors and doubles all
 * fit, and importing the client never loads the SDK.
 */
export interface KillContextLike {
  action?: string
  reason: string
}

export interface KillResultLike {
  agentId: string
  killedAt: string
}

export interface KillSwitchLike {
  kill(agentId: string, context: KillContextLike): Promise<KillResultLike>
}

export interface IdentityLike {
  readonly did: string
  readonly status: string
  readonly parentDid?: string | null
  suspend(reason?: string): void
  reactivate(): void
}

/** `IdentityRegistry`, or a `Map` of identities by DID. */
export interface RegistryLike {
  get(did: string): IdentityLike | undefined
}

/** Method syntax on purpose: the SDK's enumeration of states then fits `string`. */
export interface LifecycleLike {
  readonly state: string
  canTransition(state: string): boolean
  transition(state: string, reason: string, initiatedBy: string): unknown
}

/** A `LifecycleManager` does not tell whose it is, so they are looked up by DID: a `Map` does. */
export interface LifecyclesLike {
  get(did: string): LifecycleLike | undefined
}

/** `TrustManager`. */
export interface TrustLike {
  getTrustScore(id: string): { readonly overall: number }
}

/** `AgentMeshClient`. */
export interface GovernedLike {
  readonly identity: IdentityLike
  readonly lifecycle: LifecycleLike
  readonly killSwitch?: KillSwitchLike
  readonly audit: { log(entry: { agentId: string; action: string; decision: 'deny' }): unknown }
  readonly trust: { getTrustScore(did: string): unknown }
  executeWithGovernance(action: string, params?: Record<string, unknown>): Promise<unknown>
}
