import type { Origin } from './actors.ts'
import { notFound, Refusal } from './errors.ts'
import type { EventName } from './events.ts'
import { oktaId } from './ids.ts'
import type { User, UserStatus } from './model.ts'
import { page } from './paging.ts'
import { type Allowed, checkFilter, matches, parseFilter } from './scim.ts'
import type { LogTarget } from './syslog.ts'
import { type Call, iso, isoOrNull, type LinkedAnswer, noContent, ok } from './wire.ts'
import type { World } from './world.ts'

export type Verb = 'suspend' | 'unsuspend' | 'activate' | 'deactivate' | 'reactivate' | 'unlock'

/** By id, login, or the part of the login before `@` where only one has it. What readers see. */
export function seenUser(world: World, id: string): User {
  const found = world.users.seen(id) ?? byLogin(world, id)
  if (found === undefined) throw notFound(id, 'User')
  return found
}

function byLogin(world: World, name: string): User | undefined {
  if (/^00u\w{17}$/.test(name)) return undefined
  const wanted = name.toLowerCase()
  const all = world.users.list().map(({ value }) => value)
  const exact = all.find(({ profile }) => profile.login.toLowerCase() === wanted)
  const short = all.filter(({ profile }) => profile.login.toLowerCase().split('@')[0] === wanted)
  return exact ?? (short.length === 1 ? short[0] : undefined)
}

/** The truth about a user that the path of a write names. */
function writtenUser(world: World, id: string): User {
  const found = world.users.current(id) ?? world.users.current(byLogin(world, id)?.id ?? '')
  if (found === undefined) throw notFound(id, 'User')
  return found
}

export function userTarget({ id, profile }: User): LogTarget {
  const displayName = `${profile.firstName} ${profile.lastName}`
  return { id, type: 'User', alternateId: profile.login, displayName }
}

export function userBody(world: World, user: User, whole = false): Record<string, unknown> {
  const self = `${world.origin}/api/v1/users/${user.id}`
  const verbs = whole ? possible(user).map((verb) => [verb, lifecycleLink(self, verb)]) : []
  return {
    id: user.id,
    status: user.status,
    created: iso(user.created),
    activated: isoOrNull(user.activated),
    statusChanged: isoOrNull(user.statusChanged),
    lastLogin: isoOrNull(user.lastLogin),
    lastUpdated: iso(user.lastUpdated),
    passwordChanged: isoOrNull(user.passwordChanged),
    ...(user.transitioningToStatus === undefined ? {} : { transitioningToStatus: user.transitioningToStatus }),
    type: { id: world.userTypeId },
    profile: { mobilePhone: null, secondEmail: null, ...user.profile },
    credentials: { provider: { type: user.source, name: user.source } },
    _links: { ...Object.fromEntries(verbs), self: { href: self } },
  }
}

const lifecycleLink = (self: string, verb: string) => ({ href: `${self}/lifecycle/${verb}`, method: 'POST' })

function possible({ status }: User): Verb[] {
  switch (status) {
    case 'ACTIVE':
      return ['suspend', 'deactivate']
    case 'SUSPENDED':
      return ['unsuspend', 'deactivate']
    case 'STAGED':
      return ['activate', 'deactivate']
    case 'PROVISIONED':
    case 'RECOVERY':
      return ['reactivate', 'deactivate']
    case 'LOCKED_OUT':
      return ['unlock', 'deactivate']
    case 'PASSWORD_EXPIRED':
      return ['deactivate']
    case 'DEPROVISIONED':
      return ['activate']
  }
}

const order = ['gt', 'ge', 'lt', 'le'] as const
const filterable: Allowed = {
  status: ['eq'],
  id: ['eq'],
  lastUpdated: ['eq', ...order],
  'profile.login': ['eq', ...order],
  'profile.email': ['eq', ...order],
  'profile.firstName': ['eq', ...order],
  'profile.lastName': ['eq', ...order],
}
const searchable: Allowed = {
  id: ['eq', ...order],
  status: ['eq', ...order],
  created: ['eq', ...order],
  activated: ['eq', 'pr', ...order],
  statusChanged: ['eq', 'pr', ...order],
  lastUpdated: ['eq', ...order],
  'type.id': ['eq'],
  'profile.': ['eq', 'sw', 'co', 'ew', 'pr', ...order],
}

/** Without `filter` or `search` deactivated users are left out; `search` asks an index that lags. */
export function listUsers(world: World, call: Call): LinkedAnswer {
  const filter = call.search.get('filter')
  const search = call.search.get('search')
  const q = call.search.get('q')
  if ([filter, search, q].filter((each) => each !== null).length > 1) throw new Refusal('E0000033')
  if (call.search.has('sortBy') && search === null) throw new Refusal('E0000031')
  const rows = world.users.list(search !== null)
  const wanted = (user: User): boolean => {
    if (q !== null) return begins(user, q)
    return user.status !== 'DEPROVISIONED'
  }
  const text = filter ?? search
  const parsed = text === null ? undefined : checkFilter(parseFilter(text), filter === null ? searchable : filterable)
  const found = rows.filter(({ value }) =>
    parsed === undefined ? wanted(value) : matches(parsed, userBody(world, value)),
  )
  const { links, values } = page(world, call, found, { defaultLimit: q === null ? 200 : 10, maxLimit: 200 })
  const shown = values.map((user) => userBody(world, user))
  // A simple look-up by words cannot be paged.
  return { ...ok(shown), links: q === null ? links : links.filter(({ rel }) => rel === 'self') }
}

function begins({ profile, status }: User, q: string): boolean {
  const names = [profile.firstName, profile.lastName, profile.email, profile.login]
  return status !== 'DEPROVISIONED' && names.some((name) => name.toLowerCase().startsWith(q.toLowerCase()))
}

/** `me` is the owner of an API token; an app is no user. */
export function getUser(world: World, { caller }: Call, id: string): LinkedAnswer {
  const named = id === 'me' && caller.actor.type === 'User' ? caller.actor.id : id
  return ok(userBody(world, seenUser(world, named), true))
}

/** One lifecycle call, by the API or by hand: the same preconditions. Its answer is undefined where there is no body. */
export function lifecycle(
  world: World,
  id: string,
  verb: Verb,
  origin: Origin,
  { sendEmail = verb === 'activate', async = false }: { sendEmail?: boolean; async?: boolean } = {},
): Record<string, unknown> | undefined {
  const user = writtenUser(world, id)
  refuseInTransition(user)
  switch (verb) {
    case 'suspend':
      if (user.status !== 'ACTIVE') throw wrongStatus(world, user, verb, origin)
      world.sessions.delete(user.id)
      return change(world, user, 'SUSPENDED', 'user.lifecycle.suspend', origin)
    case 'unsuspend':
      if (user.status !== 'SUSPENDED') throw wrongStatus(world, user, verb, origin)
      return change(world, user, 'ACTIVE', 'user.lifecycle.unsuspend', origin)
    case 'activate':
      if (user.status === 'ACTIVE' || user.status === 'PROVISIONED') throw new Refusal('E0000016')
      if (user.status !== 'STAGED' && user.status !== 'DEPROVISIONED') throw new Refusal('E0000038')
      begin(world, user, user.passwordChanged === undefined ? 'PROVISIONED' : 'ACTIVE', origin, true)
      return sendEmail ? {} : activation(world)
    case 'deactivate':
      if (user.status === 'DEPROVISIONED') throw new Refusal('E0000038')
      world.sessions.delete(user.id)
      begin(world, user, 'DEPROVISIONED', origin, async)
      return undefined
    case 'reactivate':
      if (user.status !== 'PROVISIONED' && user.status !== 'RECOVERY') throw new Refusal('E0000038')
      change(world, user, 'PROVISIONED', 'user.lifecycle.reactivate', origin)
      return sendEmail ? {} : activation(world)
    case 'unlock':
      if (user.status !== 'LOCKED_OUT' || user.source !== 'OKTA') throw new Refusal('E0000032')
      return change(world, user, 'ACTIVE', 'user.account.unlock', origin)
  }
}

const causes = {
  suspend: 'Cannot suspend a user that is not active',
  unsuspend: 'Cannot unsuspend a user that is not suspended',
}

/** The words do not say which status the user has instead; the log shows a failure. */
function wrongStatus(world: World, user: User, verb: 'suspend' | 'unsuspend', origin: Origin): Refusal {
  const failure = causes[verb]
  world.log.write({ eventType: `user.lifecycle.${verb}`, targets: [userTarget(user)], failure }, origin)
  return new Refusal('E0000001', { about: `${verb}User`, causes: [failure] })
}

function refuseInTransition({ transitioningToStatus }: User): void {
  if (transitioningToStatus === 'DEPROVISIONED') throw new Refusal('E0000038')
  if (transitioningToStatus !== undefined) throw new Refusal('E0000112')
}

/** Writes a status with its event. */
export function change(world: World, user: User, status: UserStatus, event: EventName, origin: Origin): undefined {
  const { transitioningToStatus: _, ...rest } = user
  const at = world.now()
  const activated = event === 'user.lifecycle.activate' ? { activated: at } : {}
  world.users.set({ ...rest, ...activated, status, statusChanged: at, lastUpdated: at })
  world.log.write({ eventType: event, targets: [userTarget(user)] }, origin)
}

/** A change that may take its time: meanwhile the old status stays and `transitioningToStatus` names the new one. */
function begin(
  world: World,
  user: User,
  to: 'ACTIVE' | 'PROVISIONED' | 'DEPROVISIONED',
  origin: Origin,
  mayLast: boolean,
): void {
  const event = to === 'DEPROVISIONED' ? 'user.lifecycle.deactivate' : 'user.lifecycle.activate'
  if (!mayLast || world.transitionMs === 0) {
    change(world, user, to, event, origin)
    return
  }
  world.users.set({ ...user, transitioningToStatus: to, lastUpdated: world.now() })
  world.later.after(world.transitionMs, () => {
    const now = world.users.current(user.id)
    if (now?.transitioningToStatus === to) change(world, now, to, event, origin)
  })
}

function activation(world: World): Record<string, string> {
  const activationToken = oktaId('00T')
  return { activationUrl: `${world.origin}/welcome/${activationToken}`, activationToken }
}

/** Sessions end; with `oauthTokens` so do the user's tokens, access tokens too. */
export function clearSessions(world: World, id: string, oauthTokens: boolean, origin: Origin): LinkedAnswer {
  const user = writtenUser(world, id)
  world.sessions.delete(user.id)
  if (oauthTokens) world.issued.revoke(({ userId }) => userId === user.id)
  const debugData = { oauthTokens: String(oauthTokens) }
  world.log.write({ eventType: 'user.session.clear', targets: [userTarget(user)], debugData }, origin)
  return noContent
}

/** The first call deactivates, the second one deletes. */
export function deleteUser(world: World, id: string, origin: Origin): LinkedAnswer {
  const user = writtenUser(world, id)
  refuseInTransition(user)
  if (user.status !== 'DEPROVISIONED') {
    world.sessions.delete(user.id)
    change(world, user, 'DEPROVISIONED', 'user.lifecycle.deactivate', origin)
    return noContent
  }
  world.users.remove(user.id)
  world.members.forget(user.id)
  world.log.write({ eventType: 'user.lifecycle.delete.initiated', targets: [userTarget(user)] }, origin)
  return noContent
}
