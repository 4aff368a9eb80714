import { sql } from 'kysely'
import {
  type Delegation,
  type DelegationReads,
  type DelegationWrites,
  type Link,
  mostHops,
} from '../core/delegation.ts'
import { breathe } from '../lib/breathe.ts'
import { maybe, parse } from './columns.ts'
import type { DelegationTable } from './schema.ts'
import { build, number, type Run, raw, rowWriter, statement, text } from './statement.ts'

/** Delegations, and chains of agents with all that narrowing needs of each: one statement a chain, one a family. */

const writer = rowWriter('delegations', ['did'])
const ofDid = statement(build.selectFrom('delegations').selectAll().where('did', '=', text('did')))
const drop = statement(build.deleteFrom('delegations').where('did', '=', text('did')))
const end = statement(
  build
    .updateTable('delegations')
    .set({ ended_at: number('at') })
    .where('did', 'in', sql<string>`(select value from json_each(${text('dids')}))`)
    .where('ended_at', 'is', null),
)
const untold = build.selectFrom('delegations').where('ended_at', 'is', null).where('expires_at', 'is not', null)
const due = statement(
  untold
    .select('did')
    .where('expires_at', '<=', number('now'))
    .orderBy('expires_at')
    .orderBy('did')
    .limit(number('limit')),
)
const next = statement(untold.select('expires_at').orderBy('expires_at').limit(1))

interface LinkRow {
  readonly did: string
  readonly parent_did: string | null
  readonly blueprint: string | null
  readonly expires_at: number | null
  readonly ended_at: number | null
  /** A JSON list. */
  readonly own: string
}

const linked = sql`a.did, a.parent_did, a.blueprint, d.expires_at, d.ended_at,
  (select json_group_array(distinct s.capability) from capability_sources s where s.did = a.did) as own`
// Told how far up by the hop, so that a cycle ends as a chain that is too long does.
const chain = raw(
  sql<LinkRow>`with recursive above (did, hop) as (
    select ${text('did')}, 0
    union all
    select agents.parent_did, above.hop + 1 from above cross join agents on agents.did = above.did
    where agents.parent_did is not null and above.hop <= ${sql.lit(mostHops)}
  ) select ${linked} from above cross join agents a on a.did = above.did
    left join delegations d on d.did = a.did order by above.hop`,
)
// `union` drops what was there: a cycle ends.
const around = raw(
  sql<LinkRow>`with recursive above (did) as (
    select value from json_each(${text('dids')})
    union
    select agents.parent_did from above cross join agents on agents.did = above.did
    where agents.parent_did is not null
  ), below (did) as (
    select value from json_each(${text('dids')})
    union
    select agents.did from below cross join agents on agents.parent_did = below.did
  ) select ${linked} from (select did from above union select did from below) family
    cross join agents a on a.did = family.did left join delegations d on d.did = a.did`,
)
const height = raw(
  sql<{ hops: number }>`with recursive below (did, hop) as (
    select ${text('did')}, 0
    union
    select agents.did, below.hop + 1 from below cross join agents on agents.parent_did = below.did
    where below.hop <= ${sql.lit(mostHops)}
  ) select max(hop) as hops from below`,
)

const toLink = (row: LinkRow): Link => ({
  did: row.did,
  parentDid: maybe(row.parent_did),
  blueprint: maybe(row.blueprint),
  own: parse(row.own),
  expiresAt: maybe(row.expires_at),
  endedAt: maybe(row.ended_at),
})

const toDelegation = (row: DelegationTable): Delegation => ({
  did: row.did,
  parentDid: row.parent_did,
  capabilities: parse(row.capabilities),
  grantedAt: row.granted_at,
  grantedBy: row.granted_by,
  expiresAt: maybe(row.expires_at),
  endedAt: maybe(row.ended_at),
  key: maybe(row.key),
  signature: maybe(row.signature),
})

const fromDelegation = (of: Delegation): DelegationTable => ({
  did: of.did,
  parent_did: of.parentDid,
  capabilities: JSON.stringify(of.capabilities),
  granted_at: of.grantedAt,
  granted_by: of.grantedBy,
  expires_at: of.expiresAt ?? null,
  ended_at: of.endedAt ?? null,
  key: of.key ?? null,
  signature: of.signature ?? null,
})

/** A family larger than this lets other work have its turn afterwards. */
const many = 200

export const delegationReads = (run: Run): DelegationReads => ({
  delegation: async (did) => {
    const row = await run.one(ofDid, { did })
    return row === undefined ? undefined : toDelegation(row)
  },
  chain: async (did) => (await run.all(chain, { did })).map(toLink),
  linksAround: async (dids) => {
    const rows = await run.all(around, { dids: JSON.stringify([...new Set(dids)]) })
    if (rows.length > many) await breathe()
    return rows.map(toLink)
  },
  heightBelow: async (did) => (await run.one(height, { did }))?.hops ?? 0,
  dueDelegations: async (now, limit) => (await run.all(due, { now, limit })).map(({ did }) => did),
  nextDelegationEnd: async () => (await run.one(next))?.expires_at ?? undefined,
})

export const delegationWrites = (run: Run): DelegationWrites => ({
  putDelegation: async (delegation) => {
    const row = fromDelegation(delegation)
    await run.change(writer.put(row), row)
  },
  deleteDelegation: async (did) => {
    await run.change(drop, { did })
  },
  endDelegations: async (dids, at) => {
    await run.change(end, { dids: JSON.stringify(dids), at })
  },
})
