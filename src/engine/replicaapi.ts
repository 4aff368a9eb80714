import type { Claims } from '../core/adapter.ts'
import type { ToolRule } from '../core/tools.ts'
import type { SignalFrame } from './api.ts'

/** One DID as replicas are told of it. */
export interface ReplicaItem {
  readonly did: string
  readonly seq: number
  readonly agent: {
    readonly blueprint: string | null
    readonly parentDid: string | null
    readonly decommissioned: boolean
    readonly resumedAt: string | null
  } | null
  readonly delegation: { readonly expiresAt: string | null; readonly endedAt: string | null } | null
  readonly holds: {
    readonly origin: string
    readonly severity: 'suspend' | 'kill' | 'disable' | 'decommission'
    readonly publicReason: string | null
    readonly placedAt: string
  }[]
  readonly accounts: {
    readonly adapter: string
    readonly id: string
    readonly shared: boolean
    readonly scopes: string[]
    readonly observedAt: string | null
  }[]
  readonly aliases: string[]
  readonly capabilities: { readonly name: string; readonly source: string; readonly confirmedAt: string }[]
}

/** What decisions rest on besides agents. */
export interface ReplicaSettings {
  readonly denyAfterMs: number
  readonly unknownActors: 'deny' | 'allow'
  readonly adapters: {
    readonly name: string
    readonly kind: string
    /** What tells the kind's code whom a token names; null: only the bridge itself can tell. */
    readonly identity: Readonly<Record<string, unknown>> | null
    readonly issuers: {
      readonly issuer: string
      readonly audiences: string[]
      readonly algorithms: string[]
      /** By whom tokens name it when not by `iss`. */
      readonly namedBy: 'sub' | null
      readonly jwksUri: string
      /** Whether its keys are fetched from `jwksUri`, or told here. */
      readonly keysFrom: 'address' | 'bridge'
      /** Null: they are fetched, or the bridge cannot tell them now. */
      readonly keys: Claims[] | null
      readonly headers: string[] | null
      readonly types: string[] | null
      readonly audienceClaim: string | null
      readonly lifetimeMs: number | null
      readonly opaque: boolean
    }[]
  }[]
  /** Blueprints that limit how deep may be delegated. */
  readonly limits: { readonly blueprint: string; readonly maxDelegationDepth: number }[]
  /** Those in force; of two with one resource identifier it is the last one's. */
  readonly toolServers: {
    readonly name: string
    readonly resource: string | null
    /** What a tool that is not listed takes; null: it may not be called. */
    readonly unlisted: string | null
    readonly tools: ToolRule[]
  }[]
}

export interface ReplicaPage {
  readonly generation: string
  readonly items: ReplicaItem[]
  readonly nextCursor: string | null
}

/** What another process needs to decide as the bridge does, and nothing else of its records. */
export interface Replicas {
  /** Registered and held DIDs after this one, in byte order. */
  replicaPage(after: string | undefined, limit: number): Promise<ReplicaPage>
  /** These DIDs as they are now. */
  replicaItems(dids: readonly string[]): Promise<ReplicaPage>
  /**
   * Every change from a position on; never-ending. First comes `settings`, which says whether the position was one: if
   * not, everything is to be read anew, and what changes meanwhile comes here.
   */
  replicaSignals(lastEventId: string | undefined, signal: AbortSignal): AsyncIterable<SignalFrame>
}
