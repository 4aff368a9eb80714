import { sql } from 'kysely'
import type { LegRecord } from '../core/receipts.ts'
import type { StoreReads, StoreTx } from '../core/store.ts'
import { breathe } from '../lib/breathe.ts'
import { fromLeg, toAgent, toHold, toLeg, toPrincipal } from './rows.ts'
import { principalsOfDids } from './sharers.ts'
import { build, number, type Run, rowWriter, statement, text } from './statement.ts'

/** What receipts are made of: many DIDs or holds to a query, for an agent may have thousands of descendants. */

const listed = sql<string>`(select value from json_each(${text('list')}))`
const isCascade = sql<boolean>`origin_kind = 'cascade'`

const agents = statement(build.selectFrom('agents').selectAll().where('did', 'in', listed))
const openHolds = statement(
  build
    .selectFrom('holds')
    .selectAll()
    .where('released_at', 'is', null)
    .where('did', 'in', listed)
    .orderBy('did')
    .orderBy('placed_at')
    .orderBy('id'),
)
const legs = statement(
  build
    .selectFrom('legs')
    .selectAll()
    .where('hold_id', 'in', listed)
    .orderBy('hold_id')
    .orderBy('type')
    .orderBy('adapter')
    .orderBy('id'),
)
const acks = statement(
  build
    .selectFrom('signal_acks')
    .select((eb) => ['hold_id', 'client', eb.fn.min('at').as('at')])
    .where('hold_id', 'in', listed)
    .groupBy('hold_id')
    .groupBy('client')
    .orderBy('hold_id')
    .orderBy('client'),
)
/** Open at some moment of the span; the index holds those of every ancestor apart. */
const during = build
  .selectFrom('holds')
  .where(isCascade)
  .where('origin', '=', text('origin'))
  .where('placed_at', '<=', number('until'))
  .where((eb) => eb.or([eb('released_at', 'is', null), eb('released_at', '>', number('from'))]))
const cascades = statement(
  during.selectAll().where('did', '>', text('after')).orderBy('did').orderBy('placed_at').limit(number('limit')),
)
const countCascades = statement(during.select((eb) => eb.fn.count<number>('did').distinct().as('n')))

const legWriter = rowWriter('legs', ['hold_id', 'type', 'adapter', 'id'])
const before = number('before')
/** Like the acknowledgements: kept while the hold is open, and after its release for as long as receipts are. */
export const pruneLegs = statement(
  build
    .deleteFrom('legs')
    .where('at', '<', before)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('holds')
            .select('holds.id')
            .whereRef('holds.id', '=', 'legs.hold_id')
            .where((one) => one.or([one('released_at', 'is', null), one('released_at', '>=', before)])),
        ),
      ),
    ),
)

const forever = Number.MAX_SAFE_INTEGER

type ReceiptReads = Pick<
  StoreReads,
  'agentsByDid' | 'principalsByDid' | 'openHoldsByDid' | 'legsOf' | 'acksOf' | 'cascadesOf' | 'countCascades'
>

export const receiptReads = (run: Run): ReceiptReads => ({
  agentsByDid: async (dids) => (await run.all(agents, { list: JSON.stringify(dids) })).map(toAgent),
  principalsByDid: async (dids) => {
    const rows = await run.all(principalsOfDids, { list: JSON.stringify(dids) })
    if (dids.length > 1) await breathe()
    return rows.map(toPrincipal)
  },
  openHoldsByDid: async (dids) => {
    const rows = await run.all(openHolds, { list: JSON.stringify(dids) })
    if (dids.length > 1) await breathe()
    return rows.map(toHold)
  },
  legsOf: async (holds) => (await run.all(legs, { list: JSON.stringify(holds) })).map(toLeg),
  acksOf: async (holds) => {
    const rows = await run.all(acks, { list: JSON.stringify(holds) })
    return rows.map((row) => ({ holdId: row.hold_id, client: row.client, at: row.at }))
  },
  cascadesOf: async (origin, { from, until = forever }, after, limit) =>
    (await run.all(cascades, { origin, from, until, after: after ?? '', limit })).map(toHold),
  countCascades: async (origin, { from, until = forever }) =>
    (await run.one(countCascades, { origin, from, until }))?.n ?? 0,
})

export const receiptWrites = (run: Run): Pick<StoreTx, 'saveLeg'> => ({
  saveLeg: async (leg: LegRecord) => {
    const row = fromLeg(leg)
    await run.change(legWriter.put(row), row)
  },
})
