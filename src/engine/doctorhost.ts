import type { Outbound } from '../lib/outbound.ts'
import { addressesOf, reachOf, roomBeside } from '../lib/surroundings.ts'
import type { DoctorHost } from './doctorapi.ts'
import type { SigningKey } from './signing.ts'

const limits = { timeoutMs: 10_000, maxBytes: 64 * 1024 }

/** @param present what is in force, at each call */
export const hostOf = (
  present: () => { readonly keys: readonly SigningKey[]; readonly publicUrl: string | undefined },
  { path, warnings }: { readonly path: string; readonly warnings: readonly string[] },
  outbound: Outbound,
): DoctorHost => ({
  warnings,
  room: () => roomBeside(path),
  signingKeys: () => present().keys,
  publicUrl: () => present().publicUrl,
  resolve: async (hostname) => (await addressesOf(hostname)).map((address) => ({ address, reach: reachOf(address) })),
  ask: async (below, requestId, signal) => {
    const { publicUrl = '' } = present()
    const fetch = outbound.origin([new URL(publicUrl).origin], limits)
    const address = `${publicUrl.replace(/\/+$/, '')}${below}`
    const { headers } = await fetch(address, { headers: { 'x-request-id': requestId }, signal })
    return headers.get('x-request-id') === requestId
  },
})
