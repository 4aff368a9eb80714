import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AwsCloud, mainStore, startAws } from '../../sandbox/aws/index.ts'
import { rolePattern } from '../../sandbox/aws/policies.ts'
import { AUDIENCE, granted, SCIM_TOKEN, SCIM_WRITER } from '../adapters/awscloud.ts'
import { assertDenied, isAllowed, kill, path, principal, register } from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { type Daemon, type Overrides, settleMs, startWorld, type World } from './world.ts'

const did = 'did:agentmesh:aws:1b2c3d4e5f607182'
const main = '111122223333'
const never = '0 0 1 1 *'

interface Both extends AsyncDisposable {
  readonly world: World
  readonly cloud: AwsCloud
  readonly daemon: Daemon
  readonly role: string
  readonly user: string
}

/** One agent with a role, a user of Identity Center and an account in another directory. */
async function both(more: (cloud: AwsCloud, scim: string) => Promise<Overrides>): Promise<Both> {
  await using stack = new AsyncDisposableStack()
  const cloud = stack.use(await startAws({ limits: false }))
  const keys = cloud.addIamUser({ name: 'idp-bridge', policies: granted() })
  const scim = cloud.addStore({ scimTokens: { [SCIM_WRITER]: SCIM_TOKEN } })
  const [role, user] = [cloud.addRole({ name: 'agent' }), cloud.addUser({ userName: 'agent' })]
  const { origin } = cloud
  const aws = {
    kind: 'aws',
    region: 'us-east-1',
    credential: { type: 'accessKey', ...keys },
    accounts: { [main]: {} },
    identityCenter: { identityStoreId: mainStore, region: 'us-east-1' },
    manage: { kinds: ['iamRole', 'identityCenterUser'], paths: ['/agents/'] },
    attribution: { lag: '0s' },
    settle: `${settleMs}ms`,
    sync: { accounts: '* * * * * *' },
    endpoints: { iam: origin, sts: origin, identityStore: origin, sqs: origin, cloudTrail: origin, sns: origin },
    ...(await more(cloud, scim)),
  }
  const world = stack.use(await startWorld({ adapters: { aws } }))
  const daemon = stack.use(await world.daemon())
  const principals = [
    { adapter: 'aws', id: role, kind: 'iamRole' },
    { adapter: 'aws', id: user, kind: 'identityCenterUser' },
    principal(world.contoso.agents.scout),
  ]
  await register(daemon.as('registrar'), { did, name: 'aws-agent', principals })
  await until('allowed', () => isAllowed(daemon, { did }))
  const held = stack.move()
  return { world, cloud, daemon, role, user, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const withScim = async (_cloud: AwsCloud, scim: string) => ({
  identityCenter: {
    identityStoreId: mainStore,
    region: 'us-east-1',
    scim: { endpoint: scim, token: SCIM_TOKEN, writer: SCIM_WRITER },
  },
})

const legsOf = async (daemon: Daemon, holdId: string) => {
  const { body } = await daemon.as('alice').get(path(did, `/receipts/${holdId}`))
  return new Map(listAt(body, 'legs').map((leg) => [at(leg, 'id'), leg]))
}

test('a kill suspends the role and the user, its receipt says how long sessions go on, and a lift gives them back', async () => {
  await using it = await both(async (cloud, scim) => ({
    ...(await withScim(cloud, scim)),
    tokens: { audiences: [AUDIENCE], outbound: { [main]: await cloud.enableFederation() } },
  }))
  const { cloud, daemon, role, user } = it
  const token = cloud.issueToken({ role, audience: AUDIENCE })
  await until('the token allows', () => isAllowed(daemon, { token }))
  const holdId = await kill(daemon, did)
  await assertDenied(daemon, { token })
  await until('both are off', () => [role, user].every((id) => cloud.get(id)?.enabled === false))
  await until('every leg is closed', async () =>
    [...(await legsOf(daemon, holdId)).values()].every((leg) => at(leg, 'state') === 'closed'),
  )
  const legs = await legsOf(daemon, holdId)
  assert.equal(at(legs.get(role), 'sessionsEndAt'), null)
  const tailMs = Date.parse(textAt(legs.get(user), 'sessionsEndAt')) - Date.parse(textAt(legs.get(user), 'closedAt'))
  assert.equal(tailMs, 13 * 3_600_000)

  const release = await daemon.as('alice').post(path(did, `/holds/${holdId}/release`), { reason: 'a false alarm' })
  const approved = await daemon.as('bob').post(`/v1/releases/${textAt(release.body, 'releaseId')}/approve`, {})
  assert.equal(approved.status, 200, approved.text)
  await until('both are on', () => [role, user].every((id) => cloud.get(id)?.enabled === true), 60_000)
  await until('allowed again', () => isAllowed(daemon, { did }), 60_000)
  assert.deepEqual([...(cloud.role(role)?.inline.keys() ?? [])], ['AWSRevokeOlderSessions'])
})

test('what somebody denies a role is heard of over SNS, is off elsewhere, and is theirs to lift', async () => {
  const topics: string[] = []
  await using it = await both(async (cloud) => {
    topics.push(cloud.addTopic({ name: 'agentmesh' }))
    return { hooks: { sns: { topics } }, sync: { accounts: never, groups: never } }
  })
  const { cloud, daemon, role, world } = it
  const [topic = ''] = topics
  assert.ok(cloud.isConfirmed(await cloud.subscribe(topic, `${daemon.origin}/hooks/aws`)))
  cloud.addRule({ name: 'roles', pattern: rolePattern, targets: [topic] })
  cloud.setEnabled(role, false, { by: 'carol' })
  await until('denied', async () => !(await isAllowed(daemon, { did })))
  const { body } = await daemon.as('alice').get(path(did))
  assert.equal(at(body, 'holds', 0, 'origin'), `adapter:aws/${role}`)
  await until('off in the other directory', () => world.tenant.get(world.contoso.agents.scout)?.enabled === false)
  assert.deepEqual([...(cloud.role(role)?.inline.keys() ?? [])], ['AdminDenyAll'], 'nothing of ours was added')
})

test('a user that nobody can switch is never said to be switched', async () => {
  await using it = await both(async () => ({}))
  const { cloud, daemon, role, user } = it
  const holdId = await kill(daemon, did)
  await until('the role is off', () => cloud.get(role)?.enabled === false)
  await until('every other leg is closed', async () => {
    const legs = await legsOf(daemon, holdId)
    return [...legs].every(([id, leg]) => id === user || at(leg, 'state') === 'closed')
  })
  const leg = (await legsOf(daemon, holdId)).get(user)
  assert.deepEqual(
    ['state', 'reason', 'error', 'sessionsEndAt'].map((name) => at(leg, name)),
    ['unsupported', 'read-only', 'E_NOT_SWITCHABLE', null],
  )
  const { body } = await daemon.as('alice').get(path(did, `/receipts/${holdId}`))
  assert.equal(at(body, 'status'), 'partial')
  assert.equal(cloud.get(user)?.enabled, true)
})
