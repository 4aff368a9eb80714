import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { HookRequest } from '../core/adapter.ts'
import type { HookOutcome } from '../engine/api.ts'
import { acceptBytes } from './body.ts'
import type { App, Context } from './context.ts'
import { failure } from './problem.ts'
import { adapterPath } from './shapes.ts'

const strings = (headers: IncomingHttpHeaders): HookRequest['headers'] =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  )

const queryForm = z.record(z.string(), z.union([z.string(), z.array(z.string())]))

/** A parameter given twice counts once, as first given. */
const queryOf = (query: unknown): HookRequest['query'] =>
  Object.fromEntries(
    Object.entries(queryForm.parse(query)).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  )

const bytes = (body: unknown): Uint8Array => (body instanceof Uint8Array ? body : new Uint8Array())

const answer = (outcome: HookOutcome, reply: FastifyReply): unknown => {
  reply.code(outcome.status).headers(outcome.headers).header('cache-control', 'no-store')
  return outcome.body ?? ''
}

const outcomeOf = (status: number): string => (status < 400 ? 'accepted' : status < 500 ? 'refused' : 'failed')

const consumes = [
  'application/json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'text/plain',
]

const methods = [
  { method: 'GET', operationId: 'checkHook', summary: 'Handshake by GET' },
  { method: 'POST', operationId: 'deliverHook', summary: 'One delivery of a directory' },
  { method: 'OPTIONS', operationId: 'confirmHook', summary: 'Handshake by OPTIONS (CloudEvents web hooks)' },
] as const

/**
 * Deliveries of directories (DESIGN §3 rule 6, §7). The bytes go to the adapter as they came, whatever their content
 * type: it authenticates them and says whom to re-read.
 */
export const hookRoutes = (app: App, { bridge, metrics }: Pick<Context, 'bridge' | 'metrics'>): void => {
  acceptBytes(app)

  const receive = async (
    adapter: string,
    request: FastifyRequest,
    query: HookRequest['query'],
    reply: FastifyReply,
  ) => {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const { method, headers, body } = request
    try {
      const outcome = await bridge.hook(
        adapter,
        { method, headers: strings(headers), query, body: bytes(body) },
        gone.signal,
      )
      metrics.inc('hook_deliveries_total', { adapter, outcome: outcomeOf(outcome.status) })
      return answer(outcome, reply)
    } catch (error) {
      const { code, status } = failure(error)
      // A name that nobody configured must not become a label.
      const unknown = code === 'E_ADAPTER_UNKNOWN' || code === 'E_NOT_FOUND'
      if (!unknown) metrics.inc('hook_deliveries_total', { adapter, outcome: outcomeOf(status) })
      throw error
    }
  }

  for (const { method, operationId, summary } of methods) {
    app.route({
      method,
      url: '/hooks/:adapter',
      exposeHeadRoute: false,
      config: {
        access: 'public',
        unlimited: true,
        errors: [
          'E_NOT_FOUND',
          'E_ADAPTER_UNKNOWN',
          'E_HOOK_UNVERIFIED',
          'E_HOOK_CANNOT_CHECK',
          'E_HOOK_BODY',
          'E_TOO_LARGE',
        ],
      },
      schema: {
        operationId,
        summary,
        description: 'Carries no state: it only says whom to re-read. Authenticated as the adapter is configured to.',
        tags: ['hooks'],
        params: adapterPath,
        ...(method === 'POST' ? { body: z.unknown().describe('As the directory sends it'), consumes } : {}),
        response: {
          200: z.unknown().describe('What the directory expects to hear'),
          202: z.unknown().describe('Taken'),
        },
      },
      handler: async (request, reply) => receive(request.params.adapter, request, queryOf(request.query), reply),
    })
  }
}
