import type { Did } from '../core/types.ts'
import type { Caller } from './agentapi.ts'

/** What the bridge publishes for those who do not ask it: passports, and what tells that one is no good any more. */

export interface PassportInput {
  /** Shorter than the configured one; longer is that. */
  readonly lifetimeMs?: number | undefined
  /** Whom it is for; anybody when left out. */
  readonly audience?: string | undefined
  /** Fewer than the agent has. */
  readonly capabilities?: readonly string[] | undefined
  /** Thumbprint of the agent's key to bind it to; the one it is bound to most firmly when left out. */
  readonly key?: string | undefined
}

/** Times in ms. */
export interface IssuedPassport {
  readonly did: Did
  /** The JWT. */
  readonly passport: string
  readonly jti: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly capabilities: readonly string[]
  readonly status: { readonly uri: string; readonly idx: number }
  /** Thumbprint of the key it is bound to; undefined: whoever has the passport may show it. */
  readonly key: string | undefined
}

export interface SignedStatusList {
  /** The Status List Token. */
  readonly token: string
  readonly etag: string
  /** How long it may be kept. */
  readonly ttlMs: number
}

export interface Publishing {
  /**
   * @throws BridgeError E_HELD, E_DECOMMISSIONED, E_REFUSED for an agent that would be denied now; E_AGENT_UNKNOWN,
   * E_FORBIDDEN, E_WIDENING, E_KEY; E_NOT_FOUND when the configuration has no signing key or no public URL
   */
  passport(did: string, input: PassportInput, caller: Caller): Promise<IssuedPassport>
  /** The URI of each. @throws BridgeError E_NOT_FOUND as above */
  statusLists(): Promise<readonly string[]>
  /** As committed now. @throws BridgeError E_NOT_FOUND for a list that is not there, and as above */
  statusList(name: string): Promise<SignedStatusList>
  /** Signing keys that were taken back, by `kid`. */
  revokedKeys(): readonly string[]
  /**
   * The same as one passport sees it, by its list, place and `iat`: every key there is when it is no good any more, or when
   * nothing is known of it. @throws BridgeError E_NO_PASSPORTS when the configuration has no signing key or no public URL,
   * E_SIGNING_KEY, E_SECRET when the key there is cannot be used
   */
  revokedFor(name: string, idx: number, iat: number): Promise<readonly string[]>
}
