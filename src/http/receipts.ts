import { z } from 'zod'
import { legReasons, legStates } from '../core/receipts.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { severity } from './holdschemas.ts'
import { exampleDid, holdPath } from './shapes.ts'

const when = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' })
const state = z.enum(legStates)
const reason = z.enum([...new Set(Object.values(legReasons).flat())])
const count = z.int().min(0)

const account = z.object({
  type: z.literal('account'),
  adapter: z.string(),
  id: z.string(),
  realm: z.string().nullable().describe('Tenant, org or trust domain'),
  state,
  reason,
  error: z.string().nullable().describe('Code of what failed last, or of what refuses'),
  answeredAt: when.nullable().describe('The directory acknowledged our disable'),
  closedAt: when.nullable().describe('Begin of the read by id that closed it'),
  reopenedAt: when.nullable().describe('Begin of the reading that showed it on again after that'),
  sessionsEndAt: when
    .nullable()
    .describe('Sessions from before it was off may go on until then; null: no longer than a token lives'),
  observed: z.string().nullable().describe('enabled, disabled, absent or unknown; null once released'),
  observedAt: when.nullable(),
  attempts: count.nullable().describe('Failures in a row'),
  nextAt: when.nullable().describe('The bridge looks at it next'),
})

const runtime = z.object({
  type: z.literal('runtime'),
  client: z.string(),
  state,
  reason,
  closedAt: when.nullable().describe('It acknowledged, or reported the kill'),
})

const descendant = z.object({
  type: z.literal('descendant'),
  did: z.string(),
  holdId: z.string().describe('Its cascade hold, which has a receipt of its own'),
  state: state.describe('Of its legs the one to look at first'),
  legs: count,
  closed: count,
  closedAt: when.nullable().describe('The last of its legs was closed'),
})

const receiptSchema = z
  .object({
    version: z.literal(1),
    iss: z.string().describe('server.publicUrl, or idp-bridge'),
    iat: z.int().describe('Seconds since 1970'),
    did: z.string(),
    known: z.boolean().describe('False: not registered, so nothing is known of its accounts'),
    hold: z.object({
      id: z.string(),
      origin: z.string(),
      severity,
      guarded: z.boolean(),
      placedAt: when,
      releasableAt: when.nullable(),
      releasedAt: when.nullable().describe('Not null: the legs are as they were then'),
    }),
    status: z
      .enum(['closed', 'partial', 'open'])
      .describe('closed: every leg is. partial: the rest is unsupported or shared. open: something may still close'),
    legs: z.array(z.discriminatedUnion('type', [account, runtime, descendant])),
    counts: z.record(state, count).describe('Every leg examined, by state'),
    descendants: z.object({ total: count, examined: count, listed: count }),
    audit: z.object({ seq: count, hash: z.string() }).describe('Head of the audit chain'),
    jws: z
      .string()
      .nullable()
      .describe('Compact JWS over the canonical JSON (RFC 8785) of everything else; null: no signing key'),
  })
  .meta({
    id: 'Receipt',
    examples: [
      {
        version: 1,
        iss: 'https://bridge.contoso.com',
        iat: 1795255230,
        did: exampleDid,
        known: true,
        hold: {
          id: 'd1e2b433-a4bc-4b29-9c59-559528be86a7',
          origin: 'runtime:agt-1',
          severity: 'kill',
          guarded: false,
          placedAt: '2026-11-21T10:00:00.000Z',
          releasableAt: null,
          releasedAt: null,
        },
        status: 'closed',
        legs: [
          {
            type: 'runtime',
            client: 'agt-1',
            state: 'closed',
            reason: 'origin',
            closedAt: '2026-11-21T10:00:00.000Z',
          },
        ],
        counts: { closed: 1, pending: 0, failed: 0, unsupported: 0, shared: 0, contested: 0, indeterminate: 0 },
        descendants: { total: 0, examined: 0, listed: 0 },
        audit: { seq: 41, hash: '0'.repeat(64) },
        jws: null,
      },
    ],
  })

const keySet = z
  .object({
    keys: z.array(
      z.object({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        kid: z.string().describe('Thumbprint, RFC 7638'),
        use: z.literal('sig'),
        alg: z.literal('EdDSA'),
      }),
    ),
  })
  .meta({ id: 'SigningKeys', description: 'JSON Web Key Set, RFC 7517' })

/** What a hold must close and how far it is, signed; and the keys that it is signed with. */
export const receiptRoutes = (app: App, { bridge }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/agents/:did/receipts/:holdId',
    config: { access: ['reader'], errors: ['E_DID', 'E_HOLD_UNKNOWN', 'E_NOT_FOUND', 'E_SIGNING_KEY', 'E_SECRET'] },
    schema: {
      operationId: 'getReceipt',
      summary: 'Every account, runtime and descendant that a hold must close',
      tags: ['holds'],
      params: holdPath,
      response: { 200: answers('As known now; after its release, as it was then', receiptSchema) },
    },
    handler: async (request) => {
      const { did, holdId } = request.params
      const { receipt, jws } = await bridge.receipt(did, holdId, callerOf(request))
      return {
        ...receipt,
        legs: receipt.legs.map((leg) => ({ ...leg })),
        counts: { ...receipt.counts },
        jws: jws ?? null,
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/.well-known/jwks.json',
    config: { access: 'public' },
    schema: {
      operationId: 'getSigningKeys',
      summary: 'Public keys of receipts and audit heads',
      description: 'The first signs. Those before it stay listed for as long as they are configured.',
      tags: ['health'],
      response: { 200: answers('The key set', keySet) },
    },
    handler: async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=300')
      return { keys: (await bridge.signingKeys()).map((key) => ({ ...key })) }
    },
  })
}
