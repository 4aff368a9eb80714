import { isIP } from 'node:net'
import { z } from 'zod'
import { adapterBase, groupCapabilities } from '../../src/config/adapter.ts'
import { duration, httpsUrl, says, text } from '../../src/lib/fields.ts'
import { kinds, parseId, trustDomainShape } from './ids.ts'

const trustDomain = z
  .string()
  .regex(trustDomainShape, says('is not a trust domain', 'write it in lower case and without spiffe://: example.org'))
  .meta({ examples: ['example.org'] })

const spiffeId = z
  .string()
  .refine((id) => parseId(id) !== undefined, says('is not a SPIFFE ID', 'write spiffe://example.org/path'))

const SOCKET = /^unix:(?:\/\/)?(\/.{1,100})$/
const HOST_PORT = /^([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/

/** gRPC has no `//` after `unix:` when the path is absolute; both spellings are in use. */
const serverAddress = z
  .string()
  .refine(
    (value) => SOCKET.test(value) || Number(HOST_PORT.exec(value)?.[2] ?? 65_536) <= 65_535,
    says('is not the address of a server', 'write unix:///run/spire/server/api.sock or spire.example.org:8081'),
  )
  .transform((value) => value.replace(SOCKET, 'unix:$1'))

/** SPIFFE Workload Endpoint §4: a socket, or an address in figures. */
const workloadApi = z
  .string()
  .refine(
    (value) => {
      const [, host, port] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(value) ?? []
      return SOCKET.test(value) || (isIP((host ?? '').replace(/[[\]]/g, '')) !== 0 && Number(port) <= 65_535)
    },
    says('is not a Workload API endpoint', `write unix:///run/spire/agent/api.sock, or \${SPIFFE_ENDPOINT_SOCKET}`),
  )
  .transform((value) => value.replace(SOCKET, 'unix:$1').replace(/^tcp:\/\//, ''))

const server = z
  .strictObject({
    address: serverAddress.describe('Socket of the SPIRE server, or host and port'),
    workloadApi: workloadApi
      .optional()
      .describe('Where the bridge gets its own X.509-SVID, to sign in to a server over the network'),
    id: spiffeId
      .optional()
      .describe('SPIFFE ID of the server over the network; spiffe://<trustDomain>/spire/server when left out'),
  })
  .superRefine(({ address, workloadApi }, context) => {
    const isLocal = address.startsWith('unix:')
    if (isLocal === (workloadApi === undefined)) return
    const message = isLocal
      ? says('is of no use with a socket', 'leave it out: whoever may open the socket is signed in')
      : says(
          'is missing',
          'name the Workload API that gives the bridge its SVID, such as unix:///run/spire/agent/api.sock',
        )
    context.addIssue({ code: 'custom', path: ['workloadApi'], message })
  })

const bundle = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('server') }).describe('Asked of the SPIRE server'),
    z
      .strictObject({
        type: z.literal('file'),
        path: text.describe('Bundle, or bundle map, as JSON; read again as it changes'),
      })
      .describe('A file'),
    z
      .strictObject({ type: z.literal('https_web'), url: httpsUrl })
      .describe('A bundle endpoint with a certificate of the web'),
    z
      .strictObject({
        type: z.literal('https_spiffe'),
        url: httpsUrl,
        endpointId: spiffeId.describe('SPIFFE ID of the endpoint'),
        bootstrap: text.describe('File with the first bundle of the trust domain of `endpointId`'),
      })
      .describe('A bundle endpoint with an X.509-SVID'),
  ])
  .describe('Where the bundle of the trust domain comes from')

const tokens = z.strictObject({
  audiences: z.array(text).min(1, says('is an empty list', 'name at least one audience, such as api://agents')),
  lifetime: duration({ minMs: 1000, maxMs: 86_400_000 })
    .prefault('1h')
    .describe('Assumed of a JWT-SVID that does not say when it was issued'),
  bundle: bundle.prefault({ type: 'server' }),
  federated: z
    .record(trustDomain, z.strictObject({ bundle }))
    .prefault({})
    .describe('Further trust domains whose JWT-SVIDs are accepted, each by its own bundle only'),
})

/** One trust domain of SPIFFE, run by SPIRE. */
export const spiffeConfig = adapterBase
  .extend({
    kind: z.literal('spiffe'),
    trustDomain,
    server,
    manage: z
      .strictObject({
        kinds: z
          .array(z.enum(kinds))
          .min(1, says('is an empty list', 'name at least one kind, such as workload'))
          .prefault(['workload']),
        paths: z
          .array(
            z
              .string()
              .regex(/^\/([\w.-]+\/)*$/, says('is not a path prefix', 'write it with slashes around: /agents/')),
          )
          .min(1, says('is an empty list', 'name at least one path, such as /agents/'))
          .prefault(['/'])
          .describe('Beginnings of paths of the workloads'),
        groups: z
          .array(text)
          .max(0, says('is not possible here', 'SPIFFE has no groups: use manage.paths'))
          .prefault([]),
      })
      .prefault({})
      .describe('The workloads the bridge may register and write; anything else is refused'),
    never: z.array(spiffeId).prefault([]).describe('SPIFFE IDs that the bridge must never map, disable or mirror'),
    settle: duration({ maxMs: 3_600_000 })
      .prefault('15s')
      .describe('How long the server may answer with old state after a write'),
    tokens: tokens.optional().describe('Without it no JWT-SVID is accepted'),
    groups: z
      .record(text, groupCapabilities)
      .refine((map) => Object.keys(map).length === 0, says('is not possible here', 'SPIFFE has no groups'))
      .prefault({}),
    svids: z
      .strictObject({
        x509Ttl: duration({ maxMs: 30 * 86_400_000 })
          .prefault('1h')
          .describe('`default_x509_svid_ttl` of the server'),
        jwtTtl: duration({ maxMs: 30 * 86_400_000 })
          .prefault('5m')
          .describe('`default_jwt_svid_ttl` of the server'),
      })
      .prefault({})
      .describe('How long SVIDs live whose entry does not say: they verify elsewhere until then'),
  })
  .describe('SPIFFE')

export type SpiffeConfig = z.output<typeof spiffeConfig>
export type BundleConfig = z.output<typeof bundle>
