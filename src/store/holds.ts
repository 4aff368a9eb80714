import { sql } from 'kysely'
import type { HeldDid, StoreReads } from '../core/store.ts'
import type { Did, Hold } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import { parse } from './columns.ts'
import { toHold, toRelease } from './rows.ts'
import { build, number, type Run, statement, text } from './statement.ts'

const holds = build.selectFrom('holds')
const open = holds.where('released_at', 'is', null)
const ofDid = open.where('did', '=', text('did'))

const byId = statement(holds.selectAll().where('id', '=', text('id')))
const openOf = statement(ofDid.selectAll().orderBy('placed_at').orderBy('id'))
const historyOf = statement(
  holds
    .selectAll()
    .where('did', '=', text('did'))
    .orderBy(sql`released_at is not null`)
    .orderBy('placed_at', 'desc')
    .orderBy('id', 'desc')
    .limit(number('limit')),
)
const ofOrigin = statement(
  ofDid.selectAll().where('origin', '=', text('origin')).orderBy('placed_at').orderBy('id').limit(1),
)
// The ids are found in the index alone; only the page's rows are then read.
const withOrigin = statement(
  holds
    .selectAll()
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('holds')
        .select('id')
        .where('released_at', 'is', null)
        .where('origin', '>=', text('from'))
        .where('origin', '<', text('to'))
        .where('id', '>', text('after'))
        .orderBy('id')
        .limit(number('limit')),
    )
    .orderBy('id'),
)
const countOpen = statement(open.select((eb) => eb.fn.countAll<number>().as('n')))
const countBySeverity = statement(
  open.select((eb) => ['severity', eb.fn.countAll<number>().as('n')]).groupBy('severity'),
)
const countHeld = statement(open.select((eb) => eb.fn.count<number>('did').distinct().as('n')))
// One statement, so one moment: a page is short only where the held DIDs end.
const held = statement(
  build
    .selectFrom('holds as h')
    .leftJoin('agents as a', 'a.did', 'h.did')
    .selectAll('h')
    .select('a.labels')
    .select((eb) =>
      eb
        .selectFrom('aliases as s')
        .select(sql<string>`json_group_array(s.alias)`.as('list'))
        .whereRef('s.did', '=', 'h.did')
        .as('aliases'),
    )
    .where('h.released_at', 'is', null)
    .where('h.did', 'in', (eb) =>
      eb
        .selectFrom('holds as d')
        .select('d.did')
        .distinct()
        .where('d.released_at', 'is', null)
        .where('d.did', '>', text('after'))
        .orderBy('d.did')
        .limit(number('limit')),
    )
    .orderBy('h.did')
    .orderBy('h.placed_at')
    .orderBy('h.id'),
)
const countOwn = statement(
  ofDid.select((eb) => eb.fn.countAll<number>().as('n')).where('origin_kind', '<>', text('kind')),
)
const releases = build.selectFrom('releases').selectAll()
const release = statement(releases.where('id', '=', text('id')))
const releaseOf = statement(
  releases
    .where('hold_id', '=', text('hold'))
    .where('status', '=', sql<'awaiting'>`'awaiting'`)
    .orderBy('requested_at')
    .orderBy('id')
    .limit(1),
)

/** Sorts after every text that starts with the prefix: U+10FFFF is the highest code point, in bytes as well. */
const endOf = (prefix: string): string => `${prefix}\u{10ffff}`

const heldDids = async (run: Run, after: Did | undefined, limit: number): Promise<HeldDid[]> => {
  const found = new Map<Did, { labels: string | null; holds: Hold[]; aliases: readonly Did[] }>()
  for (const row of await run.all(held, { after: after ?? '', limit })) {
    const entry = found.get(row.did) ?? {
      labels: row.labels,
      holds: [],
      aliases: parse<Did[]>(row.aliases ?? '[]').sort(),
    }
    entry.holds.push(toHold(row))
    found.set(row.did, entry)
  }
  await breathe()
  return [...found].map(([did, entry]) => ({
    did,
    labels: entry.labels === null ? undefined : parse(entry.labels),
    holds: entry.holds,
    aliases: entry.aliases,
  }))
}

type HoldReads = Pick<
  StoreReads,
  | 'hold'
  | 'openHolds'
  | 'holdsOf'
  | 'openHoldOfOrigin'
  | 'openHoldsWithOrigin'
  | 'countOpenHolds'
  | 'countOpenHoldsBySeverity'
  | 'countHeldDids'
  | 'heldDids'
  | 'openOwnHoldCount'
  | 'release'
  | 'openReleaseOf'
>

export const holdReads = (run: Run): HoldReads => {
  const first = async (rows: Promise<Parameters<typeof toHold>[0] | undefined>): Promise<Hold | undefined> => {
    const row = await rows
    return row === undefined ? undefined : toHold(row)
  }
  return {
    hold: (id) => first(run.one(byId, { id })),
    openHolds: async (did) => (await run.all(openOf, { did })).map(toHold),
    holdsOf: async (did, limit) => (await run.all(historyOf, { did, limit })).map(toHold),
    openHoldOfOrigin: (did, origin) => first(run.one(ofOrigin, { did, origin })),
    openHoldsWithOrigin: async (prefix, limit, after = '') =>
      (await run.all(withOrigin, { from: prefix, to: endOf(prefix), after, limit })).map(toHold),
    countOpenHolds: async () => (await run.one(countOpen))?.n ?? 0,
    countOpenHoldsBySeverity: () => run.all(countBySeverity),
    countHeldDids: async () => (await run.one(countHeld))?.n ?? 0,
    heldDids: (after, limit) => heldDids(run, after, limit),
    openOwnHoldCount: async (did) => (await run.one(countOwn, { did, kind: 'cascade' }))?.n ?? 0,
    release: async (id) => {
      const row = await run.one(release, { id })
      return row === undefined ? undefined : toRelease(row)
    },
    openReleaseOf: async (hold) => {
      const row = await run.one(releaseOf, { hold })
      return row === undefined ? undefined : toRelease(row)
    },
  }
}
