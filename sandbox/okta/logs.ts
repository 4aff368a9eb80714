import { z } from 'zod'
import { invalid, Refusal } from './errors.ts'
import { nextUrl } from './paging.ts'
import { type Allowed, checkFilter, type Filter, matches, parseFilter } from './scim.ts'
import type { Persisted } from './syslog.ts'
import { type Call, type Link, type LinkedAnswer, ok } from './wire.ts'
import type { World } from './world.ts'

const cursor = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('polling'), generation: z.number(), seq: z.number() }),
  z.object({
    mode: z.literal('bounded'),
    generation: z.number(),
    at: z.number(),
    seq: z.number(),
    since: z.number(),
    until: z.number(),
  }),
])
type Cursor = z.infer<typeof cursor>

const weekMs = 7 * 24 * 3_600_000
const text = ['eq', 'ne', 'sw', 'co', 'ew', 'pr'] as const

/** `published` is for `since` and `until`, not for filters. */
const filterable: Allowed = {
  eventType: text,
  legacyEventType: text,
  displayMessage: text,
  severity: text,
  uuid: text,
  version: text,
  'actor.': text,
  'client.': text,
  'outcome.': text,
  'target.': text,
  'transaction.': text,
  'debugContext.': text,
  'authenticationContext.': text,
  'securityContext.': text,
}

/**
 * `GET /api/v1/logs`. Without `until` and ascending it is a polling request: by persistence, complete, with a `next` link
 * for ever. Otherwise it is bounded: by `published`, and what is persisted later may be missing.
 */
export function readLog(world: World, call: Call): LinkedAnswer {
  const limit = Math.min(limitOf(call), world.logPageSize ?? Number.POSITIVE_INFINITY)
  const filter = filterOf(call)
  const words = wordsOf(call)
  const wanted = ({ event }: Persisted) =>
    (filter === undefined || matches(filter, event)) && words.every((word) => mentions(event, word))
  const from = start(world, call)
  const rows = world.log.persisted
  const self: Link = { rel: 'self', url: `${world.origin}${call.path}` }
  const link = (to: Cursor): Link => {
    const next = nextUrl(world, call, world.opaque.seal(to), ['since'])
    return { rel: 'next', url: next }
  }

  if (from.mode === 'polling') {
    const found = rows.filter((row) => row.seq > from.seq && wanted(row)).slice(0, limit)
    // Past everything that was looked at, so that what does not match is not read again.
    const seq = found.length === limit ? (found.at(-1)?.seq ?? from.seq) : (rows.at(-1)?.seq ?? from.seq)
    return { ...ok(found.map(({ event }) => event)), links: [self, link({ ...from, seq: Math.max(seq, from.seq) })] }
  }

  const sign = call.search.get('sortOrder') === 'DESCENDING' ? -1 : 1
  const isLeft = ({ publishedAt, seq }: Persisted) =>
    sign * (publishedAt - from.at || seq - from.seq) > 0 && publishedAt >= from.since && publishedAt <= from.until
  const left = rows
    .filter((row) => isLeft(row) && wanted(row))
    .sort((a, b) => sign * (a.publishedAt - b.publishedAt || a.seq - b.seq))
  const found = left.slice(0, limit)
  const last = found.at(-1)
  const links =
    left.length > limit && last !== undefined ? [link({ ...from, at: last.publishedAt, seq: last.seq })] : []
  return { ...ok(found.map(({ event }) => event)), links: [self, ...links] }
}

function start(world: World, call: Call): Cursor {
  const since = timeOf(call, 'since')
  const until = timeOf(call, 'until')
  const after = call.search.get('after')
  const descending = isDescending(call)
  const generation = world.switches.logGeneration
  if (after !== null) {
    if (since !== undefined) throw invalid('after', 'after: The since and after parameters cannot be used together.')
    const opened = cursor.safeParse(world.opaque.open(after))
    if (!opened.success || opened.data.generation !== generation) {
      throw invalid('after', 'after: The after parameter is not valid.')
    }
    return opened.data
  }
  if (until === undefined && !descending) {
    const from = since ?? world.now() - weekMs
    const before = world.log.persisted.findLast(({ persistedAt }) => persistedAt < from)
    return { mode: 'polling', generation, seq: before?.seq ?? 0 }
  }
  const end = until ?? world.now()
  const at = descending ? Number.MAX_SAFE_INTEGER : -1
  return { mode: 'bounded', generation, since: since ?? end - weekMs, until: end, at, seq: 0 }
}

function isDescending(call: Call): boolean {
  const order = call.search.get('sortOrder') ?? 'ASCENDING'
  if (order !== 'ASCENDING' && order !== 'DESCENDING') {
    throw invalid('sortOrder', 'sortOrder: The sort order must be ASCENDING or DESCENDING.')
  }
  return order === 'DESCENDING'
}

function timeOf(call: Call, name: 'since' | 'until'): number | undefined {
  const given = call.search.get(name)
  if (given === null) return undefined
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})$/.test(given)
    ? Date.parse(given)
    : Number.NaN
  if (Number.isNaN(at)) throw new Refusal('E0000030')
  return at
}

function limitOf(call: Call): number {
  const given = call.search.get('limit')
  if (given === null) return 100
  if (!/^\d{1,4}$/.test(given) || Number(given) > 1000) {
    throw invalid('limit', 'limit: The limit must be between 0 and 1000.')
  }
  return Number(given)
}

function filterOf(call: Call): Filter | undefined {
  const given = call.search.get('filter')
  return given === null ? undefined : checkFilter(parseFilter(given), filterable)
}

function wordsOf(call: Call): readonly string[] {
  const words = (call.search.get('q') ?? '').split(/\s+/).filter((word) => word !== '')
  if (words.length > 10 || words.some((word) => word.length > 40)) {
    throw invalid('q', 'q: The query must have at most 10 words of at most 40 characters.')
  }
  return words
}

function mentions(event: object, word: string): boolean {
  return JSON.stringify(event).toLowerCase().includes(word.toLowerCase())
}
