import { z } from 'zod'
import type { Edge, Ordered, Row, Snapshot } from './directory.ts'
import { type Collection, isKind, type Kind, models } from './model.ts'
import { find } from './objects.ts'
import { checkSelect, context, parseQuery, project, type Query, requireAdvanced, visible } from './odata.ts'
import { directoryLimits, listBody, readPage } from './paging.ts'
import { maySee, permissions, requireAny } from './permissions.ts'
import { type Answer, badRequest, type Call, notFound, ok } from './wire.ts'
import type { World } from './world.ts'

export type Relation = 'members' | 'transitiveMembers' | 'memberOf' | 'transitiveMemberOf'

const options = ['$select', '$top', '$count', '$skiptoken'] as const

/** `/groups/{id}/members`, `/servicePrincipals/{id}/transitiveMemberOf` and their casts, nesting flattened where asked. */
export function listRelation(
  world: World,
  call: Call,
  key: string,
  owner: Kind,
  relation: Relation,
  cast: Kind | undefined,
): Answer {
  requireAny(call.caller, needed(owner, relation))
  const query = parseQuery(call, options)
  if (cast !== undefined || query.count) requireAdvanced(query)
  const at = world.directory.readAt(query.eventual)
  const found = visible(world.directory, find(world, key, owner), (kind) => isKind(kind, owner), at)
  if (found === undefined) throw notFound(key)
  if (cast !== undefined) checkSelect(query.select, models[cast])
  const related = walk(world, found.row, relation, at).filter(
    (each) => cast === undefined || isKind(each.row.kind, cast),
  )
  const item = (each: Related) => shown(call, each.row, each.snapshot, query, cast)
  const page = readPage(world, call, query, related, directoryLimits, item)
  const set = cast === undefined ? 'directoryObjects' : models[cast].collection
  return ok(listBody(context(world.origin, set, query.select), page, query.count ? related.length : undefined))
}

function needed(owner: Kind, relation: Relation): readonly string[] {
  if (relation === 'members' || relation === 'transitiveMembers') return permissions.readGroups
  return memberOfPermissions(models[owner].collection)
}

function memberOfPermissions(collection: Collection): readonly string[] {
  if (collection === 'servicePrincipals') return permissions.memberships
  return collection === 'users' ? permissions.userMemberships : permissions.groupMemberships
}

interface Related extends Ordered {
  readonly row: Row
  readonly snapshot: Snapshot
}

/** Live relatives in a stable order. Cycles of groups end, and a group is not its own member. */
function walk(world: World, from: Row, relation: Relation, at: number): Related[] {
  const up = relation === 'memberOf' || relation === 'transitiveMemberOf'
  const deep = relation === 'transitiveMembers' || relation === 'transitiveMemberOf'
  const found = new Map<string, Related>()
  const queue = [from]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const { edge, other } of edges(next, up)) {
      if (other.id === from.id || found.has(other.id) || !edge.present.seen(at)) continue
      const snapshot = world.directory.live(other, at)
      if (snapshot === undefined) continue
      found.set(other.id, { row: other, snapshot, ordinal: deep ? other.ordinal : edge.ordinal })
      if (deep && other.kind === 'group') queue.push(other)
    }
  }
  return [...found.values()].sort((left, right) => left.ordinal - right.ordinal)
}

function* edges(row: Row, up: boolean): Generator<{ edge: Edge; other: Row }> {
  for (const edge of up ? row.memberOf : row.members) yield { edge, other: up ? edge.group : edge.member }
}

/** Relatives the caller has no permission to read come with their id and nothing else. */
function shown(call: Call, row: Row, snapshot: Snapshot, query: Query, cast: Kind | undefined) {
  const model = models[row.kind]
  const known = (query.select ?? model.defaults).filter((name) => model.selectable.has(name))
  const visibleSnapshot = maySee(call.caller, row.kind) ? snapshot : { ...snapshot, properties: {} }
  const item = project(row, visibleSnapshot, known, false)
  // Collections of directoryObject name the type of every element, base types too.
  return cast === undefined || model.derived ? { '@odata.type': `#${model.type}`, ...item } : item
}

const groupIds = z.strictObject({ groupIds: z.array(z.string()).min(1).max(20) })
const securityEnabledOnly = z.strictObject({ securityEnabledOnly: z.boolean() })

/** `POST …/getMemberGroups`, `…/getMemberObjects`: ids of all groups, nested ones included. */
export function getMemberGroups(world: World, call: Call, key: string, owner: Kind | undefined): Answer {
  const { row, at } = subject(world, call, key, owner)
  const body = securityEnabledOnly.safeParse(call.body)
  if (!body.success) throw badRequest("Action parameter 'securityEnabledOnly' is missing or invalid.")
  if (body.data.securityEnabledOnly && models[row.kind].collection !== 'users') {
    throw badRequest("Invalid value specified for parameter 'securityEnabledOnly': only users support true.")
  }
  return ids(world, groupsOf(world, row, at, body.data.securityEnabledOnly))
}

/** `POST …/checkMemberGroups`: which of at most 20 groups the object is in, through nesting too. */
export function checkMemberGroups(world: World, call: Call, key: string, owner: Kind | undefined): Answer {
  const { row, at } = subject(world, call, key, owner)
  const body = groupIds.safeParse(call.body)
  if (!body.success) throw badRequest("Action parameter 'groupIds' is missing, invalid or longer than 20.")
  const member = new Set(groupsOf(world, row, at, false))
  return ids(
    world,
    body.data.groupIds.filter((id) => member.has(id.toLowerCase())),
  )
}

function subject(world: World, call: Call, key: string, owner: Kind | undefined) {
  parseQuery(call, [])
  const at = world.directory.readAt()
  const row = find(world, key, owner)
  const kind = owner ?? row?.kind
  requireAny(call.caller, kind === undefined ? permissions.memberships : memberOfPermissions(models[kind].collection))
  const found = visible(world.directory, row, (each) => owner === undefined || isKind(each, owner), at)
  if (found === undefined) throw notFound(key)
  return { row: found.row, at }
}

function groupsOf(world: World, row: Row, at: number, securityOnly: boolean): string[] {
  return walk(world, row, 'transitiveMemberOf', at)
    .filter((each) => !securityOnly || each.snapshot.properties.securityEnabled === true)
    .map((each) => each.row.id)
}

function ids(world: World, value: readonly string[]): Answer {
  return ok({ '@odata.context': `${world.origin}/v1.0/$metadata#Collection(Edm.String)`, value })
}

/** `/servicePrincipals/{id}/sponsors`, also below the agent identity cast. */
export function listSponsors(world: World, call: Call, key: string, asked: Kind): Answer {
  requireAny(call.caller, permissions.sponsors)
  const query = parseQuery(call, options)
  const at = world.directory.readAt(query.eventual)
  const found = visible(world.directory, find(world, key, asked), (kind) => isKind(kind, asked), at)
  if (found === undefined) throw notFound(key)
  const sponsors = found.row.sponsors.flatMap((id, index) => {
    const row = world.directory.row(id)
    const snapshot = row === undefined ? undefined : world.directory.live(row, at)
    return row === undefined || snapshot === undefined ? [] : [{ row, snapshot, ordinal: index + 1 }]
  })
  const item = (each: Related) =>
    query.select === undefined
      ? { '@odata.type': '#microsoft.graph.directoryObject', id: each.row.id }
      : shown(call, each.row, each.snapshot, query, undefined)
  const page = readPage(world, call, query, sponsors, directoryLimits, item)
  return ok(listBody(context(world.origin, 'directoryObjects', query.select), page, undefined))
}
