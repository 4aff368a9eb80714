import type { StoreReads } from '../core/store.ts'
import { kindOf, toSource } from './rows.ts'
import { build, number, type Run, statement, text } from './statement.ts'

const sources = build.selectFrom('capability_sources').selectAll()
const ofDid = statement(sources.where('did', '=', text('did')).orderBy('capability').orderBy('source'))
const named = statement(sources.where('source', '=', text('source')).orderBy('did').orderBy('capability'))
const older = sources
  .where('confirmed_at', '<', number('before'))
  .where('source', '>=', text('from'))
  .where('source', '<', text('to'))
  .limit(number('limit'))
const olderOfKind = statement(
  older.where('kind', '=', text('kind')).orderBy('confirmed_at').orderBy('source').orderBy('did').orderBy('capability'),
)
const olderOfAny = statement(older.orderBy('source').orderBy('did').orderBy('capability'))

type SourceReads = Pick<StoreReads, 'sourcesOf' | 'sourcesNamed' | 'sourcesBefore'>

export const sourceReads = (run: Run): SourceReads => ({
  sourcesOf: async (did) => (await run.all(ofDid, { did })).map(toSource),
  sourcesNamed: async (source) => (await run.all(named, { source })).map(toSource),
  sourcesBefore: async (prefix, before, limit) => {
    const values = { from: prefix, to: `${prefix}\u{10ffff}`, before, limit }
    const rows = prefix.includes(':')
      ? run.all(olderOfKind, { ...values, kind: kindOf(prefix) })
      : run.all(olderOfAny, values)
    return (await rows).map(toSource)
  },
})
