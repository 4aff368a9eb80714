/** The body of `POST /v1/decisions`. Exactly one of `did`, `token` and `principal` says who is meant. */
export interface DecisionRequest {
  /** In any spelling of it. */
  readonly did?: string
  /** An access token of one of the directories, without `Bearer`. */
  readonly token?: string
  /** An account by its immutable id in one of the configured directories. */
  readonly principal?: { readonly adapter: string; readonly id: string }
  /** What the agent wants to do, e.g. `read:reports`; left out, only whether it may act at all is asked. */
  readonly capability?: string
  /** An API permission that its directory must have granted. */
  readonly scope?: string
  /** Name of the tool that it wants to call. */
  readonly tool?: string
  /** Configured name, or resource URI, of the server that has the tool. */
  readonly server?: string
  /** URI or id of what the tool is to be used on. */
  readonly resource?: string
  /** Arguments of the call. Looked at and forgotten. */
  readonly parameters?: Readonly<Record<string, unknown>>
}

/** The answer of `POST /v1/decisions`. Only `allow: true` is a yes. */
export interface DecisionAnswer {
  readonly allow: boolean
  /** As registered, whatever spelling was asked about; null when no single agent is meant. */
  readonly did: string | null
  /** `R_*` codes of all that failed; empty exactly when allowed. */
  readonly codes: readonly string[]
  readonly holds: readonly { readonly origin: string; readonly publicReason: string | null }[]
  /** Who acts; null when no single registered agent is meant. */
  readonly actor: {
    readonly did: string
    readonly principal: { readonly adapter: string; readonly id: string } | null
  } | null
  /** For whom it acts, when the token says so; never the agent. */
  readonly onBehalfOf: { readonly id: string; readonly kind: string } | null
  /** What the token says of itself, once its signature and claims hold; null without one. An older bridge does not tell it. */
  readonly token?: {
    readonly issuer: string
    readonly adapter: string
    /** Its `aud`. A resource server takes no token that was not issued for itself (RFC 8707). */
    readonly audience: readonly string[]
    readonly scopes: readonly string[]
    readonly issuedAt: string
    readonly expiresAt: string
  } | null
  /** The token's chain of actors, outermost first. */
  readonly act: readonly {
    readonly names: readonly string[]
    readonly dids: readonly string[]
    readonly status: 'active' | 'suspended' | 'unknown'
  }[]
  /** Why the capability asked for is granted. */
  readonly grants: readonly {
    readonly did: string
    readonly capability: string
    readonly source: string
    readonly confirmedAt: string
    readonly ageSeconds: number
  }[]
  /** The checks that were made and passed, in order; an older bridge does not tell them. */
  readonly checks?: readonly string[]
  /** Head of the audit chain when the decision was begun: everything up to it is in the answer. */
  readonly epoch: number
  /** Epochs of one generation can be compared; a restored store starts another. */
  readonly generation: string
}

/** Whoever decides: the bridge over HTTP, or a replica of it in this process. */
export interface Authority {
  /**
   * May this agent act now? A correct "no" is an answer with codes.
   *
   * Rejects when it cannot be told now, or the question is not one: the caller then denies too.
   */
  decide(request: DecisionRequest): Promise<DecisionAnswer>
}
