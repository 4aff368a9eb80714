import { X509Certificate } from 'node:crypto'
import type { PeerCertificate } from 'node:tls'
import { idOfLeaf } from '../../src/lib/svid.ts'

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
