import { X509Certificate } from 'node:crypto'
import type { PeerCertificate } from 'node:tls'
import { idOfLeaf } from '../../src/lib/svid.ts'

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

/**
 * For `tls.connect`, in place of comparing host names, which mean nothing here: the peer must have this ID, by a leaf
 * certificate. That it chains to the trust domain has been checked by then.
 */
export const expecting =
  (id: string) =>
  (_host: string, { raw }: Pick<PeerCertificate, 'raw'>): Error | undefined =>
    idOfLeaf(new X509Certificate(raw), undefined) === id
      ? undefined
      : new Error(`the peer has another identity than ${id}`)
