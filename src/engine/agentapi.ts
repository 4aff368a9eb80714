import type { PrincipalRef } from '../core/adapter.ts'
import type { Vouched } from '../core/aliases.ts'
import type { Binding } from '../core/keys.ts'
import type {
  AccountState,
  CapabilitySource,
  Did,
  Hold,
  Labels,
  Mark,
  Severity,
  Sponsor,
  Switch,
} from '../core/types.ts'
import type { DelegationInput, DelegationView } from './delegationapi.ts'
import type { TrustView } from './trustapi.ts'

/** Agents as callers give and see them. */

/** An authenticated client. `labels` bounds a runtime to agents that carry all of them. */
export interface Caller {
  readonly name: string
  readonly roles: readonly string[]
  readonly labels: Labels | undefined
  readonly requestId: string
  /** The agents that it is, by its accounts; left out: it is none. */
  readonly dids?: readonly Did[] | undefined
}

export interface AgentInput {
  readonly did: string
  readonly name: string
  readonly sponsor?: Sponsor | null | undefined
  readonly blueprint?: string | null | undefined
  readonly parentDid?: string | null | undefined
  /** What the parent grants it; only with `parentDid`. */
  readonly delegation?: DelegationInput | null | undefined
  readonly labels?: Labels | undefined
  /** Capabilities of source `manual`. */
  readonly capabilities?: readonly string[] | undefined
  readonly principals?: readonly PrincipalInput[] | undefined
  /** Public keys, as a JWK or as text; absent leaves those of a registered agent. */
  readonly keys?: readonly unknown[] | undefined
  /** Other spellings of the DID; absent leaves those of a registered agent. */
  readonly aliases?: readonly AliasInput[] | undefined
}

/** A spelling, and, if it is offered, what a key of the agent signed: `aliasText`. `key` says which one. */
export type AliasInput =
  | string
  | { readonly did: string; readonly signature?: string | undefined; readonly key?: unknown }

export interface PrincipalInput {
  readonly adapter: string
  readonly id: string
  readonly kind: string
  readonly appId?: string | undefined
  readonly scopes?: readonly string[] | undefined
  readonly shared?: boolean | undefined
}

export interface PrincipalView extends PrincipalRef {
  readonly adapter: string
  readonly appId: string | undefined
  readonly scopes: readonly string[]
  readonly shared: boolean
  /** When the agent itself last showed that the account is its own, and the thumbprint of the key it did so with. */
  readonly proven: { readonly at: number; readonly thumbprint: string } | undefined
  readonly account: {
    readonly desired: 'enabled' | 'disabled'
    readonly observed: AccountState
    readonly observedAt: number | undefined
    readonly mark: Mark
    readonly switches: readonly Switch[]
    readonly contested: boolean
    readonly overridden: boolean
    readonly lastError: string | undefined
  }
}

export interface AgentView {
  readonly did: Did
  readonly name: string
  readonly status: 'active' | 'suspended' | 'decommissioned'
  readonly severity: Severity | undefined
  readonly sponsor: Sponsor | undefined
  readonly blueprint: string | undefined
  readonly parentDid: Did | undefined
  /** What its parent granted it. */
  readonly delegation: DelegationView | undefined
  /** Hops from its root. */
  readonly depth: number
  readonly labels: Labels
  readonly capabilities: readonly { name: string; sources: readonly CapabilitySource[] }[]
  /** After narrowing by every ancestor. */
  readonly effective: readonly string[]
  readonly principals: readonly PrincipalView[]
  readonly keys: readonly { readonly key: string; readonly thumbprint: string; readonly binding: Binding }[]
  readonly aliases: readonly { readonly did: Did; readonly how: Vouched }[]
  readonly holds: readonly Hold[]
  readonly trust: TrustView | undefined
  readonly lastActivity: number | undefined
  readonly createdAt: number
  readonly updatedAt: number
  readonly revision: number
}

/** A shared account: nothing says which of its agents acts through it. */
export interface SharedView {
  readonly adapter: string
  readonly id: string
  readonly agents: readonly AgentView[]
}

export interface Registered {
  readonly agent: AgentView
  readonly created: boolean
}
