import { X509Certificate } from 'node:crypto'
import type { PeerCertificate } from 'node:tls'

/** Concatenated DER → one buffer a certificate. @throws Error when it is anything else */
export function splitDer(bytes: Uint8Array): Buffer[] {
  const all = Buffer.from(bytes)
  const parts: Buffer[] = []
  for (let at = 0; at < all.length; ) {
    const first = all[at + 1] ?? 0
    const width = first & 0x80 ? first & 0x7f : 0
    if (all[at] !== 0x30 || width > 4 || at + 2 + width > all.length) throw new Error('not a list of certificates')
    const length = width === 0 ? first : all.readUIntBE(at + 2, width)
    const end = at + 2 + width + length
    if (end > all.length) throw new Error('a certificate is cut off')
    parts.push(all.subarray(at, end))
    at = end
  }
  return parts
}

export const toPem = (der: readonly Uint8Array[]): string =>
  der.map((one) => new X509Certificate(one).toString()).join('')

/** X509-SVID §2: exactly one URI, which is the ID, whatever other names there are; undefined otherwise. */
export function idOfNames(subjectAltName: string | undefined): string | undefined {
  const uris = (subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'))
  return uris.length === 1 ? uris[0]?.slice('URI:'.length) : undefined
}

/**
 * For `tls.connect`, in place of comparing host names, which mean nothing here: the peer must have this ID, by a leaf
 * certificate (X509-SVID §5.2). That it chains to the trust domain has been checked by then.
 */
export const expecting =
  (id: string) =>
  (_host: string, { subjectaltname, raw }: Pick<PeerCertificate, 'subjectaltname' | 'raw'>): Error | undefined =>
    idOfNames(subjectaltname) === id && !new X509Certificate(raw).ca
      ? undefined
      : new Error(`the peer has another identity than ${id}`)
