import { credentials, Metadata } from '@grpc/grpc-js'
import { z } from 'zod'
import type { BridgeError } from '../src/core/errors.ts'
import { answersOf } from './answers.ts'
import { ask, connect, first, type Purpose } from './grpc.ts'
import { message, methodsOf, service } from './protobuf.ts'

/** What is used of the SPIFFE Workload API, by its field numbers (go-spiffe `workload.proto`, read 2026-11). */
const method = methodsOf({
  nested: {
    X509SVIDRequest: message({}),
    X509SVIDResponse: message({ svids: ['X509SVID', 1, 'repeated'] }),
    X509SVID: message({
      spiffe_id: ['string', 1],
      x509_svid: ['bytes', 2],
      x509_svid_key: ['bytes', 3],
      bundle: ['bytes', 4],
    }),
    JWTSVIDRequest: message({ audience: ['string', 1, 'repeated'], spiffe_id: ['string', 2] }),
    JWTSVIDResponse: message({ svids: ['JWTSVID', 1, 'repeated'] }),
    JWTSVID: message({ spiffe_id: ['string', 1], svid: ['string', 2] }),
    SpiffeWorkloadAPI: service({
      FetchX509SVID: ['X509SVIDRequest', 'X509SVIDResponse', 'stream'],
      FetchJWTSVID: ['JWTSVIDRequest', 'JWTSVIDResponse'],
    }),
  },
})
const fetchX509Svid = method('SpiffeWorkloadAPI', 'FetchX509SVID')
const fetchJwtSvid = method('SpiffeWorkloadAPI', 'FetchJWTSVID')

const ownSvid: Purpose = {
  of: 'The Workload API',
  what: 'fetching the SVID of the bridge',
  forbidden:
    'make a registration entry for the bridge, with selectors that its process has and the node it runs on as parent (docs/adapters/spiffe.md)',
  down: 'see that the agent runs and has its socket at the configured address, and that the bridge may open it',
}

const { malformed, parse } = answersOf('The Workload API')

/** It is not what an SVID has to be. */
export const malformedSvid = (cause: unknown): BridgeError => malformed(ownSvid, cause)

const x509Svids = z.object({
  svids: z.tuple(
    [
      z.object({
        spiffe_id: z.string(),
        x509_svid: z.instanceof(Uint8Array),
        x509_svid_key: z.instanceof(Uint8Array),
        bundle: z.instanceof(Uint8Array),
      }),
    ],
    z.unknown(),
  ),
})
const jwtSvids = z.object({
  svids: z.tuple([z.object({ spiffe_id: z.string(), svid: z.string().min(1) })], z.unknown()),
})

export interface WorkloadClient {
  /** The default identity, which is the first one, as it is now. @throws BridgeError E_DIRECTORY_*, E_ABORTED */
  x509Svid(signal: AbortSignal): Promise<z.output<typeof x509Svids>['svids'][0]>
  /** A token for the audience, of the given identity or the default one. @throws BridgeError E_DIRECTORY_*, E_ABORTED */
  jwtSvid(audience: string, spiffeId: string | undefined, signal: AbortSignal): Promise<string>
  close(): void
}

/** The SPIFFE Workload API (SPIFFE_Workload_API §5, §6), as a client of the agent on this machine. Opens no connection. */
export function workloadClient(address: string): WorkloadClient {
  const client = connect(address, credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('workload.spiffe.io', 'true')
  return {
    async x509Svid(signal) {
      const answer = await first(client, fetchX509Svid, { purpose: ownSvid, signal, metadata })
      return parse(x509Svids, answer, ownSvid).svids[0]
    },
    async jwtSvid(audience, spiffeId, signal) {
      const request = { audience: [audience], spiffe_id: spiffeId ?? '' }
      const answer = await ask(client, fetchJwtSvid, request, { purpose: ownSvid, signal, metadata })
      const { spiffe_id, svid } = parse(jwtSvids, answer, ownSvid).svids[0]
      if (spiffeId !== undefined && spiffe_id !== spiffeId)
        throw malformedSvid(new Error('the SVID is of another identity'))
      return svid
    },
    close: () => client.close(),
  }
}
