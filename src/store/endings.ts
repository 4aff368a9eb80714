import { sql } from 'kysely'
import type { CascadeEnd, EndReads, EndWrites } from '../core/ending.ts'
import { BridgeError } from '../core/errors.ts'
import { breathe } from '../lib/breathe.ts'
import { fromLeg, toHold } from './rows.ts'
import type { HoldTable, Schema } from './schema.ts'
import { wakeDid, wakeShared } from './sharers.ts'
import { build, number, type Run, raw, rowWriter, statement, text } from './statement.ts'

/** Holds that end by the set: an agent may be released together with thousands of descendants. */

const legWriter = rowWriter('legs', ['hold_id', 'type', 'adapter', 'id'])
const endWriter = rowWriter('cascade_ends', ['ancestor'])

const ends = statement(build.selectFrom('cascade_ends').selectAll().orderBy('at').orderBy('ancestor'))
const dropEnd = statement(build.deleteFrom('cascade_ends').where('ancestor', '=', text('ancestor')))
// Nearest first, as the recursion finds them, and only as far as the limit goes. `union` drops what was there: a cycle ends.
const below = raw(
  sql<HoldTable>`with recursive family (did) as (
    select did from agents where parent_did = ${text('ancestor')}
    union
    select agents.did from family cross join agents on agents.parent_did = family.did
  ) select h.* from family cross join holds h
    on h.did = family.did and h.origin = 'cascade:' || ${text('ancestor')} and h.released_at is null
    and (${text('severity')} = '' or h.severity <> ${text('severity')} or h.guarded <> ${number('guarded')})
    limit ${number('limit')}`,
)

const listed = sql<string>`(select value from json_each(${text('list')}))`
const close = statement(
  build
    .updateTable('holds')
    .set({ released_at: number('at') })
    .where('id', 'in', listed)
    .where('released_at', 'is', null),
)
const countHolds = statement(
  build
    .selectFrom('holds')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('id', 'in', listed),
)
const voidAwaiting = statement(
  build
    .updateTable('releases')
    .set({ status: sql<'void'>`'void'` })
    .where('hold_id', 'in', listed)
    .where('status', '=', sql<'awaiting'>`'awaiting'`),
)
const resumed = statement(
  build
    .updateTable('agents')
    .set({
      resumed_at: sql<number>`max(coalesce(resumed_at, ${number('at')}), ${number('at')})`,
      updated_at: number('at'),
    })
    .where('did', 'in', listed),
)

const toEnd = (row: Schema['cascade_ends']): CascadeEnd => ({
  ancestor: row.ancestor,
  at: row.at,
  actor: row.actor,
  requestId: row.request_id ?? undefined,
})

export const endReads = (run: Run): EndReads => ({
  cascadeHolds: async (ancestor, limit, unlike) => {
    const differs = { severity: unlike?.severity ?? '', guarded: unlike?.guarded ? 1 : 0 }
    const rows = await run.all(below, { ancestor, limit, ...differs })
    if (rows.length > 1) await breathe()
    return rows.map(toHold)
  },
  cascadeEnds: async () => (await run.all(ends)).map(toEnd),
})

export const endWrites = (run: Run): EndWrites => ({
  putCascadeEnd: async ({ ancestor, at, actor, requestId }) => {
    const row = { ancestor, at, actor, request_id: requestId ?? null }
    await run.change(endWriter.put(row), row)
  },
  dropCascadeEnd: async (ancestor) => {
    await run.change(dropEnd, { ancestor })
  },
  closeHolds: async (ids, at) => {
    const list = JSON.stringify(ids)
    if ((await run.change(close, { list, at })) === ids.length) return
    const known = (await run.one(countHolds, { list }))?.n ?? 0
    if (known < new Set(ids).size) throw new BridgeError('E_HOLD_UNKNOWN', 'No such hold.')
  },
  voidReleases: async (holdIds) => {
    await run.change(voidAwaiting, { list: JSON.stringify(holdIds) })
  },
  saveLegs: async (legs) => {
    const rows = legs.map(fromLeg)
    const [first] = rows
    if (first !== undefined) await run.each(legWriter.put(first), rows)
  },
  noteResumed: async (dids, at) => {
    await run.change(resumed, { list: JSON.stringify(dids), at })
  },
  wake: async (dids, at, lane) => {
    const rows = dids.map((did) => ({ did, at, lane }))
    await run.each(wakeDid, rows)
    await run.each(wakeShared, rows)
  },
})
