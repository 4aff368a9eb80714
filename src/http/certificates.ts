import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { type Authorities, idOfLeaf } from '../lib/svid.ts'
import { extensionsOf } from '../lib/x509.ts'

/** The certificate that a connection was opened with; that its key is the caller's was proven then. */
export interface Certificate {
  /** SHA-256 of it, hexadecimal. */
  readonly fingerprint: string
  /** The identity it was issued for, if an authority of ours did, by the rules for workloads. */
  readonly id: string | undefined
  /** Every identity that it or whoever made it up claims: to be looked up, never to be believed. */
  readonly ids: readonly string[]
  /** Why no authority of ours vouches for it; undefined: one does. */
  readonly fault: string | undefined
}

interface Seen {
  readonly leaf: X509Certificate
  readonly fault: string | undefined
  /** Those by which the connection was judged when it was opened. */
  readonly judgedBy: Authorities
  /** As it was told last, and while these were in force. */
  told: Certificate
  toldFor: Authorities
}

const look = (socket: TLSSocket, judgedBy: Authorities): Seen | null => {
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return null
  const fault = socket.authorized ? undefined : String(socket.authorizationError)
  return { leaf, fault, judgedBy, told: told(leaf, fault, judgedBy), toldFor: judgedBy }
}

const told = (leaf: X509Certificate, fault: string | undefined, authorities: Authorities): Certificate => ({
  fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
  id: fault === undefined ? idOfLeaf(leaf, authorities.domain) : undefined,
  ids: extensionsOf(leaf)?.uris ?? [],
  fault,
})

/** Nobody tells by which of them a connection was judged: it stands while all of them do. */
const areIn = (before: Authorities, present: Authorities): boolean =>
  [...before.fingerprints].every((one) => present.fingerprints.has(one))

export interface CertificateParts {
  /** Those whose certificates are believed now; another object after a change. */
  readonly authorities: () => Authorities
  /** Those that were when this connection began. */
  readonly judgedBy: (socket: Socket) => Authorities | undefined
  readonly clock: { now(): number }
}

/**
 * What the connection of a request showed; undefined without TLS, without a certificate, and once that has ended. The same
 * object for as long as the authorities are. After one of them was taken away, connections opened before stay open and are
 * vouched for no more: their callers open new ones.
 */
export const readCertificates = ({ authorities, judgedBy, clock }: CertificateParts) => {
  const known = new WeakMap<Socket, Seen | null>()
  const seenOn = (socket: Socket): Seen | null => {
    const before = known.get(socket)
    if (before !== undefined) return before
    const judges = judgedBy(socket)
    const seen = socket instanceof TLSSocket && judges !== undefined ? look(socket, judges) : null
    known.set(socket, seen)
    return seen
  }
  return (socket: Socket): Certificate | undefined => {
    const seen = seenOn(socket)
    if (seen === null) return undefined
    const { leaf, fault, judgedBy } = seen
    const now = clock.now()
    if (now < leaf.validFromDate.getTime() || now >= leaf.validToDate.getTime()) return undefined
    const present = authorities()
    if (seen.toldFor !== present) {
      seen.told = told(leaf, fault ?? (areIn(judgedBy, present) ? undefined : 'AUTHORITIES_CHANGED'), present)
      seen.toldFor = present
    }
    return seen.told
  }
}
