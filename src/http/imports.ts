import { z } from 'zod'
import type { ImportView, RowInput } from '../engine/importapi.ts'
import type { Keep } from '../engine/keeping.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { respond } from './idempotency.ts'
import { registration } from './schemas.ts'
import { count, limit, noBody, page, text, time } from './shapes.ts'
import { faultsOf, invalid } from './validation.ts'

const tags = ['imports']

const pointers = z.array(z.object({ pointer: z.string(), code: z.string() }))
const failure = z.object({ code: z.string(), detail: z.string() })

const importSchema = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    state: z
      .enum(['staging', 'checking', 'checked', 'applying', 'done', 'discarded'])
      .describe('checking and applying go on by themselves, after a restart too'),
    createdAt: time,
    changedAt: time,
    actor: z.string().describe('Who asked for what is being done'),
    failure: failure.nullable().describe('Why the last check could not be made: ask for it again'),
    rows: z.object({
      total: count,
      staged: count.describe('Not checked yet'),
      good: count.describe('May be registered'),
      bad: count.describe('Refused: none is registered while there is one'),
      registered: count,
      unchanged: count.describe('The same registration was there already'),
      failed: count.describe('Refused when it was applied, for what happened since the check'),
    }),
  })
  .meta({
    id: 'Import',
    examples: [
      {
        id: '4b0f3c52-9d0e-4c0f-8a43-5f1f0f4b7c11',
        name: 'agents.csv',
        state: 'checked',
        createdAt: '2026-11-21T10:00:00.000Z',
        changedAt: '2026-11-21T10:00:09.000Z',
        actor: 'onboarding',
        failure: null,
        rows: { total: 2, staged: 0, good: 1, bad: 1, registered: 0, unchanged: 0, failed: 0 },
      },
    ],
  })

const faultSchema = z
  .object({
    line: count,
    did: z.string().nullable(),
    code: z.string(),
    detail: z.string(),
    hint: z.string().nullable(),
    errors: pointers.describe('Members of the row, by JSON Pointer'),
  })
  .meta({ id: 'ImportFault' })

const opening = z.strictObject({ name: text(200).optional().describe('For people: a file, say') }).nullable()
const rowsBody = z
  .strictObject({
    rows: z
      .array(
        z.strictObject({
          line: z.int().min(0).max(Number.MAX_SAFE_INTEGER).describe('Unique in the import'),
          agent: z.unknown().describe('An AgentRegistration; a wrong one is a fault of its line'),
        }),
      )
      .min(1)
      .max(500),
  })
  .meta({
    id: 'ImportRows',
    examples: [{ rows: [{ line: 2, agent: { did: 'did:agentmesh:a7f3b2c1', name: 'data-analyst-agent' } }] }],
  })

const path = z.strictObject({ importId: text(200) })
const iso = (at: number): string => new Date(at).toISOString()

const bodyOf = ({ actor, at, changedAt, failure, id, name, rows, state }: ImportView) => ({
  id,
  name: name ?? null,
  state,
  createdAt: iso(at),
  changedAt: iso(changedAt),
  actor,
  failure: failure === undefined ? null : { code: failure.code, detail: failure.detail },
  rows,
})

const didOf = (value: unknown): string | undefined => {
  const did: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'did') : undefined
  return typeof did === 'string' ? did.slice(0, 512) : undefined
}

/** A row with the wrong shape is a row with a fault: the others are taken. */
const rowOf = ({ agent, line }: { readonly line: number; readonly agent?: unknown }): RowInput => {
  const parsed = registration.safeParse(agent)
  if (parsed.success) return { line, agent: parsed.data, did: parsed.data.did, fault: undefined }
  const errors = faultsOf(parsed.error, agent)
  const { code, message: detail } = invalid('row', errors)
  return { line, agent: undefined, did: didOf(agent), fault: { code, detail, errors: errors.slice(0, 10) } }
}

/** Registers many agents: rows are staged, checked as a whole, then applied (rule 11). */
export const importRoutes = (app: App, { bridge, once }: Context): void => {
  const repeat = async (ref: string, status: number) => ({ status, body: bodyOf(await bridge.importOf(ref)) })

  app.route({
    method: 'POST',
    url: '/v1/imports',
    config: { access: ['registrar'], errors: ['E_BUDGET'] },
    schema: {
      operationId: 'openImport',
      summary: 'Begin to import agents',
      description:
        'Then PUT its rows, ask for the check, and apply it. What nobody goes on with is dropped after a day.',
      tags,
      body: opening,
      response: { 201: answers('Takes rows', importSchema) },
    },
    handler: async (request, reply) => {
      const answer = await once(request, {
        run: async (keep: Keep<ImportView> | undefined) => {
          const view = await bridge.openImport(request.body?.name, callerOf(request), keep)
          return { status: 201, body: bodyOf(view) }
        },
        kept: ({ id }) => ({ status: 201, ref: id }),
        repeat,
      })
      return respond(reply, answer)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/imports',
    config: { access: ['registrar'] },
    schema: {
      operationId: 'listImports',
      summary: 'Imports, newest first',
      tags,
      querystring: z.strictObject({ limit }),
      response: { 200: answers('The latest', page(importSchema)) },
    },
    handler: async (request) => ({
      items: (await bridge.imports(request.query.limit)).map(bodyOf),
      nextCursor: null,
    }),
  })

  app.route({
    method: 'GET',
    url: '/v1/imports/:importId',
    config: { access: ['registrar'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'getImport',
      summary: 'How far an import is',
      tags,
      params: path,
      response: { 200: answers('The import', importSchema) },
    },
    handler: async (request) => bodyOf(await bridge.importOf(request.params.importId)),
  })

  app.route({
    method: 'PUT',
    url: '/v1/imports/:importId/rows',
    config: { access: ['registrar'], errors: ['E_NOT_FOUND', 'E_IMPORT_STATE'] },
    schema: {
      operationId: 'stageRows',
      summary: 'Add rows, in place of those of the same lines',
      description: 'Nothing is registered. A row with the wrong shape is a fault of its line.',
      tags,
      params: path,
      body: rowsBody,
      response: { 200: answers('The import', importSchema) },
    },
    handler: async (request) =>
      bodyOf(await bridge.stageRows(request.params.importId, request.body.rows.map(rowOf), callerOf(request))),
  })

  for (const { act, does, name, says, tells } of [
    {
      act: 'check',
      does: 'checkImport',
      name: 'Check every row, against one listing of each directory',
      says: 'Each row is registered in a transaction that is taken back. Goes on after the answer: GET the import.',
      tells: 'Being checked',
    },
    {
      act: 'apply',
      does: 'applyImport',
      name: 'Register every row of a checked import',
      says: 'Refused while a row is bad. Goes on after the answer, and after a restart: GET the import. Accounts are read by the next pass over their directory; until then decisions are deny.',
      tells: 'Being applied',
    },
  ] as const) {
    app.route({
      method: 'POST',
      url: `/v1/imports/:importId/${act}`,
      config: { access: ['registrar'], errors: ['E_NOT_FOUND', 'E_IMPORT_STATE'] },
      schema: {
        operationId: does,
        summary: name,
        description: says,
        tags,
        params: path,
        body: noBody,
        response: { 202: answers(tells, importSchema) },
      },
      handler: async (request, reply) => {
        const { importId } = request.params
        const answer = await once(request, {
          run: async () => ({
            status: 202,
            body: bodyOf(await bridge[does](importId, callerOf(request))),
            ref: importId,
          }),
          repeat,
        })
        return respond(reply, answer)
      },
    })
  }

  app.route({
    method: 'GET',
    url: '/v1/imports/:importId/faults',
    config: { access: ['registrar'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'listImportFaults',
      summary: 'Rows that were refused, and why',
      tags,
      params: path,
      querystring: z.strictObject({
        cursor: z.coerce.number().int().min(0).optional().describe('nextCursor of the page before'),
        limit,
      }),
      response: { 200: answers('One page, in the order of lines', page(faultSchema)) },
    },
    handler: async (request) => {
      const { cursor = -1, limit } = request.query
      const { items, nextCursor } = await bridge.importFaults(request.params.importId, cursor, limit)
      return {
        items: items.map(({ code, detail, did, errors, hint, line }) => ({
          line,
          did: did ?? null,
          code,
          detail,
          hint: hint ?? null,
          errors: [...(errors ?? [])],
        })),
        nextCursor,
      }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/imports/:importId',
    config: { access: ['registrar'], errors: ['E_NOT_FOUND', 'E_IMPORT_STATE'] },
    schema: {
      operationId: 'discardImport',
      summary: 'Forget an import',
      description: 'What it registered stays.',
      tags,
      params: path,
      response: { 204: z.undefined().describe('Forgotten') },
    },
    handler: async (request, reply) => {
      await bridge.discardImport(request.params.importId, callerOf(request))
      reply.code(204)
    },
  })
}
