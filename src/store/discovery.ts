import { sql } from 'kysely'
import type { DiscoveryReads, Mapped } from '../core/discovery.ts'
import { build, number, type Run, statement, text } from './statement.ts'

const mapped = build
  .selectFrom('principals as p')
  .innerJoin('agents as a', 'a.did', 'p.did')
  .select(['p.id', 'p.kind', 'p.did', 'p.app_id', 'p.shared', 'a.name', 'a.decommissioned'])
  .where('p.adapter', '=', text('adapter'))

const after = statement(mapped.where('p.id', '>', text('after')).orderBy('p.id').limit(number('limit')))

const list = (name: string) => sql<string>`(select value from json_each(${text(name)}))`
/** Spelled as the condition of the index: accounts that are gone are few. */
const missing = statement(
  mapped
    .where(sql<boolean>`p.observed in ('absent', 'unknown')`)
    .where((eb) =>
      eb.or([
        eb('p.app_id', 'in', list('appIds')),
        eb('a.name', 'in', list('names')),
        eb(sql<string>`nullif(substr(p.id, 1, instr(p.id, '#') - 1), '')`, 'in', list('stems')),
      ]),
    )
    .orderBy('p.id')
    .limit(number('limit')),
)

interface Row {
  readonly id: string
  readonly kind: string
  readonly did: string
  readonly app_id: string | null
  readonly shared: number
  readonly name: string
  readonly decommissioned: number
}

const toMapped = (row: Row): Mapped => ({
  id: row.id,
  kind: row.kind,
  did: row.did,
  agent: row.name,
  appId: row.app_id ?? undefined,
  shared: row.shared === 1,
  decommissioned: row.decommissioned === 1,
})

export const discoveryReads = (run: Run): DiscoveryReads => ({
  mappedAfter: async (adapter, from, limit) => (await run.all(after, { adapter, after: from, limit })).map(toMapped),
  missingLike: async (adapter, { appIds, names, stems }, limit) => {
    const like = { appIds: JSON.stringify(appIds), names: JSON.stringify(names), stems: JSON.stringify(stems) }
    return (await run.all(missing, { adapter, ...like, limit })).map(toMapped)
  },
})
