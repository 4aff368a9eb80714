import { z } from 'zod'
import { lowerBound } from './changes.ts'
import type { Row } from './directory.ts'
import type { Filter } from './filter.ts'
import { baseKind, type Collection, models } from './model.ts'
import { checkSelect, context, parseQuery, project } from './odata.ts'
import { link } from './paging.ts'
import { permissions, requireAny } from './permissions.ts'
import { type Answer, badRequest, type Call, ok, Refusal } from './wire.ts'
import type { World } from './world.ts'

const shape = {
  collection: z.enum(['servicePrincipals', 'users', 'groups']),
  select: z.array(z.string()).optional(),
  ids: z.array(z.string()).optional(),
  issuedAt: z.number(),
  generation: z.number(),
  /** The round reports changes after `from` up to `to`. */
  from: z.number(),
  to: z.number(),
}
const position = z.object({
  ...shape,
  kind: z.literal('next'),
  /** The first round walks all objects; later ones walk changes. */
  full: z.boolean(),
  /** Full: last ordinal done, and the last membership done within the next object. Otherwise: rows done. */
  after: z.number(),
  edge: z.number(),
  page: z.number(),
})
const resume = z.object({ ...shape, kind: z.literal('delta') })
const token = z.discriminatedUnion('kind', [position, resume])
type Position = z.infer<typeof position>

const serviceSize = 200
const lifetimeMs = 7 * 24 * 3_600_000

/** `GET /{collection}/delta`: first round, its next pages, and later rounds. */
export function readDelta(world: World, call: Call, collection: Collection): Answer {
  const needed = { servicePrincipals: 'principalDelta', users: 'userDelta', groups: 'groupDelta' } as const
  requireAny(call.caller, permissions[needed[collection]])
  const query = parseQuery(call, ['$select', '$filter', '$skiptoken', '$deltatoken'])
  const given = query.skipToken ?? query.deltaToken
  // An empty token is what the Location of an expired one holds: start over.
  if (given === undefined || given === 'latest' || given === '') {
    return first(world, call, collection, given === 'latest')
  }
  // Everything the query needs is inside the token.
  if (call.search.size > 1) throw badRequest('Query options cannot be combined with a delta or skip token.')
  const parsed = token.safeParse(world.opaque.open(given))
  if (!parsed.success || parsed.data.collection !== collection) throw syncStateNotFound()
  if ((parsed.data.kind === 'next') !== (query.skipToken !== undefined)) throw syncStateNotFound()
  refuseExpired(world, collection, parsed.data)
  if (parsed.data.kind === 'next') return page(world, call, parsed.data)
  return page(world, call, { ...round(world, parsed.data), kind: 'next', full: false, after: 0, edge: 0, page: 0 })
}

function first(world: World, call: Call, collection: Collection, latest: boolean): Answer {
  const query = parseQuery(call, ['$select', '$filter', '$deltatoken'])
  const model = models[baseKind[collection]]
  checkSelect(query.select, model, collection === 'groups' ? ['members'] : [])
  if (query.select?.includes('members')) requireAny(call.caller, permissions.groupDeltaMembers)
  const to = world.directory.changes.head(collection, world.directory.readAt())
  const start: Position = {
    kind: 'next',
    collection,
    ...(query.select === undefined ? {} : { select: [...query.select] }),
    ...(query.filter === undefined ? {} : { ids: idsOf(query.filter) }),
    issuedAt: world.now(),
    generation: world.switches.deltaGeneration,
    from: latest ? to : 0,
    to,
    full: !latest,
    after: 0,
    edge: 0,
    page: 0,
  }
  return page(world, call, start)
}

function round(world: World, last: z.infer<typeof resume>) {
  const replay = world.switches.deltaReplay
  world.switches.deltaReplay = false
  const to = world.directory.changes.head(last.collection, world.directory.readAt())
  const from = replay ? Math.max(last.from, world.directory.changes.floor) : last.to
  return { ...last, from, to, issuedAt: world.now(), generation: world.switches.deltaGeneration }
}

function page(world: World, call: Call, at: Position): Answer {
  const size = Math.min(serviceSize, world.pageSize ?? serviceSize)
  const minimal = call.header('prefer')?.toLowerCase().includes('return=minimal') === true
  const read = at.full ? fullPage(world, at, size) : changedPage(world, at, size, minimal)
  const headers: Record<string, string> = minimal ? { 'Preference-Applied': 'return=minimal' } : {}
  const body = { '@odata.context': context(world.origin, at.collection, at.select) }
  if (read.next === undefined) {
    const { kind: _, full: _full, after: _after, edge: _edge, page: _page, ...kept } = at
    const sealed = world.opaque.seal({ ...kept, kind: 'delta' })
    const deltaLink = link(world, call, '$deltatoken', sealed, false)
    return ok({ ...body, '@odata.deltaLink': deltaLink, value: read.value }, headers)
  }
  // The second of several pages comes empty, and the last row of a page is repeated on the next: both happen for real.
  const empty = at.page === 1 && world.emptyPages
  const next = empty ? { ...at, page: 2 } : { ...at, ...read.next, page: at.page + 1 }
  const nextLink = link(world, call, '$skiptoken', world.opaque.seal(next), false)
  return ok({ ...body, '@odata.nextLink': nextLink, value: empty ? [] : read.value }, headers)
}

interface Read {
  readonly value: readonly unknown[]
  readonly next: { readonly after: number; readonly edge: number } | undefined
}

function hidden(world: World, row: Row, ids: readonly string[] | undefined): boolean {
  if (world.deltaHidesAgents && row.kind === 'agentIdentity') return true
  return ids !== undefined && !ids.includes(row.id)
}

function fullPage(world: World, at: Position, size: number): Read {
  const rows = world.directory.list(at.collection)
  const moment = world.directory.readAt()
  const withMembers = at.collection === 'groups' && at.select?.includes('members') === true
  const value: unknown[] = []
  let { after, edge } = at
  let budget = size
  for (let index = lowerBound(rows, (row) => row.ordinal > after); index < rows.length; index++) {
    const row = rows[index]
    const snapshot = row?.state.seen(moment)
    if (row === undefined || snapshot === undefined || hidden(world, row, at.ids)) continue
    if (budget <= 0) return { value, next: { after: repeatFrom(at, rows, index, edge), edge } }
    budget--
    if (snapshot.life !== 'live') {
      value.push(removed(row, snapshot.life))
    } else if (withMembers) {
      const chunk = memberChunk(row, edge, moment, Math.max(budget, 1), world)
      value.push({ ...project(row, snapshot, plain(at.select), true), 'members@delta': chunk.members })
      budget -= chunk.members.length
      if (chunk.edge !== undefined) return { value, next: { after, edge: chunk.edge } }
    } else value.push(project(row, snapshot, plain(at.select), true))
    after = row.ordinal
    edge = 0
  }
  return { value, next: undefined }
}

/** One row back, when the page had more than one: the same object then appears twice in the round. */
function repeatFrom(at: Position, rows: readonly Row[], index: number, edge: number): number {
  const last = rows[index - 1]?.ordinal ?? at.after
  const before = rows[index - 2]?.ordinal ?? at.after
  return edge === 0 && at.page === 0 && before > at.after ? before : Math.max(last, at.after)
}

/** Members after `edge`; a big group goes on in another row, on another page. */
function memberChunk(row: Row, edge: number, moment: number, size: number, world: World) {
  const members: unknown[] = []
  for (let index = lowerBound(row.members, (each) => each.ordinal > edge); index < row.members.length; index++) {
    const each = row.members[index]
    if (each === undefined || !each.present.seen(moment)) continue
    if (world.directory.live(each.member, moment) === undefined) continue
    if (members.length === size) return { members, edge: row.members[index - 1]?.ordinal ?? edge }
    members.push({ '@odata.type': `#${models[each.member.kind].type}`, id: each.member.id })
  }
  return { members, edge: undefined }
}

function changedPage(world: World, at: Position, size: number, minimal: boolean): Read {
  const rows = coalesce(world, at)
  const value = rows.slice(at.after, at.after + size).map((each) => changedRow(world, at, each, minimal))
  const done = at.after + size
  // From the first page the next one starts a row early.
  const repeat = at.page === 0 && size > 1 ? 1 : 0
  return { value, next: done < rows.length ? { after: done - repeat, edge: 0 } : undefined }
}

interface Changed {
  readonly row: Row
  readonly properties: Set<string>
  readonly members: Set<string>
}

/** One entry per object, however often it changed; changes to unselected properties do not count. */
function coalesce(world: World, at: Position): Changed[] {
  const found = new Map<string, Changed>()
  for (const change of world.directory.changes.between(at.collection, at.from, at.to)) {
    const row = world.directory.row(change.id)
    if (row === undefined || hidden(world, row, at.ids)) continue
    const relevant = change.properties.filter((name) => name === '*' || selected(at, row, name))
    if (relevant.length === 0) continue
    const entry = found.get(row.id) ?? { row, properties: new Set<string>(), members: new Set<string>() }
    for (const name of relevant) entry.properties.add(name)
    if (change.member !== undefined) entry.members.add(change.member)
    found.set(row.id, entry)
  }
  return [...found.values()]
}

function selected(at: Position, row: Row, name: string): boolean {
  return (at.select ?? models[row.kind].defaults).includes(name)
}

function changedRow(world: World, at: Position, changed: Changed, minimal: boolean): unknown {
  const { row, properties, members } = changed
  const moment = world.directory.readAt()
  const snapshot = row.state.seen(moment)
  if (snapshot === undefined || snapshot.life !== 'live') return removed(row, snapshot?.life ?? 'purged')
  const names = plain(at.select) ?? models[row.kind].defaults
  const shown = minimal && !properties.has('*') ? names.filter((name) => properties.has(name)) : names
  const base = project(row, snapshot, shown, true)
  if (!at.select?.includes('members')) return base
  const all = properties.has('*') ? row.members.map((edge) => edge.member.id) : []
  const touched = [...new Set([...all, ...members])].flatMap((id) => memberDelta(world, row, id, moment))
  return touched.length === 0 ? base : { ...base, 'members@delta': touched }
}

/** A membership that ended says `deleted`, whatever became of the member itself. */
function memberDelta(world: World, group: Row, id: string, moment: number): unknown[] {
  const edge = group.edgeByMember.get(id)
  if (edge === undefined) return []
  const entry = { '@odata.type': `#${models[edge.member.kind].type}`, id }
  const present = edge.present.seen(moment) && world.directory.live(edge.member, moment) !== undefined
  return [present ? entry : { ...entry, '@removed': { reason: 'deleted' } }]
}

function removed(row: Row, life: 'deleted' | 'purged' | 'live'): unknown {
  return { id: row.id, '@removed': { reason: life === 'purged' ? 'deleted' : 'changed' } }
}

function plain(select: readonly string[] | undefined): readonly string[] | undefined {
  return select?.filter((name) => name !== 'members')
}

/** Delta queries filter by id only: `id eq 'a' or id eq 'b'`. */
function idsOf(filter: Filter): string[] {
  if (filter.op === 'or') return [...idsOf(filter.left), ...idsOf(filter.right)]
  if (filter.op === 'eq' && filter.path === 'id') return [String(filter.value).toLowerCase()]
  throw badRequest("Delta queries support only id filters: id eq '…' or id eq '…'.")
}

function refuseExpired(world: World, collection: Collection, at: z.infer<typeof token>): void {
  const asksFrom = at.kind === 'delta' ? at.to : at.full ? Number.POSITIVE_INFINITY : at.from
  const tooOld = world.now() - at.issuedAt > lifetimeMs || asksFrom < world.directory.changes.floor
  if (!tooOld && at.generation === world.switches.deltaGeneration) return
  if (world.switches.deltaExpiry === 'syncStateNotFound') throw syncStateNotFound()
  const location = `${world.origin}/v1.0/${collection}/delta?$deltatoken=`
  throw new Refusal(410, 'resyncRequired', 'The delta token is expired and a full resync is required.', {
    Location: location,
  })
}

function syncStateNotFound(): Refusal {
  return new Refusal(400, 'syncStateNotFound', 'The sync state generation is not found; a full resync is required.')
}
