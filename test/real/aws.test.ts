import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  ListRolePoliciesCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam'
import {
  CreateGroupCommand,
  CreateGroupMembershipCommand,
  CreateUserCommand as CreateStoreUserCommand,
  IdentitystoreClient,
} from '@aws-sdk/client-identitystore'
import {
  CreateTopicCommand,
  PublishCommand,
  SetTopicAttributesCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { configs } from '../../adapters/index.ts'
import type { Keys } from '../../sandbox/aws/index.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { documented } from '../adapters/awscloud.ts'
import { opening } from '../adapters/opening.ts'
import { signal } from '../adapters/tenant.ts'
import { at, startReceiver, text } from '../sandbox/client.ts'
import { installMoto, type Moto, startMoto } from './moto.ts'
import type { Python } from './virtualenv.ts'

/** Moto's own account, and another one. */
const [main, other] = ['123456789012', '444455556666']
const IdentityStoreId = 'd-1234567890'
const anyone: Keys = { accessKeyId: 'setting-up', secretAccessKey: 'whatever-it-is-called' }
const trust = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }],
})
const denial = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Sid: 'Somebody', Effect: 'Deny', Action: '*', Resource: '*' }],
})

const clientsOf = ({ origin: endpoint }: Moto, credentials = anyone) => {
  // The clients write into what they are given.
  const options = { endpoint, region: 'us-east-1', credentials: { ...credentials }, maxAttempts: 1 }
  return {
    iam: new IAMClient(options),
    store: new IdentitystoreClient(options),
    sns: new SNSClient(options),
    sqs: new SQSClient(options),
    sts: new STSClient(options),
  }
}

const createRole = async (iam: IAMClient, RoleName: string, Path = '/agents/') => {
  const made = await iam.send(new CreateRoleCommand({ RoleName, Path, AssumeRolePolicyDocument: trust }))
  return { id: `${made.Role?.Arn}#${made.Role?.RoleId}`, kind: 'iamRole' }
}

const config = ({ origin, sns }: Moto, credentials: Keys, more: Record<string, unknown> = {}) =>
  configs.aws.parse({
    kind: 'aws',
    region: 'us-east-1',
    credential: { type: 'accessKey', ...credentials },
    accounts: { [main]: {} },
    identityCenter: { identityStoreId: IdentityStoreId, region: 'us-east-1' },
    manage: { kinds: ['iamRole', 'identityCenterUser'], paths: ['/agents/'] },
    attribution: 'none',
    endpoints: { iam: origin, sts: origin, identityStore: origin, sqs: origin, cloudTrail: origin, sns },
    ...more,
  })

/** Every state that the feed tells of, and every id it wants read again. */
const listed = async (adapter: ReturnType<ReturnType<typeof opening>['open']>, since?: string) => {
  const states = new Map<string, string>()
  const touched: string[] = []
  let checkpoint: string | undefined
  for await (const page of adapter.changes(since, signal())) {
    for (const { id, state } of page.sightings) states.set(id, state)
    touched.push(...page.touched)
    checkpoint = page.checkpoint
  }
  return { states, touched, checkpoint }
}

const switchesRoles = async (python: Python) => {
  await using moto = await startMoto(python)
  await using stack = new AsyncDisposableStack()
  const { iam, sts } = clientsOf(moto)
  const roleArn = `arn:aws:iam::${other}:role/idp-bridge`
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'set-up' }))
  const there = clientsOf(moto, {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  }).iam
  const [ours, distant, foreign] = [
    await createRole(iam, 'ours'),
    await createRole(there, 'distant'),
    await createRole(iam, 'foreign'),
  ]
  await iam.send(new PutRolePolicyCommand({ RoleName: 'foreign', PolicyName: 'Somebody', PolicyDocument: denial }))
  const adapter = stack
    .use(opening(systemClock))
    .open(config(moto, anyone, { accounts: { [main]: {}, [other]: { assumeRole: { roleArn } } } }))
  const state = async ({ id }: { id: string }) =>
    (await adapter.lookup([{ id, kind: 'iamRole' }], signal())).get(id)?.state
  assert.deepEqual([await state(ours), await state(distant), await state(foreign)], ['enabled', 'enabled', 'disabled'])
  const { states } = await listed(adapter)
  assert.deepEqual(
    [ours, distant, foreign].map(({ id }) => states.get(id)),
    ['enabled', 'enabled', 'disabled'],
  )

  const disabled = await adapter.accounts?.disable([ours, distant], signal())
  assert.deepEqual(
    disabled?.map(({ error, outcome }) => [outcome, error?.message]),
    [
      ['done', undefined],
      ['done', undefined],
    ],
  )
  assert.deepEqual([await state(ours), await state(distant)], ['disabled', 'disabled'])
  for (const [client, RoleName] of [
    [iam, 'ours'],
    [there, 'distant'],
  ] as const) {
    const put = await client.send(new GetRolePolicyCommand({ RoleName, PolicyName: 'AgentMeshSuspended' }))
    const document: unknown = JSON.parse(decodeURIComponent(put.PolicyDocument ?? ''))
    assert.deepEqual(
      ['Effect', 'Action', 'Resource', 'Condition'].map((name) => at(document, 'Statement', 0, name)),
      ['Deny', '*', '*', undefined],
    )
  }

  // Old sessions stay revoked, and what others denied stays denied.
  const enabled = await adapter.accounts?.enable([ours, foreign], signal())
  assert.deepEqual(enabled?.find(({ id }) => id === ours.id)?.outcome, 'done')
  const names = async (RoleName: string) => (await iam.send(new ListRolePoliciesCommand({ RoleName }))).PolicyNames
  assert.deepEqual(await names('ours'), ['AWSRevokeOlderSessions'])
  assert.ok((await names('foreign'))?.includes('Somebody'))
  assert.deepEqual([await state(ours), await state(foreign)], ['enabled', 'disabled'])

  // The same ARN, another role.
  await createRole(iam, 'again').then(() => iam.send(new DeleteRoleCommand({ RoleName: 'again' })))
  const again = await createRole(iam, 'again')
  assert.equal(await state({ id: `${again.id.split('#')[0]}#AROAAAAAAAAAAAAAAAAAA` }), 'absent')
}

const readsAndListens = async (python: Python) => {
  await using moto = await startMoto(python)
  await using stack = new AsyncDisposableStack()
  const { iam, sns, sqs, store } = clientsOf(moto)
  const role = await createRole(iam, 'agent')
  const made = await store.send(
    new CreateStoreUserCommand({
      IdentityStoreId,
      UserName: 'agent',
      DisplayName: 'agent',
      Name: { GivenName: 'An', FamilyName: 'Agent' },
    }),
  )
  const group = await store.send(new CreateGroupCommand({ IdentityStoreId, DisplayName: 'agents' }))
  const MemberId = { UserId: made.UserId ?? '' }
  await store.send(new CreateGroupMembershipCommand({ IdentityStoreId, GroupId: group.GroupId, MemberId }))
  const user = { id: `${IdentityStoreId}/${made.UserId}`, kind: 'identityCenterUser' }
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'agentmesh-iam' }))
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'agentmesh' }))
  const version = { TopicArn, AttributeName: 'SignatureVersion', AttributeValue: '2' }
  await sns.send(new SetTopicAttributesCommand(version))
  const adapters = stack.use(opening(systemClock))
  const adapter = adapters.open(
    config(moto, anyone, { events: { queues: [QueueUrl] }, hooks: { sns: { topics: [TopicArn] } } }),
  )

  const states = await adapter.lookup([user], signal())
  assert.equal(states.get(user.id)?.state, 'unknown', 'moto tells no status of users, so none is known')
  const [off] = (await adapter.accounts?.disable([user], signal())) ?? []
  assert.equal(off?.outcome, 'unsent', 'without an endpoint for it nothing is switched')
  const members: string[] = []
  for await (const page of adapter.groups?.members(text(group.GroupId), signal()) ?? []) members.push(...page)
  assert.deepEqual(members, [user.id])

  const event = JSON.stringify({
    version: '0',
    id: 'an-event',
    'detail-type': 'AWS API Call via CloudTrail',
    account: main,
    detail: {
      eventSource: 'iam.amazonaws.com',
      eventName: 'PutRolePolicy',
      eventTime: '2026-11-22T00:00:00Z',
      recipientAccountId: main,
      requestParameters: { roleName: 'agent' },
    },
  })
  const { checkpoint } = await listed(adapter)
  const queueArn = `arn:aws:sqs:us-east-1:${main}:agentmesh-iam`
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: queueArn }))
  await using receiver = await startReceiver(() => ({ status: 200 }))
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: receiver.url }))
  await sns.send(new PublishCommand({ TopicArn, Message: event }))
  const told = await listed(adapter, checkpoint)
  assert.deepEqual([...told.touched], [`role:${main}/agent`])
  const drained = await listed(adapter, told.checkpoint)
  assert.deepEqual(drained.touched, [], 'what was told was taken from the queue')

  const [pushed] = receiver.received
  const body = new TextEncoder().encode(JSON.stringify(pushed?.body))
  const answer = await adapter.hooks?.receive({ method: 'POST', headers: {}, query: {}, body }, signal())
  assert.deepEqual([answer?.status, answer?.hints.map(({ principal }) => principal)], [200, [`role:${main}/agent`]])
  const forged = new TextEncoder().encode(
    JSON.stringify({ ...Object(pushed?.body), Message: event.replace('agent', 'x') }),
  )
  await assert.rejects(
    async () => adapter.hooks?.receive({ method: 'POST', headers: {}, query: {}, body: forged }, signal()),
    (error) => codeOf(error) === 'E_HOOK_UNVERIFIED',
  )

  // No event history: attribution waits, and nothing is enabled on the strength of an empty one.
  const attributing = adapters.open(config(moto, anyone, { attribution: {} }))
  const to = Date.now()
  await assert.rejects(
    async () => attributing.accounts?.log?.read({ from: to - 60_000, to }, signal()),
    (error) => error instanceof BridgeError && codeOf(error) !== 'E_BUG',
  )
  assert.equal(role.kind, 'iamRole')
}

const isGrantedNoMore = async (python: Python) => {
  const setUpCalls = 8
  await using moto = await startMoto(python, setUpCalls)
  await using stack = new AsyncDisposableStack()
  const { iam } = clientsOf(moto)
  const agent = await createRole(iam, 'agent')
  const person = await createRole(iam, 'person', '/people/')
  await iam.send(new CreateUserCommand({ UserName: 'idp-bridge' }))
  const key = await iam.send(new CreateAccessKeyCommand({ UserName: 'idp-bridge' }))
  for (const name of ['account', 'identityCenter', 'queue'] as const) {
    const PolicyDocument = JSON.stringify(documented(name)).replaceAll('111122223333', main)
    await iam.send(new PutUserPolicyCommand({ UserName: 'idp-bridge', PolicyName: name, PolicyDocument }))
  }
  const managed = JSON.stringify(documented('managed'))
  await iam.send(new CreatePolicyCommand({ PolicyName: 'AgentMeshSuspended', PolicyDocument: managed }))
  const keys = { accessKeyId: key.AccessKey?.AccessKeyId ?? '', secretAccessKey: key.AccessKey?.SecretAccessKey ?? '' }
  const adapters = stack.use(opening(systemClock))
  const all = { manage: { kinds: ['iamRole'], paths: ['/'] }, suspension: { managedPolicy: '/AgentMeshSuspended' } }
  const adapter = adapters.open(config(moto, keys, all))
  const outcomes = await adapter.accounts?.disable([agent, person], signal())
  const of = ({ id }: { id: string }) => outcomes?.find((each) => each.id === id)
  assert.deepEqual([of(agent)?.outcome, of(agent)?.error?.message], ['done', undefined])
  assert.deepEqual([of(person)?.outcome, codeOf(of(person)?.error)], ['refused', 'E_DIRECTORY_FORBIDDEN'])
  assert.equal((await listed(adapter)).states.get(agent.id), 'disabled')
  const wrong = adapters.open(config(moto, { ...keys, secretAccessKey: 'not-the-secret-of-this-key' }, all))
  await assert.rejects(listed(wrong), (error) => codeOf(error) === 'E_DIRECTORY_AUTH')
}

test("the adapter on moto's server", { timeout: 900_000 }, async (t: TestContext) => {
  const python = await installMoto(t)
  if (python === undefined) return
  await t.test('roles of two accounts are suspended, recognised and lifted', () => switchesRoles(python))
  await t.test('users, groups, a queue and a topic; what moto lacks is an error, never an answer', () =>
    readsAndListens(python),
  )
  await t.test('signed, and with the documented permissions, what is granted is done and no more', () =>
    isGrantedNoMore(python),
  )
})
