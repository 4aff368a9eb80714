import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DescribeUserCommand,
  GetUserIdCommand,
  IsMemberInGroupsCommand,
  ListGroupMembershipsCommand,
  ListGroupMembershipsForMemberCommand,
  ListGroupsCommand,
  ListUsersCommand,
  paginateListUsers,
} from '@aws-sdk/client-identitystore'
import { mainStore } from '../../sandbox/aws/index.ts'
import { clients, refusal, withAdmin } from './awsclient.ts'
import { at, list, send } from './client.ts'

const IdentityStoreId = mainStore
const userIdOf = (id: string) => id.slice(id.indexOf('/') + 1)

async function withStore(options: Parameters<typeof withAdmin>[0] = {}) {
  const world = await withAdmin(options)
  const scim = world.cloud.addStore({ scimTokens: { 'token-1': 'scim-secret' } })
  const call = (method: string, path: string, body?: unknown, token = 'scim-secret') =>
    send(`${scim}/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const patch = (id: string, ...operations: unknown[]) =>
    call('PATCH', `Users/${userIdOf(id)}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: operations,
    })
  return { ...world, call, patch, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

test('users and groups are listed in pages and described, with their status', async () => {
  await using world = await withStore({ pageSize: 2 })
  const { cloud, store } = world
  const ids = ['a', 'b', 'c', 'd', 'e'].map((userName) =>
    cloud.addUser({ userName, email: `${userName}@contoso.example` }),
  )
  const [first = ''] = ids
  cloud.setEnabled(first, false)
  const seen: [string | undefined, string | undefined][] = []
  for await (const { Users = [] } of paginateListUsers({ client: store }, { IdentityStoreId })) {
    seen.push(...Users.map(({ UserId, UserStatus }): [string | undefined, string | undefined] => [UserId, UserStatus]))
  }
  assert.deepEqual(
    seen,
    ids.map((id, at) => [userIdOf(id), at === 0 ? 'DISABLED' : 'ENABLED']),
  )
  const UserId = userIdOf(first)
  const described = await store.send(new DescribeUserCommand({ IdentityStoreId, UserId }))
  assert.deepEqual([described.UserName, described.UserStatus], ['a', 'DISABLED'])
  const byName = { UniqueAttribute: { AttributePath: 'userName', AttributeValue: 'A' } }
  assert.equal(
    (await store.send(new GetUserIdCommand({ IdentityStoreId, AlternateIdentifier: byName }))).UserId,
    UserId,
  )
  const group = cloud.addGroup({ displayName: 'agents', members: ids.slice(0, 3) })
  const members: (string | undefined)[] = []
  let NextToken: string | undefined
  do {
    const page = await store.send(new ListGroupMembershipsCommand({ IdentityStoreId, GroupId: group, NextToken }))
    members.push(...(page.GroupMemberships ?? []).map(({ MemberId }) => MemberId?.UserId))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.deepEqual(members, ids.slice(0, 3).map(userIdOf))
  cloud.removeMember(group, first)
  const MemberId = { UserId }
  const own = await store.send(new ListGroupMembershipsForMemberCommand({ IdentityStoreId, MemberId }))
  assert.deepEqual(own.GroupMemberships, [])
  const { Results } = await store.send(new IsMemberInGroupsCommand({ IdentityStoreId, MemberId, GroupIds: [group] }))
  assert.equal(Results?.[0]?.MembershipExists, false)
  assert.equal((await store.send(new ListGroupsCommand({ IdentityStoreId }))).Groups?.[0]?.DisplayName, 'agents')
})

test('the store answers its own account in its own region alone, and an old service says nothing of the status', async () => {
  await using world = await withStore()
  const { cloud, keys } = world
  const UserId = userIdOf(cloud.addUser())
  const describe = new DescribeUserCommand({ IdentityStoreId, UserId })
  using elsewhere = clients(cloud, keys, 'eu-west-1')
  assert.equal(await refusal(elsewhere.store.send(describe)), 'ResourceNotFoundException')
  const stranger = cloud.addIamUser({
    accountId: '444455556666',
    name: 'x',
    policies: [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }],
  })
  using other = clients(cloud, stranger)
  assert.equal(await refusal(other.store.send(describe)), 'ResourceNotFoundException')
  const unknown = new DescribeUserCommand({ IdentityStoreId, UserId: '00000000-0000-4000-8000-000000000000' })
  assert.equal(await refusal(world.store.send(unknown)), 'ResourceNotFoundException')
  const wild = new ListUsersCommand({ IdentityStoreId, NextToken: 'invented' })
  assert.equal(await refusal(world.store.send(wild)), 'ValidationException')
  cloud.addStore({ tellsStatus: false })
  assert.equal((await world.store.send(describe)).UserStatus, undefined)
})

test('provisioning switches a user, one operation at a time, and the trail names its token', async () => {
  await using world = await withStore()
  const { call, cloud, patch, store } = world
  const id = cloud.addUser({ userName: 'agent@contoso.example' })
  const UserId = userIdOf(id)
  const off = await patch(id, { op: 'replace', path: 'active', value: 'false' })
  assert.deepEqual([off.status, at(off.body, 'active')], [200, false])
  const { UserStatus } = await store.send(new DescribeUserCommand({ IdentityStoreId, UserId }))
  assert.deepEqual([UserStatus, cloud.get(id)?.enabled], ['DISABLED', false])
  const on = await patch(id, { op: 'replace', path: 'active', value: true })
  assert.deepEqual([on.status, at(on.body, 'active')], [200, true])
  const event = cloud.trail.at(-1)
  assert.deepEqual([event?.draft.source, event?.draft.name], ['identitystore-scim.amazonaws.com', 'PatchUser'])
  assert.equal(at(event?.record, 'userIdentity', 'accessKeyId'), 'token-1')
  assert.equal(at(event?.record, 'requestID'), on.headers.get('x-amzn-requestid'))
  assert.equal(at(event?.record, 'requestParameters', 'httpBody', 'Operations', 0, 'value'), true)
  const twice = { op: 'replace', path: 'active', value: 'false' }
  assert.equal((await patch(id, twice, twice)).status, 400)
  assert.equal((await patch(id, { op: 'remove', path: 'active' })).status, 400)
  assert.equal((await patch(id, { op: 'replace', path: 'active', value: 'maybe' })).status, 400)
  assert.equal((await patch('x/00000000-0000-4000-8000-000000000000', twice)).status, 404)
  assert.equal((await call('GET', 'Users', undefined, 'another')).status, 401)
  const found = await call('GET', `Users?filter=${encodeURIComponent('userName eq "agent@contoso.example"')}`)
  assert.equal(at(list(at(found.body, 'Resources'))[0], 'id'), UserId)
  assert.equal((await call('GET', `Users?filter=${encodeURIComponent('userName co "agent"')}`)).status, 400)
  assert.equal((await call('POST', 'Users', {})).status, 405)
  assert.ok(!JSON.stringify(cloud.requests).includes('scim-secret'))
})
