import { sql } from 'kysely'
import type { TrustReads, TrustReport, TrustScale, TrustWrites } from '../core/trust.ts'
import { inserting } from './constraints.ts'
import { build, type Run, rowWriter, statement, text } from './statement.ts'

/** Trust scores that runtimes reported. */

export type TrustTable = {
  did: string
  client: string
  score: number
  scale: TrustScale
  at: number
  reported_at: number
  settled: number
}

const writer = rowWriter('trust_scores', ['did', 'client'])
const reported = statement(
  build
    .selectFrom('trust_scores')
    .selectAll()
    .where('did', 'in', sql<string>`(select value from json_each(${text('dids')}))`)
    .orderBy('did')
    .orderBy('client'),
)
const settle = statement(build.updateTable('trust_scores').set({ settled: 1 }).where('did', '=', text('did')))
const drop = statement(build.deleteFrom('trust_scores').where('did', '=', text('did')))

const toReport = ({ reported_at, settled, ...row }: TrustTable): TrustReport => ({
  ...row,
  reportedAt: reported_at,
  settled: settled === 1,
})

const fromReport = ({ did, client, score, scale, at, reportedAt, settled }: TrustReport): TrustTable => ({
  did,
  client,
  score,
  scale,
  at,
  reported_at: reportedAt,
  settled: settled ? 1 : 0,
})

export const trustReads = (run: Run): TrustReads => ({
  trustOf: async (dids) => (await run.all(reported, { dids: JSON.stringify(dids) })).map(toReport),
})

export const trustWrites = (run: Run): TrustWrites => ({
  saveTrust: async (reports) => {
    const rows = reports.map(fromReport)
    const [first] = rows
    if (first !== undefined) await inserting(() => run.each(writer.put(first), rows), 'E_BUG', 'E_AGENT_UNKNOWN')
  },
  settleTrust: async (did) => {
    await run.change(settle, { did })
  },
  dropTrust: async (did) => {
    await run.change(drop, { did })
  },
})
