import { storeObjectId } from './ids.ts'
import type { Membership, Store, StoreGroup, StoreUser } from './model.ts'
import type { Actor } from './trail.ts'
import type { World } from './world.ts'

/** Users and groups of the identity store, and how they change. */

export interface NewStoreUser {
  readonly storeId?: string
  readonly id?: string
  readonly userName?: string
  readonly displayName?: string
  readonly email?: string
  readonly externalId?: string
  readonly enabled?: boolean
}

export interface NewStoreGroup {
  readonly storeId?: string
  readonly id?: string
  readonly displayName?: string
  readonly externalId?: string
  readonly members?: readonly string[]
}

export function addUser(world: World, store: Store, options: NewStoreUser): StoreUser {
  const { email, enabled = true, externalId, id = storeObjectId(store.id) } = options
  const userName = options.userName ?? `agent-${id.slice(-6)}`
  const now = world.now()
  return world.users.add({
    id,
    storeId: store.id,
    userName,
    displayName: options.displayName ?? userName,
    givenName: userName,
    familyName: 'Agent',
    email,
    externalId,
    enabled,
    created: now,
    updated: now,
  })
}

export function addGroup(world: World, store: Store, options: NewStoreGroup): StoreGroup {
  const { externalId, id = storeObjectId(store.id), members = [] } = options
  const displayName = options.displayName ?? `group-${id.slice(-6)}`
  const group = world.groups.add({ id, storeId: store.id, displayName, description: undefined, externalId })
  for (const userId of members) world.memberships.add(membership(group, userId))
  return group
}

function membership({ id: groupId, storeId }: StoreGroup, userId: string): Membership {
  return { id: storeObjectId(storeId, `${groupId} ${userId}`), storeId, groupId, userId }
}

export function isMember(world: World, groupId: string, userId: string): boolean {
  return world.memberships.everyCurrent().some((each) => each.groupId === groupId && each.userId === userId)
}

/** Members come and go by the console, as private events of the directory. */
export function setMember(
  world: World,
  group: StoreGroup,
  userId: string,
  { actor, isMember: wanted }: { actor: Actor; isMember: boolean },
): void {
  if (isMember(world, group.id, userId) === wanted) return
  const row = membership(group, userId)
  if (wanted) world.memberships.put(row)
  else world.memberships.remove(row.id)
  tell(world, group.storeId, {
    source: 'sso-directory.amazonaws.com',
    name: wanted ? 'AddMemberToGroup' : 'RemoveMemberFromGroup',
    actor,
    request: { identityStoreId: group.storeId, groupId: group.id, member: { memberId: userId } },
  })
}

interface Told {
  readonly source: string
  readonly name: string
  readonly actor: Actor
  readonly request: unknown
  readonly response?: unknown
  readonly requestId?: string
}

export function setUserEnabled(world: World, user: StoreUser, enabled: boolean, told: Told): StoreUser {
  const next = world.users.set({ ...user, enabled, updated: world.now() })
  tell(world, user.storeId, told)
  return next
}

export function removeUser(world: World, user: StoreUser, told: Told): void {
  for (const each of world.memberships.everyCurrent()) if (each.userId === user.id) world.memberships.remove(each.id)
  world.users.remove(user.id)
  tell(world, user.storeId, told)
}

function tell(world: World, storeId: string, told: Told): void {
  const store = world.stores.get(storeId)
  if (store === undefined) return
  world.trail.write({ ...told, region: store.region, accountId: store.accountId, readOnly: false })
}
