import { sql } from 'kysely'
import type { StoreReads } from '../core/store.ts'
import { toSignal } from './rows.ts'
import { build, number, type Run, statement, text } from './statement.ts'

const signals = build.selectFrom('signals')
const after = statement(signals.selectAll().where('seq', '>', number('seq')).orderBy('seq').limit(number('limit')))
const bySeq = statement(signals.selectAll().where('seq', '=', number('seq')))
const oldest = statement(signals.select('seq').orderBy('seq').limit(1))
const checkpoint = statement(
  build
    .selectFrom('checkpoints')
    .select(['value', 'at'])
    .where('adapter', '=', text('adapter'))
    .where('feed', '=', text('feed')),
)
const meta = statement(build.selectFrom('meta').select('value').where('key', '=', text('key')))
const idempotent = statement(
  build
    .selectFrom('idempotency')
    .select(['body_hash', 'status', 'ref'])
    .where('client', '=', text('client'))
    .where('route', '=', text('route'))
    .where('key', '=', text('key')),
)
const sequence = build.selectFrom('sqlite_sequence')
/** AUTOINCREMENT's own memory: pruning every signal does not bring the head back. */
const head = statement(sequence.select('seq').where('name', '=', sql<string>`'signals'`))

type SignalReads = Pick<StoreReads, 'signalsAfter' | 'signal' | 'signalRange' | 'checkpoint' | 'meta' | 'idempotent'>

export const signalReads = (run: Run): SignalReads => ({
  signalsAfter: async (seq, limit) => (await run.all(after, { seq, limit })).map(toSignal),
  signal: async (seq) => {
    const row = await run.one(bySeq, { seq })
    return row === undefined ? undefined : toSignal(row)
  },
  signalRange: async () => {
    const newest = (await run.one(head))?.seq ?? 0
    return { oldest: (await run.one(oldest))?.seq ?? newest + 1, head: newest }
  },
  checkpoint: (adapter, feed) => run.one(checkpoint, { adapter, feed }),
  meta: async (key) => (await run.one(meta, { key }))?.value,
  idempotent: async (client, route, key) => {
    const row = await run.one(idempotent, { client, route, key })
    return row === undefined ? undefined : { bodyHash: row.body_hash, status: row.status, ref: row.ref }
  },
})
