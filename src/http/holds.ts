import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { BridgeError } from '../core/errors.ts'
import type { Hold } from '../core/types.ts'
import type { Bridge, ReleaseResult } from '../engine/api.ts'
import type { Keep } from '../engine/keeping.ts'
import { callerOf, hasRole, readsAll } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { awaitingSchema, because, holdSchema, placement } from './holdschemas.ts'
import { type Answer, respond } from './idempotency.ts'
import { agentSchema, unknownAgentSchema } from './schemas.ts'
import { agentPath, holdPath, limit, noBody, page, releasePath } from './shapes.ts'
import { type AgentBody, agentBody, holdBody, type ReleaseBody, releaseBody } from './views.ts'

const tags = ['holds']

/** The hold a repeated request placed. @throws BridgeError E_IDEMPOTENCY_RELEASED it was released since */
export const stillOpen = async (bridge: Bridge, id: string): Promise<Hold> => {
  const hold = await bridge.hold(id)
  if (hold === undefined) throw new BridgeError('E_HOLD_UNKNOWN', 'The hold this key placed is gone.')
  if (hold.releasedAt === undefined) return hold
  throw new BridgeError('E_IDEMPOTENCY_RELEASED', `The hold ${id} placed under this key was released since.`, {
    hint: 'Use a new Idempotency-Key to place another hold.',
  })
}

type ReleaseAnswer = Answer<AgentBody | ReleaseBody | { did: string; known: false }>

const agentNow = async (bridge: Bridge, did: string, request: FastifyRequest): Promise<ReleaseAnswer> => {
  try {
    return { status: 200, body: agentBody(await bridge.agent(did, callerOf(request)), readsAll(request)) }
  } catch (error) {
    if (error instanceof BridgeError && error.code === 'E_AGENT_UNKNOWN') {
      return { status: 200, body: { did, known: false } }
    }
    throw error
  }
}

const released = (result: ReleaseResult, request: FastifyRequest): ReleaseAnswer => {
  if (!result.done) return { status: 202, body: releaseBody(result.release) }
  const { agent, did } = result
  return { status: 200, body: agent === undefined ? { did, known: false } : agentBody(agent, readsAll(request)) }
}

const releaseRef = z.object({ did: z.string(), holdId: z.string(), body: awaitingSchema.optional() })

const keptOf = (result: ReleaseResult, holdId: string) => {
  if (result.done) return { status: 200, ref: JSON.stringify({ did: result.did, holdId }) }
  const { release } = result
  return { status: 202, ref: JSON.stringify({ did: release.did, holdId, body: releaseBody(release) }) }
}

/** What a repeated release or approval reports: the agent once it is done, else that it still waits. */
const releaseNow = async (bridge: Bridge, ref: string, request: FastifyRequest): Promise<ReleaseAnswer> => {
  const { did, holdId, body } = releaseRef.parse(JSON.parse(ref))
  const waits = body !== undefined && (await bridge.hold(holdId))?.releasedAt === undefined
  return waits ? { status: 202, body } : agentNow(bridge, did, request)
}

const releaseAnswers = {
  200: answers('Released: the agent as it is now', z.union([agentSchema, unknownAgentSchema])),
  202: answers('Waits for a second person', awaitingSchema),
}

/** Place, list and release holds, and approve releases (DESIGN §3 rule 5, §7). */
export const holdRoutes = (app: App, { bridge, once }: Context): void => {
  app.route({
    method: 'POST',
    url: '/v1/agents/:did/holds',
    config: {
      access: ['responder', 'runtime'],
      lane: 'stops',
      errors: ['E_DID', 'E_AGENT_UNKNOWN', 'E_DECOMMISSIONED', 'E_BUDGET', 'E_IDEMPOTENCY_RELEASED'],
    },
    schema: {
      operationId: 'placeHold',
      summary: 'Suspend an agent',
      description: 'From the answer on every decision for the agent is deny; its accounts are disabled after.',
      tags,
      params: agentPath,
      body: placement,
      response: { 201: answers('Placed', holdSchema) },
    },
    handler: async (request, reply) => {
      if (request.body.severity !== 'suspend' && !hasRole(request, 'responder')) {
        throw new BridgeError('E_FORBIDDEN', 'A runtime may only place holds of severity suspend here.', {
          hint: 'Send a kill to POST /v1/kill.',
        })
      }
      const answer = await once(request, {
        run: async (keep: Keep<Hold> | undefined) => {
          const hold = await bridge.place(request.params.did, request.body, callerOf(request), keep)
          return { status: 201, body: holdBody(hold, readsAll(request)) }
        },
        kept: ({ id }) => ({ status: 201, ref: id }),
        repeat: async (ref, status) => ({ status, body: holdBody(await stillOpen(bridge, ref), readsAll(request)) }),
      })
      return respond(reply, answer)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/agents/:did/holds',
    config: { access: ['reader'], errors: ['E_DID', 'E_AGENT_UNKNOWN'] },
    schema: {
      operationId: 'listHolds',
      summary: 'Holds of an agent, open ones first',
      tags,
      params: agentPath,
      querystring: z.strictObject({ limit }),
      response: { 200: answers('Newest first, open ones before released ones', page(holdSchema)) },
    },
    handler: async (request) => {
      const { items } = await bridge.holds(request.params.did, request.query.limit, callerOf(request))
      return { items: items.map((hold) => holdBody(hold, readsAll(request))), nextCursor: null }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/agents/:did/holds/:holdId/release',
    config: {
      access: ['responder', 'approver', 'runtime'],
      errors: ['E_DID', 'E_HOLD_UNKNOWN', 'E_ALREADY_RELEASED', 'E_NOT_RELEASABLE', 'E_SAME_PERSON'],
    },
    schema: {
      operationId: 'releaseHold',
      summary: 'Release a hold, or ask for its release',
      description: 'Its origin releases a `suspend` alone. A kill and an override take a second person.',
      tags,
      params: holdPath,
      body: because,
      response: releaseAnswers,
    },
    handler: async (request, reply) => {
      const { did, holdId } = request.params
      const answer = await once(request, {
        run: async (keep: Keep<ReleaseResult> | undefined) =>
          released(await bridge.release(did, holdId, request.body.reason, callerOf(request), keep), request),
        kept: (result) => keptOf(result, holdId),
        repeat: (ref) => releaseNow(bridge, ref, request),
      })
      return respond(reply, answer)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/releases/:releaseId/approve',
    config: {
      access: ['approver'],
      errors: ['E_RELEASE_UNKNOWN', 'E_ALREADY_RELEASED', 'E_NOT_RELEASABLE', 'E_SAME_PERSON'],
    },
    schema: {
      operationId: 'approveRelease',
      summary: 'Approve, as the second person, a release that waits',
      tags,
      params: releasePath,
      body: noBody,
      response: releaseAnswers,
    },
    handler: async (request, reply) => {
      const answer = await once(request, {
        run: async (keep: Keep<ReleaseResult> | undefined) =>
          released(await bridge.approve(request.params.releaseId, callerOf(request), keep), request),
        kept: (result) => keptOf(result, result.done ? '' : result.release.holdId),
        repeat: (ref) => releaseNow(bridge, ref, request),
      })
      return respond(reply, answer)
    },
  })
}
