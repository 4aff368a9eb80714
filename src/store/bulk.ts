import { sql } from 'kysely'
import type { BulkReads, BulkWrites, KillAccounts, KillItem } from '../core/masskill.ts'
import type { Account, Did } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import { appendAll } from './audit.ts'
import { inserting } from './constraints.ts'
import { fromKill, toKill } from './killrows.ts'
import { fromAccount, fromHold, fromSchedule, fromSignal } from './rows.ts'
import { build, number, type Run, raw, rowWriter, type Statement, statement, text, type Values } from './statement.ts'

/** What needs thousands of rows: sets in one statement, rows by one prepared statement. */

const holdWriter = rowWriter('holds', ['id'])
const accountWriter = rowWriter('principals', ['adapter', 'id'])
/** Without the columns of readings, and so without rewriting the indexes over them: most of what a claim would cost. */
const markWriter = rowWriter('principals', ['adapter', 'id'])
const signalWriter = rowWriter('signals', ['seq'])
const killWriter = rowWriter('kills', ['id'])
const itemWriter = rowWriter('kill_items', ['kill_id', 'n'])

// Rows come out in the order they were found: nearest first. `union` drops what was there: a cycle ends.
const families = raw(
  sql<{ ancestor: string; did: string }>`with recursive family (ancestor, did) as (
    select value, value from json_each(${text('dids')})
    union
    select family.ancestor, agents.did from family join agents on agents.parent_did = family.did
  ) select ancestor, did from family where did <> ancestor`,
)

const kills = build.selectFrom('kills').selectAll()
const killById = statement(kills.where('id', '=', text('id')))
const recent = statement(
  kills.where('at', '>=', number('since')).orderBy('at', 'desc').orderBy('id', 'desc').limit(number('limit')),
)
const unfinished = statement(kills.where('done_at', 'is', null).orderBy('at').orderBy('id'))
const itemsOf = statement(
  build
    .selectFrom('kill_items')
    .leftJoin('holds', 'holds.id', 'kill_items.hold_id')
    .select(['n', 'hold_id as holdId', (eb) => eb.fn.coalesce('holds.did', 'kill_items.did').as('did')])
    .where('kill_id', '=', text('id'))
    .where('n', '>', number('after'))
    .orderBy('n')
    .limit(number('limit')),
)
const target = sql`from kill_items i cross join holds h on h.id = i.hold_id and h.released_at is null`
const state = sql`case
    when p.mark = 'ours' or (p.mark = 'claimed' and p.disabled_ack_at is not null) then 'off'
    when p.mark = 'none' and p.observed in ('disabled', 'absent') then 'off'
    when p.shared = 1 and p.mark in ('none', 'lifted') then 'shared'
    when p.attempts > 0 or p.contested = 1 then 'failed'
    else 'pending' end as state`
// The targets lead: each is one look-up of its hold and one of its accounts, whatever else the store holds.
const accounts = raw(
  sql<KillAccounts>`select adapter, kind, state, count(*) as n from (
    select p.adapter, p.kind, ${state} ${target} cross join principals p on p.did = h.did and p.shared = 0
    where i.kill_id = ${text('id')}
    union all
    select adapter, kind, state from (
      select distinct p.adapter, p.id, p.kind, ${state} ${target} cross join sharers s on s.did = h.did
        cross join principals p on p.adapter = s.adapter and p.id = s.id
      where i.kill_id = ${text('id')}
    )
  ) group by 1, 2, 3 order by 1, 2, 3`,
)
const released = raw(
  sql<{ n: number }>`select count(*) as n from kill_items i cross join holds h on h.id = i.hold_id
  where i.kill_id = ${text('id')} and h.released_at is not null`,
)
const advance = statement(
  build
    .updateTable('kills')
    .set({ placed: number('placed'), done_at: sql<number | null>`${number('done')}` })
    .where('id', '=', text('id')),
)

const isReadAs = (account: Account, before: Account): boolean =>
  account.observed === before.observed &&
  account.observedAt === before.observedAt &&
  account.switches === before.switches &&
  account.dependsOn === before.dependsOn &&
  account.readDueAt === before.readDueAt &&
  account.readAgainAt === before.readAgainAt

const withoutReading = (values: ReturnType<typeof fromAccount> & Values): Values => {
  const {
    observed: _o,
    observed_at: _at,
    switches: _s,
    depends_on: _d,
    read_due_at: _r,
    read_again_at: _a,
    ...rest
  } = values
  return rest
}

/** A set that takes longer lets other work have its turn afterwards. */
const longSet = 200

const bySet = async <R, T>(run: Run, made: Statement<R>, wanted: readonly Did[], to: (row: R) => T): Promise<T[]> => {
  if (wanted.length === 0) return []
  const rows = await run.all(made, { dids: JSON.stringify([...new Set(wanted)]) })
  if (rows.length > longSet) await breathe()
  return rows.map(to)
}

export const bulkReads = (run: Run): BulkReads => ({
  families: (wanted) => bySet(run, families, wanted, (row) => row),
  kill: async (id) => {
    const row = await run.one(killById, { id })
    return row === undefined ? undefined : toKill(row)
  },
  killItems: async (id, after, limit): Promise<KillItem[]> => run.all(itemsOf, { id, after, limit }),
  killAccounts: async (id) => {
    const rows = await run.all(accounts, { id })
    // Ten thousand targets take their time, and the status counts several kills.
    await breathe()
    return rows
  },
  killReleased: async (id) => (await run.one(released, { id }))?.n ?? 0,
  recentKills: async (since, limit) => (await run.all(recent, { since, limit })).map(toKill),
  unfinishedKills: async () => (await run.all(unfinished)).map(toKill),
})

const rowsOf = async (run: Run, make: (row: Values) => Statement<unknown>, rows: readonly Values[]): Promise<void> => {
  for (let at = 0; at < rows.length; at += longSet) {
    const part = rows.slice(at, at + longSet)
    const [first] = part
    if (first !== undefined) await run.each(make(first), part)
    if (at + longSet < rows.length) await breathe()
  }
}

export const bulkWrites = (run: Run): BulkWrites => ({
  insertHolds: (holds) => inserting(() => rowsOf(run, holdWriter.insert, holds.map(fromHold)), 'E_EXISTS', 'E_BUG'),
  saveAccounts: async (rows) => {
    const whole: Values[] = []
    const unread: Values[] = []
    for (const { key, account, schedule, before } of rows) {
      const values = { adapter: key.adapter, id: key.id, ...fromAccount(account), ...fromSchedule(schedule) }
      if (before === undefined || !isReadAs(account, before)) whole.push(values)
      else unread.push(withoutReading(values))
    }
    await rowsOf(run, accountWriter.update, whole)
    await rowsOf(run, markWriter.update, unread)
  },
  appendSignals: (signals) => rowsOf(run, signalWriter.insert, signals.map(fromSignal)),
  appendAudits: async (events) => {
    for (let at = 0; at < events.length; at += longSet) {
      await appendAll(run, events.slice(at, at + longSet))
      if (at + longSet < events.length) await breathe()
    }
  },
  insertKill: async (kill, items) => {
    const row = fromKill(kill)
    await run.change(killWriter.insert(row), row)
    await rowsOf(
      run,
      itemWriter.insert,
      items.map(({ n, did, holdId }) => ({ kill_id: kill.id, n, did, hold_id: holdId })),
    )
  },
  advanceKill: async (id, placed, doneAt) => {
    await run.change(advance, { id, placed, done: doneAt ?? null })
  },
})
