import type { Claims, Issuer, TokenRefusal } from './adapter.ts'

/** Who a verified token that was made for our own API speaks for: never an agent's decision. */
export interface TokenCaller {
  /** Immutable id of the account in its directory: the part of the caller's name that the adapter's does not give. */
  readonly id: string
  /** `person`: an application sends it for one. `service`: the account is the application's own. */
  readonly kind: 'person' | 'service'
  /** The application that sends it, as the directory names applications. */
  readonly application: string
  /** Every directory id in the token that could be an agent's account. All are looked up. */
  readonly principals: readonly string[]
  /** The token itself says that an agent sends it. */
  readonly isAgent: boolean
  /** Roles of our API that the directory assigned, in the directory's words; nothing that was only delegated. */
  readonly roles: readonly string[]
}

/** How a directory vouches for callers of our own API. */
export interface Callers {
  /** Who signs tokens for these audiences, with everything that is pinned for them. */
  issuers(audiences: readonly string[]): readonly Issuer[]
  /** Verified claims → who calls; undefined when they are no access token's. Pure. */
  identify(claims: Claims): TokenCaller | TokenRefusal | undefined
}
