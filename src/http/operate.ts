import { z } from 'zod'
import { doubts, type GuardDirection } from '../core/guard.ts'
import type { AdapterStatus } from '../engine/api.ts'
import type { GuardDirectionView, PlanApproved } from '../engine/guardapi.ts'
import type { Keep } from '../engine/keeping.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { respond } from './idempotency.ts'
import { progressBody, progressSchema } from './killmany.ts'
import { adapterPath, reason } from './shapes.ts'
import { subscriptionBody, subscriptionSchema } from './subscriptions.ts'
import { time, timeOrNull } from './views.ts'
import { outletBody, outletSchema } from './webhooks.ts'

const tags = ['operation']
const nullableTime = z.string().meta({ format: 'date-time' }).nullable()
const planRow = z.object({ holdId: z.string(), did: z.string(), origin: z.string(), placedAt: z.string() })
const approval = z
  .object({
    hash: z.string(),
    rows: z.int(),
    by: z.string().describe('Who approved it first'),
    at: z.string().meta({ format: 'date-time' }),
    expiresAt: z.string().meta({ format: 'date-time' }).describe('A second person has until then'),
    second: z.string().nullable().describe('Who completed it: it is being applied'),
    done: z.int().describe('Rows looked at so far'),
    applied: z.int(),
    dropped: z.int().describe('Rows that were no longer true'),
  })
  .nullable()
  .describe('The plan that a first person approved; more may have been seen since')
const direction = z.object({
  tripped: z.boolean(),
  since: nullableTime,
  count: z.int(),
  plan: z
    .object({ hash: z.string(), rows: z.array(planRow) })
    .nullable()
    .describe('What approving its hash applies; at most 10,000 rows, the rest is in the next'),
  approval,
})
const guardSchema = z.object({ adapter: z.string(), suspend: direction, resume: direction }).meta({ id: 'Guard' })

const adapterStatus = z.object({
  adapter: z.string(),
  kind: z.string(),
  mirror: z.string(),
  principals: z.int(),
  accounts: z.object({
    checkpointAt: nullableTime,
    lastOkAt: nullableTime,
    lastError: z.string().nullable(),
    fullAt: nullableTime,
  }),
  groups: z.object({ lastOkAt: nullableTime, lastError: z.string().nullable() }),
  queue: z
    .object({
      place: z.string(),
      lastOkAt: nullableTime,
      failing: z
        .object({ since: z.string().meta({ format: 'date-time' }), code: z.string(), mend: z.string().nullable() })
        .nullable(),
    })
    .nullable()
    .describe('The queue that rings for it, and why it cannot be read now; null where there is none'),
  log: z
    .object({ readAt: nullableTime, completeUntil: nullableTime })
    .nullable()
    .describe('The log of who changed what, as far as it was asked; null where the directory keeps none'),
  stale: z.object({ warn: z.int(), deny: z.int() }),
  lanes: z.array(z.object({ lane: z.enum(['suspend', 'other']), due: z.int() })),
  throttledUntil: nullableTime,
  writesFailing: z.int(),
  guard: z.object({ suspend: z.boolean(), resume: z.boolean() }),
  quarantine: z
    .object({ since: z.string().meta({ format: 'date-time' }), why: z.array(z.enum(doubts)) })
    .nullable()
    .describe('Why the directory is not believed now'),
  subscriptions: z.array(subscriptionSchema).describe('What the directory was asked to tell of by itself'),
})

const statusSchema = z
  .object({
    version: z.string(),
    startedAt: z.string(),
    paused: z.boolean(),
    holds: z.object({ open: z.int(), agents: z.int() }),
    signals: z.object({ head: z.int(), clients: z.int() }),
    adapters: z.array(adapterStatus),
    webhooks: z.array(outletSchema).describe('Who is pushed the signals'),
    kills: z.array(progressSchema).describe('Of many agents: the latest of a day, and those not done yet'),
    alerts: z.array(z.object({ at: z.string(), code: z.string(), text: z.string() })),
  })
  .meta({ id: 'Status' })

const approvedSchema = z
  .object({
    status: z.enum(['done', 'awaiting']),
    approvalId: z.string().nullable(),
    applied: z.int(),
    dropped: z.int().describe('Rows that were no longer true'),
  })
  .meta({ id: 'GuardApproval' })

const approvedBody = ({ done, approvalId, applied, dropped }: PlanApproved): z.output<typeof approvedSchema> => ({
  status: done ? 'done' : 'awaiting',
  approvalId: approvalId ?? null,
  applied,
  dropped,
})

const planHash = z
  .strictObject({ hash: z.string().regex(/^[0-9a-f]{64}$/) })
  .meta({ id: 'PlanHash', description: 'From GET /v1/guard/{adapter}' })

const pauseBody = z
  .strictObject({ paused: z.boolean(), reason })
  .meta({ id: 'Pause', examples: [{ paused: true, reason: 'maintenance of the tenant' }] })
const pausedSchema = z.object({ paused: z.boolean() }).meta({ id: 'Paused' })

const approvalBody = (given: NonNullable<GuardDirectionView['approval']>) => ({
  hash: given.hash,
  rows: given.rows,
  by: given.by,
  at: time(given.at),
  expiresAt: time(given.expiresAt),
  second: given.second ?? null,
  done: given.done,
  applied: given.applied,
  dropped: given.dropped,
})

const directionBody = ({ approval: given, tripped, since, count, plan }: GuardDirectionView) => ({
  tripped,
  since: timeOrNull(since),
  count,
  plan:
    plan === undefined
      ? null
      : {
          hash: plan.hash,
          rows: plan.rows.map(({ holdId, did, origin, placedAt }) => ({
            holdId,
            did,
            origin,
            placedAt: time(placedAt),
          })),
        },
  approval: given === undefined ? null : approvalBody(given),
})

const queueBody = ({ place, lastOkAt, failing }: NonNullable<AdapterStatus['queue']>) => ({
  place,
  lastOkAt: timeOrNull(lastOkAt),
  failing:
    failing === undefined ? null : { since: time(failing.since), code: failing.code, mend: failing.mend ?? null },
})

const adapterBody = (view: AdapterStatus) => ({
  adapter: view.adapter,
  kind: view.kind,
  mirror: view.mirror,
  principals: view.principals,
  accounts: {
    checkpointAt: timeOrNull(view.accounts.checkpointAt),
    lastOkAt: timeOrNull(view.accounts.lastOkAt),
    lastError: view.accounts.lastError ?? null,
    fullAt: timeOrNull(view.accounts.fullAt),
  },
  groups: { lastOkAt: timeOrNull(view.groups.lastOkAt), lastError: view.groups.lastError ?? null },
  queue: view.queue === undefined ? null : queueBody(view.queue),
  log:
    view.log === undefined
      ? null
      : { readAt: timeOrNull(view.log.readAt), completeUntil: timeOrNull(view.log.completeUntil) },
  stale: { warn: view.stale.warn, deny: view.stale.deny },
  lanes: view.lanes.map(({ lane, due }) => ({ lane, due })),
  throttledUntil: timeOrNull(view.throttledUntil),
  writesFailing: view.writesFailing,
  guard: { suspend: view.guard.suspend, resume: view.guard.resume },
  quarantine:
    view.quarantine === undefined ? null : { since: time(view.quarantine.since), why: [...view.quarantine.why] },
  subscriptions: (view.subscriptions ?? []).map(subscriptionBody),
})

/** Status, the guard and the pause switch (DESIGN §3 rule 8, §7). */
export const operateRoutes = (app: App, { bridge, once }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/status',
    config: { access: ['reader'] },
    schema: {
      operationId: 'getStatus',
      summary: 'How the bridge and every directory are doing',
      tags,
      response: { 200: answers('Checkpoints, lanes, throttling, alerts', statusSchema) },
    },
    handler: async () => {
      const { version, startedAt, paused, holds, signals, adapters, outlets, kills, alerts } = await bridge.status()
      return {
        version,
        startedAt: time(startedAt),
        paused,
        holds: { open: holds.open, agents: holds.agents },
        signals: { head: signals.head, clients: signals.clients },
        adapters: adapters.map(adapterBody),
        webhooks: outlets.map(outletBody),
        kills: kills.map(progressBody),
        alerts: alerts.map(({ at, code, text }) => ({ at: time(at), code, text })),
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/guard/:adapter',
    config: { access: ['reader'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'getGuard',
      summary: 'The blast-radius guard of a directory',
      tags,
      params: adapterPath,
      response: { 200: answers('Whether it is tripped, and the plan that waits', guardSchema) },
    },
    handler: async (request) => {
      const { adapter, suspend, resume } = await bridge.guard(request.params.adapter)
      return { adapter, suspend: directionBody(suspend), resume: directionBody(resume) }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/guard/:adapter/approve',
    config: { access: ['approver'], errors: ['E_NOT_FOUND', 'E_GUARD_PLAN', 'E_SAME_PERSON'] },
    schema: {
      operationId: 'approveGuard',
      summary: 'Approve the plan that waits, by its hash',
      description: 'Takes two people. Each row is read again when applied, and dropped if no longer true.',
      tags,
      params: adapterPath,
      body: planHash,
      response: {
        200: answers('Applied', approvedSchema),
        202: answers('Waits for a second person', approvedSchema),
      },
    },
    handler: async (request, reply) => {
      const { adapter } = request.params
      const { hash } = request.body
      const answer = await once(request, {
        run: async (keep: Keep<GuardDirection | undefined> | undefined) => {
          const body = approvedBody(await bridge.approveGuard(adapter, hash, callerOf(request), keep))
          return body.status === 'done' ? { status: 200, body, ref: JSON.stringify(body) } : { status: 202, body }
        },
        kept: (made) => {
          if (made !== undefined) return { status: 200, ref: '' }
          const waits = approvedBody({ done: false, approvalId: hash, applied: 0, dropped: 0 })
          return { status: 202, ref: JSON.stringify(waits) }
        },
        // An approval changes no more once given: what it did then is what there is to report.
        repeat: async (ref, status) => {
          const body = ref === '' ? approvedBody(await bridge.approvedGuard(adapter, hash)) : JSON.parse(ref)
          return { status, body: approvedSchema.parse(body) }
        },
      })
      return respond(reply, answer)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/pause',
    config: { access: ['operator'] },
    schema: {
      operationId: 'pause',
      summary: 'Stop or resume all writes to directories; decisions go on',
      tags,
      body: pauseBody,
      response: { 200: answers('As it is now', pausedSchema) },
    },
    handler: async (request) => {
      const { paused, reason: why } = request.body
      const answer = await once(request, {
        run: async (keep: Keep<{ paused: boolean }> | undefined) => ({
          status: 200,
          body: await bridge.pause(paused, why, callerOf(request), keep),
        }),
        kept: () => ({ status: 200, ref: '' }),
        repeat: async (_ref, status) => ({ status, body: { paused: (await bridge.status()).paused } }),
      })
      return answer.body
    },
  })
}
