import { sql } from 'kysely'
import { type ReplicaReads, type ReplicaRow, type ReplicaWrites, settingsDid } from '../core/replica.ts'
import type { Origin, Severity } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import { maybe, parse } from './columns.ts'
import { build, number, type Run, raw, statement, text } from './statement.ts'

/** Everything decisions read of many DIDs: one statement, so one moment. */

const after = statement(
  build.selectFrom('changes').selectAll().where('seq', '>', number('seq')).orderBy('seq').limit(number('limit')),
)
const head = statement(build.selectFrom('sqlite_sequence').select('seq').where('name', '=', sql<string>`'changes'`))

interface Row {
  readonly did: string
  readonly seq: number | null
  readonly registered: number
  readonly name: string | null
  readonly blueprint: string | null
  readonly parent_did: string | null
  readonly decommissioned: number | null
  readonly resumed_at: number | null
  readonly delegated: number
  readonly expires_at: number | null
  readonly ended_at: number | null
  /** JSON lists, of lists but for the aliases. */
  readonly holds: string
  readonly accounts: string
  readonly aliases: string
  readonly sources: string
}

const wholeOf = sql`select wanted.did,
  (select seq from sqlite_sequence where name = 'changes') as seq,
  a.did is not null as registered, a.name, a.blueprint, a.parent_did, a.decommissioned, a.resumed_at,
  d.did is not null as delegated, d.expires_at, d.ended_at,
  (select json_group_array(json_array(origin, severity, public_reason, placed_at)) from (
    select origin, severity, public_reason, placed_at from holds
    where did = wanted.did and released_at is null order by placed_at, id)) as holds,
  (select json_group_array(json_array(adapter, id, kind, shared, json(scopes), observed_at)) from (
    select adapter, id, kind, shared, scopes, observed_at from principals where did = wanted.did and shared = 0
    union all
    select s.adapter, s.id, p.kind, p.shared, s.scopes, p.observed_at
      from sharers s join principals p on p.adapter = s.adapter and p.id = s.id where s.did = wanted.did
    order by adapter, id)) as accounts,
  (select json_group_array(alias) from (select alias from aliases where did = wanted.did order by alias)) as aliases,
  (select json_group_array(json_array(capability, source, confirmed_at)) from (
    select capability, source, confirmed_at from capability_sources
    where did = wanted.did order by capability, source)) as sources
  from wanted left join agents a on a.did = wanted.did left join delegations d on d.did = wanted.did`

const byDids = raw(sql<Row>`with wanted (did) as (select value from json_each(${text('dids')})) ${wholeOf}`)
const page = raw(
  sql<Row>`with wanted (did) as materialized (
    select did from (select did from agents where did > ${text('after')} order by did limit ${number('limit')})
    union
    select did from (
      select distinct did from holds where released_at is null and did > ${text('after')} order by did limit ${number('limit')}
    ) order by did limit ${number('limit')}
  ) ${wholeOf} order by wanted.did`,
)

const noteSettings = [
  statement(build.deleteFrom('changes').where('did', '=', text('did'))),
  raw(sql`insert into changes (did) values (${text('did')})`),
]

const toRow = (row: Row): ReplicaRow => ({
  did: row.did,
  seq: row.seq ?? 0,
  agent:
    row.registered === 0
      ? undefined
      : {
          ...(row.name !== null && { name: row.name }),
          blueprint: maybe(row.blueprint),
          parentDid: maybe(row.parent_did),
          decommissioned: row.decommissioned !== 0,
          resumedAt: maybe(row.resumed_at),
        },
  delegation: row.delegated === 0 ? undefined : { expiresAt: maybe(row.expires_at), endedAt: maybe(row.ended_at) },
  holds: parse<[Origin, Severity, string | null, number][]>(row.holds).map(
    ([origin, severity, publicReason, placedAt]) => ({ origin, severity, publicReason: maybe(publicReason), placedAt }),
  ),
  accounts: parse<[string, string, string, number, string[], number | null][]>(row.accounts).map(
    ([adapter, id, kind, shared, scopes, observedAt]) => ({
      adapter,
      id,
      kind,
      shared: shared !== 0,
      scopes,
      observedAt: maybe(observedAt),
    }),
  ),
  aliases: parse<string[]>(row.aliases),
  sources: parse<[string, string, number][]>(row.sources).map(([capability, source, confirmedAt]) => ({
    capability,
    source,
    confirmedAt,
  })),
})

/** A page larger than this lets other work have its turn afterwards. */
const many = 50

export const replicaReads = (run: Run): ReplicaReads => {
  const rows = async (found: Promise<Row[]>): Promise<ReplicaRow[]> => {
    const list = await found
    if (list.length > many) await breathe()
    return list.map(toRow)
  }
  return {
    changesAfter: (seq, limit) => run.all(after, { seq, limit }),
    changeHead: async () => (await run.one(head))?.seq ?? 0,
    replicaAfter: (did, limit) => rows(run.all(page, { after: did, limit })),
    replicaOf: (dids) => rows(run.all(byDids, { dids: JSON.stringify([...new Set(dids)]) })),
  }
}

export const replicaWrites = (run: Run): ReplicaWrites => ({
  noteSettings: async () => {
    for (const made of noteSettings) await run.change(made, { did: settingsDid })
  },
})
