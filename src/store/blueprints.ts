import { sql } from 'kysely'
import type { Blueprint, BlueprintOrigin, BlueprintReads, BlueprintWrites } from '../core/blueprints.ts'
import { flag, maybe, parse } from './columns.ts'
import { kindOf } from './rows.ts'
import type { BlueprintTable } from './schema.ts'
import { build, number, type Run, raw, rowWriter, statement, text } from './statement.ts'

const blueprintWriter = rowWriter('blueprints', ['name', 'origin'])
const regrantWriter = rowWriter('regrants', ['name'])

const all = build.selectFrom('blueprints').selectAll()
// 'config' sorts after 'api'.
const inForce = statement(all.where('name', '=', text('name')).orderBy('origin', 'desc').limit(1))
const page = raw(
  sql<BlueprintTable>`select * from blueprints b where name > ${text('after')}
    and (origin = 'config' or not exists (select 1 from blueprints c where c.name = b.name and c.origin = 'config'))
    order by name limit ${number('limit')}`,
)
const ofOrigin = statement(all.where('origin', '=', text<BlueprintOrigin>('origin')).orderBy('name'))
const drop = statement(
  build.deleteFrom('blueprints').where('name', '=', text('name')).where('origin', '=', text<BlueprintOrigin>('origin')),
)
const carriers = statement(
  build
    .selectFrom('agents')
    .select('did')
    .where('blueprint', '=', text('name'))
    .where('did', '>', text('after'))
    .orderBy('did')
    .limit(number('limit')),
)
const carrier = statement(
  build
    .selectFrom('agents')
    .select('did')
    .where('blueprint', '=', text('name'))
    .where('decommissioned', '=', 0)
    .limit(1),
)
const regrants = statement(build.selectFrom('regrants').selectAll().orderBy('name'))
const dropRegrant = statement(build.deleteFrom('regrants').where('name', '=', text('name')))

const dids = sql<string>`(select value from json_each(${text('dids')}))`
const names = sql<string>`(select value from json_each(${text('names')}))`
const wrong = raw(
  sql<{ did: string }>`select d.value as did from json_each(${text('dids')}) d where
    exists (select 1 from capability_sources s
      where s.did = d.value and s.source = ${text('source')} and s.capability not in ${names})
    or exists (select 1 from json_each(${text('names')}) n where not exists (select 1 from capability_sources s
      where s.did = d.value and s.capability = n.value and s.source = ${text('source')}))`,
)
const revoke = statement(
  build
    .deleteFrom('capability_sources')
    .where('did', 'in', dids)
    .where('source', '=', text('source'))
    .where('capability', 'not in', names),
)
const grant = raw(
  sql`insert into capability_sources (did, capability, source, kind, confirmed_at)
    select d.value, n.value, ${text('source')}, ${text('kind')}, ${number('at')}
    from json_each(${text('dids')}) d cross join json_each(${text('names')}) n where true
    on conflict do nothing`,
)

const toBlueprint = (row: BlueprintTable): Blueprint => ({
  name: row.name,
  origin: row.origin,
  description: maybe(row.description),
  capabilities: parse(row.capabilities),
  requireSponsor: row.require_sponsor === 1,
  maxDelegationDepth: maybe(row.max_depth),
  accessPolicy:
    row.policy_adapter === null || row.policy_id === null
      ? undefined
      : { adapter: row.policy_adapter, id: row.policy_id },
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  revision: row.revision,
})

const fromBlueprint = (blueprint: Blueprint): BlueprintTable => ({
  name: blueprint.name,
  origin: blueprint.origin,
  description: blueprint.description ?? null,
  capabilities: JSON.stringify(blueprint.capabilities),
  require_sponsor: flag(blueprint.requireSponsor),
  max_depth: blueprint.maxDelegationDepth ?? null,
  policy_adapter: blueprint.accessPolicy?.adapter ?? null,
  policy_id: blueprint.accessPolicy?.id ?? null,
  created_at: blueprint.createdAt,
  updated_at: blueprint.updatedAt,
  revision: blueprint.revision,
})

export const blueprintReads = (run: Run): BlueprintReads => ({
  blueprint: async (name) => {
    const row = await run.one(inForce, { name })
    return row === undefined ? undefined : toBlueprint(row)
  },
  blueprints: async (after, limit) => (await run.all(page, { after, limit })).map(toBlueprint),
  blueprintsFrom: async (origin) => (await run.all(ofOrigin, { origin })).map(toBlueprint),
  carriers: async (name, after, limit) => (await run.all(carriers, { name, after, limit })).map(({ did }) => did),
  isCarried: async (name) => (await run.one(carrier, { name })) !== undefined,
  misgranted: async (list, source, capabilities) => {
    const values = { dids: JSON.stringify(list), source, names: JSON.stringify(capabilities) }
    return (await run.all(wrong, values)).map(({ did }) => did)
  },
  regrants: async () => run.all(regrants),
})

export const blueprintWrites = (run: Run): BlueprintWrites => ({
  putBlueprint: async (blueprint) => {
    const row = fromBlueprint(blueprint)
    await run.change(blueprintWriter.put(row), row)
  },
  dropBlueprint: async (name, origin) => {
    await run.change(drop, { name, origin })
  },
  grantFrom: async (source, list, capabilities, at) => {
    const values = { dids: JSON.stringify(list), source, names: JSON.stringify(capabilities) }
    await run.change(revoke, values)
    if (capabilities.length > 0) await run.change(grant, { ...values, kind: kindOf(source), at })
  },
  putRegrant: async ({ name, after }) => {
    const row = { name, after }
    await run.change(regrantWriter.put(row), row)
  },
  dropRegrant: async (name) => {
    await run.change(dropRegrant, { name })
  },
})
