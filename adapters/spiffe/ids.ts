import type { PrincipalRef } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'

/** Workloads registered in the trust domain of the adapter, and workloads of domains that it only takes tokens of. */
export const kinds = ['workload', 'federatedWorkload'] as const
export type Kind = (typeof kinds)[number]

/** The parts of a SPIFFE ID, as the server's messages carry them. */
export interface SpiffeId {
  readonly trust_domain: string
  /** With its leading slash. */
  readonly path: string
}

/** SPIFFE-ID §2.1: lower case, and no different for being a DNS name or an address. */
export const trustDomainShape: RegExp = /^[a-z0-9._-]{1,255}$/
/** SPIFFE-ID §2.2: no empty segment, no `.` or `..`, no percent-encoding, no trailing slash. */
const shape = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+)$/
/** SPIFFE-ID §2.3. */
const MAX_BYTES = 2048
/** SPIRE keeps it for servers and agents. */
const RESERVED = '/spire/'

export const textOf = ({ trust_domain, path }: SpiffeId): string => `spiffe://${trust_domain}${path}`

/** The ID of a workload or node, taken apart; undefined when it is none. The trust domain itself names no workload. */
export function parseId(text: string): SpiffeId | undefined {
  const [, trust_domain, path] = text.length <= MAX_BYTES ? (shape.exec(text) ?? []) : []
  return trust_domain === undefined || path === undefined ? undefined : { trust_domain, path }
}

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
