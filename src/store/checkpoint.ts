import { sql } from 'kysely'
import type { AuditPruning } from '../core/audit.ts'
import type { StoreReads } from '../core/store.ts'
import { build, number, type Run, rowWriter, statement } from './statement.ts'

/** The begin of the audit chain, once older entries were dropped (DESIGN §9). */

const stored = statement(build.selectFrom('audit_checkpoint').select(['seq', 'hash', 'at', 'jws']))
const behind = sql<number>`coalesce((select seq from audit_checkpoint), 0)`
const first = statement(
  build
    .selectFrom('audit')
    .select(['seq', 'hash', 'time'])
    .where('seq', '>', behind)
    .orderBy('seq')
    .limit(number('limit')),
)
const dropped = build.selectFrom('audit').select('seq').where('seq', '<=', behind).orderBy('seq').limit(number('limit'))
const dropTexts = statement(build.deleteFrom('audit_text').where('seq', 'in', dropped))
const drop = statement(build.deleteFrom('audit').where('seq', 'in', dropped))
const writer = rowWriter('audit_checkpoint', ['id'])

export const checkpointReads = (run: Run): Pick<StoreReads, 'auditCheckpoint' | 'auditOlder'> => ({
  auditCheckpoint: () => run.one(stored),
  auditOlder: async (than, limit) => {
    const rows = await run.all(first, { limit })
    // Not by time alone: a clock that was set back leaves younger entries before older ones.
    const young = rows.findIndex(({ time }) => time >= than)
    const last = rows.at(young < 0 ? rows.length - 1 : young - 1)
    return young === 0 || last === undefined ? undefined : { seq: last.seq, hash: last.hash }
  },
})

export const checkpointWrites = (run: Run): AuditPruning => ({
  putAuditCheckpoint: async (checkpoint) => {
    const row = { id: 1, ...checkpoint }
    await run.change(writer.put(row), row)
  },
  dropAudited: async (limit) => {
    await run.change(dropTexts, { limit })
    return run.change(drop, { limit })
  },
})
