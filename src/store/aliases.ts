import { sql } from 'kysely'
import type { AliasReads, AliasWrites } from '../core/aliases.ts'
import { inserting } from './constraints.ts'
import { build, type Run, rowWriter, statement, text } from './statement.ts'

const aliasWriter = rowWriter('aliases', ['alias'])
const aliases = build.selectFrom('aliases')

const byAlias = statement(aliases.select('did').where('alias', '=', text('alias')))
const among = statement(
  aliases.selectAll().where('alias', 'in', sql<string>`(select value from json_each(${text('list')}))`),
)
const ofDid = statement(aliases.selectAll().where('did', '=', text('did')).orderBy('alias'))
const drop = statement(build.deleteFrom('aliases').where('alias', '=', text('alias')))
const moveHolds = statement(
  build
    .updateTable('holds')
    .set({ did: text('to') })
    .where('did', '=', text('from')),
)
/** Those that wait, by the holds that moved. */
const moveReleases = statement(
  build
    .updateTable('releases')
    .set({ did: text('to') })
    .where('status', '=', sql<'awaiting'>`'awaiting'`)
    .where('hold_id', 'in', (eb) => eb.selectFrom('holds').select('holds.id').where('holds.did', '=', text('to'))),
)

export const aliasReads = (run: Run): AliasReads => ({
  aliased: async (alias) => (await run.one(byAlias, { alias }))?.did,
  aliasesAmong: (dids) => (dids.length === 0 ? Promise.resolve([]) : run.all(among, { list: JSON.stringify(dids) })),
  aliasesOf: (did) => run.all(ofDid, { did }),
})

export const aliasWrites = (run: Run): AliasWrites => ({
  insertAlias: async ({ alias, did, how, at }) => {
    const row = { alias, did, how, at }
    await inserting(() => run.change(aliasWriter.insert(row), row), 'E_EXISTS', 'E_AGENT_UNKNOWN')
  },
  dropAlias: async (alias) => {
    await run.change(drop, { alias })
  },
  moveHolds: async (from, to) => {
    await run.change(moveHolds, { from, to })
    await run.change(moveReleases, { to })
  },
})
