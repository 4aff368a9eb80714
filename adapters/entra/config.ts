import { z } from 'zod'
import { adapterBase, groupCapabilities, tokens } from '../../src/config/adapter.ts'
import { guid, httpsOrigin, oneOrMany, says, secret, text } from '../../src/lib/fields.ts'
import { spiffeId, workloadApi } from '../spiffefields.ts'
import { clouds } from './clouds.ts'
import { queueHook } from './queueconfig.ts'

/** Tokens for Microsoft Graph cannot be validated by anyone else (Entra access-tokens.md) and would name any caller. */
const GRAPH_AUDIENCE = /^(00000003-0000-0000-c000-000000000000|https:\/\/(dod-)?(graph\.microsoft\.|microsoftgraph\.))/i

const clientId = guid.describe('Application (client) id of the bridge')

export const credential = z
  .discriminatedUnion('type', [
    z
      .strictObject({
        type: z.literal('workloadIdentity'),
        clientId: clientId.optional(),
        tokenFile: text.optional().describe('Path of the federated token; AZURE_FEDERATED_TOKEN_FILE when left out'),
      })
      .describe('Federated token of the platform, as on AKS'),
    z
      .strictObject({
        type: z.literal('managedIdentity'),
        clientId: clientId.optional(),
        objectId: guid.optional(),
        resourceId: text.optional(),
      })
      .refine(
        (value) => [value.clientId, value.objectId, value.resourceId].filter((id) => id !== undefined).length <= 1,
        says(
          'names the identity twice',
          'keep one of clientId, objectId and resourceId; none for the system-assigned one',
        ),
      ),
    z.strictObject({ type: z.literal('clientSecret'), clientId, secret: secret() }).describe('For trials only'),
    z.strictObject({
      type: z.literal('clientCertificate'),
      clientId,
      certificate: secret({ check: pemPair }).describe('PEM with the certificate and its private key'),
      sendChain: z.boolean().prefault(false).describe('Send the chain, for subject name and issuer authentication'),
    }),
    z
      .strictObject({
        type: z.literal('spiffe'),
        clientId,
        socket: workloadApi.describe('SPIFFE Workload API of the agent on this machine'),
        audience: text.prefault('api://AzureADTokenExchange').describe('Audience of the federated identity credential'),
        spiffeId: spiffeId.optional().describe('Which of its identities to use; the first when left out'),
      })
      .describe('JWT-SVID of the bridge as the federated token'),
    z
      .strictObject({ type: z.literal('tokenFile'), path: text })
      .describe('The bearer token that a file holds, kept fresh by someone else'),
  ])
  .describe('How the bridge signs in to the directory')

function pemPair(pem: string): string | undefined {
  if (/-----BEGIN CERTIFICATE-----/.test(pem) && /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) return undefined
  return says('is not a certificate with its key', 'put the PEM certificate and its private key into one file')
}

const kinds = z.enum(['agentIdentity', 'agentUser', 'servicePrincipal', 'user'])

const subscriptions = z
  .array(text.transform((name) => name.toLowerCase()))
  .prefault([])
  .describe(
    'Subscriptions to accept: event subscription name, Graph or Azure subscription id; empty: any of this tenant',
  )

const eventGrid = z.discriminatedUnion('auth', [
  z
    .strictObject({
      auth: z.literal('entra'),
      audience: text.describe('The application the event subscription asks a token for'),
      subscriptions,
    })
    .describe('Deliveries carry a token of this tenant'),
  z
    .strictObject({
      auth: z.literal('key'),
      key: oneOrMany(secret({ min: 16 })).describe(
        'Expected in the header X-Bridge-Key or as ?key=; several to rotate',
      ),
      subscriptions,
    })
    .describe('Deliveries carry a shared key'),
])

const watched = z.enum(['users', 'groups', 'servicePrincipals'])
export type WatchedResource = z.output<typeof watched>

const graph = z
  .strictObject({
    clientState: oneOrMany(secret({ min: 16, check: withinGraph })).describe(
      'Comes back in every notification: the first is given to new subscriptions, each is accepted; several to rotate',
    ),
    resources: z
      .array(watched)
      .min(1, says('is an empty list', 'name users, groups or both'))
      .refine((list) => new Set(list).size === list.length, says('names one twice', 'name each once'))
      .prefault(['users', 'groups'])
      .describe('What Graph is asked to tell of. It documents users and groups only'),
  })
  .describe('Change notifications that Graph delivers itself; needs server.publicUrl')

function withinGraph(state: string): string | undefined {
  return state.length <= 128 ? undefined : says('is too long', 'use at most 128 characters')
}

/** One Microsoft Entra tenant. */
export const entraConfig = adapterBase
  .extend({
    kind: z.literal('entra'),
    tenantId: guid.describe('Directory (tenant) id'),
    cloud: z.enum(['public', 'usgov', 'usgovdod', 'china']).prefault('public'),
    endpoints: z
      .strictObject({ graph: httpsOrigin.optional(), authority: httpsOrigin.optional() })
      .prefault({})
      .describe('Origins that override those of the cloud'),
    credential,
    manage: z
      .strictObject({
        kinds: z
          .array(kinds)
          .min(1, says('is an empty list', 'name at least one kind, such as agentIdentity'))
          .prefault(['agentIdentity', 'agentUser', 'servicePrincipal']),
        groups: z.array(guid).prefault([]),
      })
      .prefault({})
      .describe('The accounts the bridge may register and write; anything else is refused'),
    trustedWriters: z
      .array(guid)
      .prefault([])
      .describe('Object or application ids of services whose changes are not attributed to a person'),
    never: z.array(guid).prefault([]).describe('Object or application ids never to be mapped, disabled or mirrored'),
    tokens: tokens
      .refine(
        ({ audiences }) => !audiences.some((audience) => GRAPH_AUDIENCE.test(audience)),
        says(
          'names Microsoft Graph as an audience',
          'name your own API, such as api://agents: Graph tokens prove nothing to others',
        ),
      )
      .optional()
      .describe('Without it no token of this tenant is accepted'),
    groups: z
      .record(z.string(), groupCapabilities)
      .superRefine(groupIds)
      .transform(lowerCaseKeys)
      .prefault({})
      .describe('Group object id → capabilities'),
    hooks: z
      .strictObject({
        eventGrid: eventGrid.optional(),
        graph: graph.optional(),
        queue: queueHook(credential).optional(),
      })
      .prefault({}),
  })
  .superRefine(({ cloud, hooks }, context) => {
    if (hooks.eventGrid?.auth !== 'entra' || clouds[cloud].eventGridAppId !== undefined) return
    const message = says('cannot be checked in this cloud: its Event Grid has no published id', 'use auth: key')
    context.addIssue({
      code: 'custom',
      path: ['hooks', 'eventGrid', 'auth'],
      message,
      params: { code: 'conflict' },
    })
  })
  .superRefine(({ credential, hooks: { queue } }, context) => {
    if (queue?.access.auth !== 'entra' || queue.access.credential || credential.type !== 'tokenFile') return
    const message = says('has no credential', "the adapter's token is for the directory alone: add access.credential")
    const path = ['hooks', 'queue', 'access', 'credential']
    context.addIssue({ code: 'custom', path, message, params: { code: 'conflict' } })
  })
  .describe('Microsoft Entra')

export type EntraConfig = z.output<typeof entraConfig>

function groupIds(groups: Record<string, unknown>, context: z.core.$RefinementCtx): void {
  const seen = new Set<string>()
  for (const id of Object.keys(groups)) {
    if (!guid.safeParse(id).success) {
      const hint = 'use the object id of the group: names can be taken over by another group'
      context.addIssue({ code: 'custom', path: [id], message: says('is not a group object id (a GUID)', hint) })
    }
    if (seen.has(id.toLowerCase())) {
      const message = says('is the same group as another entry', 'merge the two lists')
      context.addIssue({ code: 'custom', path: [id], message, params: { code: 'conflict' } })
    }
    seen.add(id.toLowerCase())
  }
}

function lowerCaseKeys<T>(groups: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(groups).map(([id, list]) => [id.toLowerCase(), list]))
}
