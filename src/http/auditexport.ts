import { Readable } from 'node:stream'
import { z } from 'zod'
import type { AuditEntry } from '../core/audit.ts'
import { BridgeError } from '../core/errors.ts'
import type { Bridge } from '../engine/api.ts'
import type { Soon } from '../lib/soon.ts'
import { entitlement } from './auth.ts'
import type { App, Context } from './context.ts'
import { auditBody } from './views.ts'

const pageSize = 500
/** Exports at once: each reads the store a page at a time. */
const exportsMost = 4
/** How long a consumer may take nothing before it is cut. */
const stallMs = 60_000

export const exportFormats = ['jsonl', 'cloudevents'] as const

/** A type of entry as that of a CloudEvent. */
const typePrefix = 'agentmesh.bridge.audit.'

const lineOf = (format: (typeof exportFormats)[number], source: string) => (entry: AuditEntry) => {
  const data = auditBody(entry)
  if (format === 'jsonl') return `${JSON.stringify(data)}\n`
  const event = {
    specversion: '1.0',
    id: `${entry.seq}-${entry.hash.slice(0, 16)}`,
    source,
    type: `${typePrefix}${entry.type}`,
    time: data.time,
    ...(entry.did !== undefined && { subject: entry.did }),
    datacontenttype: 'application/json',
    data,
  }
  return `${JSON.stringify(event)}\n`
}

/** Pages of lines up to the head of the chain as it was at the start, read as fast as they are taken. */
async function* pages(
  bridge: Bridge,
  after: number,
  entitled: () => Soon<boolean>,
  line: (entry: AuditEntry) => string,
): AsyncGenerator<string> {
  const { seq: head } = await bridge.auditHead()
  let position = after
  while (position < head) {
    if (!(await entitled())) throw new BridgeError('E_FORBIDDEN', 'The token stands for this client no more.')
    const { items } = await bridge.audit({ after: position, limit: Math.min(pageSize, head - position) })
    const last = items.at(-1)
    // What is missing before the head must not look like the end.
    if (last === undefined) throw new BridgeError('E_CHAIN_BROKEN', 'Entries of the audit log are missing.')
    position = last.seq
    yield items.map(line).join('')
  }
}

/** The audit log for other systems (DESIGN §9). */
export const auditExportRoutes = (app: App, { bridge, door, publicUrl }: Context): void => {
  let open = 0
  app.route({
    method: 'GET',
    url: '/v1/audit/export',
    exposeHeadRoute: false,
    config: { access: ['reader'], errors: ['E_BUDGET'] },
    schema: {
      operationId: 'exportAudit',
      summary: 'The audit log as lines of JSON, from an entry on to its present end',
      description:
        'One entry a line, or one CloudEvent in the JSON format. To go on, or after an export that broke off, ask again ' +
        'with `after` the sequence of the last whole line.',
      tags: ['audit'],
      querystring: z.strictObject({
        format: z.enum(exportFormats).default('jsonl'),
        after: z.coerce.number().int().min(0).default(0).describe('Only entries past this sequence'),
      }),
      response: {
        200: {
          description: 'Lines of JSON, each ended by a line feed',
          content: { 'application/x-ndjson': { schema: z.unknown() } },
        },
      },
    },
    handler: async (request, reply) => {
      if (open >= exportsMost) {
        const hint = 'Wait until one has ended.'
        throw new BridgeError('E_BUDGET', 'Too many exports are running.', { hint, retryAfterMs: 30_000 })
      }
      const { format, after } = request.query
      const line = lineOf(format, publicUrl ?? 'urn:agentmesh:idp-bridge')
      const lines = Readable.from(pages(bridge, after, entitlement(request, door), line), {
        objectMode: false,
        highWaterMark: 1,
      })
      open += 1
      lines.once('close', () => {
        open -= 1
      })
      reply.raw.setTimeout(stallMs, () => reply.raw.destroy())
      return reply.type('application/x-ndjson').send(lines)
    },
  })
}
