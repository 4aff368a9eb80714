import { z } from 'zod'
import type { TokenView } from '../engine/api.ts'
import { type App, answers, type Context } from './context.ts'
import { answerOnce, asker, basisBody, basisShape } from './faces.ts'
import { did, exampleDid } from './shapes.ts'
import { time } from './views.ts'

const tags = ['decisions']
const token = z.string().min(1)
const codes = z.array(z.string()).describe('R_* refusal codes')

export const question = z
  .strictObject({
    did: did.optional(),
    token: token.optional(),
    principal: z.strictObject({ adapter: z.string().min(1).max(64), id: z.string().min(1).max(2048) }).optional(),
    capability: z.string().min(1).max(256).optional(),
    scope: z.string().min(1).max(500).optional(),
    tool: z.string().min(1).max(256).optional().describe('The tool that is to be called; with server'),
    server: z.string().min(1).max(2048).optional().describe('Name or resource identifier of a configured tool server'),
    resource: z.string().min(1).max(2048).optional().describe('On what the tool is to be called'),
    parameters: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('What the tool is to be called with; over 16 KiB it is refused. Kept nowhere'),
  })
  .refine((asked) => [asked.did, asked.token, asked.principal].filter((who) => who !== undefined).length === 1, {
    error: 'names not exactly one of did, token and principal',
  })
  .superRefine(({ parameters, resource, server, tool }, context) => {
    const missing = (name: string) =>
      context.addIssue({ code: 'custom', path: [name], message: 'is required', params: { code: 'required' } })
    if (tool !== undefined && server === undefined) missing('server')
    if (tool === undefined && [parameters, resource, server].some((part) => part !== undefined)) missing('tool')
  })
  .meta({
    id: 'Question',
    description:
      'Exactly one of `did`, `token` and `principal`; what it wants to do, if that is asked. A call of a tool is `tool` and ' +
      '`server`, with `resource` and `parameters` where the rule of the tool speaks of them.',
    examples: [
      { did: exampleDid, capability: 'read:reports' },
      { did: exampleDid, tool: 'set_credit', server: 'crm', parameters: { customer: 'c-17', amount: 250 } },
    ],
  })

const decision = z.object({ allow: z.boolean(), ...basisShape }).meta({
  id: 'Decision',
  examples: [
    {
      allow: false,
      did: exampleDid,
      codes: ['R_SUSPENDED'],
      checks: ['mapping', 'observed'],
      holds: [{ origin: 'operator:soc', publicReason: 'under investigation' }],
      actor: { did: exampleDid, principal: null },
      onBehalfOf: null,
      token: null,
      act: [],
      grants: [],
      epoch: 41,
      generation: '96f05d75ca44',
    },
  ],
})

const tokenQuestion = z.strictObject({ token }).meta({ id: 'Token', examples: [{ token: 'eyJhbGciOi…' }] })

const verified = z
  .object({
    valid: z.literal(true),
    issuer: z.string(),
    adapter: z.string(),
    actor: z.object({ did: z.string(), principal: z.object({ adapter: z.string(), id: z.string() }) }),
    onBehalfOf: z.object({ id: z.string(), kind: z.string() }).nullable(),
    act: z.array(z.unknown()),
    status: z.enum(['active', 'suspended', 'decommissioned']),
    capabilities: z.array(z.string()),
    expiresAt: z.string().meta({ format: 'date-time' }),
  })
  .meta({ id: 'VerifiedToken' })
const refused = z.object({ valid: z.literal(false), codes }).meta({ id: 'RefusedToken' })

const tokenBody = (view: TokenView) => ({
  valid: view.valid,
  issuer: view.issuer,
  adapter: view.adapter,
  actor: {
    did: view.actor.did,
    principal: { adapter: view.actor.principal.adapter, id: view.actor.principal.id },
  },
  onBehalfOf: view.onBehalfOf === null ? null : { id: view.onBehalfOf.id, kind: view.onBehalfOf.kind },
  act: [...view.act],
  status: view.status,
  capabilities: [...view.capabilities],
  expiresAt: time(view.expiresAt),
})

/** What gateways ask (DESIGN §5, §7). A correct "no" is an answer with codes, never a problem. */
export const decisionRoutes = (app: App, context: Context): void => {
  const { bridge } = context
  const ask = asker(context, 'decisions')
  app.route({
    method: 'POST',
    url: '/v1/decisions',
    config: { access: ['gateway'], errors: ['E_DID'], uniqueNames: true, quiet: true },
    schema: {
      operationId: 'decide',
      summary: 'May this agent act now?',
      tags,
      body: question,
      response: { 200: answers('Allow or deny, with the codes of every refusal', decision) },
    },
    handler: async (request, reply) =>
      answerOnce(context, request, async () => {
        const view = await ask(request.body, reply)
        return { allow: view.allow, ...basisBody(view) }
      }),
  })

  app.route({
    method: 'POST',
    url: '/v1/tokens/verify',
    config: { access: ['gateway'], errors: ['E_JWKS_DOWN'], quiet: true },
    schema: {
      operationId: 'verifyToken',
      summary: 'Whose token is this, and is it still good?',
      tags,
      body: tokenQuestion,
      response: { 200: answers('The actor, or why the token is refused', z.union([verified, refused])) },
    },
    handler: async (request) =>
      answerOnce(context, request, async () => {
        const view = await bridge.verify(request.body.token)
        return view.valid ? tokenBody(view) : { valid: view.valid, codes: [...view.codes] }
      }),
  })
}
