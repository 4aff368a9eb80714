import { AgtClientError } from './errors.ts'

/** An identity with its private key, as the SDK's `AgentIdentity`. */
export interface SignerLike {
  readonly did: string
  /** SPKI DER. */
  readonly publicKey: Uint8Array
  readonly status: string
  readonly delegationDepth?: number
  sign(data: Uint8Array): Uint8Array
}

export interface DelegationTerms {
  /** DID of the child, as it is registered at the bridge. */
  readonly child: string
  readonly capabilities: readonly string[]
  /** From then on the child and all below it have nothing. A signature without one holds for good. */
  readonly expiresAt?: Date | undefined
  /** Hops from the root to the child. By default one more than the identity counts for itself. */
  readonly depth?: number | undefined
  /** DID of the parent as it is registered at the bridge, when that is not the identity's own. */
  readonly parent?: string | undefined
}

/** What `POST /v1/agents` takes as `delegation`, beside `parentDid`. */
export interface SignedDelegation {
  readonly capabilities: readonly string[]
  readonly expiresAt: string | null
  readonly depth: number
  readonly proof: { readonly key: string; readonly signature: string }
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

/**
 * Signs what an identity grants a child, for the bridge to verify. The SDK itself lets a suspended identity sign; this does
 * not.
 * @throws AgtClientError E_DELEGATION
 */
export const signDelegation = (identity: SignerLike, terms: DelegationTerms): SignedDelegation => {
  const { child, expiresAt, depth = (identity.delegationDepth ?? 0) + 1, parent = identity.did } = terms
  const fault = (why: string) => new AgtClientError('E_DELEGATION', `Nothing was signed: ${why}.`, { did: parent })
  if (identity.status !== 'active') throw fault(`the identity is ${identity.status}`)
  if (expiresAt !== undefined && Number.isNaN(expiresAt.getTime())) throw fault('expiresAt is no time')
  if (!Number.isSafeInteger(depth) || depth < 1) throw fault('depth is no number of hops')
  const capabilities = [...new Set(terms.capabilities)].sort()
  const until = expiresAt?.toISOString() ?? null
  // The members in this order are RFC 8785: what the bridge makes of the terms is the same text, byte by byte.
  const text = `agentmesh-delegation-v1\n${JSON.stringify({ capabilities, child, depth, expiresAt: until, parent })}`
  const signature = base64(identity.sign(new TextEncoder().encode(text)))
  return { capabilities, expiresAt: until, depth, proof: { key: base64(identity.publicKey), signature } }
}
