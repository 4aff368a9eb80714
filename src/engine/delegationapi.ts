import type { Binding } from '../core/keys.ts'
import type { Did } from '../core/types.ts'
import type { AgentView } from './agentapi.ts'

/** Delegations as callers give and see them. */

export interface DelegationInput {
  readonly capabilities: readonly string[]
  /** RFC 3339. */
  readonly expiresAt?: string | null | undefined
  /** Hops from the root to the agent, as the runtime counts them: refused when it is not so. */
  readonly depth?: number | undefined
  /** The parent's signature; `key`, when the bridge need not know it: a JWK or the key as its SDK exports it. */
  readonly proof?: { readonly key?: unknown; readonly signature: string } | null | undefined
}

export interface SignedView {
  /** Thumbprint of the parent's key. */
  readonly key: string
  /** What says that the key is the parent's; undefined: the parent has it no more. */
  readonly binding: Binding | undefined
  /** Base64url. */
  readonly signature: string
}

export interface DelegationView {
  readonly capabilities: readonly string[]
  readonly grantedAt: number
  readonly grantedBy: string
  readonly expiresAt: number | undefined
  /** Over by now: nothing is left to the agent and to all below it. */
  readonly ended: boolean
  readonly signed: SignedView | undefined
}

/** One agent of a chain. */
export interface HopView {
  readonly did: Did
  readonly status: AgentView['status']
  readonly parentDid: Did | undefined
  readonly depth: number
  /** What its parent granted it; undefined when it did so for nothing in particular. */
  readonly granted: readonly string[] | undefined
  readonly effective: readonly string[]
  readonly expiresAt: number | undefined
  readonly ended: boolean
  readonly signed: SignedView | undefined
}
