import { z } from 'zod'
import { blueprintName } from '../core/blueprints.ts'
import { mostHops } from '../core/delegation.ts'
import type { BlueprintView } from '../engine/blueprintapi.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { ifMatch, replacedRevision, revisionOf, tagged } from './etag.ts'
import { count, limit, page, text, time } from './shapes.ts'
import { time as rfc3339, timeOrNull } from './views.ts'

const tags = ['blueprints']
const name = text(200).regex(blueprintName)
const namePath = z.strictObject({ name })
const depth = z.int().min(0).max(mostHops)

const example = {
  description: 'Reads customer data, writes notes',
  capabilities: ['read:customer-data', 'write:notes'],
  requireSponsor: true,
  maxDelegationDepth: 2,
  accessPolicy: { adapter: 'contoso', id: '6b5e999b-0ba8-4186-a106-e0296c1c4358' },
}

const definition = z
  .strictObject({
    description: text(2000).nullable().optional(),
    capabilities: z
      .array(text(256))
      .max(1000)
      .optional()
      .describe('Granted to every agent that carries the blueprint, as long as it does'),
    requireSponsor: z.boolean().optional().describe('Refuse agents without a sponsor'),
    maxDelegationDepth: depth.nullable().optional().describe('Hops that may be delegated below an agent of it'),
    accessPolicy: z
      .strictObject({ adapter: text(64), id: text(200) })
      .nullable()
      .optional()
      .describe('A policy of a directory on who may sign in; it must exist'),
  })
  .meta({ id: 'BlueprintDefinition', description: 'What is left out is removed', examples: [example] })

const blueprintSchema = z
  .object({
    name: z.string(),
    origin: z.enum(['config', 'api']).describe('Those of the configuration are changed there only'),
    description: z.string().nullable(),
    capabilities: z.array(z.string()),
    requireSponsor: z.boolean(),
    maxDelegationDepth: depth.nullable(),
    accessPolicy: z
      .object({
        adapter: z.string(),
        id: z.string(),
        state: z
          .enum(['enforced', 'unenforced', 'absent', 'unread', 'unchecked'])
          .describe('As it was last seen; unread: it could not be read; unchecked: not since the start'),
        checkedAt: time.nullable(),
      })
      .nullable(),
    applied: z.boolean().describe('Every agent that carries it has its present capabilities'),
    createdAt: time,
    updatedAt: time,
    revision: count.describe('The ETag; send it as If-Match'),
  })
  .meta({ id: 'Blueprint' })

const bodyOf = (view: BlueprintView): z.output<typeof blueprintSchema> => ({
  name: view.name,
  origin: view.origin,
  description: view.description ?? null,
  capabilities: [...view.capabilities],
  requireSponsor: view.requireSponsor,
  maxDelegationDepth: view.maxDelegationDepth ?? null,
  accessPolicy:
    view.accessPolicy === undefined
      ? null
      : {
          adapter: view.accessPolicy.adapter,
          id: view.accessPolicy.id,
          state: view.policy?.state ?? 'unchecked',
          checkedAt: timeOrNull(view.policy?.checkedAt),
        },
  applied: view.applied,
  createdAt: rfc3339(view.createdAt),
  updatedAt: rfc3339(view.updatedAt),
  revision: view.revision,
})

/** What agents of a kind have in common (DESIGN §4, §7). */
export const blueprintRoutes = (app: App, { bridge }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/blueprints',
    config: { access: ['reader'] },
    schema: {
      operationId: 'listBlueprints',
      summary: 'List the blueprints in force',
      tags,
      querystring: z.strictObject({ cursor: text(200).optional(), limit }),
      response: { 200: answers('One page, in the order of names', page(blueprintSchema)) },
    },
    handler: async (request) => {
      const { items, nextCursor } = await bridge.blueprints(request.query)
      return { items: items.map(bodyOf), nextCursor }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/blueprints/:name',
    config: { access: ['reader'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'getBlueprint',
      summary: 'Read a blueprint',
      tags,
      params: namePath,
      response: { 200: answers('The one in force', blueprintSchema) },
    },
    handler: async (request, reply) => tagged(reply, bodyOf(await bridge.blueprint(request.params.name))),
  })

  app.route({
    method: 'PUT',
    url: '/v1/blueprints/:name',
    config: {
      access: ['registrar'],
      errors: ['E_CAPABILITY', 'E_ADAPTER_UNKNOWN', 'E_ACCESS_POLICY', 'E_BLUEPRINT_CONFIG', 'E_REVISION'],
    },
    schema: {
      operationId: 'defineBlueprint',
      summary: 'Define a blueprint, or replace its definition whole',
      description: 'Agents that carry it get its capabilities, and lose those that it no longer gives, shortly after.',
      tags,
      params: namePath,
      headers: ifMatch,
      body: definition,
      response: { 200: answers('Replaced', blueprintSchema), 201: answers('Defined', blueprintSchema) },
    },
    handler: async (request, reply) => {
      const { params, body } = request
      const revision = await replacedRevision(request.headers['if-match'], () => bridge.blueprint(params.name))
      const { blueprint, created } = await bridge.defineBlueprint(params.name, body, callerOf(request), revision)
      reply.code(created ? 201 : 200)
      return tagged(reply, bodyOf(blueprint))
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/blueprints/:name',
    config: {
      access: ['registrar'],
      errors: ['E_NOT_FOUND', 'E_BLUEPRINT_CONFIG', 'E_BLUEPRINT_USED', 'E_REVISION'],
    },
    schema: {
      operationId: 'removeBlueprint',
      summary: 'Remove a blueprint that no agent carries',
      tags,
      params: namePath,
      headers: ifMatch,
      response: { 200: answers('As it was', blueprintSchema) },
    },
    handler: async (request) => {
      const revision = revisionOf(request.headers['if-match'])
      return bodyOf(await bridge.removeBlueprint(request.params.name, callerOf(request), revision))
    },
  })
}
