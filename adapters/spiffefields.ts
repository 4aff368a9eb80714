import { isIP } from 'node:net'
import { z } from 'zod'
import { says } from '../src/lib/fields.ts'
import { parseId } from './spiffeid.ts'

/** gRPC has no `//` after `unix:` when the path is absolute; both spellings are in use. A path has at most 107 bytes. */
export const socketShape: RegExp = /^unix:(?:\/\/)?(\/.{1,100})$/
export const asSocket = (text: string): string => text.replace(socketShape, 'unix:$1')

export const spiffeId = z
  .string()
  .refine((id) => parseId(id) !== undefined, says('is not a SPIFFE ID', 'write spiffe://example.org/path'))

/** SPIFFE Workload Endpoint §4: a socket, or an address in figures. Turned into what gRPC takes. */
export const workloadApi = z
  .string()
  .refine(
    (value) => {
      const [, host, port] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(value) ?? []
      return socketShape.test(value) || (isIP((host ?? '').replace(/[[\]]/g, '')) !== 0 && Number(port) <= 65_535)
    },
    says('is not a Workload API endpoint', `write unix:///run/spire/agent/api.sock, or \${SPIFFE_ENDPOINT_SOCKET}`),
  )
  .transform((value) => asSocket(value).replace(/^tcp:\/\//, ''))
