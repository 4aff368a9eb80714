import { z } from 'zod'
import { isDid } from '../core/did.ts'
import type { DecisionView } from '../engine/api.ts'
import type { Access } from './auth.ts'
import { type App, answers } from './context.ts'
import { answerOnce, asker, basisBody, basisShape, type FaceContext } from './faces.ts'
import { exampleDid } from './shapes.ts'

const question = z
  .looseObject({
    input: z.string().max(2048).describe('The DID, as text or as the JSON of a text'),
    fields: z
      .looseObject({
        capability: z.string().min(1).max(256).optional(),
        scope: z.string().min(1).max(500).optional(),
        tool: z.string().min(1).max(256).optional(),
        server: z.string().min(1).max(2048).optional(),
        resource: z.string().min(1).max(2048).optional(),
        parameters: z.unknown().optional(),
      })
      .nullish()
      .describe('What the manifest sets: a capability, scope or call of a tool to ask for; others are not looked at'),
  })
  .meta({ id: 'AnnotatorQuestion', examples: [{ input: exampleDid, fields: { capability: 'read:reports' } }] })

const annotation = z
  .object({
    allow: z.boolean(),
    ...basisShape,
    status: z.enum(['active', 'suspended', 'decommissioned', 'unknown']),
    name: z.string().nullable(),
    capabilities: z.array(z.string()).describe('Effective ones'),
    accounts: z.record(z.string(), z.array(z.string())).describe('Ids in each directory, by the name of its adapter'),
  })
  .meta({ id: 'Annotation' })

/** A manifest may pick the id as a text or as the JSON of one. */
const didOf = (input: string): string | undefined => {
  const trimmed = input.trim()
  const text = /^"[^"\\]*"$/.test(trimmed) ? trimmed.slice(1, -1) : trimmed
  return isDid(text) ? text : undefined
}

const annotationOf = (view: DecisionView): z.output<typeof annotation> => {
  const { agent } = view
  const accounts: Record<string, string[]> = Object.create(null)
  for (const { adapter, id } of agent?.principals ?? []) {
    accounts[adapter] ??= []
    accounts[adapter].push(id)
  }
  return {
    allow: view.allow,
    ...basisBody(view),
    status: agent?.status ?? (view.holds.length > 0 ? 'suspended' : 'unknown'),
    name: agent?.name ?? null,
    capabilities: [...(agent?.capabilities ?? [])],
    accounts,
  }
}

/** An annotator of AGT's v5 manifests: what a policy may know of the agent, one object. */
export const annotatorRoutes = (app: App, context: FaceContext, access: Access): void => {
  const ask = asker(context, 'annotator')
  app.route({
    method: 'POST',
    url: '/annotate',
    config: { access, uniqueNames: true, quiet: true },
    schema: {
      operationId: 'annotate',
      summary: 'What is known of an agent, for a policy to read',
      tags: ['decisions'],
      body: question,
      response: { 200: answers('Whether it may act, and what it is', annotation) },
    },
    handler: async (request, reply) => {
      const { fields, input } = request.body
      const did = didOf(input)
      const { capability, parameters, resource, scope, server, tool } = fields ?? {}
      const asked = { did, capability, scope, tool, server, resource, parameters, describe: true }
      return answerOnce(context, request, async () =>
        annotationOf(await ask(did === undefined ? { nobody: true } : asked, reply)),
      )
    },
  })
}
