import { sql } from 'kysely'
import type { ImportJob, ImportReads, ImportRow, ImportWrites, RowState } from '../core/imports.ts'
import { maybe, parse } from './columns.ts'
import { build, number, type Run, raw, rowWriter, statement, text } from './statement.ts'

export type ImportTable = {
  id: string
  at: number
  name: string | null
  state: ImportJob['state']
  actor: string
  roles: string
  request_id: string | null
  changed_at: number
  failure: string | null
}

export type ImportRowTable = {
  import_id: string
  line: number
  did: string | null
  parent_did: string | null
  depth: number
  state: RowState
  body: string | null
  fault: string | null
}

const jobWriter = rowWriter('imports', ['id'])
const lineWriter = rowWriter('import_rows', ['import_id', 'line'])

const jobs = build.selectFrom('imports').selectAll()
const jobById = statement(jobs.where('id', '=', text('id')))
const newest = statement(jobs.orderBy('at', 'desc').orderBy('id', 'desc').limit(number('limit')))
const inState = statement(
  jobs
    .where('state', '=', text<ImportJob['state']>('state'))
    .where('changed_at', '<=', number('until'))
    .orderBy('changed_at')
    .orderBy('id')
    .limit(number('limit')),
)
const rows = build.selectFrom('import_rows').selectAll().where('import_id', '=', text('id'))
const counts = statement(
  build
    .selectFrom('import_rows')
    .select(['state', (eb) => eb.fn.countAll<number>().as('n')])
    .where('import_id', '=', text('id'))
    .groupBy('state'),
)
const byLine = statement(rows.where('line', '>', number('after')).orderBy('line').limit(number('limit')))
const byDepth = raw(
  sql<ImportRowTable>`select * from import_rows where import_id = ${text('id')} and state = ${text('state')}
    and (depth, line) > (${number('depth')}, ${number('line')}) order by depth, line limit ${number('limit')}`,
)
const byDid = statement(rows.where('did', '=', text('did')).orderBy('line').limit(1))
const faults = raw(
  sql<ImportRowTable>`select * from import_rows where import_id = ${text('id')} and state in ('bad', 'failed')
    and line > ${number('after')} order by line limit ${number('limit')}`,
)
const judge = raw(
  sql`update import_rows set depth = ${number('depth')}, state = ${text('state')},
    fault = nullif(${text('fault')}, ''), body = case when ${number('done')} = 1 then null else body end
    where import_id = ${text('id')} and line = ${number('line')}`,
)
const restage = raw(
  sql`update import_rows set state = 'staged', depth = 0, fault = null
    where import_id = ${text('id')} and state in ('good', 'bad') and body is not null`,
)
const dropRows = raw(
  sql`delete from import_rows where import_id = ${text('id')} and line in
    (select line from import_rows where import_id = ${text('id')} order by line limit ${number('limit')})`,
)
const dropJob = statement(build.deleteFrom('imports').where('id', '=', text('id')))

const toJob = (row: ImportTable): ImportJob => ({
  id: row.id,
  at: row.at,
  name: maybe(row.name),
  state: row.state,
  actor: row.actor,
  roles: parse(row.roles),
  requestId: maybe(row.request_id),
  changedAt: row.changed_at,
  failure: row.failure === null ? undefined : parse(row.failure),
})

const fromJob = (job: ImportJob): ImportTable => ({
  id: job.id,
  at: job.at,
  name: job.name ?? null,
  state: job.state,
  actor: job.actor,
  roles: JSON.stringify(job.roles),
  request_id: job.requestId ?? null,
  changed_at: job.changedAt,
  failure: job.failure === undefined ? null : JSON.stringify(job.failure),
})

const toRow = (row: ImportRowTable): ImportRow => ({
  line: row.line,
  did: maybe(row.did),
  parentDid: maybe(row.parent_did),
  depth: row.depth,
  state: row.state,
  body: maybe(row.body),
  fault: row.fault === null ? undefined : parse(row.fault),
})

const fromRow = (id: string, row: ImportRow): ImportRowTable => ({
  import_id: id,
  line: row.line,
  did: row.did ?? null,
  parent_did: row.parentDid ?? null,
  depth: row.depth,
  state: row.state,
  body: row.body ?? null,
  fault: row.fault === undefined ? null : JSON.stringify(row.fault),
})

export const importReads = (run: Run): ImportReads => ({
  importJob: async (id) => {
    const row = await run.one(jobById, { id })
    return row === undefined ? undefined : toJob(row)
  },
  importJobs: async (limit) => (await run.all(newest, { limit })).map(toJob),
  importJobsIn: async (state, until, limit) => (await run.all(inState, { state, until, limit })).map(toJob),
  countImportRows: (id) => run.all(counts, { id }),
  importRows: async (id, after, limit) => (await run.all(byLine, { id, after, limit })).map(toRow),
  importRowsIn: async (id, state, { depth, line }, limit) =>
    (await run.all(byDepth, { id, state, depth, line, limit })).map(toRow),
  importRowOf: async (id, did) => {
    const row = await run.one(byDid, { id, did })
    return row === undefined ? undefined : toRow(row)
  },
  importFaults: async (id, after, limit) => (await run.all(faults, { id, after, limit })).map(toRow),
})

export const importWrites = (run: Run): ImportWrites => ({
  putImport: async (job) => {
    const row = fromJob(job)
    await run.change(jobWriter.put(row), row)
  },
  putImportRows: async (id, given) => {
    const list = given.map((one) => fromRow(id, one))
    const [first] = list
    if (first !== undefined) await run.each(lineWriter.put(first), list)
  },
  judgeImportRows: (id, verdicts) =>
    run.each(
      judge,
      verdicts.map(({ depth, done, fault, line, state }) => ({
        id,
        line,
        depth,
        state,
        fault: fault === undefined ? '' : JSON.stringify(fault),
        done: done === true ? 1 : 0,
      })),
    ),
  restageImportRows: async (id) => {
    await run.change(restage, { id })
  },
  dropImport: async (id, limit) => {
    if ((await run.change(dropRows, { id, limit })) === limit) return false
    await run.change(dropJob, { id })
    return true
  },
})
