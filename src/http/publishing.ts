import { z } from 'zod'
import { BridgeError } from '../core/errors.ts'
import { passportMostMs } from '../core/passport.ts'
import { placesOfList } from '../core/statuslist.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { answerOnce } from './faces.ts'
import { agentPath, text, time as timeShape } from './shapes.ts'
import { time } from './views.ts'

const tags = ['publishing']

const revoked = z
  .object({ revoked: z.array(z.object({ kid: z.string() })) })
  .meta({ id: 'RevokedKeys', description: "The shape that AGT's reader of foreign key sets takes" })

const passportRequest = z
  .strictObject({
    lifetimeSeconds: z
      .int()
      .min(1)
      .max(passportMostMs / 1000)
      .optional()
      .describe('Shorter than passports.lifetime; longer is that'),
    audience: text(512).optional().describe('Whom it is for; anybody when left out'),
    capabilities: z
      .array(text(512))
      .max(1000)
      .optional()
      .describe('Fewer than the agent has; all of its effective ones when left out'),
    key: text(43).optional().describe('Thumbprint of the key of the agent to bind it to'),
  })
  .nullable()

const passport = z
  .object({
    did: z.string(),
    passport: z.string().describe('JWT of typ agent-passport+jwt'),
    jti: z.string(),
    issuedAt: timeShape,
    expiresAt: timeShape,
    capabilities: z.array(z.string()),
    status: z.object({ uri: z.string(), idx: z.int().min(0) }).describe('Its place in a status list'),
    key: z.string().nullable().describe('Thumbprint of the key it is bound to; null: of none'),
  })
  .meta({ id: 'Passport' })

const list = z.strictObject({ list: text(64) })
// A passport's own: what is no number is 400 and never 404, which AGT takes for an empty list.
const digits = (max: number) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,14})$/)
    .transform(Number)
    .refine((value) => value <= max)
const one = z.strictObject({ list: text(64), idx: digits(placesOfList - 1), iat: digits(253_402_300_799) })

const jwt = 'application/statuslist+jwt'

/** Everybody may read these, also from a page of another origin (section 8.1 of the draft). */
const shared = (maxAgeMs: number) => ({
  'cache-control': `public, max-age=${Math.floor(maxAgeMs / 1000)}`,
  'access-control-allow-origin': '*',
})

/** How long AGT keeps it, whatever is said here. */
const revokedKeptMs = 60_000

/** Passports, and what everybody reads to know that one is no good any more. */
export const publishingRoutes = (app: App, context: Context): void => {
  const { bridge } = context
  app.route({
    method: 'POST',
    url: '/v1/agents/:did/passport',
    config: {
      access: ['registrar', 'runtime'],
      errors: [
        'E_DID',
        'E_AGENT_UNKNOWN',
        'E_NOT_FOUND',
        'E_HELD',
        'E_DECOMMISSIONED',
        'E_REFUSED',
        'E_WIDENING',
        'E_KEY',
        'E_SECRET',
      ],
    },
    schema: {
      operationId: 'issuePassport',
      summary: 'Issue a passport: a short-lived signed statement about an agent that is checked offline',
      description: 'Refused for an agent that would be denied now. A runtime gets them within its labels.',
      tags: ['agents'],
      params: agentPath,
      body: passportRequest,
      response: { 200: answers('The passport', passport) },
    },
    handler: async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const { lifetimeSeconds, ...input } = request.body ?? {}
      return answerOnce(context, request, async () => {
        const lifetimeMs = lifetimeSeconds === undefined ? undefined : lifetimeSeconds * 1000
        const issued = await bridge.passport(request.params.did, { ...input, lifetimeMs }, callerOf(request))
        return {
          ...issued,
          issuedAt: time(issued.issuedAt),
          expiresAt: time(issued.expiresAt),
          capabilities: [...issued.capabilities],
          key: issued.key ?? null,
        }
      })
    },
  })

  app.route({
    method: 'GET',
    url: '/.well-known/jwks-revoked.json',
    config: { access: 'public' },
    schema: {
      operationId: 'getRevokedKeys',
      summary: 'Signing keys that were taken back',
      description: 'By kid, from signing.revoked. Never 404: AGT takes that for an empty list.',
      tags,
      response: { 200: answers('The keys', revoked) },
    },
    handler: async (_request, reply) => {
      reply.headers(shared(revokedKeptMs))
      return { revoked: bridge.revokedKeys().map((kid) => ({ kid })) }
    },
  })

  app.route({
    method: 'GET',
    url: '/statuslists',
    config: { access: 'public', errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'listStatusLists',
      summary: 'Every status list (aggregation, section 9 of the draft)',
      tags,
      response: { 200: answers('Their URIs', z.object({ status_lists: z.array(z.string()) })) },
    },
    handler: async (_request, reply) => {
      reply.headers(shared(revokedKeptMs))
      return { status_lists: [...(await bridge.statusLists())] }
    },
  })

  app.route({
    method: 'GET',
    url: '/statuslists/:list',
    config: { access: 'public', errors: ['E_NOT_FOUND', 'E_NOT_IMPLEMENTED'] },
    schema: {
      operationId: 'getStatusList',
      summary: 'Who is suspended or decommissioned: a signed OAuth Token Status List',
      description: 'draft-ietf-oauth-status-list-20, two bits: 0 valid, 1 invalid, 2 suspended. As committed now.',
      tags,
      params: list,
      querystring: z.object({ time: z.string().optional().describe('Lists of the past are not kept: 501') }),
      response: {
        200: { description: 'The Status List Token', content: { [jwt]: { schema: z.string() } } },
        304: z.null().describe('It is the one of If-None-Match'),
      },
    },
    handler: async (request, reply) => {
      if (request.query.time !== undefined) {
        throw new BridgeError('E_NOT_IMPLEMENTED', 'Status lists of the past are not kept.')
      }
      const { etag, token, ttlMs } = await bridge.statusList(request.params.list)
      reply.headers({ ...shared(ttlMs), etag })
      const known = (request.headers['if-none-match'] ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''))
      if (known.includes(etag) || known.includes('*')) return reply.code(304).send(null)
      reply.header('content-type', jwt)
      return token
    },
  })

  app.route({
    method: 'GET',
    url: '/statuslists/:list/:idx/:iat/jwks-revoked.json',
    config: { access: 'public', errors: ['E_NO_PASSPORTS', 'E_SIGNING_KEY', 'E_SECRET'] },
    schema: {
      operationId: 'getRevokedForPassport',
      summary: 'The same about one passport, for readers that know revoked keys and no status list',
      description: 'Every key when the passport is no good any more. The passport names this address, signed.',
      tags,
      params: one,
      response: { 200: answers('The keys', revoked) },
    },
    handler: async (request, reply) => {
      reply.headers({ ...shared(0), 'cache-control': 'no-cache' })
      const { iat, idx, list } = request.params
      return { revoked: (await bridge.revokedFor(list, idx, iat)).map((kid) => ({ kid })) }
    },
  })
}
