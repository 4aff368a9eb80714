import { sql } from 'kysely'
import type { Lane, ScheduledPrincipal, StoreReads } from '../core/store.ts'
import { toPrincipal } from './rows.ts'
import { heldSharer, principalsOfDid } from './sharers.ts'
import { build, number, type Run, statement, text } from './statement.ts'

const inAdapter = build.selectFrom('principals').selectAll().where('adapter', '=', text('adapter'))
const scheduled = build
  .selectFrom('principals')
  .where('adapter', '=', text('adapter'))
  .where('lane', '=', number<Lane>('lane'))
  .where('next_at', 'is not', null)
const ids = sql<string>`(select value from json_each(${text('ids')}))`

const byKey = statement(inAdapter.where('id', '=', text('id')))
const byIds = statement(inAdapter.where('id', 'in', ids))
const named = statement(inAdapter.where('id', '>=', text('from')).where('id', '<', text('to')).orderBy('id'))
const counts = build.selectFrom('principal_counts')
const count = statement(counts.select('n').where('adapter', '=', text('adapter')))
const adapters = statement(counts.select('adapter').where('n', '>', 0).orderBy('adapter'))
const dueOf = statement(
  scheduled.selectAll().where('next_at', '<=', number('now')).orderBy('next_at').orderBy('id').limit(number('limit')),
)
const next = statement(scheduled.select('next_at').orderBy('next_at').limit(1))
const depth = statement(scheduled.select((eb) => eb.fn.countAll<number>().as('n')))
const unasked = inAdapter.where('read_due_at', 'is', null)
const neverSeen = statement(unasked.where('observed_at', 'is', null).orderBy('id').limit(number('limit')))
const seenBefore = statement(
  unasked.where('observed_at', '<', number('before')).orderBy('observed_at').orderBy('id').limit(number('limit')),
)
const seenAhead = statement(
  unasked.where('observed_at', '>', number('now')).orderBy('observed_at').orderBy('id').limit(number('limit')),
)
const counted = build
  .selectFrom('principals')
  .select((eb) => eb.fn.countAll<number>().as('n'))
  .where('adapter', '=', text('adapter'))
const countNeverSeen = statement(counted.where('observed_at', 'is', null))
const countSeenBefore = statement(counted.where('observed_at', '<', number('before')))
const countSeenAhead = statement(counted.where('observed_at', '>', number('now')))
/** Spelled as the condition of the index. */
const countUnseen = statement(counted.where(sql<boolean>`observed in ('absent', 'unknown')`))
/** Whoever was mapped since then and is there was read since then too, but for a read that was under way. */
const countMappedSince = statement(
  counted
    .where('observed_at', '>=', number('since'))
    .where('mapped_at', '>=', number('since'))
    .where('mapped_at', '<=', number('now'))
    .where(sql<boolean>`observed not in ('absent', 'unknown')`),
)
const oldest = statement(
  build
    .selectFrom('principals')
    .select('observed_at')
    .where('adapter', '=', text('adapter'))
    .where('observed_at', 'is not', null)
    .orderBy('observed_at')
    .limit(1),
)
/** The first half is the condition of the index, the second makes it the better one to the planner. */
export const isMarked = sql<boolean>`mark <> 'none' and mark in ('claimed', 'ours', 'lifted')`
const marked = statement(
  build.selectFrom('principals').select('id').where('adapter', '=', text('adapter')).where(isMarked).limit(1),
)
const countFailing = statement(
  build
    .selectFrom('principals')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where(sql<string>`+adapter`, '=', text('adapter'))
    .where(isMarked)
    .where('attempts', '>', sql<number>`0`),
)
/** From the open holds, which are few, to their principals; `+` keeps the planner from walking the whole adapter. */
const held = statement(
  build
    .selectFrom('holds as h')
    .innerJoin('principals as p', 'p.did', 'h.did')
    .select('p.id')
    .where('h.released_at', 'is', null)
    .where(sql<string>`+p.adapter`, '=', text('adapter'))
    .limit(1),
)
const ownHold = statement(
  build
    .selectFrom('holds')
    .select('id')
    .where('released_at', 'is', null)
    .where('origin', '>=', text('from'))
    .where('origin', '<', text('to'))
    .limit(1),
)

const lanes: readonly Lane[] = [0, 1, 2, 3, 4]

type PrincipalReads = Pick<
  StoreReads,
  | 'principal'
  | 'principalsOf'
  | 'principalsById'
  | 'principalsNamed'
  | 'countPrincipals'
  | 'countUnseen'
  | 'countMappedSince'
  | 'due'
  | 'nextDue'
  | 'laneDepth'
  | 'stale'
  | 'countStale'
  | 'oldestReading'
  | 'countFailing'
  | 'engaged'
  | 'adaptersWithPrincipals'
>

const stale: (run: Run) => PrincipalReads['stale'] = (run) => async (adapter, before, now, limit) => {
  const found = await run.all(neverSeen, { adapter, limit })
  if (found.length < limit) found.push(...(await run.all(seenBefore, { adapter, before, limit: limit - found.length })))
  if (found.length < limit) found.push(...(await run.all(seenAhead, { adapter, now, limit: limit - found.length })))
  return found.map(toPrincipal)
}

export const principalReads = (run: Run): PrincipalReads => ({
  principal: async ({ adapter, id }) => {
    const row = await run.one(byKey, { adapter, id })
    return row === undefined ? undefined : toPrincipal(row)
  },
  principalsOf: async (did) => (await run.all(principalsOfDid, { did })).map(toPrincipal),
  principalsById: async (adapter, wanted) =>
    wanted.length === 0 ? [] : (await run.all(byIds, { adapter, ids: JSON.stringify(wanted) })).map(toPrincipal),
  principalsNamed: async (adapter, names) => {
    const found: ScheduledPrincipal[] = []
    // `$` is what follows `#`.
    for (const name of new Set(names))
      found.push(...(await run.all(named, { adapter, from: `${name}#`, to: `${name}$` })).map(toPrincipal))
    return found
  },
  countPrincipals: async (adapter) => (await run.one(count, { adapter }))?.n ?? 0,
  countUnseen: async (adapter) => (await run.one(countUnseen, { adapter }))?.n ?? 0,
  countMappedSince: async (adapter, since, now) => (await run.one(countMappedSince, { adapter, since, now }))?.n ?? 0,
  due: async (adapter, lane, now, limit) => (await run.all(dueOf, { adapter, lane, now, limit })).map(toPrincipal),
  nextDue: async (adapter, lane) => (await run.one(next, { adapter, lane }))?.next_at ?? undefined,
  laneDepth: async (adapter) => {
    const depths: { lane: Lane; due: number }[] = []
    for (const lane of lanes) depths.push({ lane, due: (await run.one(depth, { adapter, lane }))?.n ?? 0 })
    return depths
  },
  stale: stale(run),
  countStale: async (adapter, before, now) => {
    const never = (await run.one(countNeverSeen, { adapter }))?.n ?? 0
    const early = (await run.one(countSeenBefore, { adapter, before }))?.n ?? 0
    return never + early + ((await run.one(countSeenAhead, { adapter, now }))?.n ?? 0)
  },
  oldestReading: async (adapter) => (await run.one(oldest, { adapter }))?.observed_at ?? undefined,
  countFailing: async (adapter) => (await run.one(countFailing, { adapter }))?.n ?? 0,
  engaged: async (adapter) =>
    (await run.one(marked, { adapter })) !== undefined ||
    (await run.one(ownHold, { from: `adapter:${adapter}/`, to: `adapter:${adapter}0` })) !== undefined ||
    (await run.one(held, { adapter })) !== undefined ||
    (await run.one(heldSharer, { adapter })) !== undefined,
  adaptersWithPrincipals: async () => (await run.all(adapters)).map((row) => row.adapter),
})
