import { sql } from 'kysely'
import type { StoreTx } from '../core/store.ts'
import { pruneDead } from './outlets.ts'
import { pruneLegs } from './receipts.ts'
import { fromSignal, fromSource } from './rows.ts'
import { build, number, type Run, rowWriter, statement, text } from './statement.ts'

/** The bookkeeping beside agents, principals and holds. */

const sourceWriter = rowWriter('capability_sources', ['did', 'capability', 'source'])
const checkpointWriter = rowWriter('checkpoints', ['adapter', 'feed'])
const metaWriter = rowWriter('meta', ['key'])
const idempotencyWriter = rowWriter('idempotency', ['client', 'route', 'key'])

const dropSource = statement(
  build
    .deleteFrom('capability_sources')
    .where('did', '=', text('did'))
    .where('capability', '=', text('capability'))
    .where('source', '=', text('source')),
)
const confirm = statement(
  build
    .updateTable('capability_sources')
    .set({ confirmed_at: number('at') })
    .where('source', '=', text('source')),
)
const insertSignal = statement(
  build
    .insertInto('signals')
    .values({
      type: text<'suspended' | 'resumed' | 'capabilities'>('type'),
      did: text('did'),
      at: number('at'),
      hold_id: text('hold_id'),
      severity: text<'suspend' | 'kill' | 'disable' | 'decommission'>('severity'),
      origin: text('origin'),
      reason: text('reason'),
      capabilities: text('capabilities'),
    })
    .returning('seq'),
)
const signalHold = statement(build.selectFrom('signals').select(['type', 'hold_id']).where('seq', '=', number('seq')))
const ack = statement(
  build
    .insertInto('signal_acks')
    .values({ hold_id: text('hold'), client: text('client'), seq: number('seq'), at: number('at') })
    .onConflict((oc) => oc.doNothing()),
)
const dropCheckpoint = statement(
  build.deleteFrom('checkpoints').where('adapter', '=', text('adapter')).where('feed', '=', text('feed')),
)
const dropMeta = statement(build.deleteFrom('meta').where('key', '=', text('key')))
const claim = statement(
  build
    .insertInto('hook_inbox')
    .values({ adapter: text('adapter'), delivery: text('delivery'), at: number('at') })
    .onConflict((oc) => oc.doNothing()),
)
const pruned = {
  signals: statement(build.deleteFrom('signals').where('at', '<', number('before'))),
  inbox: statement(build.deleteFrom('hook_inbox').where('at', '<', number('before'))),
  idempotency: statement(build.deleteFrom('idempotency').where('at', '<', number('before'))),
  guard: statement(build.deleteFrom('guard_events').where('at', '<', number('before'))),
  /** Pending ones wait for a read, however long that takes. */
  absences: statement(
    build.deleteFrom('absences').where('at', '<', number('before')).where(sql<boolean>`believed = 1`),
  ),
}
const acks = build.deleteFrom('signal_acks').where('at', '<', number('before'))
/** Of signals that no hold caused. */
const pruneAcks = statement(acks.where('hold_id', '=', text('none')))
/** Those of a hold are legs of its receipt. */
const pruneHoldAcks = statement(
  acks.where('hold_id', '<>', text('none')).where((eb) =>
    eb.not(
      eb.exists(
        eb
          .selectFrom('holds')
          .select('holds.id')
          .whereRef('holds.id', '=', 'signal_acks.hold_id')
          .where((one) => one.or([one('released_at', 'is', null), one('released_at', '>=', number('before'))])),
      ),
    ),
  ),
)

const oldKills = build.selectFrom('kills').select('kills.id').where('done_at', '<', number('before'))
/** How far a kill of many is, is told for as long as its receipts are; its holds stay. */
const pruneKills = [
  statement(build.deleteFrom('kill_items').where('kill_id', 'in', oldKills)),
  statement(build.deleteFrom('kills').where('done_at', '<', number('before'))),
]

type RecordWrites = Pick<
  StoreTx,
  | 'putSource'
  | 'deleteSource'
  | 'confirmSources'
  | 'appendSignal'
  | 'ackSignal'
  | 'ackHold'
  | 'putCheckpoint'
  | 'deleteCheckpoint'
  | 'putMeta'
  | 'putIdempotent'
  | 'claimDelivery'
  | 'prune'
>

export const recordWrites = (run: Run): RecordWrites => ({
  putSource: async (source) => {
    const row = fromSource(source)
    await run.change(sourceWriter.put(row), row)
  },
  deleteSource: async (did, capability, source) => {
    await run.change(dropSource, { did, capability, source })
  },
  confirmSources: async (source, at) => {
    await run.change(confirm, { source, at })
  },
  appendSignal: async (signal) => {
    const row = await run.one(insertSignal, fromSignal(signal))
    if (row === undefined) throw new TypeError('an insert returned no sequence')
    return row.seq
  },
  ackSignal: async (seq, client, at) => {
    const signal = await run.one(signalHold, { seq })
    if (signal === undefined) return false
    // That a runtime let an agent go on says nothing of whether it had stopped it.
    await run.change(ack, { hold: signal.type === 'suspended' ? (signal.hold_id ?? '') : '', client, seq, at })
    return true
  },
  ackHold: async (hold, client, at) => {
    await run.change(ack, { hold, client, seq: 0, at })
  },
  putCheckpoint: async (adapter, feed, value, at) => {
    const row = { adapter, feed, value, at }
    await run.change(checkpointWriter.put(row), row)
  },
  deleteCheckpoint: async (adapter, feed) => {
    await run.change(dropCheckpoint, { adapter, feed })
  },
  putMeta: async (key, value) => {
    if (value === undefined) {
      await run.change(dropMeta, { key })
      return
    }
    const row = { key, value }
    await run.change(metaWriter.put(row), row)
  },
  putIdempotent: async (client, route, key, entry, at) => {
    const row = { client, route, key, body_hash: entry.bodyHash, status: entry.status, ref: entry.ref, at }
    await run.change(idempotencyWriter.put(row), row)
  },
  claimDelivery: async (adapter, delivery, at) => (await run.change(claim, { adapter, delivery, at })) === 1,
  prune: async (before) => {
    let dropped = 0
    dropped += await run.change(pruned.signals, { before: before.signals })
    dropped += await run.change(pruneDead, { before: before.deadLetters ?? 0 })
    dropped += await run.change(pruned.inbox, { before: before.inbox })
    dropped += await run.change(pruned.idempotency, { before: before.idempotency })
    dropped += await run.change(pruned.guard, { before: before.guard })
    for (const pruning of pruneKills) dropped += await run.change(pruning, { before: before.receipts })
    dropped += await run.change(pruneHoldAcks, { before: before.receipts, none: '' })
    dropped += await run.change(pruneLegs, { before: before.receipts })
    dropped += await run.change(pruned.absences, { before: before.guard })
    return dropped + (await run.change(pruneAcks, { before: before.signals, none: '' }))
  },
})
