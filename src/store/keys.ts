import { sql } from 'kysely'
import type { AgentKey, KeyReads, KeyWrites } from '../core/keys.ts'
import { maybe } from './columns.ts'
import type { Schema } from './schema.ts'
import { build, type Run, rowWriter, statement, text } from './statement.ts'

const keyWriter = rowWriter('agent_keys', ['did', 'thumbprint'])
const proofWriter = rowWriter('proofs', ['adapter', 'id', 'did'])

const ofDid = statement(
  build
    .selectFrom('agent_keys')
    .selectAll()
    .where('did', '=', text('did'))
    .orderBy('declared_at')
    .orderBy('thumbprint'),
)
const holders = statement(
  build
    .selectFrom('agent_keys')
    .select('did')
    .distinct()
    .where('thumbprint', 'in', sql<string>`(select value from json_each(${text('list')}))`)
    .orderBy('did'),
)
const proofs = statement(
  build.selectFrom('proofs').selectAll().where('did', '=', text('did')).orderBy('adapter').orderBy('id'),
)
const dropKey = statement(
  build.deleteFrom('agent_keys').where('did', '=', text('did')).where('thumbprint', '=', text('thumbprint')),
)
const dropProofs = statement(
  build.deleteFrom('proofs').where('did', '=', text('did')).where('thumbprint', '=', text('thumbprint')),
)

const toKey = (row: Schema['agent_keys']): AgentKey => ({
  key: row.key,
  thumbprint: row.thumbprint,
  binding: row.binding,
  declaredAt: row.declared_at,
  provenAt: maybe(row.proven_at),
})

export const keyReads = (run: Run): KeyReads => ({
  keysOf: async (did) => (await run.all(ofDid, { did })).map(toKey),
  holdersOf: async (thumbprints) =>
    (await run.all(holders, { list: JSON.stringify(thumbprints) })).map((row) => row.did),
  proofsOf: async (did) =>
    (await run.all(proofs, { did })).map(({ adapter, id, at, thumbprint }) => ({ adapter, id, at, thumbprint })),
})

export const keyWrites = (run: Run): KeyWrites => ({
  putKey: async (did, { key, thumbprint, binding, declaredAt, provenAt }) => {
    const row = { did, thumbprint, key, binding, declared_at: declaredAt, proven_at: provenAt ?? null }
    await run.change(keyWriter.put(row), row)
  },
  dropKey: async (did, thumbprint) => {
    await run.change(dropKey, { did, thumbprint })
    await run.change(dropProofs, { did, thumbprint })
  },
  putProof: async (did, { adapter, id, at, thumbprint }) => {
    const row = { adapter, id, did, at, thumbprint }
    await run.change(proofWriter.put(row), row)
  },
})
