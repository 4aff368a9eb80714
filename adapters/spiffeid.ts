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

export const textOf = ({ trust_domain, path }: SpiffeId): string => `spiffe://${trust_domain}${path}`

/** The ID of a workload or node, taken apart; undefined when it is none. The trust domain itself names no workload. */
export function parseId(text: string): SpiffeId | undefined {
  const [, trust_domain, path] = text.length <= MAX_BYTES ? (shape.exec(text) ?? []) : []
  return trust_domain === undefined || path === undefined ? undefined : { trust_domain, path }
}
