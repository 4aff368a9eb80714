import { sql } from 'kysely'
import type { StoreReads } from '../core/store.ts'
import { toSharer } from './rows.ts'
import type { PrincipalTable } from './schema.ts'
import { build, number, type Run, statement, text } from './statement.ts'

/** The DIDs of shared principals (DESIGN §3 rule 16). A principal that is not shared has no row here. */

/** Every column of an account's row that is not of the mapping to one DID. */
const ofAccount = [
  'kind',
  'shared',
  'observed',
  'observed_at',
  'off_read_at',
  'switches',
  'depends_on',
  'mark',
  'claimed_at',
  'sent_at',
  'intent',
  'in_flight_until',
  'disabled_ack_at',
  'enabled_ack_at',
  'foreign_seen_at',
  'drifts',
  'contested',
  'overridden_at',
  'lifted_from',
  'put_back',
  'off_until',
  'examined_until',
  'copied_at',
  'drift_accepted_at',
  'read_due_at',
  'read_again_at',
  'attempts',
  'last_error',
  'next_at',
  'lane',
] as const satisfies readonly (keyof PrincipalTable)[]
const ofMapping = ['adapter', 'id', 'did', 'app_id', 'scopes', 'mapped_at'] as const

/** One statement for both kinds of mapping: where nothing is shared it costs one look-up in an empty index. */
export const principalsOfDid = statement(
  build
    .selectFrom('principals')
    .select([...ofMapping, ...ofAccount])
    .where('did', '=', text('did'))
    .where('shared', '=', sql<number>`0`)
    .unionAll((eb) =>
      eb
        .selectFrom('sharers as s')
        .innerJoin('principals as p', (join) => join.onRef('p.adapter', '=', 's.adapter').onRef('p.id', '=', 's.id'))
        .select(['s.adapter', 's.id', 's.did', 's.app_id', 's.scopes', 's.mapped_at'])
        .select(ofAccount.map((column) => `p.${column}` as const))
        .where('s.did', '=', text('did')),
    )
    .orderBy('adapter')
    .orderBy('id'),
)

const listed = sql<string>`(select value from json_each(${text('list')}))`

/** The same for many DIDs at once. */
export const principalsOfDids = statement(
  build
    .selectFrom('principals')
    .select([...ofMapping, ...ofAccount])
    .where('did', 'in', listed)
    .where('shared', '=', sql<number>`0`)
    .unionAll((eb) =>
      eb
        .selectFrom('sharers as s')
        .innerJoin('principals as p', (join) => join.onRef('p.adapter', '=', 's.adapter').onRef('p.id', '=', 's.id'))
        .select(['s.adapter', 's.id', 's.did', 's.app_id', 's.scopes', 's.mapped_at'])
        .select(ofAccount.map((column) => `p.${column}` as const))
        .where('s.did', 'in', listed),
    )
    .orderBy('did')
    .orderBy('adapter')
    .orderBy('id'),
)

const sharers = build.selectFrom('sharers').where('adapter', '=', text('adapter')).where('id', '=', text('id'))
const all = statement(sharers.selectAll().orderBy('did'))

/** Shared principals of the adapter that hang on an open hold: found from the open holds, which are few. */
export const heldSharer = statement(
  build
    .selectFrom('holds as h')
    .innerJoin('sharers as s', 's.did', 'h.did')
    .select('s.id')
    .where('h.released_at', 'is', null)
    .where(sql<string>`+s.adapter`, '=', text('adapter'))
    .limit(1),
)

export const sharerReads = (run: Run): Pick<StoreReads, 'sharersOf'> => ({
  sharersOf: async ({ adapter, id }) => (await run.all(all, { adapter, id })).map(toSharer),
})

const one = build.deleteFrom('sharers').where('adapter', '=', text('adapter')).where('id', '=', text('id'))

export const dropSharer = statement(one.where('did', '=', text('did')))
export const dropSharers = statement(one)
export const firstSharer = statement(sharers.select('did').orderBy('did').limit(1))

/** What the row says of the DID it names goes to the list of all of them; when it was mapped stays. */
export const listSharer = statement(
  build
    .insertInto('sharers')
    .columns(['adapter', 'id', 'did', 'app_id', 'scopes', 'mapped_at'])
    .expression((eb) =>
      eb
        .selectFrom('principals as p')
        .select(['p.adapter', 'p.id', 'p.did', 'p.app_id', 'p.scopes', 'p.mapped_at'])
        .where('p.adapter', '=', text('adapter'))
        .where('p.id', '=', text('id')),
    )
    .onConflict((oc) =>
      oc.columns(['adapter', 'id', 'did']).doUpdateSet((eb) => ({
        app_id: eb.ref('excluded.app_id'),
        scopes: eb.ref('excluded.scopes'),
      })),
    ),
)

const account = build.updateTable('principals')

/** The row names one of its DIDs, whichever. */
export const nameSharer = statement(
  account
    .set({ did: text('did') })
    .where('adapter', '=', text('adapter'))
    .where('id', '=', text('id')),
)

const nextAt = sql<number>`min(coalesce(next_at, ${number('at')}), ${number('at')})`

/** `wake` of what is this DID's alone. */
export const wakeDid = statement(
  account.set({ next_at: nextAt, lane: sql`min(lane, ${number('lane')})` }).where('did', '=', text('did')),
)

/** As `wake`, for what this DID shares: found from the DID, almost always nothing. */
export const wakeShared = statement(
  account
    .set({ next_at: nextAt, lane: sql`min(lane, ${number('lane')})` })
    .where(sql<boolean>`(adapter, id) in (select s.adapter, s.id from sharers as s where s.did = ${text('did')})`),
)

/** As `wakeEngaged`, from the open holds, which are few. */
export const wakeHeldShared = statement(
  account
    .set({ next_at: nextAt })
    .where('adapter', '=', text('adapter'))
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('holds as h')
        .innerJoin('sharers as s', 's.did', 'h.did')
        .select('s.id')
        .where('h.released_at', 'is', null)
        .where(sql<string>`+s.adapter`, '=', text('adapter')),
    ),
)
