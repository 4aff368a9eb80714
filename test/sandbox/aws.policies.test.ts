import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PutRolePolicyCommand } from '@aws-sdk/client-iam'
import { AssumeRoleCommand } from '@aws-sdk/client-sts'
import { mainAccount } from '../../sandbox/aws/index.ts'
import { documents, queuePolicy, rolePattern, suspension } from '../../sandbox/aws/policies.ts'
import { seedContoso } from '../../sandbox/aws/seed.ts'
import { bench, documented, granted, QUEUE } from '../adapters/awscloud.ts'
import { signal } from '../adapters/tenant.ts'
import { clients, refusal, withAdmin } from './awsclient.ts'
import { at, list } from './client.ts'

test('the documents of the local accounts are those of the documentation', () => {
  const { account, ...rest } = documents
  const own = { account: account(mainAccount), ...rest }
  for (const name of ['account', 'identityCenter', 'queue', 'assume', 'managed'] as const) {
    assert.deepEqual(own[name], documented(name), name)
  }
})

/** Every action that the documents allow, once. */
const actionsOf = (policies: readonly object[]): string[] => {
  const statements = policies.flatMap((policy) => list(at(policy, 'Statement')))
  const allowed = statements.filter((statement) => at(statement, 'Effect') === 'Allow')
  return [...new Set(allowed.flatMap((statement) => [at(statement, 'Action')].flat().map(String)))]
}

/** The same documents without one action. */
const without = (policies: readonly object[], action: string): object[] =>
  policies.map((policy) => ({
    ...policy,
    Statement: list(at(policy, 'Statement')).flatMap((statement) => {
      const left = [at(statement, 'Action')].flat().filter((each) => each !== action)
      return left.length === 0 ? [] : [{ ...Object(statement), Action: left }]
    }),
  }))

/** The adapter does all it can, on a role, a role without room and a user; the calls that were refused to it. */
const refusedOf = async (policies: readonly object[]): Promise<string[]> => {
  await using base = await bench({ policies })
  const { cloud } = base
  const rule = { name: 'agentmesh-iam', pattern: rolePattern, targets: [QUEUE] }
  const name = QUEUE.slice(QUEUE.lastIndexOf(':') + 1)
  const queue = cloud.addQueue({ name, policy: queuePolicy(QUEUE, cloud.addRule(rule)) })
  const filler = { Sid: '', Effect: 'Allow', Action: 's3:GetObject', Resource: 'a'.repeat(10_080) }
  const inline = { Filler: { Version: '2012-10-17', Statement: [filler] } }
  const full = cloud.addRole({ name: 'full', inline })
  const refs = [base.role('agent'), { id: full, kind: 'iamRole' }, base.user()]
  const group = cloud.addGroup({ members: refs.slice(2).map(({ id }) => id) })
  const adapter = base.open({ events: { queues: [queue.url] }, attribution: { lag: '1s' } })
  const changes = async (since?: string) => {
    let checkpoint: string | undefined
    for await (const page of adapter.changes(since, signal())) checkpoint = page.checkpoint
    return checkpoint
  }
  const members = async () => {
    for await (const page of adapter.groups?.members(group, signal()) ?? []) assert.equal(page.length, 1)
  }
  const to = Date.now()
  // What is refused is seen in the accounts: the adapter goes on as far as it can.
  const listed = await changes().catch(() => undefined)
  await Promise.allSettled([members(), adapter.accounts?.log?.read({ from: to - 1000, to }, signal())])
  await adapter.accounts?.disable(refs, signal())
  await adapter.lookup(refs, signal()).catch(() => undefined)
  // Lifted it is only where there is room to revoke its older sessions.
  cloud.deletePolicy(full, 'Filler')
  await adapter.accounts?.enable(refs, signal())
  if (listed !== undefined) await changes(listed).catch(() => undefined)
  await adapter.check(signal())
  const isRefused = ({ status, surface }: (typeof cloud.requests)[number]) =>
    status === 403 || (status === 400 && ['sqs', 'identitystore', 'cloudtrail'].includes(surface))
  return [...new Set(cloud.requests.filter(isRefused).map(({ path }) => path))]
}

test('with the documented permissions nothing is refused, and without any one of them just that is', async () => {
  const policies = granted()
  assert.deepEqual(await refusedOf(policies), [])
  const actions = actionsOf(policies).filter((action) => action !== 'sts:AssumeRole')
  assert.ok(actions.length > 15, actions.join())
  const refused = await Promise.all(actions.map((action) => refusedOf(without(policies, action))))
  const pathOf = (action: string) => `/${action.replace(':', '/')}${action === 'sqs:DeleteMessage' ? 'Batch' : ''}`
  assert.deepEqual(
    refused,
    actions.map((action) => [pathOf(action)]),
  )
})

test('the seeded bridge may do nothing to itself, and assume one role of another account', async () => {
  await using world = await withAdmin()
  const { cloud } = world
  const { accounts, bridge } = await seedContoso(cloud)
  const own = cloud.accounts().find(({ id }) => id.startsWith(`${bridge.roleArn}#`))
  assert.ok(own !== undefined)
  using session = clients(cloud, cloud.session(own.id))
  const suspend = new PutRolePolicyCommand({
    RoleName: own.label,
    PolicyName: suspension.name,
    PolicyDocument: JSON.stringify(suspension.document),
  })
  assert.equal(await refusal(session.iam.send(suspend)), 'AccessDenied')
  const assume = (ExternalId: string) =>
    session.sts.send(
      new AssumeRoleCommand({ RoleArn: accounts.other.roleArn, RoleSessionName: 'idp-bridge', ExternalId }),
    )
  assert.equal(await refusal(assume('guessed')), 'AccessDenied')
  assert.equal(await refusal(assume(accounts.other.externalId)), 'none')
})
