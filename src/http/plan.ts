import { z } from 'zod'
import { doubts } from '../core/guard.ts'
import { type AdapterPlan, counted, plannedChanges, waits } from '../core/plan.ts'
import { whileAsked } from './asking.ts'
import { type App, answers, type Context } from './context.ts'
import { count, text, time } from './shapes.ts'
import { time as timeOf } from './views.ts'

/** Rows of one part that an answer lists. What is left out counts, and is in the hash. */
const most = 10_000

const hash = z.string().nullable()
const change = z.object({
  change: z.enum(plannedChanges),
  dids: z.array(z.string()).describe('Of a shared account, each of its agents'),
  principal: z
    .string()
    .nullable()
    .describe('The account; null for a capability, and for a hold that follows from another'),
  because: z.array(z.string()).describe('Origins of holds, or the source of the capability'),
  cause: z.string().nullable().describe('What a hold was seen from: disabled, deleted, unproven'),
  capability: z.string().nullable(),
  guarded: z.boolean().describe('The guard would keep it back: it denies, and is not carried elsewhere'),
})
const wait = z.object({
  wants: z.enum(['off', 'on', 'mirror', 'release']),
  why: z.enum(waits),
  dids: z.array(z.string()),
  principal: z.string().nullable(),
  because: z.array(z.string()),
  detail: z.string().nullable(),
})
const guard = z.object({
  direction: z.enum(['suspend', 'resume']),
  state: z.enum(['tripped', 'trips']).describe('trips: it would in this pass'),
  frozen: z
    .object({ hash: z.string(), rows: count, applying: z.boolean() })
    .nullable()
    .describe('What was approved of it, see GET /v1/guard/{adapter}; applying it is not part of a pass'),
})
const fault = z.object({
  asked: z.enum(['accounts', 'account', 'group', 'log']),
  code: z.string(),
  text: z.string(),
  n: count.describe('How often'),
})
const part = z.object({
  adapter: z.string(),
  complete: z.boolean().describe('Everything that was asked of the directory was answered'),
  hash: hash.describe('Of the changes, whatever the order and the time; null unless complete'),
  mapped: count.describe('Accounts mapped there'),
  counts: z.partialRecord(z.enum(plannedChanges), count),
  changes: z.array(change).describe(`At most ${most.toLocaleString('en')}`),
  waiting: z.array(wait).describe(`What is wanted and would not happen; at most ${most.toLocaleString('en')}`),
  left: count.describe('Changes that are not listed'),
  guard: z.array(guard).describe('Directions in which the guard is tripped, or would be'),
  quarantine: z.array(z.enum(doubts)).describe('Why the directory would not be believed'),
  faults: z.array(fault).describe('What the directory did not answer: nothing is concluded from that'),
})
const planSchema = z
  .object({
    at: time,
    paused: z.boolean().describe('Writes to directories are stopped'),
    hash: hash.describe('Of all parts; null unless each is complete'),
    adapters: z.array(part),
  })
  .meta({ id: 'Plan' })

const query = z.strictObject({ adapter: text(64).optional().describe('Only this directory is read') })

const partBody = (one: AdapterPlan): z.output<typeof part> => ({
  adapter: one.adapter,
  complete: one.faults.length === 0,
  hash: one.hash ?? null,
  mapped: one.mapped,
  counts: Object.fromEntries(
    counted(
      plannedChanges,
      one.changes.map((row) => row.change),
    ).map(({ kind, n }) => [kind, n]),
  ),
  changes: one.changes.slice(0, most).map((row) => ({
    change: row.change,
    dids: [...row.dids],
    principal: row.principal ?? null,
    because: [...row.because],
    cause: row.cause ?? null,
    capability: row.capability ?? null,
    guarded: row.guarded,
  })),
  left: Math.max(0, one.changes.length - most),
  waiting: one.waiting.slice(0, most).map((row) => ({
    wants: row.wants,
    why: row.why,
    dids: [...row.dids],
    principal: row.principal ?? null,
    because: [...row.because],
    detail: row.detail ?? null,
  })),
  guard: one.guard.map(({ direction, frozen, state }) => ({ direction, state, frozen: frozen ?? null })),
  quarantine: doubts.filter((why) => one.quarantine.includes(why)),
  faults: one.faults.map(({ asked, code, text: said, n }) => ({ asked, code, text: said, n })),
})

/** What the next full pass would change (`engine/planning.ts`). */
export const planRoutes = (app: App, { bridge }: Context): void => {
  const asked = whileAsked(app)
  app.route({
    method: 'GET',
    url: '/v1/plan',
    config: { access: ['reader'], errors: ['E_ADAPTER_UNKNOWN', 'E_ABORTED'] },
    schema: {
      operationId: 'getPlan',
      summary: 'What the next full pass over the directories would change; changes nothing',
      description: 'Reads every directory as a full pass does, and may take as long. One at a time: another is 429.',
      tags: ['operation'],
      querystring: query,
      response: { 200: answers('The plan, a part a directory', planSchema) },
    },
    handler: async (request, reply) => {
      const { adapters, at, hash: whole, paused } = await bridge.plan(request.query.adapter, asked(reply))
      return { at: timeOf(at), paused, hash: whole ?? null, adapters: adapters.map(partBody) }
    },
  })
}
