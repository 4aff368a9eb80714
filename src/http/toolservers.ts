import { z } from 'zod'
import { isConcrete } from '../core/capabilities.ts'
import { isResource, type ToolServer, toolName, toolServerName, writtenServer } from '../core/tools.ts'
import { constraint, constraints } from '../lib/constraint.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { ifMatch, replacedRevision, revisionOf, tagged } from './etag.ts'
import { count, limit, page, text, time } from './shapes.ts'
import { time as rfc3339 } from './views.ts'

const tags = ['tools']
const namePath = z.strictObject({ name: text(64).regex(toolServerName) })
const capability = text(256)
  .refine(isConcrete, { error: 'is not one capability' })
  .describe('action:resource[:qualifier], without *')

const example = {
  resource: 'https://mcp.contoso.com/crm',
  unlisted: 'deny',
  tools: {
    get_customer: { capability: 'read:customers' },
    set_credit: {
      capability: 'write:credit',
      parameters: { '/customer': { type: 'string' }, '/amount': { type: 'integer', min: 0, max: 1000 } },
    },
  },
}

const rule = z.strictObject({
  capability: capability.describe('What an agent needs to call the tool'),
  resource: constraint.optional().describe('On what it may be called'),
  parameters: constraints.optional().describe('What its parameters must be, by JSON pointer; without it: anything'),
  otherParameters: z.enum(['deny', 'allow']).default('deny').describe('Parameters that no pointer names'),
})

const definition = z
  .strictObject({
    description: text(2000).nullable().optional(),
    resource: text(2048)
      .refine(isResource, { error: 'is not a resource identifier' })
      .nullable()
      .optional()
      .describe('Its resource identifier (RFC 8707), compared byte by byte'),
    unlisted: z
      .union([z.literal('deny'), capability])
      .default('deny')
      .describe('What a tool that is not listed takes: deny, or a capability'),
    tools: z
      .record(text(256).regex(toolName), rule)
      .default({})
      .refine((all) => Object.keys(all).length <= 1000, { error: 'has more than 1000 tools' }),
  })
  .meta({ id: 'ToolServerDefinition', description: 'What is left out is removed', examples: [example] })

const serverSchema = z
  .object({
    name: z.string(),
    origin: z.enum(['config', 'api']).describe('Those of the configuration are changed there only'),
    description: z.string().nullable(),
    resource: z.string().nullable(),
    unlisted: z.string().describe('deny, or a capability'),
    tools: z.record(z.string(), rule),
    createdAt: time,
    updatedAt: time,
    revision: count.describe('The ETag; send it as If-Match'),
  })
  .meta({ id: 'ToolServer' })

const bodyOf = (server: ToolServer): z.output<typeof serverSchema> => ({
  name: server.name,
  origin: server.origin,
  description: server.description ?? null,
  resource: server.resource ?? null,
  unlisted: server.unlisted ?? 'deny',
  tools: Object.fromEntries(
    server.tools.map(({ name, parameters, ...rest }) => [
      name,
      { ...rest, ...(parameters !== undefined && { parameters: { ...parameters } }) },
    ]),
  ),
  createdAt: rfc3339(server.createdAt),
  updatedAt: rfc3339(server.updatedAt),
  revision: server.revision,
})

/** Which tools may be called on which servers, and what that takes. */
export const toolServerRoutes = (app: App, { bridge }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/toolservers',
    config: { access: ['reader'] },
    schema: {
      operationId: 'listToolServers',
      summary: 'List the tool servers in force',
      tags,
      querystring: z.strictObject({ cursor: text(64).optional(), limit }),
      response: { 200: answers('One page, in the order of names', page(serverSchema)) },
    },
    handler: async (request) => {
      const { items, nextCursor } = await bridge.toolServers(request.query)
      return { items: items.map(bodyOf), nextCursor }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/toolservers/:name',
    config: { access: ['reader'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'getToolServer',
      summary: 'Read a tool server',
      tags,
      params: namePath,
      response: { 200: answers('The one in force', serverSchema) },
    },
    handler: async (request, reply) => tagged(reply, bodyOf(await bridge.toolServer(request.params.name))),
  })

  app.route({
    method: 'PUT',
    url: '/v1/toolservers/:name',
    config: {
      access: ['registrar'],
      errors: ['E_TOOLSERVER_CONFIG', 'E_TOOLSERVER_RESOURCE', 'E_REVISION'],
      uniqueNames: true,
    },
    schema: {
      operationId: 'defineToolServer',
      summary: 'Define a tool server, or replace its definition whole',
      description: 'In force for every decision that is begun afterwards.',
      tags,
      params: namePath,
      headers: ifMatch,
      body: definition,
      response: { 200: answers('Replaced', serverSchema), 201: answers('Defined', serverSchema) },
    },
    handler: async (request, reply) => {
      const { params, body } = request
      const revision = await replacedRevision(request.headers['if-match'], () => bridge.toolServer(params.name))
      const given = writtenServer(body)
      const { server, created } = await bridge.defineToolServer(params.name, given, callerOf(request), revision)
      reply.code(created ? 201 : 200)
      return tagged(reply, bodyOf(server))
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/toolservers/:name',
    config: { access: ['registrar'], errors: ['E_NOT_FOUND', 'E_TOOLSERVER_CONFIG', 'E_REVISION'] },
    schema: {
      operationId: 'removeToolServer',
      summary: 'Remove a tool server: nothing of it may be called from then on',
      tags,
      params: namePath,
      headers: ifMatch,
      response: { 200: answers('As it was', serverSchema) },
    },
    handler: async (request) => {
      const revision = revisionOf(request.headers['if-match'])
      return bodyOf(await bridge.removeToolServer(request.params.name, callerOf(request), revision))
    },
  })
}
