import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { type AuditEntry, type AuditEvent, digestText, genesis, link } from '../core/audit.ts'
import { BridgeError } from '../core/errors.ts'
import type { AuditFilter } from '../core/filters.ts'
import type { StoreReads } from '../core/store.ts'
import { breathe } from '../lib/breathe.ts'
import type { Schema } from './schema.ts'
import { build, number, type Run, rowWriter, statement, text } from './statement.ts'

type TextRow = Schema['audit_text']

const audit = build.selectFrom('audit')
const newest = statement(audit.select(['seq', 'hash']).orderBy('seq', 'desc').limit(1))
const textsOf = statement(
  build
    .selectFrom('audit_text')
    .selectAll()
    .where('seq', 'in', sql<number>`(select value from json_each(${text('seqs')}))`),
)
const entryWriter = rowWriter('audit', ['seq'])
const textWriter = rowWriter('audit_text', ['seq', 'field'])

const query = (filter: AuditFilter) => {
  const { actor, dids, from, hold, to } = filter
  const after = filter.after ?? 0
  let found = audit.select('seq')
  if (dids !== undefined) found = found.where('did', 'in', dids)
  if (hold !== undefined) found = found.where('hold_id', '=', hold)
  if (actor !== undefined) found = found.where('actor', '=', actor)
  if (from !== undefined) found = found.where('time', '>=', from)
  if (to !== undefined) found = found.where('time', '<=', to)
  // Entries of a span of time are found by time: `+` keeps the planner from walking the whole chain by sequence.
  const byTime = (from !== undefined || to !== undefined) && dids === undefined && hold === undefined
  found = byTime ? found.where(sql<number>`+seq`, '>', after) : found.where('seq', '>', after)
  return audit
    .select(['seq', 'body', 'hash'])
    .where('seq', 'in', found.orderBy('seq').limit(filter.limit))
    .orderBy('seq')
}

const straight = statement(
  audit.select(['seq', 'body', 'hash']).where('seq', '>', number('after')).orderBy('seq').limit(number('limit')),
)

const checked = (entry: AuditEntry, row: TextRow): string => {
  if (entry.digests[row.field] === digestText(row.salt, row.text)) return row.text
  const details = { seq: entry.seq, field: row.field }
  throw new BridgeError('E_CHAIN_BROKEN', 'A text beside the audit chain was changed.', { details })
}

const parse = (row: { seq: number; body: string; hash: string }): AuditEntry => {
  try {
    return { ...JSON.parse(row.body), hash: row.hash }
  } catch (cause) {
    throw new BridgeError('E_CHAIN_BROKEN', 'An audit entry is not readable.', { cause, details: { seq: row.seq } })
  }
}

/** Longer answers let other work have its turn first. */
const longAnswer = 200

const entries = async (run: Run, filter: AuditFilter): Promise<AuditEntry[]> => {
  const { after = 0, limit, ...narrowed } = filter
  const plain = Object.values(narrowed).every((value) => value === undefined)
  const rows = plain ? await run.all(straight, { after, limit }) : await run.query(query(filter))
  const texts = new Map<number, TextRow[]>()
  for (const row of await run.all(textsOf, { seqs: JSON.stringify(rows.map((r) => r.seq)) })) {
    const beside = texts.get(row.seq)
    if (beside === undefined) texts.set(row.seq, [row])
    else beside.push(row)
  }
  if (rows.length > longAnswer) await breathe()
  return rows.map((row) => {
    const entry = parse(row)
    const beside = texts.get(row.seq)
    if (beside === undefined) return entry
    return { ...entry, text: Object.fromEntries(beside.map((t) => [t.field, checked(entry, t)])) }
  })
}

const head = async (run: Run): Promise<{ seq: number; hash: string }> =>
  (await run.one(newest)) ?? { seq: 0, hash: genesis }

export const auditReads = (run: Run): Pick<StoreReads, 'audit' | 'auditHead'> => ({
  audit: (filter) => entries(run, filter),
  auditHead: () => head(run),
})

interface Linked {
  readonly entry: AuditEntry
  readonly body: string
  readonly texts: readonly TextRow[]
}

const linkTo = (before: { readonly seq: number; readonly hash: string }, event: AuditEvent): Linked => {
  const texts = Object.entries(event.text ?? {}).map(([field, value]) => {
    const salt = randomBytes(16).toString('hex')
    return { field, salt, text: value, digest: digestText(salt, value) }
  })
  const { entry, body } = link(before, event, Object.fromEntries(texts.map((t) => [t.field, t.digest])))
  return { entry, body, texts: texts.map(({ field, salt, text }) => ({ seq: entry.seq, field, salt, text })) }
}

const rowOf = ({ entry, body }: Linked) => ({
  seq: entry.seq,
  time: entry.time,
  type: entry.type,
  did: entry.did ?? null,
  hold_id: entry.hold ?? null,
  actor: entry.actor,
  body,
  hash: entry.hash,
})

const placeholder = { seq: 0, field: '', salt: '', text: '' }

/** Appends to the chain. The one writing connection is in a transaction, so nobody moves the head meanwhile. */
export const appendAll = async (run: Run, events: readonly AuditEvent[]): Promise<AuditEntry[]> => {
  const [first] = events
  if (first === undefined) return []
  let before = await head(run)
  const linked: Linked[] = []
  for (const event of events) {
    const one = linkTo(before, event)
    before = one.entry
    linked.push(one)
  }
  const rows = linked.map(rowOf)
  const [row] = rows
  if (row !== undefined) await run.each(entryWriter.insert(row), rows)
  await run.each(
    textWriter.insert(placeholder),
    linked.flatMap(({ texts }) => texts.map((t) => ({ ...t }))),
  )
  return linked.map(({ entry }) => entry)
}

/** One entry. */
export const append = async (run: Run, event: AuditEvent): Promise<AuditEntry> => {
  const [entry] = await appendAll(run, [event])
  if (entry === undefined) throw new TypeError('nothing was appended')
  return entry
}
