import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import { rolePattern, userPattern } from '../../sandbox/aws/policies.ts'
import type { Adapter, HookRequest } from '../../src/core/adapter.ts'
import { codeOf } from '../../src/core/errors.ts'
import { bench } from './awscloud.ts'
import { mounted } from './mounted.ts'
import { signal } from './tenant.ts'

const request = (envelope: object): HookRequest => ({
  method: 'POST',
  headers: { 'content-type': 'text/plain; charset=UTF-8' },
  query: {},
  body: new TextEncoder().encode(JSON.stringify(envelope)),
})
const received = async (adapter: Adapter, envelope: object) => {
  try {
    const answer = await adapter.hooks?.receive(request(envelope), signal())
    return answer?.hints.map(({ principal, group }) => principal ?? group) ?? []
  } catch (error) {
    return codeOf(error)
  }
}
const event = (detail: object) =>
  JSON.stringify({
    id: 'e-1',
    'detail-type': 'AWS API Call via CloudTrail',
    account: '111122223333',
    detail: {
      eventSource: 'iam.amazonaws.com',
      eventName: 'PutRolePolicy',
      eventTime: '2026-11-22T10:00:00Z',
      recipientAccountId: '111122223333',
      requestParameters: { roleName: 'Agent' },
      ...detail,
    },
  })

async function world() {
  const it = await bench()
  const topic = it.cloud.addTopic({ name: 'agentmesh' })
  const adapter = it.open({ hooks: { sns: { topics: [topic] } } })
  const signed = (over: Record<string, string> = {}) =>
    it.cloud.signedMessage(topic, { Type: 'Notification', Message: event({}), ...over })
  return { ...it, adapter, topic, signed, [Symbol.asyncDispose]: () => it[Symbol.asyncDispose]() }
}

describe('SNS, over sockets', () => {
  it('a subscription is confirmed, events ring, and the end of it is told', async () => {
    await using it = await world()
    const { cloud, topic } = it
    await using endpoint = await mounted(it.adapter)
    const arn = await cloud.subscribe(topic, endpoint.url)
    assert.ok(cloud.isConfirmed(arn))
    cloud.addRule({ name: 'roles', pattern: rolePattern, targets: [topic] })
    cloud.addRule({ name: 'users', pattern: userPattern, targets: [topic] })
    const [role, user] = [it.role('Agent-Seven'), it.user()]
    cloud.setEnabled(role.id, false)
    cloud.setEnabled(user.id, false)
    cloud.settle()
    const delivered = () =>
      cloud.pushes.filter(({ outcome, type }) => outcome === 'delivered' && type === 'Notification')
    await cloud.waitForPush(() => delivered().length >= 2)
    const hints = endpoint.answers.flatMap((answer) => answer.hints.map(({ principal }) => principal ?? ''))
    assert.deepEqual(hints.toSorted(), [user.id, 'role:111122223333/agent-seven'].toSorted())
    await cloud.unsubscribe(arn)
    await cloud.waitForPush(({ type, outcome }) => type === 'UnsubscribeConfirmation' && outcome === 'delivered')
    const alerts = endpoint.answers.flatMap(({ alert }) => alert?.code ?? [])
    assert.deepEqual(alerts, ['hook-deleted'])
  })
})

describe('what is not believed', () => {
  it('anything changed, another topic, another version, another hour', async () => {
    await using it = await world()
    const { adapter, cloud, signed } = it
    assert.deepEqual(await received(adapter, signed()), ['role:111122223333/agent'])
    assert.deepEqual(
      await received(adapter, { ...signed(), Message: event({ eventName: 'DeleteRole' }) }),
      'E_HOOK_UNVERIFIED',
    )
    assert.equal(await received(adapter, { ...signed(), Subject: 'added' }), 'E_HOOK_UNVERIFIED')
    assert.equal(await received(adapter, { ...signed(), SignatureVersion: '1' }), 'E_HOOK_UNVERIFIED')
    const old = new Date(Date.now() - 2 * 3_600_000).toISOString()
    assert.equal(await received(adapter, signed({ Timestamp: old })), 'E_HOOK_UNVERIFIED')
    const another = cloud.addTopic({ name: 'another' })
    const foreign = cloud.signedMessage(another, { Type: 'Notification', Message: event({}) })
    assert.equal(await received(adapter, foreign), 'E_HOOK_UNVERIFIED')
    assert.equal(await received(adapter, { Type: 'Notification' }), 'E_HOOK_BODY')
    assert.equal(await received(adapter, []), 'E_HOOK_BODY')
  })

  it('a certificate from anywhere but SNS in the region of the topic: nothing is fetched', async () => {
    await using it = await world()
    const { adapter, cloud, signed } = it
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const Signature = sign('sha256', Buffer.from('x'), privateKey).toString('base64')
    const path = '/SimpleNotificationService-0123456789abcdef.pem'
    const before = cloud.requests.length
    for (const SigningCertURL of [
      `https://evil.example${path}`,
      `https://sns.us-east-1.amazonaws.com.evil.example${path}`,
      `https://sns.us-east-1.amazonaws.com@evil.example${path}`,
      `https://sns.eu-west-1.amazonaws.com${path}`,
      `http://sns.us-east-1.amazonaws.com${path}`,
      `https://sns.us-east-1.amazonaws.com:8443${path}`,
      `https://sns.us-east-1.amazonaws.com.cn${path}`,
      `${cloud.origin}/other.pem`,
      `${cloud.origin}/../${path}x`,
      `${cloud.origin}${path}?x=1`,
      'not a URL',
    ])
      assert.equal(
        await received(adapter, { ...signed(), SigningCertURL, Signature }),
        'E_HOOK_UNVERIFIED',
        SigningCertURL,
      )
    assert.equal(cloud.requests.length, before)
  })

  it('a confirmation that leads elsewhere, or is for something else, is not followed', async () => {
    await using it = await world()
    const { adapter, cloud, signed, topic } = it
    const query = (over: Record<string, string> = {}) =>
      new URLSearchParams({ Action: 'ConfirmSubscription', TopicArn: topic, Token: 'a-token', ...over })
    const confirmation = (SubscribeURL: string) =>
      signed({ Type: 'SubscriptionConfirmation', Token: 'a-token', Message: 'confirm', SubscribeURL })
    const confirms = () => cloud.requests.filter(({ path }) => path.includes('ConfirmSubscription')).length
    for (const url of [
      `https://evil.example/?${query()}`,
      `${cloud.origin}/?${query({ Action: 'DeleteTopic' })}`,
      `${cloud.origin}/?${query({ TopicArn: 'arn:aws:sns:us-east-1:999988887777:x' })}`,
      `${cloud.origin}/?${query({ Token: 'another' })}`,
      `${cloud.origin}/path?${query()}`,
      `${cloud.origin}/?${query()}&Action=DeleteTopic`,
    ])
      assert.equal(await received(adapter, confirmation(url)), 'E_HOOK_UNVERIFIED', url)
    assert.equal(confirms(), 0)
    // One that SNS itself refuses is not confirmed: it may come again.
    assert.equal(await received(adapter, confirmation(`${cloud.origin}/?${query()}`)), 'E_HOOK_CANNOT_CHECK')
    assert.equal(confirms(), 1)
  })

  it('posts that name certificates SNS does not have make us ask for no more than a few', async () => {
    await using it = await world()
    const { adapter, cloud, signed } = it
    const asked = () => cloud.requests.filter(({ path }) => path.startsWith('/SimpleNotificationService-')).length
    const named = (at: number) => ({
      ...signed(),
      SigningCertURL: `${cloud.origin}/SimpleNotificationService-${at}.pem`,
    })
    const answers = new Set<unknown>()
    for (let at = 0; at < 30; at++) answers.add(await received(adapter, named(at)))
    assert.deepEqual([...answers], ['E_HOOK_UNVERIFIED', 'E_HOOK_CANNOT_CHECK'])
    assert.equal(asked(), 10)
  })

  it('what cannot be judged now is not refused: the certificate cannot be read', async () => {
    await using it = await world()
    it.cloud.fail(/SimpleNotificationService/, { status: 503 })
    assert.equal(await received(it.adapter, it.signed()), 'E_HOOK_CANNOT_CHECK')
    assert.deepEqual(await received(it.adapter, it.signed()), ['role:111122223333/agent'])
  })
})

describe('what events mean', () => {
  it('names and ids only, of calls that succeeded, whatever else they carry', async () => {
    await using it = await world()
    const { adapter, signed } = it
    const told = (detail: object) => received(adapter, signed({ Message: event(detail) }))
    const user = 'a1b2c3d4-1111-4222-8333-444455556666'
    assert.deepEqual(await told({ errorCode: 'AccessDenied' }), [])
    assert.deepEqual(await told({ eventName: 'GetRole' }), [])
    assert.deepEqual(await told({ eventSource: 'evil.example' }), [])
    assert.deepEqual(await told({ requestParameters: { roleName: '../../x' } }), [])
    assert.deepEqual(await told({ requestParameters: null }), [])
    assert.deepEqual(
      await told({
        eventSource: 'sso-directory.amazonaws.com',
        eventName: 'DisableUser',
        requestParameters: { userId: user },
      }),
      [`d-1234567890/${user}`],
    )
    assert.deepEqual(
      await told({
        eventSource: 'identitystore-scim.amazonaws.com',
        eventName: 'PatchUser',
        requestParameters: { httpBody: { active: false } },
        responseElements: { id: user },
      }),
      [`d-1234567890/${user}`],
    )
    assert.deepEqual(
      await told({
        eventSource: 'identitystore.amazonaws.com',
        eventName: 'CreateGroupMembership',
        requestParameters: { groupId: user },
      }),
      [user],
    )
    assert.deepEqual(await received(adapter, signed({ Message: 'hello' })), [])
    assert.deepEqual(await received(adapter, signed({ Message: '{"__proto__":{"id":"x"}}' })), [])
  })
})
