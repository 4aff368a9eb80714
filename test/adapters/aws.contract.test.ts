import { mainAccount, startAws } from '../../sandbox/aws/index.ts'
import type { HookRequest } from '../../src/core/adapter.ts'
import { adapterContract, type Rig } from '../contract/adapter.ts'
import { AUDIENCE, bench, granted, SCIM_TOKEN } from './awscloud.ts'
import { leaping } from './tenant.ts'

const always = Number.POSITIVE_INFINITY
const API = /^(POST \/(iam|sts|identitystore|cloudtrail|sqs)\/|(GET|PATCH) \/scim\/)/
const missing = 'arn:aws:iam::111122223333:role/agents/nobody#AROAAAAAAAAAAAAAAAAAA'
const TOPIC_SUBJECT = 'AWS Notification'

async function rig(): Promise<Rig> {
  const clock = leaping()
  const issuers = { own: '' }
  const base = await bench({ pageSize: 2, clock })
  const { cloud, role, user } = base
  const topic = cloud.addTopic({ name: 'agentmesh' })
  issuers.own = await cloud.enableFederation()
  const adapter = base.open({
    tokens: { audiences: [AUDIENCE], outbound: { [mainAccount]: issuers.own } },
    hooks: { sns: { topics: [topic] } },
  })
  const [first, second, third] = [role('first'), user(), role('third')]
  const more = [user(), user(), user()]
  const members = [second.id, ...more.map(({ id }) => id)]
  const group = cloud.addGroup({ members })
  const others: (() => Promise<void> | void)[] = []
  const statuses = { throttled: 429, down: 500, forbidden: 403, auth: 401 }
  const denied: string[] = []

  const message = (id: string, over: Record<string, string> = {}): HookRequest => {
    const name = id.slice(id.lastIndexOf('/') + 1, id.indexOf('#'))
    const detail = {
      eventID: `e-${name}`,
      eventSource: 'iam.amazonaws.com',
      eventName: 'PutRolePolicy',
      eventTime: new Date().toISOString(),
      recipientAccountId: mainAccount,
      requestParameters: { roleName: name },
    }
    const event = { id: `b-${name}`, 'detail-type': 'AWS API Call via CloudTrail', account: mainAccount, detail }
    const signed = cloud.signedMessage(topic, {
      Type: 'Notification',
      Subject: TOPIC_SUBJECT,
      Message: JSON.stringify(event),
    })
    const body = new TextEncoder().encode(JSON.stringify({ ...signed, ...over }))
    return { method: 'POST', headers: {}, query: {}, body }
  }

  return {
    adapter,
    refs: [first, second, third],
    missing: { id: missing, kind: 'iamRole' },
    secrets: [base.secret, SCIM_TOKEN],
    logged: base.logged,
    setEnabled: async (id, enabled) => cloud.setSwitch(id, enabled),
    enabled: async (id) => cloud.get(id)?.enabled === true,
    remove: async (id) => cloud.remove(id),
    async unreadable(id) {
      denied.push(id.split('#')[0] ?? '')
      if (id.startsWith('arn:')) {
        const Action = ['iam:GetRole', 'iam:GetRolePolicy']
        const Statement = [{ Effect: 'Deny', Action, Resource: denied }]
        cloud.setIamPolicies('idp-bridge', [...granted(), { Version: '2012-10-17', Statement }])
      } else cloud.fail(/^POST \/identitystore\/DescribeUser/, { status: 403, times: always })
    },
    breakAll: async (how) => void cloud.fail(API, { status: statuses[how], times: always }),
    async heal() {
      cloud.clearFaults()
      await clock.sleep(120_000)
    },
    breakFeed: async () => void cloud.fail(/^POST \/identitystore\/ListUsers/, { status: 400 }),
    expire: async () => void (await clock.sleep(100 * 86_400_000)),
    group: {
      id: group,
      members,
      missing: '00000000-0000-4000-8000-000000000000',
      async break() {
        let calls = 0
        cloud.fail(({ path }) => path === '/identitystore/ListGroupMemberships' && ++calls === 2, { status: 400 })
      },
    },
    tokens: {
      own: async (id) => cloud.issueToken({ role: id, audience: AUDIENCE }),
      async neighbours(id) {
        const neighbour = await startAws()
        others.push(() => neighbour.close())
        await neighbour.enableFederation()
        const name = id.slice(id.lastIndexOf('/') + 1, id.indexOf('#'))
        const there = neighbour.addRole({ name })
        const elsewhere = { aws_account: '999988887777' }
        return [
          neighbour.issueToken({ role: there, audience: AUDIENCE }),
          cloud.issueToken({ role: id, audience: 'https://elsewhere.example' }),
          cloud.issueToken({
            role: id,
            audience: AUDIENCE,
            claims: { sub: `arn:aws:iam::999988887777:role/agents/${name}`, 'https://sts.amazonaws.com/': elsewhere },
          }),
        ]
      },
    },
    hooks: {
      genuine: async (id) => message(id),
      forged: async (id) => [
        message(id, { Message: '{}' }),
        message(id, { Signature: 'AAAA' }),
        message(id, { SignatureVersion: '1' }),
        message(id, { TopicArn: 'arn:aws:sns:us-east-1:999988887777:agentmesh' }),
        message(id, {
          SigningCertURL: 'https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-a.pem',
        }),
      ],
    },
    async [Symbol.asyncDispose]() {
      for (const end of others) await end()
      await base[Symbol.asyncDispose]()
    },
  }
}

adapterContract('aws', rig)
