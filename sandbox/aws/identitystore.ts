import { z } from 'zod'
import { Refusal } from './errors.ts'
import type { Membership, Store, StoreGroup, StoreUser } from './model.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { pageOf } from './paging.ts'
import type { Output } from './wire.ts'
import type { World } from './world.ts'

/** The identity store's reads. Nothing here switches a user on or off: the service has no such action. */

const IdentityStoreId = z.string().regex(/^(d-[0-9a-f]{10}|[0-9a-f-]{36})$/)
const id = z
  .string()
  .regex(/^([0-9a-f]{10}-|)[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}$/)
const paging = {
  IdentityStoreId,
  MaxResults: z.int().min(1).max(100).default(100),
  NextToken: z.string().max(65_535).exactOptional(),
}
const filters = z
  .array(z.object({ AttributePath: z.string(), AttributeValue: z.string() }))
  .max(1)
  .default([])
const MemberId = z.object({ UserId: id })
const unique = z.object({ AttributePath: z.string(), AttributeValue: z.unknown() })
const AlternateIdentifier = z.union([
  z.object({ UniqueAttribute: unique }),
  z.object({ ExternalId: z.object({ Issuer: z.string(), Id: z.string() }) }),
])

const on = (_world: World, { accountId }: Call, input: { readonly IdentityStoreId: string }) => ({
  arn: `arn:aws:identitystore::${accountId}:identitystore/${input.IdentityStoreId}`,
})

export const identityStoreOperations: Readonly<Record<string, Operation>> = {
  DescribeUser: operation({
    input: z.object({ IdentityStoreId, UserId: id }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      return userOutput(store, found(world.users.seen(input.UserId), store, 'USER'))
    },
  }),
  ListUsers: operation({
    input: z.object({ ...paging, Filters: filters }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      const name = filtered(input.Filters, 'UserName')
      const rows = ofStore(world.users.list(), store).filter(
        ({ value }) => name === undefined || sameName(value.userName, name),
      )
      const page = paged(world, call, rows, input)
      return { Users: page.rows.map(({ value }) => userOutput(store, value)), ...page.about }
    },
  }),
  GetUserId: operation({
    input: z.object({ IdentityStoreId, AlternateIdentifier }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      const wanted = alternate(input.AlternateIdentifier)
      const user = ofStore(world.users.list(), store).find(({ value }) =>
        wanted.path === 'userName'
          ? sameName(value.userName, wanted.value)
          : wanted.path === 'emails.value'
            ? value.email === wanted.value
            : value.externalId === wanted.value,
      )
      return { UserId: found(user?.value, store, 'USER').id, IdentityStoreId: store.id }
    },
  }),
  DescribeGroup: operation({
    input: z.object({ IdentityStoreId, GroupId: id }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      return groupOutput(found(world.groups.seen(input.GroupId), store, 'GROUP'))
    },
  }),
  ListGroups: operation({
    input: z.object({ ...paging, Filters: filters }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      const name = filtered(input.Filters, 'DisplayName')
      const rows = ofStore(world.groups.list(), store).filter(
        ({ value }) => name === undefined || sameName(value.displayName, name),
      )
      const page = paged(world, call, rows, input)
      return { Groups: page.rows.map(({ value }) => groupOutput(value)), ...page.about }
    },
  }),
  GetGroupId: operation({
    input: z.object({ IdentityStoreId, AlternateIdentifier }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      const wanted = alternate(input.AlternateIdentifier)
      const group = ofStore(world.groups.list(), store).find(({ value }) =>
        wanted.path === 'displayName' ? sameName(value.displayName, wanted.value) : value.externalId === wanted.value,
      )
      return { GroupId: found(group?.value, store, 'GROUP').id, IdentityStoreId: store.id }
    },
  }),
  ListGroupMemberships: operation({
    input: z.object({ ...paging, GroupId: id }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      found(world.groups.seen(input.GroupId), store, 'GROUP')
      return memberships(world, call, input, ({ groupId }) => groupId === input.GroupId)
    },
  }),
  ListGroupMembershipsForMember: operation({
    input: z.object({ ...paging, MemberId }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      found(world.users.seen(input.MemberId.UserId), store, 'USER')
      return memberships(world, call, input, ({ userId }) => userId === input.MemberId.UserId)
    },
  }),
  IsMemberInGroups: operation({
    input: z.object({ IdentityStoreId, MemberId, GroupIds: z.array(id).min(1).max(100) }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const store = storeOf(world, call, input)
      const { GroupIds, MemberId } = input
      const own = ofStore(world.memberships.list(), store).filter(({ value }) => value.userId === MemberId.UserId)
      const Results = GroupIds.map((GroupId) => ({
        GroupId,
        MemberId,
        MembershipExists: own.some(({ value }) => value.groupId === GroupId),
      }))
      return { Results }
    },
  }),
}

function storeOf(world: World, call: Call, { IdentityStoreId: wanted }: { readonly IdentityStoreId: string }): Store {
  const store = world.stores.get(wanted)
  if (store === undefined || store.accountId !== call.accountId || store.region !== call.region) {
    throw absent('IDENTITY_STORE')
  }
  return store
}

function absent(type: string): Refusal {
  return new Refusal('ResourceNotFoundException', `${type} not found.`, 400, { ResourceType: type })
}

function found<T extends { readonly storeId: string }>(value: T | undefined, store: Store, type: string): T {
  if (value === undefined || value.storeId !== store.id) throw absent(type)
  return value
}

function ofStore<T extends { readonly storeId: string }>(
  rows: readonly { readonly ordinal: number; readonly value: T }[],
  store: Store,
) {
  return rows.filter(({ value }) => value.storeId === store.id)
}

function filtered(given: z.output<typeof filters>, path: string): string | undefined {
  const [filter] = given
  if (filter === undefined) return undefined
  if (filter.AttributePath === path) return filter.AttributeValue
  throw new Refusal('ValidationException', `Filter attribute path ${filter.AttributePath} is not supported.`)
}

function alternate(given: z.output<typeof AlternateIdentifier>): { path: string; value: string } {
  if ('ExternalId' in given) return { path: 'externalId', value: given.ExternalId.Id }
  return { path: given.UniqueAttribute.AttributePath, value: String(given.UniqueAttribute.AttributeValue) }
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function paged<T extends { readonly ordinal: number }>(
  world: World,
  call: Call,
  rows: readonly T[],
  input: { readonly MaxResults: number; readonly NextToken?: string | undefined },
) {
  const { MaxResults: _size, NextToken: _token, ...rest } = call.params
  const list = `${call.accountId} ${call.action} ${JSON.stringify(rest)}`
  const page = pageOf(world, list, rows, { size: input.MaxResults, token: input.NextToken })
  if (page === undefined) throw new Refusal('ValidationException', 'The pagination token is invalid.')
  return { rows: page.rows, about: page.next === undefined ? {} : { NextToken: page.next } }
}

function memberships(
  world: World,
  call: Call,
  input: { readonly IdentityStoreId: string; readonly MaxResults: number; readonly NextToken?: string | undefined },
  isWanted: (membership: Membership) => boolean,
): Output {
  const store = storeOf(world, call, input)
  const rows = ofStore(world.memberships.list(), store).filter(({ value }) => isWanted(value))
  const page = paged(world, call, rows, input)
  return {
    GroupMemberships: page.rows.map(({ value }) => ({
      IdentityStoreId: store.id,
      MembershipId: value.id,
      GroupId: value.groupId,
      MemberId: { UserId: value.userId },
    })),
    ...page.about,
  }
}

function externalIds(externalId: string | undefined) {
  return externalId === undefined ? {} : { ExternalIds: [{ Issuer: 'https://scim.contoso.example', Id: externalId }] }
}

function userOutput({ id: storeId, tellsStatus }: Store, user: StoreUser): Output {
  return {
    IdentityStoreId: storeId,
    UserId: user.id,
    UserName: user.userName,
    DisplayName: user.displayName,
    Name: { GivenName: user.givenName, FamilyName: user.familyName },
    ...(user.email !== undefined && { Emails: [{ Value: user.email, Type: 'work', Primary: true }] }),
    ...externalIds(user.externalId),
    ...(tellsStatus && { UserStatus: user.enabled ? 'ENABLED' : 'DISABLED' }),
    CreatedAt: user.created / 1000,
    UpdatedAt: user.updated / 1000,
  }
}

function groupOutput(group: StoreGroup): Output {
  return {
    IdentityStoreId: group.storeId,
    GroupId: group.id,
    DisplayName: group.displayName,
    ...(group.description !== undefined && { Description: group.description }),
    ...externalIds(group.externalId),
  }
}
