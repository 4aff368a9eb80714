import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AttachRolePolicyCommand,
  DeleteRolePolicyCommand,
  GetAccountAuthorizationDetailsCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  ListRolePoliciesCommand,
  ListRolesCommand,
  ListRoleTagsCommand,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
  paginateGetAccountAuthorizationDetails,
  TagRoleCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam'
import { GetCallerIdentityCommand, GetWebIdentityTokenCommand } from '@aws-sdk/client-sts'
import { revocation, suspension } from '../../sandbox/aws/policies.ts'
import { clients, nameOf, refusal, withAdmin } from './awsclient.ts'
import { clock } from './client.ts'

const allow = (...actions: string[]) => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }],
})
const denial = JSON.stringify(suspension.document)

test('a role is suspended by an inline policy, which comes back percent-encoded in a read and in the listing', async () => {
  await using world = await withAdmin()
  const { cloud, iam } = world
  const id = cloud.addRole({ name: 'worker', tags: { 'agentmesh:did': 'did:agentmesh:worker' } })
  const RoleName = nameOf(id)
  const PolicyName = suspension.name
  const get = () => iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }))
  assert.equal(await refusal(get()), 'NoSuchEntityException')
  await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument: denial }))
  const { PolicyDocument = '' } = await get()
  assert.notEqual(PolicyDocument, denial)
  assert.equal(decodeURIComponent(PolicyDocument), denial)
  const { PolicyNames } = await iam.send(new ListRolePoliciesCommand({ RoleName }))
  assert.deepEqual(PolicyNames, [PolicyName])
  const { IsTruncated, RoleDetailList = [] } = await iam.send(
    new GetAccountAuthorizationDetailsCommand({ Filter: ['Role'] }),
  )
  assert.equal(IsTruncated, false)
  const [detail] = RoleDetailList
  assert.equal(`${detail?.Arn}#${detail?.RoleId}`, id)
  assert.deepEqual(detail?.RolePolicyList, [{ PolicyName, PolicyDocument }])
  assert.deepEqual(detail?.Tags, [{ Key: 'agentmesh:did', Value: 'did:agentmesh:worker' }])
  assert.deepEqual(cloud.get(id), {
    id,
    kind: 'iamRole',
    enabled: false,
    deniedBy: [PolicyName],
    label: 'worker',
  })
  await iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName }))
  assert.equal(cloud.get(id)?.enabled, true)
  assert.equal(await refusal(iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName }))), 'NoSuchEntityException')
})

test('the listing has pages, and ListRoles leaves out what the real one leaves out', async () => {
  await using world = await withAdmin({ pageSize: 3 })
  const { cloud, iam } = world
  const ids = Array.from({ length: 8 }, (_, at) => cloud.addRole({ name: `agent-${at}`, tags: { team: 'a' } }))
  cloud.addRole({ accountId: '444455556666', name: 'of-another-account' })
  const seen: string[] = []
  let pages = 0
  for await (const page of paginateGetAccountAuthorizationDetails({ client: iam }, { Filter: ['Role'] })) {
    pages += 1
    for (const { Arn, RoleId } of page.RoleDetailList ?? []) seen.push(`${Arn}#${RoleId}`)
  }
  assert.deepEqual([pages, seen], [3, ids])
  const { Roles = [] } = await iam.send(new ListRolesCommand({ PathPrefix: '/agents/' }))
  assert.equal(Roles.length, 3)
  assert.equal(Roles[0]?.Tags, undefined)
  assert.equal((await iam.send(new GetRoleCommand({ RoleName: 'agent-0' }))).Role?.Tags?.length, 1)
  const list = new GetAccountAuthorizationDetailsCommand({ Filter: ['Role'], Marker: 'invented' })
  assert.equal(await refusal(iam.send(list)), 'ValidationError')
})

test('what services and permission sets made for themselves is modified by nobody', async () => {
  await using world = await withAdmin()
  const { cloud, iam } = world
  const linked = cloud.addRole({ name: 'AWSServiceRoleForX', path: '/aws-service-role/x.amazonaws.com/' })
  const reserved = cloud.addRole({
    name: 'AWSReservedSSO_Admin_0123456789abcdef',
    path: '/aws-reserved/sso.amazonaws.com/eu-west-1/',
  })
  for (const RoleName of [linked, reserved].map(nameOf)) {
    const put = new PutRolePolicyCommand({ RoleName, PolicyName: suspension.name, PolicyDocument: denial })
    assert.equal(await refusal(iam.send(put)), 'UnmodifiableEntityException')
    const tag = new TagRoleCommand({ RoleName, Tags: [{ Key: 'a', Value: 'b' }] })
    assert.equal(await refusal(iam.send(tag)), 'UnmodifiableEntityException')
  }
})

test('a full inline space takes no more, and documents and tags are checked', async () => {
  await using world = await withAdmin()
  const { cloud, iam } = world
  const filler = {
    ...allow('s3:GetObject'),
    Statement: [{ Effect: 'Allow', Action: 's3:Get*', Resource: 'a'.repeat(10_080) }],
  }
  const id = cloud.addRole({ name: 'full', inline: { Big: filler } })
  const RoleName = nameOf(id)
  const put = (document: string, PolicyName = suspension.name) =>
    refusal(iam.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument: document })))
  assert.equal(await put(denial), 'LimitExceededException')
  assert.equal(await put('{"Version":"2012-10-17"}'), 'MalformedPolicyDocumentException')
  assert.equal(
    await put(JSON.stringify({ ...allow('*'), Statement: [{ Effect: 'Allow', Action: '*' }] })),
    'MalformedPolicyDocumentException',
  )
  // White space does not count.
  assert.equal(await put(JSON.stringify(allow('s3:GetObject'), null, 200), 'Big'), 'none')
  assert.equal(await put(denial), 'none')
  const PolicyArn = 'arn:aws:iam::aws:policy/AWSDenyAll'
  assert.equal(await refusal(iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }))), 'none')
  const PermissionsBoundary = 'arn:aws:iam::111122223333:policy/there-is-none'
  const bound = new PutRolePermissionsBoundaryCommand({ RoleName, PermissionsBoundary })
  assert.equal(await refusal(iam.send(bound)), 'NoSuchEntityException')
  const trust = new UpdateAssumeRolePolicyCommand({ RoleName, PolicyDocument: denial })
  assert.equal(await refusal(iam.send(trust)), 'MalformedPolicyDocumentException')
  assert.deepEqual(cloud.get(id)?.deniedBy, [suspension.name, PolicyArn])
  const tag = (Key: string, Value: string) =>
    refusal(iam.send(new TagRoleCommand({ RoleName, Tags: [{ Key, Value }] })))
  assert.equal(await tag('agentmesh:did', 'did:agentmesh:a%20b'), 'ValidationError')
  assert.equal(await tag('DID', 'did:agentmesh:a'), 'none')
  assert.equal(await tag('did', 'did:agentmesh:b'), 'none')
  const { Tags } = await iam.send(new ListRoleTagsCommand({ RoleName }))
  assert.deepEqual(Tags, [{ Key: 'did', Value: 'did:agentmesh:b' }])
})

test('a write shows to readers, and to what sessions may do, only after it has spread', async () => {
  const time = clock()
  await using world = await withAdmin({ now: time.now, staleMs: 5000 })
  const { cloud, iam } = world
  const id = cloud.addRole({ name: 'slow', inline: { Own: allow('iam:GetRole') } })
  const RoleName = nameOf(id)
  using session = clients(cloud, cloud.session(id))
  const act = () => refusal(session.iam.send(new GetRoleCommand({ RoleName })))
  await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: suspension.name, PolicyDocument: denial }))
  const read = () => refusal(iam.send(new GetRolePolicyCommand({ RoleName, PolicyName: suspension.name })))
  assert.deepEqual([await read(), await act()], ['NoSuchEntityException', 'none'])
  time.advance(5001)
  assert.deepEqual([await read(), await act()], ['none', 'AccessDenied'])
})

test('a role made anew has its name and another id, and sessions of the old one can do nothing', async () => {
  await using world = await withAdmin()
  const { cloud, iam } = world
  const id = cloud.addRole({ name: 'phoenix', inline: { Own: allow('iam:GetRole') } })
  using session = clients(cloud, cloud.session(id))
  const again = cloud.recreateRole(id)
  const { Role } = await iam.send(new GetRoleCommand({ RoleName: 'PHOENIX' }))
  assert.equal(`${Role?.Arn}#${Role?.RoleId}`, again)
  assert.notEqual(again, id)
  assert.equal(again.split('#')[0], id.split('#')[0])
  assert.equal(cloud.get(id), undefined)
  assert.equal(await refusal(session.iam.send(new GetRoleCommand({ RoleName: 'phoenix' }))), 'AccessDenied')
})

test('a denial of everything stops every session but its saying who it is; older ones can be told from newer', async () => {
  const time = clock(Math.floor(Date.now() / 1000) * 1000)
  await using world = await withAdmin({ now: time.now })
  const { cloud } = world
  await cloud.enableFederation()
  const id = cloud.addRole({ name: 'agent', inline: { Own: allow('sts:GetWebIdentityToken') } })
  const ask = new GetWebIdentityTokenCommand({ Audience: ['api://agents'], SigningAlgorithm: 'ES384' })
  using old = clients(cloud, cloud.session(id))
  assert.equal(await refusal(old.sts.send(ask)), 'none')
  cloud.putPolicy(id, suspension.name, suspension.document)
  assert.equal(await refusal(old.sts.send(ask)), 'AccessDenied')
  assert.equal(await refusal(old.sts.send(new GetCallerIdentityCommand({}))), 'none')
  // Lifted alone it would let the old session go on; with this it does not.
  time.advance(2000)
  const { document, name } = revocation(time.now())
  cloud.putPolicy(id, name, document)
  cloud.deletePolicy(id, suspension.name)
  time.advance(2000)
  using fresh = clients(cloud, cloud.session(id))
  assert.deepEqual([await refusal(old.sts.send(ask)), await refusal(fresh.sts.send(ask))], ['AccessDenied', 'none'])
})
