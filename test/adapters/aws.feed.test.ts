import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { queuePolicy, rolePattern, suspension, userPattern } from '../../sandbox/aws/policies.ts'
import type { Page } from '../../src/core/adapter.ts'
import { codeOf } from '../../src/core/errors.ts'
import { type Bench, bench, elsewhere, otherAccount, QUEUE } from './awscloud.ts'
import { leaping, signal } from './tenant.ts'

const main = '111122223333'
const roles = { kinds: ['iamRole'], paths: ['/agents/'] }

async function pass({ adapter }: Pick<Bench, 'adapter'>, since?: string) {
  const pages: Page[] = []
  let failed: string | undefined
  try {
    for await (const page of adapter.changes(since, signal())) pages.push(page)
  } catch (error) {
    failed = codeOf(error)
  }
  const sightings = pages.flatMap((page) => page.sightings)
  return { sightings, touched: pages.flatMap((page) => page.touched), checkpoint: pages.at(-1)?.checkpoint, failed }
}

const asked = ({ cloud }: Bench, action: string) =>
  cloud.requests.filter(({ path }) => path.endsWith(`/${action}`)).length

/** A queue as docs/adapters/aws.md tells to make it. */
function ring({ cloud }: Bench): string {
  const ruleArn = cloud.addRule({ name: 'agentmesh-iam', pattern: rolePattern, targets: [QUEUE] })
  cloud.addRule({ name: 'agentmesh-users', pattern: userPattern, targets: [QUEUE] })
  const policy = queuePolicy(QUEUE, ruleArn.replace('agentmesh-iam', 'agentmesh-*'))
  return cloud.addQueue({ name: 'agentmesh-iam', policy }).url
}

describe('listing', () => {
  it('reads roles and their policies by one paged call, and none for each role', async () => {
    await using it = await bench({ pageSize: 3, settings: { manage: roles } })
    const refs = Array.from({ length: 7 }, () => it.role())
    it.cloud.setSwitch(refs[2]?.id ?? '', false)
    const { sightings, failed } = await pass(it)
    assert.equal(failed, undefined)
    const state = new Map(sightings.map((each) => [each.id, each.state]))
    assert.deepEqual(
      refs.map(({ id }) => state.get(id)),
      ['enabled', 'enabled', 'disabled', 'enabled', 'enabled', 'enabled', 'enabled'],
    )
    assert.equal(asked(it, 'GetAccountAuthorizationDetails'), 3)
    assert.deepEqual([asked(it, 'GetRole'), asked(it, 'GetRolePolicy'), asked(it, 'ListRolePolicies')], [0, 0, 0])
  })

  it('accounts fail one by one: the rows of the others are given, and the pass is not a whole one', async () => {
    await using it = await bench({ settings: { accounts: { [main]: {}, ...elsewhere }, manage: roles } })
    const [here, there] = [it.role(), it.role(undefined, otherAccount)]
    const both = await pass(it)
    assert.deepEqual(
      [
        both.failed,
        both.sightings
          .map(({ id }) => id)
          .filter((id) => id === here.id || id === there.id)
          .sort(),
      ],
      [undefined, [here.id, there.id].sort()],
    )
    const bridge = `arn:aws:iam::${otherAccount}:role/idp-bridge`
    const broken = it.open({
      accounts: { [otherAccount]: { assumeRole: { roleArn: bridge, externalId: 'another' } }, [main]: {} },
      manage: roles,
    })
    const part = await pass({ adapter: broken })
    assert.deepEqual([part.failed, part.checkpoint], ['E_DIRECTORY_AUTH', undefined])
    assert.ok(part.sightings.some(({ id }) => id === here.id))
    const seen = await broken.lookup([here, there], signal())
    assert.deepEqual([seen.get(here.id)?.state, seen.get(there.id)?.state], ['enabled', 'unknown'])
    const results = (await broken.accounts?.disable([here, there], signal())) ?? []
    assert.deepEqual(
      results.map(({ outcome, error }) => [outcome, error?.code]),
      [
        ['done', undefined],
        ['unsent', 'E_DIRECTORY_AUTH'],
      ],
    )
    const findings = await broken.check(signal())
    assert.ok(findings.some(({ level, text }) => level === 'error' && text.includes(otherAccount)))
  })

  it('a credential of another account reads nothing: there every role would seem to be gone', async () => {
    await using it = await bench({ settings: { accounts: { [otherAccount]: {} }, manage: roles } })
    const there = it.role(undefined, otherAccount)
    await assert.rejects(it.adapter.lookup([there], signal()), (error) => codeOf(error) === 'E_DIRECTORY_AUTH')
    assert.equal((await pass(it)).failed, 'E_DIRECTORY_AUTH')
    assert.equal(asked(it, 'GetRole'), 0)
  })
})

describe('queues', () => {
  it('ring: who changed is read, messages are deleted when that is taken in, and nothing is listed', async () => {
    await using it = await bench()
    const url = ring(it)
    const adapter = it.open({ events: { queues: [url] } })
    const [role, user] = [it.role('Agent-One'), it.user()]
    const first = await pass({ adapter })
    it.cloud.setEnabled(role.id, false)
    it.cloud.setEnabled(user.id, false)
    it.cloud.settle()
    const before = asked(it, 'GetAccountAuthorizationDetails')
    const told: string[] = []
    for await (const page of adapter.changes(first.checkpoint, signal())) {
      if (page.touched.length > 0) assert.ok(it.cloud.messages(QUEUE).length > 0, 'not deleted before it is taken in')
      told.push(...page.touched)
    }
    const seen = (await adapter.lookup([role], signal())).get(role.id)
    assert.deepEqual(told.sort(), [seen?.dependsOn, user.id].sort())
    assert.equal(it.cloud.messages(QUEUE).length, 0)
    assert.equal(asked(it, 'GetAccountAuthorizationDetails'), before)
  })

  it('that cannot be read, or tell too little, are made up for by listing', async () => {
    const clock = leaping()
    await using it = await bench({ clock })
    const url = ring(it)
    const adapter = it.open({ events: { queues: [url] }, reconcile: '5m', manage: roles })
    const role = it.role()
    const first = await pass({ adapter })
    const lift = it.cloud.disturbEvents('dropped')
    it.cloud.setEnabled(role.id, false)
    lift()
    const quiet = await pass({ adapter }, first.checkpoint)
    assert.deepEqual([quiet.touched, quiet.sightings], [[], []])
    await clock.sleep(6 * 60_000)
    const reconciled = await pass({ adapter }, quiet.checkpoint)
    assert.equal(reconciled.sightings.find(({ id }) => id === role.id)?.state, 'disabled')
    it.cloud.fail('/sqs/ReceiveMessage', { status: 400, times: 20 })
    const deaf = await pass({ adapter }, reconciled.checkpoint)
    assert.equal(deaf.sightings.find(({ id }) => id === role.id)?.state, 'disabled')
    assert.equal(deaf.failed, undefined)
  })

  it('who is not listed any more is read by id', async () => {
    await using it = await bench({ settings: { manage: roles } })
    const [gone, left] = [it.role(), it.role()]
    const first = await pass(it)
    const second = await pass(it, first.checkpoint)
    assert.deepEqual(second.touched, [])
    it.cloud.remove(gone.id)
    const third = await pass(it, second.checkpoint)
    assert.deepEqual(third.touched, [gone.id])
    assert.ok(third.sightings.some(({ id }) => id === left.id))
  })

  it('messages about something else ring nobody, and do not come again', async () => {
    await using it = await bench()
    const anyone = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: '*', Action: 'sqs:*', Resource: '*' }],
    }
    const { url } = it.cloud.addQueue({ name: 'agentmesh-iam', policy: anyone })
    const rule = it.cloud.addRule({ name: 'x', pattern: { source: ['aws.iam'] }, targets: [QUEUE] })
    const adapter = it.open({ events: { queues: [url] }, manage: roles })
    const first = await pass({ adapter })
    const role = it.role()
    it.cloud.tagRole(role.id, { a: 'b' })
    it.cloud.putPolicy(role.id, suspension.name, suspension.document)
    it.cloud.settle()
    assert.equal(it.cloud.refusedEvents(rule), 0)
    const { touched, failed } = await pass({ adapter }, first.checkpoint)
    assert.deepEqual([touched.length, failed], [1, undefined])
    assert.equal(it.cloud.messages(QUEUE).length, 0)
  })
})

describe('check', () => {
  it('finds nothing wrong with the documented permissions, and names each action that is missing', async () => {
    await using it = await bench()
    const { url } = it.cloud.addQueue({ name: 'agentmesh-iam' })
    const group = it.cloud.addGroup({ displayName: 'mapped' })
    const adapter = it.open({ events: { queues: [url] }, groups: { [group]: ['read:reports'] } })
    const fine = await adapter.check(signal())
    assert.deepEqual(
      fine.filter(({ level }) => level === 'error'),
      [],
    )
    it.cloud.setIamPolicies('idp-bridge', [])
    const anew = it.open({ events: { queues: [url] }, groups: { [group]: ['read:reports'] } })
    const missing = (await anew.check(signal())).filter(({ level }) => level === 'error')
    const actions = missing.map(({ mend }) => /allow ([a-z]+:\w+)/.exec(mend ?? '')?.[1])
    assert.deepEqual(
      new Set(actions),
      new Set([
        'iam:GetAccountAuthorizationDetails',
        'cloudtrail:LookupEvents',
        'iam:GetPolicy',
        'identitystore:ListUsers',
        'identitystore:ListGroupMemberships',
        'sqs:GetQueueAttributes',
      ]),
    )
  })
})
