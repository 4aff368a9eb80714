import { type ExpressionBuilder, sql } from 'kysely'
import type { AgentFilter } from '../core/filters.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent, Did } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import { toAgent } from './rows.ts'
import type { AgentTable, Schema } from './schema.ts'
import { build, number, type Run, statement, text } from './statement.ts'

const byDid = statement(build.selectFrom('agents').selectAll().where('did', '=', text('did')))
const childrenOf = statement(
  build.selectFrom('agents').select('did').where('parent_did', '=', text('did')).orderBy('did'),
)
/** SQLite takes the rows of a recursion first in, first out: the nearest come first. `union` drops what was seen. */
const below = statement(
  build
    .withRecursive('below(did)', (db) =>
      db
        .selectFrom('agents')
        .select('did')
        .where('parent_did', '=', text('did'))
        .union(db.selectFrom('below').innerJoin('agents', 'agents.parent_did', 'below.did').select('agents.did')),
    )
    .selectFrom('below')
    .select('did')
    .where('did', '<>', text('did')),
)
const windowEnd = statement(
  build
    .selectFrom('agents')
    .select('did')
    .where('did', '>', text('after'))
    .orderBy('did')
    .offset(number('rows'))
    .limit(1),
)
type Where = ExpressionBuilder<Schema, 'agents'>

const openHoldOf = (eb: Where) =>
  eb.exists(
    eb
      .selectFrom('holds')
      .select('holds.id')
      .whereRef('holds.did', '=', 'agents.did')
      .where('holds.released_at', 'is', null),
  )

const status = (eb: Where, wanted: NonNullable<AgentFilter['status']>) => {
  if (wanted === 'decommissioned') return eb('decommissioned', '=', 1)
  const open = openHoldOf(eb)
  return eb.and([eb('decommissioned', '=', 0), wanted === 'suspended' ? open : eb.not(open)])
}

const mappedIn = (eb: Where, adapter: string) =>
  eb.or([
    eb.exists(
      eb
        .selectFrom('principals as p')
        .select('p.id')
        .whereRef('p.did', '=', 'agents.did')
        .where('p.adapter', '=', adapter),
    ),
    eb.exists(
      eb
        .selectFrom('sharers as s')
        .select('s.id')
        .whereRef('s.did', '=', 'agents.did')
        .where('s.adapter', '=', adapter),
    ),
  ])

/** `%`, `_` and the escape itself stand for themselves. */
const pattern = (part: string): string => `%${part.toLowerCase().replace(/[\\%_]/g, (c) => `\\${c}`)}%`

const search = (eb: Where, q: string) => {
  const like = pattern(q)
  return eb.or([sql<boolean>`lower(did) like ${like} escape '\\'`, sql<boolean>`folded like ${like} escape '\\'`])
}

const matching = (filter: AgentFilter, after: Did) => {
  let query = build.selectFrom('agents').selectAll().where('did', '>', after).orderBy('did')
  const { adapter, blueprint, label, parentDid, q, sponsor } = filter
  if (filter.status !== undefined) {
    const wanted = filter.status
    query = query.where((eb) => status(eb, wanted))
  }
  if (wantsHeld(filter)) {
    query = query.where('did', 'in', (eb) =>
      eb.selectFrom('holds').select('holds.did').where('released_at', 'is', null).where('holds.did', '>', after),
    )
  }
  if (sponsor !== undefined) {
    // Two look-ups by index; an OR over both columns is one too, but not when a label is asked for as well.
    const ids = (eb: Where) =>
      eb
        .selectFrom('agents as e')
        .select('e.did')
        .where('e.sponsor_email', '=', sponsor.toLowerCase())
        .union(eb.selectFrom('agents as i').select('i.did').where('i.sponsor_id', '=', sponsor))
    query = query.where('did', 'in', ids)
  }
  if (blueprint !== undefined) query = query.where('blueprint', '=', blueprint)
  if (parentDid !== undefined) query = query.where('parent_did', '=', parentDid)
  if (label !== undefined) {
    const labelled = (eb: Where) =>
      eb
        .selectFrom('agent_labels as l')
        .select('l.did')
        .where('l.key', '=', label.key)
        .where('l.value', '=', label.value)
    query = query.where('did', 'in', labelled)
  }
  if (adapter !== undefined) {
    query = query.where((eb) => mappedIn(eb, adapter))
  }
  return q === undefined ? query : query.where((eb) => search(eb, q))
}

const wantsHeld = (filter: AgentFilter): boolean => filter.status === 'suspended'
/** An index leads straight to the few that match. */
const selective = (filter: AgentFilter): boolean =>
  filter.sponsor !== undefined ||
  filter.blueprint !== undefined ||
  filter.parentDid !== undefined ||
  filter.label !== undefined ||
  wantsHeld(filter)

/** Rows looked at in one go where no index helps: some milliseconds, then other work gets its turn. */
const windowRows = 4000

const agents = async (run: Run, filter: AgentFilter): Promise<Agent[]> => {
  const found: AgentTable[] = []
  let after = filter.after ?? ''
  if (selective(filter)) return (await run.query(matching(filter, after).limit(filter.limit))).map(toAgent)
  while (found.length < filter.limit) {
    const end = (await run.one(windowEnd, { after, rows: windowRows - 1 }))?.did
    const window = matching(filter, after).limit(filter.limit - found.length)
    found.push(...(await run.query(end === undefined ? window : window.where('did', '<=', end))))
    if (end === undefined) break
    after = end
    await breathe()
  }
  return found.map(toAgent)
}

type AgentReads = Pick<StoreReads, 'agent' | 'agents' | 'children' | 'descendants'>

export const agentReads = (run: Run): AgentReads => ({
  agent: async (did) => {
    const row = await run.one(byDid, { did })
    return row === undefined ? undefined : toAgent(row)
  },
  agents: (filter) => agents(run, filter),
  children: async (did) => (await run.all(childrenOf, { did })).map((row) => row.did),
  descendants: async (did) => (await run.all(below, { did })).map((row) => row.did),
})
