import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Clock } from '../../src/lib/clock.ts'
import { idOfLeaf } from '../../src/lib/svid.ts'
import { splitDer } from '../../src/lib/x509.ts'
import { orAbort } from '../aborts.ts'
import { malformedSvid, workloadClient } from '../workloadapi.ts'
import { toPem } from './svid.ts'

/** The X.509-SVID of the bridge itself, with the authorities of its own trust domain; all PEM. */
export interface OwnSvid {
  readonly id: string
  readonly chain: string
  readonly key: string
  readonly authorities: string
  /** By the wall clock, as certificates have it. */
  readonly notAfter: number
}

export interface Workload {
  /** The present SVID: fetched anew at half its life, which is when an agent has the next one. */
  svid(signal: AbortSignal): Promise<OwnSvid>
  /** As far as it was fetched yet. */
  known(): OwnSvid | undefined
  /** The next call fetches it anew: the server turned the present one away. */
  forget(): void
  close(): void
}

/** How often an SVID past half its life is asked for again: the agent may have no other yet. */
const AGAIN_MS = 10_000

/** The bridge's own X.509-SVID, from the Workload API at this address. */
export function openWorkload(address: string, clock: Pick<Clock, 'now' | 'mono'>): Workload {
  const client = workloadClient(address)
  const closed = new AbortController()
  let svid: (OwnSvid & { readonly renewAt: number }) | undefined
  let stale = true
  let triedAt = Number.NEGATIVE_INFINITY
  let fetching: ReturnType<typeof fetch> | undefined

  const fetch = async (signal: AbortSignal) => {
    const own = await client.x509Svid(signal)
    try {
      const chain = splitDer(own.x509_svid)
      const leaf = new X509Certificate(chain[0] ?? Buffer.alloc(0))
      if (idOfLeaf(leaf, undefined) !== own.spiffe_id) throw new Error('the certificate is of another identity')
      const key = createPrivateKey({ key: Buffer.from(own.x509_svid_key), format: 'der', type: 'pkcs8' })
      const [notBefore, notAfter] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]
      return {
        id: own.spiffe_id,
        chain: toPem(chain),
        key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
        authorities: toPem(splitDer(own.bundle)),
        notAfter,
        renewAt: notBefore + (notAfter - notBefore) / 2,
      }
    } catch (cause) {
      throw malformedSvid(cause)
    }
  }

  return {
    async svid(signal) {
      const isDue = !svid || clock.now() >= svid.renewAt
      if (svid && !stale && (!isDue || clock.mono() - triedAt < AGAIN_MS)) return svid
      triedAt = clock.mono()
      try {
        fetching ??= fetch(closed.signal).finally(() => {
          fetching = undefined
        })
        const next = await orAbort(fetching, signal)
        // The same one again is kept as it is: whoever compares sees that nothing changed.
        if (svid?.chain !== next.chain || svid.authorities !== next.authorities) svid = next
        stale = false
        return svid
      } catch (error) {
        // Half of its life is left to reach the agent again.
        if (svid && clock.now() < svid.notAfter && !signal.aborted) return svid
        throw error
      }
    },
    known: () => svid,
    forget: () => {
      stale = true
    },
    close() {
      closed.abort()
      client.close()
    },
  }
}
