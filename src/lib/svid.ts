import type { X509Certificate } from 'node:crypto'
import { extensionsOf } from './x509.ts'

/** The parts of a SPIFFE ID. */
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
const SCHEME = 'spiffe://'

/** The ID of a workload or node, taken apart; undefined when it is none. The trust domain itself names no workload. */
export function parseId(text: string): SpiffeId | undefined {
  const [, trust_domain, path] = text.length <= MAX_BYTES ? (shape.exec(text) ?? []) : []
  return trust_domain === undefined || path === undefined ? undefined : { trust_domain, path }
}

/** Those who may vouch for callers. */
export interface Authorities {
  /** SHA-256 of each certificate. */
  readonly fingerprints: ReadonlySet<string>
  /** The trust domain that they name; undefined when none of them does. */
  readonly domain: string | undefined
}

/**
 * SPIFFE Federation §7.3: authorities of one trust domain must not vouch for another, and together in one list they would.
 * @throws Error when they are of several
 */
export const authoritiesOf = (certificates: readonly X509Certificate[]): Authorities => {
  const uris = certificates.flatMap((one) => extensionsOf(one)?.uris ?? [])
  const domains = new Set(uris.filter((uri) => uri.startsWith(SCHEME)).map((uri) => uri.split('/')[2]))
  if (domains.size > 1) throw new Error('the authorities are of several trust domains')
  return { fingerprints: new Set(certificates.map(({ fingerprint256 }) => fingerprint256)), domain: [...domains][0] }
}

/**
 * The SPIFFE ID of a leaf, by the rules for leaves (X509-SVID §2, §4, §5.2; read 2026-11): exactly one URI, no authority,
 * a key that signs and does not certify, and of this trust domain, if one is given; undefined otherwise. That an authority
 * of the domain vouches for it has to be known already.
 */
export const idOfLeaf = (leaf: X509Certificate, domain: string | undefined): string | undefined => {
  const found = extensionsOf(leaf)
  const [uri, ...more] = found?.uris ?? []
  const id = uri === undefined ? undefined : parseId(uri)
  if (found === undefined || id === undefined || found.isAuthority || more.length > 0) return undefined
  const usage = found.keyUsage
  if (usage === undefined || !usage.digitalSignature || usage.keyCertSign || usage.cRLSign) return undefined
  return domain === undefined || domain === id.trust_domain ? uri : undefined
}
