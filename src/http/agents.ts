import { z } from 'zod'
import { BridgeError } from '../core/errors.ts'
import type { Registered } from '../engine/agentapi.ts'
import type { Keep } from '../engine/keeping.ts'
import type { Issue } from '../engine/validating.ts'
import { callerOf, readsAll } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { ifMatch, replacedRevision, revisionOf, tagged } from './etag.ts'
import { respond } from './idempotency.ts'
import { agentPatch, agentQuery, agentSchema, registration, replacement, sharedSchema } from './schemas.ts'
import { agentPath, page, reason } from './shapes.ts'
import { agentBody, sharedBody } from './views.ts'

const tags = ['agents']

const issueSchema = z.object({ code: z.string(), text: z.string(), mend: z.string().nullable() })
const issueBody = ({ code, text, mend }: Issue): z.output<typeof issueSchema> => ({ code, text, mend: mend ?? null })

/** Register, list, read, change and decommission agents (DESIGN §7). */
export const agentRoutes = (app: App, { bridge, once }: Context): void => {
  const writeErrors = [
    'E_DID',
    'E_ADAPTER_UNKNOWN',
    'E_KIND_REFUSED',
    'E_NEVER',
    'E_PRINCIPAL_ID',
    'E_NOT_SWITCHABLE',
    'E_PRINCIPAL_ABSENT',
    'E_PRINCIPAL_TAKEN',
    'E_PARENT',
    'E_CYCLE',
    'E_DEPTH',
    'E_WIDENING',
    'E_DELEGATION_PROOF',
    'E_KEY',
    'E_CAPABILITY',
    'E_BLUEPRINT_UNKNOWN',
    'E_SPONSOR',
    'E_ACCESS_POLICY',
    'E_ALIAS',
    'E_HELD',
    'E_DECOMMISSIONED',
  ] as const

  app.route({
    method: 'POST',
    url: '/v1/agents',
    config: { access: ['registrar'], errors: [...writeErrors, 'E_EXISTS'] },
    schema: {
      operationId: 'registerAgent',
      summary: 'Register an agent and the accounts it has',
      description: 'Each account is read by id before it is accepted. Repeating a registration changes nothing.',
      tags,
      body: registration,
      response: {
        200: answers('The same registration was there already', agentSchema),
        201: answers('Registered', agentSchema),
      },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request)
      const answer = await once(request, {
        run: async (keep: Keep<Registered> | undefined) => {
          const { agent, created } = await bridge.register(request.body, caller, keep)
          const body = agentBody(agent, readsAll(request))
          return created ? { status: 201, body } : { status: 200, body, ref: agent.did }
        },
        kept: ({ agent, created }) => ({ status: created ? 201 : 200, ref: agent.did }),
        repeat: async (ref, status) => ({
          status,
          body: agentBody(await bridge.agent(ref, caller), readsAll(request)),
        }),
      })
      return tagged(reply, respond(reply, answer))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/agents',
    config: { access: ['reader'] },
    schema: {
      operationId: 'listAgents',
      summary: 'List agents',
      tags,
      querystring: agentQuery,
      response: { 200: answers('One page, in the order of DIDs', page(agentSchema)) },
    },
    handler: async (request) => {
      const { items, nextCursor } = await bridge.agents(request.query, callerOf(request))
      return { items: items.map((agent) => agentBody(agent, readsAll(request))), nextCursor }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/agents/:did',
    config: { access: ['reader'], errors: ['E_DID', 'E_AGENT_UNKNOWN'] },
    schema: {
      operationId: 'getAgent',
      summary: 'Read an agent',
      tags,
      params: agentPath,
      response: { 200: answers('The agent', agentSchema) },
    },
    handler: async (request, reply) => {
      const agent = await bridge.agent(request.params.did, callerOf(request))
      return tagged(reply, agentBody(agent, readsAll(request)))
    },
  })

  app.route({
    method: 'PUT',
    url: '/v1/agents/:did',
    config: { access: ['registrar'], errors: [...writeErrors, 'E_EXISTS', 'E_REVISION'] },
    schema: {
      operationId: 'replaceAgent',
      summary: 'Register an agent, or replace its registration whole',
      tags,
      params: agentPath,
      headers: ifMatch,
      body: replacement,
      response: { 200: answers('Replaced', agentSchema), 201: answers('Registered', agentSchema) },
    },
    handler: async (request, reply) => {
      const { did } = request.params
      const caller = callerOf(request)
      const revision = await replacedRevision(request.headers['if-match'], () => bridge.agent(did, caller))
      const { agent, created } = await bridge.replace(
        did,
        { ...request.body, did: request.body.did ?? did },
        caller,
        revision,
      )
      reply.code(created ? 201 : 200)
      return tagged(reply, agentBody(agent, readsAll(request)))
    },
  })

  app.route({
    method: 'PATCH',
    url: '/v1/agents/:did',
    config: { access: ['registrar'], errors: [...writeErrors, 'E_EXISTS', 'E_AGENT_UNKNOWN', 'E_REVISION'] },
    schema: {
      operationId: 'changeAgent',
      summary: 'Change an agent by a JSON merge patch',
      tags,
      consumes: ['application/merge-patch+json', 'application/json'],
      params: agentPath,
      headers: ifMatch,
      body: agentPatch,
      response: { 200: answers('The agent as it is now', agentSchema) },
    },
    handler: async (request, reply) => {
      const revision = revisionOf(request.headers['if-match'])
      const agent = await bridge.patch(request.params.did, request.body, callerOf(request), revision)
      return tagged(reply, agentBody(agent, readsAll(request)))
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/agents/:did',
    config: { access: ['registrar'], errors: ['E_DID', 'E_AGENT_UNKNOWN', 'E_REVISION', 'E_DECOMMISSIONED'] },
    schema: {
      operationId: 'decommissionAgent',
      summary: 'Decommission an agent, for ever',
      description: 'Its accounts are disabled and stay taken; the DID stays as a tombstone.',
      tags,
      params: agentPath,
      headers: ifMatch,
      querystring: z.strictObject({ reason: reason.default('decommissioned') }),
      response: { 200: answers('The tombstone', agentSchema) },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request)
      const { did } = request.params
      const revision = revisionOf(request.headers['if-match'])
      // A change between this read and the next line is not seen; what follows is the same whatever it was.
      if (revision !== undefined && (await bridge.agent(did, caller)).revision !== revision) {
        throw new BridgeError('E_REVISION', 'The agent was changed since the revision in If-Match.', {
          hint: 'Read it again and repeat with its present ETag.',
        })
      }
      const agent = await bridge.decommission(did, request.query.reason, caller)
      return tagged(reply, agentBody(agent, readsAll(request)))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/principals',
    config: { access: ['reader'], errors: ['E_ADAPTER_UNKNOWN', 'E_AGENT_UNKNOWN'] },
    schema: {
      operationId: 'findPrincipal',
      summary: 'The agent behind a directory account',
      description: 'A shared account answers with every agent that shares it, as a list.',
      tags,
      querystring: z.strictObject({ adapter: z.string().min(1).max(64), id: z.string().min(1).max(2048) }),
      response: {
        200: answers('The agent, or all that share the account', z.union([agentSchema, sharedSchema])),
        431: z.undefined().describe('The address is over 16 KiB when it is encoded'),
      },
    },
    handler: async (request, reply) => {
      const { adapter, id } = request.query
      const found = await bridge.principal(adapter, id, callerOf(request))
      const all = readsAll(request)
      return 'agents' in found ? sharedBody(found, all) : tagged(reply, agentBody(found, all))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/agents/:did/validate',
    config: { access: ['reader'], errors: ['E_DID', 'E_AGENT_UNKNOWN'] },
    schema: {
      operationId: 'validateAgent',
      summary: 'Whether the registration is complete and the live directory agrees',
      tags,
      params: agentPath,
      response: {
        200: answers(
          'What is wrong, as codes; none when ok',
          z.object({
            ok: z.boolean(),
            issues: z.array(issueSchema),
            unproven: z.array(issueSchema).describe('What only a write would tell: no fault, and no proof of none'),
          }),
        ),
      },
    },
    handler: async (request) => {
      const { ok, issues, unproven } = await bridge.validate(request.params.did, callerOf(request))
      return { ok, issues: issues.map(issueBody), unproven: unproven.map(issueBody) }
    },
  })
}
