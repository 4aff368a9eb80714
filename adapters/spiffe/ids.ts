import type { PrincipalRef } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { parseId, type SpiffeId } from '../spiffeid.ts'

/** Workloads registered in the trust domain of the adapter, and workloads of domains that it only takes tokens of. */
export const kinds = ['workload', 'federatedWorkload'] as const
export type Kind = (typeof kinds)[number]

/** SPIRE keeps it for servers and agents. */
const RESERVED = '/spire/'

/** The ID of a workload: not of a server or agent of SPIRE. */
export function workloadOf(text: string): SpiffeId | undefined {
  const id = parseId(text)
  return id === undefined || `${id.path}/`.startsWith(RESERVED) ? undefined : id
}

/** Why no workload of this kind can have this ID. */
export function idFault({ id, kind }: PrincipalRef, own: string, federated: ReadonlySet<string>) {
  const parsed = workloadOf(id)
  const quoted = JSON.stringify(id.slice(0, 80))
  if (!parsed) {
    return new BridgeError('E_PRINCIPAL_ID', `${quoted} is not the SPIFFE ID of a workload`, {
      hint: `write it as spiffe://${own}/path; a path has letters, digits, dots, dashes and underscores only`,
    })
  }
  const { trust_domain } = parsed
  if (trust_domain !== own && !federated.has(trust_domain)) {
    return new BridgeError('E_PRINCIPAL_ID', `${quoted} is of another trust domain than ${own}`, {
      hint: 'list its domain under tokens.federated, or register it with the adapter of that domain',
    })
  }
  const known: Kind = trust_domain === own ? 'workload' : 'federatedWorkload'
  if (kind === known || !kinds.some((each) => each === kind)) return undefined
  return new BridgeError('E_PRINCIPAL_ID', `${quoted} is not the id of an account of kind ${kind}`, {
    hint: `register it with the kind ${known}`,
  })
}
