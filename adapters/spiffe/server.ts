import { type Client, credentials, status } from '@grpc/grpc-js'
import type { Clock } from '../../src/lib/clock.ts'
import { ask, CallError, type CallOptions, connect, type Method } from '../grpc.ts'
import type { SpiffeConfig } from './config.ts'
import { expecting } from './svid.ts'
import { type OwnSvid, openWorkload } from './workload.ts'

/** The API of one SPIRE server, by its socket or by mutual TLS with the SVID of the bridge. */
export interface Server {
  call(method: Method, request: object, options: CallOptions): Promise<object>
  /** SPIFFE ID of the bridge; undefined on a socket, where nobody has one, and until it was first fetched. */
  self(): string | undefined
  close(): void
}

/** Any name that is no address: TLS takes none, and the identity is checked by ID. */
const TLS_NAME = 'spire-server'

export function openServer({ server, trustDomain }: SpiffeConfig, clock: Pick<Clock, 'now' | 'mono'>): Server {
  const { address, workloadApi, id = `spiffe://${trustDomain}/spire/server` } = server
  if (workloadApi === undefined) {
    const client = connect(address, credentials.createInsecure())
    return {
      call: (method, request, options) => ask(client, method, request, options),
      self: () => undefined,
      close: () => client.close(),
    }
  }

  const workload = openWorkload(workloadApi, clock)
  let open: { readonly client: Client; readonly by: OwnSvid } | undefined
  /** A client goes on with the certificate it was made with. */
  const clientBy = (by: OwnSvid): Client => {
    if (open?.by === by) return open.client
    // Calls under way end by themselves.
    open?.client.close()
    const [ca, key, chain] = [by.authorities, by.key, by.chain].map((pem) => Buffer.from(pem))
    const secure = credentials.createSsl(ca, key, chain, { checkServerIdentity: expecting(id) })
    open = { by, client: connect(address, secure, { 'grpc.ssl_target_name_override': TLS_NAME }) }
    return open.client
  }
  return {
    async call(method, request, options) {
      const client = clientBy(await workload.svid(options.signal))
      try {
        return await ask(client, method, request, options)
      } catch (error) {
        // An identity turned away by either side looks like a server that is down.
        if (error instanceof CallError && error.grpc === status.UNAVAILABLE) workload.forget()
        throw error
      }
    },
    self: () => workload.known()?.id,
    close() {
      workload.close()
      open?.client.close()
    },
  }
}
