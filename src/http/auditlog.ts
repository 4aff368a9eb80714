import { z } from 'zod'
import { type App, answers, type Context } from './context.ts'
import { did, limit, page } from './shapes.ts'
import { auditBody } from './views.ts'

const tags = ['audit']
const instant = z.iso.datetime({ offset: true })
const cursor = z.coerce.number().int().min(0)

const entry = z
  .object({
    seq: z.int(),
    time: z.string().meta({ format: 'date-time', description: 'Hashed as milliseconds since 1970' }),
    type: z.string(),
    did: z.string().optional(),
    principals: z.array(z.object({ adapter: z.string(), id: z.string(), realm: z.string().optional() })).optional(),
    sponsor: z.string().optional(),
    status: z.string().optional(),
    capabilities: z.array(z.string()).optional(),
    scopes: z.array(z.string()).optional(),
    actor: z.string(),
    onBehalfOf: z.string().optional(),
    hold: z.string().optional(),
    requestId: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
    text: z.record(z.string(), z.string()).optional().describe('Erasable: not hashed, but by digest'),
    digests: z.record(z.string(), z.string()),
    prev: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEntry' })

/** Reads and checks the hash chain (DESIGN §9). */
export const auditRoutes = (app: App, { bridge }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/audit',
    config: { access: ['reader'] },
    schema: {
      operationId: 'listAudit',
      summary: 'Entries of the audit log, in order',
      tags,
      querystring: z.strictObject({
        after: cursor.optional().describe('Only entries past this sequence; nextCursor of the page before'),
        did: did.optional(),
        hold: z.string().min(1).max(200).optional(),
        actor: z.string().min(1).max(320).optional(),
        from: instant.optional().describe('RFC 3339, included'),
        to: instant.optional().describe('RFC 3339, included'),
        limit,
      }),
      response: { 200: answers('One page', page(entry)) },
    },
    handler: async (request) => {
      const { from, to, ...rest } = request.query
      const { items, nextCursor } = await bridge.audit({
        ...rest,
        from: from === undefined ? undefined : Date.parse(from),
        to: to === undefined ? undefined : Date.parse(to),
      })
      return { items: items.map(auditBody), nextCursor }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/audit/verify',
    config: { access: ['reader'] },
    schema: {
      operationId: 'verifyAudit',
      summary: 'Check the whole chain',
      tags,
      response: {
        200: answers(
          'Whether it holds; if not, the first bad entry',
          z.object({
            ok: z.boolean(),
            entries: z.int(),
            head: z.string(),
            fault: z.object({ seq: z.int(), fault: z.string() }).nullable(),
            checkpoint: z
              .object({ seq: z.int(), hash: z.string(), at: z.string(), jws: z.string() })
              .nullable()
              .optional()
              .describe('What the chain begins behind, once older entries were pruned'),
          }),
        ),
      },
    },
    handler: async () => {
      const { ok, entries, head, fault, checkpoint } = await bridge.verifyAudit()
      return {
        ok,
        entries,
        head,
        fault: fault === undefined ? null : { seq: fault.seq, fault: fault.fault },
        checkpoint: checkpoint === undefined ? null : { ...checkpoint, at: new Date(checkpoint.at).toISOString() },
      }
    },
  })
}
