import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { type AuditEntry, type AuditEvent, chain, digestText, genesis } from '../core/audit.ts'
import { canonical } from '../core/canonical.ts'
import { BridgeError } from '../core/errors.ts'
import type { AuditFilter, StoreReads } from '../core/store.ts'
import { breathe } from './breathe.ts'
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

/** The one member of an entry that stands beside the chain. */
const covered = ({ text: _beside, hash: _own, ...rest }: AuditEntry) => rest

const query = (filter: AuditFilter) => {
  const { actor, did, from, hold, to } = filter
  const after = filter.after ?? 0
  let found = audit.select('seq')
  if (did !== undefined) found = found.where('did', '=', did)
  if (hold !== undefined) found = found.where('hold_id', '=', hold)
  if (actor !== undefined) found = found.where('actor', '=', actor)
  if (from !== undefined) found = found.where('time', '>=', from)
  if (to !== undefined) found = found.where('time', '<=', to)
  // Entries of a span of time are found by time: `+` keeps the planner from walking the whole chain by sequence.
  const byTime = (from !== undefined || to !== undefined) && did === undefined && hold === undefined
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

/** Appends to the chain. The one writing connection is in a transaction, so nobody moves the head meanwhile. */
export const append = async (run: Run, event: AuditEvent): Promise<AuditEntry> => {
  const texts = Object.entries(event.text ?? {}).map(([field, value]) => {
    const salt = randomBytes(16).toString('hex')
    return { field, salt, text: value, digest: digestText(salt, value) }
  })
  const digests = Object.fromEntries(texts.map((t) => [t.field, t.digest]))
  const entry = chain(await head(run), event, digests)
  const row = {
    seq: entry.seq,
    time: entry.time,
    type: entry.type,
    did: entry.did ?? null,
    hold_id: entry.hold ?? null,
    actor: entry.actor,
    body: canonical(covered(entry)),
    hash: entry.hash,
  }
  await run.change(entryWriter.insert(row), row)
  for (const t of texts) {
    const beside = { seq: entry.seq, field: t.field, salt: t.salt, text: t.text }
    await run.change(textWriter.insert(beside), beside)
  }
  return entry
}
