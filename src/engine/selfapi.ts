import type { Did, PrincipalKey } from '../core/types.ts'
import type { SignedRequest } from '../lib/signedrequest.ts'
import type { DelegationInput } from './delegationapi.ts'

/** Who may register itself, as configured. */
export interface SelfSettings {
  /** Directories whose tokens count. */
  readonly adapters: readonly string[]
  /** Of every agent that registers itself. */
  readonly blueprint: string | undefined
  /** `server.publicUrl`: what a signature must name. */
  readonly audience: string
}

export interface SelfInput {
  readonly did: string
  readonly publicKey: unknown
  /** A directory token of the account, for this bridge or the audience that agents' tokens have. */
  readonly token: string
  readonly name: string
  /** Of the account, as in a registration; needed when the DID is not registered. */
  readonly kind?: string | undefined
  /** Only of a DID that is not registered, and with a delegation that the parent signed. */
  readonly parentDid?: string | undefined
  readonly delegation?: DelegationInput | undefined
}

export interface SelfRegistered {
  readonly did: Did
  readonly created: boolean
  /** Mappings that are proven now. */
  readonly principals: readonly PrincipalKey[]
  readonly provenAt: number
  /** Thumbprint. */
  readonly key: string
  /** Effective ones. */
  readonly capabilities: readonly string[]
}

export interface SelfRegistration {
  /** @throws BridgeError E_NOT_FOUND it is not configured; E_BUDGET */
  selfChallenge(): { readonly nonce: string; readonly expiresAt: number; readonly audience: string }
  /**
   * An agent shows that it has a DID's key and an account. `read` gives the body of the request, once that is wanted.
   * @throws BridgeError E_NOT_FOUND, E_BUDGET, E_UNAUTHENTICATED a proof is wrong, E_KEY, E_FORBIDDEN the proofs are right
   * and do not suffice, E_JWKS_DOWN, E_DIRECTORY_DOWN
   */
  registerSelf(request: SignedRequest, read: () => SelfInput, requestId: string): Promise<SelfRegistered>
}
