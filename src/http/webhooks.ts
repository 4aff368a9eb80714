import { z } from 'zod'
import type { SetAside } from '../core/outlet.ts'
import type { Keep } from '../engine/keeping.ts'
import { type OutletView, outletStatuses } from '../engine/pushapi.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { limit, noBody, page } from './shapes.ts'
import { timeOrNull } from './views.ts'

const tags = ['signals']
const nullableTime = z.string().meta({ format: 'date-time' }).nullable()

export const outletSchema = z
  .object({
    name: z.string(),
    kind: z.string(),
    origin: z.string().describe('Where it is, without path and query'),
    client: z.string().nullable().describe('The runtime as whom it reads'),
    status: z.enum(outletStatuses).describe('unbounded: its client is not configured any more, and nothing is sent'),
    behind: z
      .object({ urgent: z.int(), rest: z.int() })
      .describe('Signals past what it was told: suspensions, and everything else'),
    setAside: z.int().describe('Signals it did not take, which are tried again'),
    deadLetters: z.int(),
    takenAt: nullableTime,
    failingSince: nullableTime,
    disabledAt: nullableTime.describe('When it answered 410'),
    lastError: z.string().nullable(),
  })
  .meta({ id: 'Outlet' })

export const outletBody = ({ waiting, dead, ...view }: OutletView): z.output<typeof outletSchema> => ({
  name: view.name,
  kind: view.kind,
  origin: view.origin,
  client: view.client ?? null,
  status: view.status,
  behind: view.behind,
  setAside: waiting,
  deadLetters: dead,
  takenAt: timeOrNull(view.takenAt),
  failingSince: timeOrNull(view.failingSince),
  disabledAt: timeOrNull(view.disabledAt),
  lastError: view.lastError ?? null,
})

const seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
const push = z.looseObject({ id: z.string(), data: z.record(z.string(), z.unknown()) })

const deadLetter = z
  .object({
    seq: seq.describe('Of the signal; 0: a snapshot'),
    id: z.string().describe('webhook-id, or id of the event'),
    type: z.string(),
    did: z.string().nullable(),
    attempts: z.int(),
    deadAt: nullableTime,
    error: z.string(),
    data: z.record(z.string(), z.unknown()).describe('What was not taken'),
  })
  .meta({ id: 'DeadLetter' })

const deadLetterBody = ({ body, ...item }: SetAside): z.output<typeof deadLetter> => {
  const { id, data } = push.parse(JSON.parse(body))
  const { type, did, attempts, error, deadAt } = item
  return { seq: item.seq, id, type, did: did ?? null, attempts, deadAt: timeOrNull(deadAt), error, data }
}

const name = z.strictObject({ name: z.string().min(1).max(64) })
const redelivery = z
  .strictObject({ seqs: z.array(seq).min(1).max(1000).optional().describe('Left out: all of them') })
  .meta({ id: 'Redelivery', examples: [{ seqs: [41, 42] }] })
const redelivered = z.object({ queued: z.int() }).meta({ id: 'Redelivered' })

/** The receivers that signals are pushed to, and what they did not take. */
export const webhookRoutes = (app: App, { bridge, once }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/webhooks',
    config: { access: ['reader'] },
    schema: {
      operationId: 'listWebhooks',
      summary: 'Who is pushed the signals, and how far each is',
      tags,
      response: { 200: answers('Every configured receiver', z.object({ items: z.array(outletSchema) })) },
    },
    handler: async () => ({ items: (await bridge.outlets()).map(outletBody) }),
  })

  app.route({
    method: 'GET',
    url: '/v1/webhooks/:name/deadletters',
    config: { access: ['reader'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'listDeadLetters',
      summary: 'Signals that a receiver did not take, and that are not tried any more',
      tags,
      params: name,
      querystring: z.strictObject({
        after: z.coerce.number().int().min(0).optional().describe('nextCursor of the page before'),
        limit,
      }),
      response: { 200: answers('One page, by sequence', page(deadLetter)) },
    },
    handler: async (request) => {
      const { after, limit: most } = request.query
      const { items, nextCursor } = await bridge.deadLetters(request.params.name, { after, limit: most })
      return { items: items.map(deadLetterBody), nextCursor }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/webhooks/:name/redeliver',
    config: { access: ['operator'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'redeliver',
      summary: 'Try dead letters again',
      description: 'What is not so any more by then, as a suspension whose hold was released, is dropped instead.',
      tags,
      params: name,
      body: redelivery,
      response: { 200: answers('How many are tried again', redelivered) },
    },
    handler: async (request) => {
      const { seqs } = request.body
      const answer = await once(request, {
        run: async (keep: Keep<number> | undefined) => {
          const queued = await bridge.redeliver(request.params.name, seqs, callerOf(request), keep)
          return { status: 200, body: { queued } }
        },
        kept: (queued) => ({ status: 200, ref: String(queued) }),
        repeat: async (ref, status) => ({ status, body: { queued: Number(ref) } }),
      })
      return answer.body
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/webhooks/:name/enable',
    config: { access: ['operator'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'enableWebhook',
      summary: 'Tell a receiver again that answered 410',
      description: 'It gets a snapshot first.',
      tags,
      params: name,
      body: noBody,
      response: { 200: answers('As it is now', outletSchema) },
    },
    handler: async (request) => {
      const named = async () => {
        const found = (await bridge.outlets()).find((one) => one.name === request.params.name)
        return found === undefined ? undefined : outletBody(found)
      }
      const answer = await once(request, {
        run: async (keep: Keep<void> | undefined) => ({
          status: 200,
          body: outletBody(await bridge.enableOutlet(request.params.name, callerOf(request), keep)),
        }),
        kept: () => ({ status: 200, ref: '' }),
        repeat: async (_ref, status) => ({
          status,
          body: (await named()) ?? outletBody(await bridge.enableOutlet(request.params.name, callerOf(request))),
        }),
      })
      return answer.body
    },
  })
}
