import { z } from 'zod'
import { adapterBase, groupCapabilities } from '../../src/config/adapter.ts'
import { duration, httpsUrl, says, text } from '../../src/lib/fields.ts'
import { asSocket, socketShape, spiffeId, workloadApi } from '../spiffefields.ts'
import { parseId, trustDomainShape } from '../spiffeid.ts'
import { kinds } from './ids.ts'
import { naming } from './naming.ts'

const trustDomain = z
  .string()
  .regex(trustDomainShape, says('is not a trust domain', 'write it in lower case and without spiffe://: example.org'))
  .meta({ examples: ['example.org'] })

const HOST_PORT = /^([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/

const serverAddress = z
  .string()
  .refine(
    (value) => socketShape.test(value) || Number(HOST_PORT.exec(value)?.[2] ?? 65_536) <= 65_535,
    says('is not the address of a server', 'write unix:///run/spire/server/api.sock or spire.example.org:8081'),
  )
  .transform(asSocket)

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
  .superRefine(({ address, workloadApi, id }, context) => {
    const isLocal = address.startsWith('unix:')
    if (isLocal && id !== undefined) {
      const message = says('is of no use with a socket', 'leave it out: nobody on a socket shows who it is')
      context.addIssue({ code: 'custom', path: ['id'], message })
    }
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
        path: text.describe('Bundle, or bundle map, as JSON; in force as soon as it changes'),
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
              .regex(/^\/([\w.-]+\/)*$/, says('is not a path prefix', 'write it with slashes around: /agents/'))
              .refine(
                (path) => !path.startsWith('/spire/'),
                says('is reserved by SPIRE', 'no workload has such a path'),
              ),
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
    trustedWriters: z
      .array(text)
      .max(0, says('is not possible here', 'SPIRE keeps no log that names who changed an entry'))
      .prefault([]),
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
    discovery: z.strictObject({ naming }).prefault({}),
  })
  .superRefine(({ trustDomain, tokens, manage, never, discovery }, context) => {
    const fault = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
    const federated = Object.keys(tokens?.federated ?? {})
    if (federated.includes(trustDomain)) {
      const mend = 'leave it out: tokens.bundle says where its own bundle comes from'
      fault(['tokens', 'federated', trustDomain], says('is the trust domain itself', mend))
    }
    if (federated.length === 0 && manage.kinds.includes('federatedWorkload')) {
      const at = manage.kinds.indexOf('federatedWorkload')
      fault(['manage', 'kinds', at], says('names no account', 'list the other trust domains under tokens.federated'))
    }
    for (const [at, { spiffeId }] of discovery.naming.entries()) {
      if (spiffeId.startsWith(`spiffe://${trustDomain}/`)) continue
      const path = ['discovery', 'naming', at, 'spiffeId']
      fault(path, says('is of another trust domain', `write spiffe://${trustDomain}/…: entries of others are not here`))
    }
    for (const [at, id] of never.entries()) {
      const domain = parseId(id)?.trust_domain
      if (domain === undefined || domain === trustDomain || federated.includes(domain)) continue
      fault(['never', at], says('is of another trust domain', 'write the ID of a workload that the adapter could map'))
    }
  })
  .describe('SPIFFE')

export type SpiffeConfig = z.output<typeof spiffeConfig>
export type BundleConfig = z.output<typeof bundle>
