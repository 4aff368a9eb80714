import { sql } from 'kysely'
import {
  laneOf,
  type OutletReads,
  type OutletState,
  type OutletWrites,
  type Push,
  type PushLane,
  type SetAside,
} from '../core/outlet.ts'
import { build, number, type Run, rowWriter, statement, text } from './statement.ts'

/** Where the receivers of pushes are, and what they did not take. */

export type OutletTable = {
  name: string
  identity: string
  generation: string
  urgent_seq: number
  rest_seq: number
  snapshot_seq: number | null
  snapshot_page: number | null
  snapshot_after: string | null
  round: number
  disabled_at: number | null
  failing_since: number | null
  last_error: string | null
  taken_at: number | null
}

export type SetAsideTable = {
  outlet: string
  seq: number
  type: Push['type']
  lane: PushLane
  did: string | null
  hold_id: string | null
  at: number
  attempts: number
  next_at: number | null
  dead_at: number | null
  error: string
  body: string
}

const outletWriter = rowWriter('outlets', ['name'])
const itemWriter = rowWriter('set_aside', ['outlet', 'seq'])

const byName = statement(build.selectFrom('outlets').selectAll().where('name', '=', text('name')))
const items = build.selectFrom('set_aside').where('outlet', '=', text('outlet'))
const waiting = items.where('lane', '=', text<PushLane>('lane')).where('next_at', 'is not', null)
const due = statement(
  waiting.selectAll().where('next_at', '<=', number('now')).orderBy('next_at').orderBy('seq').limit(number('limit')),
)
const next = statement(waiting.select('next_at').orderBy('next_at').limit(1))
const dead = statement(
  items
    .selectAll()
    .where('next_at', 'is', null)
    .where('seq', '>', number('after'))
    .orderBy('seq')
    .limit(number('limit')),
)
const count = statement(
  items.select((eb) => [eb.fn.countAll<number>().as('n'), eb.fn.count<number>('next_at').as('waiting')]),
)
const newerCapabilities = statement(
  build
    .selectFrom('signals')
    .select('seq')
    .where(sql<boolean>`type = 'capabilities'`)
    .where('did', '=', text('did'))
    .where('seq', '>', number('seq'))
    .limit(1),
)
const dropOne = statement(
  build.deleteFrom('set_aside').where('outlet', '=', text('outlet')).where('seq', '=', number('seq')),
)
const dropWaiting = statement(
  build.deleteFrom('set_aside').where('outlet', '=', text('outlet')).where('next_at', 'is not', null),
)
const revived = build
  .updateTable('set_aside')
  .set({ next_at: number('at'), at: number('at'), dead_at: null, attempts: 0 })
  .where('outlet', '=', text('outlet'))
  .where('next_at', 'is', null)
const reviveAll = statement(revived)
const reviveSome = statement(revived.where('seq', 'in', sql<number>`(select value from json_each(${text('seqs')}))`))
export const pruneDead = statement(
  build.deleteFrom('set_aside').where('next_at', 'is', null).where('dead_at', '<', number('before')),
)

const toState = (row: OutletTable): OutletState => ({
  name: row.name,
  identity: row.identity,
  generation: row.generation,
  urgentSeq: row.urgent_seq,
  restSeq: row.rest_seq,
  snapshot:
    row.snapshot_seq === null
      ? undefined
      : { seq: row.snapshot_seq, page: row.snapshot_page ?? 0, after: row.snapshot_after ?? undefined },
  round: row.round,
  disabledAt: row.disabled_at ?? undefined,
  failingSince: row.failing_since ?? undefined,
  lastError: row.last_error ?? undefined,
  takenAt: row.taken_at ?? undefined,
})

const fromState = (state: OutletState): OutletTable => ({
  name: state.name,
  identity: state.identity,
  generation: state.generation,
  urgent_seq: state.urgentSeq,
  rest_seq: state.restSeq,
  snapshot_seq: state.snapshot?.seq ?? null,
  snapshot_page: state.snapshot?.page ?? null,
  snapshot_after: state.snapshot?.after ?? null,
  round: state.round,
  disabled_at: state.disabledAt ?? null,
  failing_since: state.failingSince ?? null,
  last_error: state.lastError ?? null,
  taken_at: state.takenAt ?? null,
})

const toItem = ({ lane: _, hold_id, next_at, dead_at, did, ...row }: SetAsideTable): SetAside => ({
  ...row,
  did: did ?? undefined,
  holdId: hold_id ?? undefined,
  nextAt: next_at ?? undefined,
  deadAt: dead_at ?? undefined,
})

const fromItem = ({ holdId, nextAt, deadAt, did, ...item }: SetAside): SetAsideTable => ({
  outlet: item.outlet,
  seq: item.seq,
  type: item.type,
  lane: laneOf(item.type),
  did: did ?? null,
  hold_id: holdId ?? null,
  at: item.at,
  attempts: item.attempts,
  next_at: nextAt ?? null,
  dead_at: deadAt ?? null,
  error: item.error,
  body: item.body,
})

export const outletReads = (run: Run): OutletReads => ({
  outlet: async (name) => {
    const row = await run.one(byName, { name })
    return row === undefined ? undefined : toState(row)
  },
  setAsideDue: async (outlet, lane, now, limit) => (await run.all(due, { outlet, lane, now, limit })).map(toItem),
  nextSetAside: async (outlet, lane) => (await run.one(next, { outlet, lane }))?.next_at ?? undefined,
  deadLetters: async (outlet, after, limit) => (await run.all(dead, { outlet, after, limit })).map(toItem),
  countSetAside: async (outlet) => {
    const row = await run.one(count, { outlet })
    return { waiting: row?.waiting ?? 0, dead: (row?.n ?? 0) - (row?.waiting ?? 0) }
  },
  capabilitiesSince: async (did, seq) => (await run.one(newerCapabilities, { did, seq })) !== undefined,
})

export const outletWrites = (run: Run): OutletWrites => ({
  saveOutlet: async (state) => {
    const row = fromState(state)
    await run.change(outletWriter.put(row), row)
  },
  saveSetAside: async (item) => {
    const row = fromItem(item)
    await run.change(itemWriter.put(row), row)
  },
  dropSetAside: async (outlet, seq) => {
    await run.change(dropOne, { outlet, seq })
  },
  dropWaiting: async (outlet) => {
    await run.change(dropWaiting, { outlet })
  },
  revive: (outlet, seqs, at) =>
    seqs === undefined
      ? run.change(reviveAll, { outlet, at })
      : run.change(reviveSome, { outlet, at, seqs: JSON.stringify(seqs) }),
})
