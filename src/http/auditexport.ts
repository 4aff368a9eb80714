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

const instant = z.iso.datetime({ offset: true })

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

interface Span {
  readonly after: number
  readonly from: number
  readonly to: number
}

/** Entries follow the clock, which may be set back: that far around a span of time it is looked for entries of it. */
const slackMs = 3_600_000

/** A place before every entry of the span: found by halving, for reading all that came before would take long. */
const beginOf = async (bridge: Bridge, { after, from }: Span, head: number): Promise<number> => {
  let low = after
  let high = from === Number.NEGATIVE_INFINITY ? low : head
  while (high - low > pageSize) {
    const middle = Math.floor((low + high) / 2)
    const { items } = await bridge.audit({ after: middle, limit: 1 })
    if ((items[0]?.time ?? Number.POSITIVE_INFINITY) >= from - slackMs) high = middle
    else low = middle
  }
  return low
}

/** Pages of lines up to the head of the chain as it was at the start, read as fast as they are taken. */
async function* pages(
  bridge: Bridge,
  span: Span,
  entitled: () => Soon<boolean>,
  line: (entry: AuditEntry) => string,
): AsyncGenerator<string> {
  const { seq: head } = await bridge.auditHead()
  const begin = await beginOf(bridge, span, head)
  let position = begin
  while (position < head) {
    if (!(await entitled())) throw new BridgeError('E_FORBIDDEN', 'The token stands for this client no more.')
    const { items } = await bridge.audit({ after: position, limit: Math.min(pageSize, head - position) })
    const last = items.at(-1)
    // What was pruned before the first page is left out; what is missing behind it must not look like the end, nor like nothing.
    const isWhole = position === begin || items[0]?.seq === position + 1
    if (last === undefined || !isWhole) throw new BridgeError('E_CHAIN_BROKEN', 'Entries of the audit log are missing.')
    position = last.seq
    const text = items.flatMap((one) => (one.time >= span.from && one.time <= span.to ? [line(one)] : [])).join('')
    if (text !== '') yield text
    if (items.every(({ time }) => time > span.to + slackMs)) return
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
        'with `after` the sequence of the last whole line. An answer that is cut is not the end: entries were lost on the ' +
        'way, the token was taken back, or what was not read yet was pruned.',
      tags: ['audit'],
      querystring: z.strictObject({
        format: z.enum(exportFormats).default('jsonl'),
        after: z.coerce.number().int().min(0).default(0).describe('Only entries past this sequence'),
        from: instant.optional().describe('RFC 3339, included'),
        to: instant.optional().describe('RFC 3339, included'),
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
      const { format, after, from, to } = request.query
      const span: Span = {
        after,
        from: from === undefined ? Number.NEGATIVE_INFINITY : Date.parse(from),
        to: to === undefined ? Number.POSITIVE_INFINITY : Date.parse(to),
      }
      const line = lineOf(format, publicUrl ?? 'urn:agentmesh:idp-bridge')
      const lines = Readable.from(pages(bridge, span, entitlement(request, door), line), {
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
