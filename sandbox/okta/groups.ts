import type { Origin } from './actors.ts'
import { notFound, Refusal } from './errors.ts'
import type { Group } from './model.ts'
import { page } from './paging.ts'
import { type Allowed, checkFilter, matches, parseFilter } from './scim.ts'
import type { LogTarget } from './syslog.ts'
import { seenUser, userBody, userTarget } from './users.ts'
import { type Call, iso, type LinkedAnswer, noContent, ok } from './wire.ts'
import type { World } from './world.ts'

export function groupTarget({ id, name, type }: Group): LogTarget {
  return { id, type: 'UserGroup', alternateId: type === 'APP_GROUP' ? 'app' : 'unknown', displayName: name }
}

export function groupBody(world: World, group: Group): Record<string, unknown> {
  const self = `${world.origin}/api/v1/groups/${group.id}`
  return {
    id: group.id,
    created: iso(group.created),
    lastUpdated: iso(group.lastUpdated),
    lastMembershipUpdated: iso(group.lastMembershipUpdated),
    objectClass: [group.type === 'APP_GROUP' ? 'okta:windows_security_principal' : 'okta:user_group'],
    type: group.type,
    profile: { name: group.name, description: group.description },
    _links: { self: { href: self }, users: { href: `${self}/users` }, apps: { href: `${self}/apps` } },
  }
}

const order = ['gt', 'ge', 'lt', 'le'] as const
const filterable: Allowed = {
  id: ['eq'],
  type: ['eq'],
  lastUpdated: ['eq', ...order],
  lastMembershipUpdated: ['eq', ...order],
}
const searchable: Allowed = {
  ...filterable,
  created: ['eq', ...order],
  'profile.': ['eq', 'sw', 'co', ...order],
}

export function listGroups(world: World, call: Call): LinkedAnswer {
  const filter = call.search.get('filter')
  const search = call.search.get('search')
  const q = call.search.get('q')
  if ([filter, search, q].filter((each) => each !== null).length > 1) throw new Refusal('E0000033')
  const text = filter ?? search
  const parsed = text === null ? undefined : checkFilter(parseFilter(text), filter === null ? searchable : filterable)
  const rows = world.groups.list(search !== null).filter(({ value }) => {
    if (q !== null) return value.name.toLowerCase().startsWith(q.toLowerCase())
    return parsed === undefined || matches(parsed, groupBody(world, value))
  })
  const limit = q === null ? 10_000 : 300
  const { links, values } = page(world, call, rows, { defaultLimit: limit, maxLimit: limit })
  const shown = values.map((group) => groupBody(world, group))
  return { ...ok(shown), links: q === null ? links : links.filter(({ rel }) => rel === 'self') }
}

function seenGroup(world: World, id: string): Group {
  const found = world.groups.seen(id)
  if (found === undefined) throw notFound(id, 'UserGroup')
  return found
}

export function getGroup(world: World, _call: Call, id: string): LinkedAnswer {
  return ok(groupBody(world, seenGroup(world, id)))
}

/** Members in the order they joined; deactivated users are absent. */
export function listMembers(world: World, call: Call, id: string): LinkedAnswer {
  const group = seenGroup(world, id)
  const rows = world.members.list(group).flatMap(({ ordinal, value }) => {
    const user = world.users.seen(value.id)
    return user === undefined || user.status === 'DEPROVISIONED' ? [] : [{ ordinal, value: user }]
  })
  const { links, values } = page(world, call, rows, { defaultLimit: 1000, maxLimit: 1000 })
  return { ...ok(values.map((user) => userBody(world, user))), links }
}

/** All groups of a user, the built-in one too, on one page. */
export function listGroupsOf(world: World, call: Call, id: string): LinkedAnswer {
  const user = seenUser(world, id)
  const rows = world.groups.list().filter(({ value }) => world.members.has(value, user.id))
  return {
    ...ok(rows.map(({ value }) => groupBody(world, value))),
    links: [{ rel: 'self', url: `${world.origin}${call.path}` }],
  }
}

/** Puts a user into a group or takes it out; only groups of the directory's own let the API do that. */
export function setMember(
  world: World,
  groupId: string,
  userId: string,
  present: boolean,
  origin: Origin,
  { imported = false }: { imported?: boolean } = {},
): LinkedAnswer {
  const group = world.groups.current(groupId)
  if (group === undefined) throw notFound(groupId, 'UserGroup')
  const user = world.users.current(userId)
  if (user === undefined) throw notFound(userId, 'User')
  if (group.type === 'BUILT_IN' || (group.type === 'APP_GROUP' && !imported)) {
    throw new Refusal('E0000111', { about: 'GroupMembership' })
  }
  if (present && user.status === 'DEPROVISIONED') throw new Refusal('E0000038')
  if (!world.members.set(group, user.id, present)) return noContent
  world.groups.set({ ...group, lastMembershipUpdated: world.now() })
  // The order of targets is not fixed; here it differs by what happened.
  const targets = present ? [userTarget(user), groupTarget(group)] : [groupTarget(group), userTarget(user)]
  world.log.write({ eventType: `group.user_membership.${present ? 'add' : 'remove'}`, targets }, origin)
  return noContent
}
