import { sql } from 'kysely'
import { type PlacedStatus, type StatusReads, type StatusWrites, statusValues } from '../core/statuslist.ts'
import { maybe } from './columns.ts'
import { inserting } from './constraints.ts'
import { build, number, type Run, raw, slot, statement, text } from './statement.ts'

/** Places of agents in the status lists. */

const ofDid = statement(build.selectFrom('status_places').select(['list', 'idx']).where('did', '=', text('did')))
const newest = statement(
  build.selectFrom('status_places').select('list').where('list', '>', 0).orderBy('list', 'desc').limit(1),
)
const at = statement(
  build.selectFrom('status_places').select('did').where('list', '=', number('list')).where('idx', '=', number('idx')),
)
const insert = raw(
  sql`insert into status_places (list, idx, did) values (${slot('list')}, ${slot('idx')}, ${slot('did')})`,
)

interface Row {
  readonly did: string
  readonly list: number
  readonly idx: number
  readonly value: number
  readonly resumed_at: number | null
}

/** The `cross join` keeps the order: what is asked about is little, the places may be a million. */
const among = (dids: ReturnType<typeof sql>) => sql<Row>`
  select p.did, p.list, p.idx, a.resumed_at,
    case when a.decommissioned = 1 then ${statusValues.invalid}
      when exists (select 1 from holds h where h.did = p.did and h.released_at is null) then ${statusValues.suspended}
      else ${statusValues.valid} end as value
  from (${dids}) d cross join status_places p on p.did = d.did cross join agents a on a.did = p.did`
const some = raw(among(sql`select value as did from json_each(${text('list')})`))
const toTell = raw(
  among(sql`
    select did from holds where released_at is null
    union select did from agents indexed by agents_resumed where resumed_at is not null and resumed_at >= ${number('since')}`),
)

const toStatus = ({ resumed_at, ...row }: Row): PlacedStatus => ({ ...row, resumedAt: maybe(resumed_at) })

export const statusReads = (run: Run): StatusReads => ({
  statusPlace: (did) => run.one(ofDid, { did }),
  statusesOf: async (dids) => (await run.all(some, { list: JSON.stringify(dids) })).map(toStatus),
  statusesToTell: async (since) => (await run.all(toTell, { since })).map(toStatus),
  newestStatusList: async () => (await run.one(newest))?.list ?? 0,
})

export const statusWrites = (run: Run): StatusWrites => ({
  takeStatusPlace: async (did, { list, idx }) => {
    if ((await run.one(at, { list, idx })) !== undefined) return false
    await inserting(() => run.change(insert, { list, idx, did }), 'E_EXISTS', 'E_AGENT_UNKNOWN')
    return true
  },
})
