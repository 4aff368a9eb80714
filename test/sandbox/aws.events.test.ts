import assert from 'node:assert/strict'
import { createVerify, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { LookupEventsCommand, paginateLookupEvents } from '@aws-sdk/client-cloudtrail'
import { GetRoleCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam'
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs'
import { GetWebIdentityTokenCommand } from '@aws-sdk/client-sts'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { queuePolicy, rolePattern, suspension, userPattern } from '../../sandbox/aws/policies.ts'
import { clients, nameOf, refusal, withAdmin } from './awsclient.ts'
import { at, clock, send, startReceiver, text } from './client.ts'

const PolicyDocument = JSON.stringify(suspension.document)
const put = (id: string) =>
  new PutRolePolicyCommand({ RoleName: nameOf(id), PolicyName: suspension.name, PolicyDocument })

test('the history shows who did what, late, newest first, in the region where it belongs', async () => {
  // A signature may be five minutes off: the clock of the accounts moves within that.
  const time = clock(Date.now() - 120_000)
  await using world = await withAdmin({ now: time.now, trailDelayMs: 240_000 })
  const { cloud, iam, keys, trail } = world
  const id = cloud.addRole({ name: 'agent' })
  await iam.send(put(id))
  time.advance(1000)
  cloud.setEnabled(id, true, { by: 'carol' })
  assert.equal(await refusal(iam.send(new GetRoleCommand({ RoleName: 'nobody' }))), 'NoSuchEntityException')
  const lookup = async (key: 'EventSource' | 'EventName' | 'ReadOnly' | 'ResourceName', value: string) => {
    const LookupAttributes = [{ AttributeKey: key, AttributeValue: value }]
    return (await trail.send(new LookupEventsCommand({ LookupAttributes }))).Events ?? []
  }
  assert.deepEqual(await lookup('EventSource', 'iam.amazonaws.com'), [])
  time.advance(240_000)
  const seen = await lookup('EventSource', 'iam.amazonaws.com')
  assert.deepEqual(
    seen.map(({ EventName, ReadOnly, Username }) => [EventName, ReadOnly, Username]),
    [
      ['GetRole', 'true', 'root-like'],
      ['DeleteRolePolicy', 'false', 'carol'],
      ['PutRolePolicy', 'false', 'root-like'],
    ],
  )
  const record: unknown = JSON.parse(seen[2]?.CloudTrailEvent ?? '')
  assert.equal(at(record, 'requestParameters', 'policyDocument'), PolicyDocument)
  assert.equal(at(record, 'userIdentity', 'arn'), 'arn:aws:iam::111122223333:user/root-like')
  assert.equal(at(JSON.parse(seen[0]?.CloudTrailEvent ?? ''), 'errorCode'), 'NoSuchEntity')
  assert.equal((await lookup('ResourceName', 'agent')).length, 2)
  assert.equal((await lookup('EventName', 'PutRolePolicy'))[0]?.Resources?.[0]?.ResourceName, 'agent')
  using elsewhere = clients(cloud, keys, 'eu-west-1')
  const there = await elsewhere.trail.send(new LookupEventsCommand({}))
  assert.deepEqual(there.Events, [])
})

test('the history has pages and windows, and is asked twice a second at most', async () => {
  const time = clock(Math.floor(Date.now() / 1000) * 1000 - 120_000)
  await using world = await withAdmin({ now: time.now, limits: { perSecond: { 'iam:write': 1000 } } })
  const { cloud, trail } = world
  const id = cloud.addRole({ name: 'agent' })
  const started = time.now()
  for (let count = 0; count < 120; count += 1) {
    cloud.tagRole(id, { count: String(count) })
    time.advance(1000)
  }
  const names = new Set<string>()
  for await (const { Events = [] } of paginateLookupEvents({ client: trail }, { StartTime: new Date(started) })) {
    assert.ok(Events.length <= 50)
    for (const { EventId } of Events) names.add(EventId ?? '')
    time.advance(1000)
  }
  assert.equal(names.size, 120)
  const window = { StartTime: new Date(started + 10_000), EndTime: new Date(started + 19_000) }
  assert.equal((await trail.send(new LookupEventsCommand(window))).Events?.length, 10)
  time.advance(5000)
  const calls = await Promise.all(Array.from({ length: 6 }, () => refusal(trail.send(new LookupEventsCommand({})))))
  assert.deepEqual(calls.toSorted(), ['ThrottlingException', 'ThrottlingException', 'none', 'none', 'none', 'none'])
})

test('events of a rule come to a queue that lets them in, and stay until they are deleted', async () => {
  const time = clock()
  await using world = await withAdmin({ now: time.now, eventDelayMs: 2000 })
  const { cloud, iam, sqs } = world
  const arn = 'arn:aws:sqs:us-east-1:111122223333:agentmesh-iam'
  const rule = { name: 'agentmesh-iam', pattern: rolePattern, targets: [arn] }
  const ruleArn = cloud.addRule(rule)
  cloud.addQueue({ name: 'agentmesh-iam', policy: queuePolicy(arn, `${ruleArn}-another`) })
  const id = cloud.addRole({ name: 'agent' })
  await iam.send(put(id))
  time.advance(2000)
  cloud.settle()
  assert.deepEqual([cloud.messages(arn).length, cloud.refusedEvents(ruleArn)], [0, 1])
  const { url: QueueUrl } = cloud.addQueue({
    name: 'agentmesh-iam',
    policy: queuePolicy(arn, ruleArn),
    visibilitySeconds: 60,
  })
  const lift = cloud.disturbEvents('duplicated')
  await iam.send(put(id))
  await iam.send(new GetRoleCommand({ RoleName: nameOf(id) }))
  const receive = async (WaitTimeSeconds = 0) =>
    (await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds }))).Messages ?? []
  assert.deepEqual(await receive(), [])
  time.advance(2000)
  const [first, second, ...more] = await receive()
  lift()
  assert.deepEqual([first?.Body, more], [second?.Body, []])
  const event: unknown = JSON.parse(first?.Body ?? '')
  assert.deepEqual(
    [at(event, 'detail-type'), at(event, 'detail', 'eventName'), at(event, 'detail', 'requestParameters', 'roleName')],
    ['AWS API Call via CloudTrail', 'PutRolePolicy', 'agent'],
  )
  assert.deepEqual(await receive(), [])
  await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: first?.ReceiptHandle }))
  const visible = { QueueUrl, ReceiptHandle: second?.ReceiptHandle, VisibilityTimeout: 0 }
  await sqs.send(new ChangeMessageVisibilityCommand(visible))
  const [again] = await receive()
  assert.equal(again?.MessageId, second?.MessageId)
  // An old receipt deletes nothing.
  await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: second?.ReceiptHandle }))
  assert.equal(cloud.messages(arn).length, 1)
  const Entries = [{ Id: '1', ReceiptHandle: again?.ReceiptHandle }]
  await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }))
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] }),
  )
  assert.deepEqual(Attributes, { ApproximateNumberOfMessages: '0' })
  const waiting = receive(20)
  await cloud.waitForRequest(({ path }) => path === '/sqs/ReceiveMessage')
  cloud.tagRole(id, { a: 'b' })
  time.advance(2000)
  await iam.send(new GetRoleCommand({ RoleName: nameOf(id) }))
  assert.equal((await waiting).length, 1)
  const missing = new ReceiveMessageCommand({ QueueUrl: `${cloud.origin}/111122223333/none` })
  assert.equal(await refusal(sqs.send(missing)), 'QueueDoesNotExist')
})

test('a topic asks its endpoint to confirm first, and signs what it pushes', async () => {
  await using world = await withAdmin({ pushRetryMs: 5 })
  const { cloud } = world
  cloud.addStore({})
  let status = 500
  await using receiver = await startReceiver(() => ({ status }))
  const topicArn = cloud.addTopic({ name: 'agentmesh' })
  cloud.addRule({ name: 'users', pattern: userPattern, targets: [topicArn] })
  const user = cloud.addUser()
  cloud.setEnabled(user, false)
  const subscription = await cloud.subscribe(topicArn, receiver.url)
  assert.deepEqual(
    cloud.pushes.map(({ outcome, type }) => [type, outcome]),
    [
      ...Array.from({ length: 3 }, () => ['SubscriptionConfirmation', 'retrying']),
      ['SubscriptionConfirmation', 'dropped'],
    ],
  )
  status = 200
  const [asked] = receiver.received
  assert.equal(asked?.headers['content-type'], 'text/plain; charset=UTF-8')
  cloud.setEnabled(user, true)
  assert.equal(receiver.received.length, 4)
  const address = text(at(asked?.body, 'SubscribeURL'))
  assert.equal((await send(address.replace(/Token=.{4}/, 'Token=0000'))).status, 400)
  assert.equal(cloud.isConfirmed(subscription), false)
  assert.equal((await send(address)).status, 200)
  assert.equal(cloud.isConfirmed(subscription), true)
  cloud.setEnabled(user, false, { by: 'dave' })
  await cloud.waitForPush(({ outcome, type }) => type === 'Notification' && outcome === 'delivered')
  const body = receiver.received.at(-1)?.body
  const event: unknown = JSON.parse(text(at(body, 'Message')))
  assert.deepEqual(
    [at(event, 'detail', 'eventName'), at(event, 'detail', 'userIdentity', 'userName')],
    ['DisableUser', 'dave'],
  )
  const fields = ['Message', 'MessageId', 'Timestamp', 'TopicArn', 'Type']
  const signed = fields.map((name) => `${name}\n${text(at(body, name))}\n`).join('')
  const pem = await send(text(at(body, 'SigningCertURL')))
  const { publicKey } = new X509Certificate(String(pem.body))
  assert.equal(at(body, 'SignatureVersion'), '2')
  const verify = createVerify('RSA-SHA256').update(signed)
  assert.ok(verify.verify(publicKey, text(at(body, 'Signature')), 'base64'))
  await cloud.unsubscribe(subscription)
  assert.equal(at(receiver.received.at(-1)?.body, 'Type'), 'UnsubscribeConfirmation')
})

test('a role gets a token that says its ARN and nothing of the session, which its keys verify', async () => {
  await using world = await withAdmin()
  const { cloud } = world
  const tokens = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'sts:GetWebIdentityToken', Resource: '*' }],
  }
  const id = cloud.addRole({ name: 'agent', tags: { team: 'a' }, inline: { Tokens: tokens } })
  using session = clients(cloud, cloud.session(id, { name: 'secret-session', seconds: 1800 }))
  const ask = (DurationSeconds = 300, SigningAlgorithm = 'RS256') =>
    session.sts.send(new GetWebIdentityTokenCommand({ Audience: ['api://agents'], SigningAlgorithm, DurationSeconds }))
  assert.equal(await refusal(ask()), 'FeatureDisabled')
  const issuer = await cloud.enableFederation()
  assert.equal(await refusal(ask(3600)), 'SessionDurationEscalationException')
  const { body: about } = await send(`${issuer}/.well-known/openid-configuration`)
  assert.equal(at(about, 'issuer'), issuer)
  const keys = createRemoteJWKSet(new URL(text(at(about, 'jwks_uri'))))
  for (const algorithm of ['RS256', 'ES384']) {
    const { WebIdentityToken = '' } = await ask(300, algorithm)
    const { payload } = await jwtVerify(WebIdentityToken, keys, {
      issuer,
      audience: 'api://agents',
      algorithms: [algorithm],
    })
    assert.equal(payload.sub, id.split('#')[0])
    assert.equal(at(payload, 'https://sts.amazonaws.com/', 'aws_account'), '111122223333')
    assert.equal(at(payload, 'https://sts.amazonaws.com/', 'principal_tags', 'team'), 'a')
    assert.ok(!JSON.stringify(payload).includes('secret-session'))
  }
  cloud.setJwksDown(true)
  assert.equal((await send(text(at(about, 'jwks_uri')))).status, 503)
  cloud.setJwksDown(false)
  const token = cloud.issueToken({ role: id, audience: 'api://agents', alg: 'ES384' })
  assert.equal((await jwtVerify(token, keys, { issuer })).payload.sub, id.split('#')[0])
  cloud.disableFederation()
  assert.equal(await refusal(ask()), 'FeatureDisabled')
})
