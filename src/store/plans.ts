import { sql } from 'kysely'
import type { PlanReads } from '../core/plan.ts'
import { toPrincipal } from './rows.ts'
import { build, number, type Run, statement, text } from './statement.ts'

const principals = build.selectFrom('principals').selectAll()
const inAdapter = principals.where('adapter', '=', text('adapter'))
const after = statement(inAdapter.where('id', '>', text('after')).orderBy('id').limit(number('limit')))
const itself = statement(inAdapter.where('id', '=', text('id')))
/** `+` keeps the planner from walking the whole adapter instead of the few that name this object. */
const dependents = statement(
  principals
    .where(sql<string>`+adapter`, '=', text('adapter'))
    .where('depends_on', '=', text('id'))
    .where(sql<string>`+id`, '<>', text('id')),
)

export const planReads = (run: Run): PlanReads => ({
  principalsAfter: async (adapter, last, limit) =>
    (await run.all(after, { adapter, after: last ?? '', limit })).map(toPrincipal),
  dependentsOf: async (adapter, id) => [
    ...(await run.all(itself, { adapter, id })).map(toPrincipal),
    ...(await run.all(dependents, { adapter, id })).map(toPrincipal),
  ],
})
