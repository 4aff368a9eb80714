import { sql } from 'kysely'
import type { Lane, StoreReads, StoreTx } from '../core/store.ts'
import { build, number, type Run, rowWriter, statement, text } from './statement.ts'

/** What the guard counts: changes seen in a directory, and accounts that it says are gone. */

type Direction = 'suspend' | 'resume'

const events = build.selectFrom('guard_events').where('adapter', '=', text('adapter'))
const weight = statement(
  events
    .select((eb) => eb.fn.coalesce(eb.fn.sum<number>('weight'), eb.lit(0)).as('n'))
    .where('direction', '=', text<Direction>('direction'))
    .where('at', '>=', number('since')),
)
const addEvent = statement(
  build.insertInto('guard_events').values({
    adapter: text('adapter'),
    direction: text<Direction>('direction'),
    at: number('at'),
    weight: number('weight'),
    did: text('did'),
  }),
)
const clearEvents = statement(
  build
    .deleteFrom('guard_events')
    .where('adapter', '=', text('adapter'))
    .where('direction', '=', text<Direction>('direction')),
)

const absenceWriter = rowWriter('absences', ['adapter', 'id'])
const absences = build.selectFrom('absences').where('adapter', '=', text('adapter'))
const absence = statement(absences.select(['at', 'believed']).where('id', '=', text('id')))
const counted = absences.select((eb) => eb.fn.countAll<number>().as('n'))
const recent = statement(counted.where('at', '>=', number('since')).where('believed', '=', sql<number>`1`))
/** Spelled as the condition of the index. */
const pending = statement(counted.where(sql<boolean>`believed = 0`))
const dropAbsence = statement(
  build.deleteFrom('absences').where('adapter', '=', text('adapter')).where('id', '=', text('id')),
)

const rebaseEvents = (['suspend', 'resume'] as const).map((direction) =>
  statement(
    build
      .updateTable('guard_events')
      .set({ at: number('now') })
      .where('adapter', '=', text('adapter'))
      .where('direction', '=', sql<Direction>`${sql.lit(direction)}`)
      .where('at', '>', number('now')),
  ),
)
const rebaseAbsences = statement(
  build
    .updateTable('absences')
    .set({ at: number('now') })
    .where('adapter', '=', text('adapter'))
    .where('at', '>', number('now')),
)
/** Their second read was due at a time that may be far off now. */
const askPending = statement(
  build
    .updateTable('principals')
    .set({
      next_at: sql`min(coalesce(next_at, ${number('now')}), ${number('now')})`,
      lane: sql<Lane>`case when lane = 3 then 1 else lane end`,
      read_due_at: sql`min(coalesce(read_due_at, ${number('now')}), ${number('now')})`,
    })
    .where('adapter', '=', text('adapter'))
    .where('id', 'in', absences.select('id').where(sql<boolean>`believed = 0`)),
)

type GuardReads = Pick<StoreReads, 'guardCount' | 'absence' | 'countAbsences'>

export const guardReads = (run: Run): GuardReads => ({
  guardCount: async (adapter, direction, since) => (await run.one(weight, { adapter, direction, since }))?.n ?? 0,
  absence: async ({ adapter, id }) => {
    const row = await run.one(absence, { adapter, id })
    return row === undefined ? undefined : { at: row.at, believed: row.believed === 1 }
  },
  countAbsences: async (adapter, since) => ({
    recent: (await run.one(recent, { adapter, since }))?.n ?? 0,
    pending: (await run.one(pending, { adapter }))?.n ?? 0,
  }),
})

type GuardWrites = Pick<StoreTx, 'addGuardEvent' | 'clearGuardEvents' | 'putAbsence' | 'deleteAbsence' | 'rebaseGuard'>

export const guardWrites = (run: Run): GuardWrites => ({
  addGuardEvent: async (adapter, direction, at, weight, did) => {
    await run.change(addEvent, { adapter, direction, at, weight, did })
  },
  clearGuardEvents: async (adapter, direction) => {
    await run.change(clearEvents, { adapter, direction })
  },
  putAbsence: async ({ adapter, id }, { at, believed }) => {
    const row = { adapter, id, at, believed: believed ? 1 : 0 }
    await run.change(absenceWriter.put(row), row)
  },
  deleteAbsence: async ({ adapter, id }) => {
    await run.change(dropAbsence, { adapter, id })
  },
  rebaseGuard: async (adapter, now) => {
    for (const made of [...rebaseEvents, rebaseAbsences, askPending]) await run.change(made, { adapter, now })
  },
})
