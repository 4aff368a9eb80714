import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { GetRoleCommand, GetRolePolicyCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam'
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  type STSClient,
} from '@aws-sdk/client-sts'
import { fromContainerMetadata, fromTemporaryCredentials } from '@aws-sdk/credential-providers'
import { like, parsePolicy } from '../../sandbox/aws/policy.ts'
import { clients, nameOf, refusal, withAdmin } from './awsclient.ts'
import { at, clock, send } from './client.ts'

const allow = (Action: string | string[], Resource: string | string[] = '*', Condition?: object) => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) }],
})
const who = async (sts: STSClient) => (await sts.send(new GetCallerIdentityCommand({}))).Arn

test('a call is signed, whole and in time, or it is none', async () => {
  const time = clock()
  await using world = await withAdmin({ now: time.now })
  const { cloud, keys, sts } = world
  assert.equal(await who(sts), 'arn:aws:iam::111122223333:user/root-like')
  const unsigned = await send(`${cloud.origin}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'Action=GetCallerIdentity&Version=2011-06-15',
  })
  assert.deepEqual(
    [unsigned.status, /<Code>(\w+)</.exec(String(unsigned.body))?.[1]],
    [403, 'MissingAuthenticationToken'],
  )
  using wrong = clients(cloud, { ...keys, secretAccessKey: 'another' })
  assert.equal(await refusal(wrong.sts.send(new GetCallerIdentityCommand({}))), 'SignatureDoesNotMatch')
  using unknown = clients(cloud, { ...keys, accessKeyId: 'AKIAUNKNOWNUNKNOWN00' })
  assert.equal(await refusal(unknown.sts.send(new GetCallerIdentityCommand({}))), 'InvalidClientTokenId')
  const queue = cloud.addQueue({ name: 'q' })
  assert.equal(
    await refusal(wrong.sqs.send(new ReceiveMessageCommand({ QueueUrl: queue.url }))),
    'InvalidSignatureException',
  )
  const id = cloud.addRole({ name: 'short' })
  using session = clients(cloud, cloud.session(id, { seconds: 60 }))
  assert.equal(await who(session.sts), 'arn:aws:sts::111122223333:assumed-role/short/a-session')
  using without = clients(cloud, { ...cloud.session(id), sessionToken: 'another' })
  assert.equal(await refusal(without.sts.send(new GetCallerIdentityCommand({}))), 'InvalidClientTokenId')
  time.advance(61_000)
  assert.equal(await refusal(session.sts.send(new GetCallerIdentityCommand({}))), 'ExpiredToken')
  // Off by more than five minutes; the client learns the time from the refusal.
  time.advance(600_000)
  const call = () => refusal(sts.send(new GetCallerIdentityCommand({})))
  assert.deepEqual([await call(), await call()], ['SignatureDoesNotMatch', 'none'])
  cloud.revokeKey(keys.accessKeyId)
  assert.equal(await call(), 'InvalidClientTokenId')
})

test('a signature covers the body', async () => {
  await using world = await withAdmin()
  const { cloud, iam } = world
  iam.middlewareStack.add(
    (next) => (args) => {
      const { request } = args
      if (typeof request === 'object' && request !== null && 'body' in request) {
        request.body = String(request.body).replace('RoleName=one', 'RoleName=two')
      }
      return next(args)
    },
    { step: 'finalizeRequest', priority: 'low' },
  )
  cloud.addRole({ name: 'two' })
  assert.equal(await refusal(iam.send(new GetRoleCommand({ RoleName: 'one' }))), 'SignatureDoesNotMatch')
})

test('a program may do what its policies allow, where they allow it, and nothing else', async () => {
  await using world = await withAdmin()
  const { cloud } = world
  const mine = nameOf(cloud.addRole({ name: 'mine', tags: { team: 'a' } }))
  const other = nameOf(cloud.addRole({ name: 'other', path: '/people/' }))
  const keys = cloud.addIamUser({
    name: 'bridge',
    policies: [
      allow(['iam:GetRole'], 'arn:aws:iam::111122223333:role/agents/*'),
      allow('iam:GetRolePolicy', '*', { StringEquals: { 'aws:ResourceTag/team': 'a' } }),
    ],
  })
  using own = clients(cloud, keys)
  const get = (RoleName: string) => refusal(own.iam.send(new GetRoleCommand({ RoleName })))
  assert.deepEqual([await get(mine), await get(other)], ['none', 'AccessDenied'])
  const read = (RoleName: string) => refusal(own.iam.send(new GetRolePolicyCommand({ RoleName, PolicyName: 'x' })))
  assert.deepEqual([await read(mine), await read(other)], ['NoSuchEntityException', 'AccessDenied'])
  const put = new PutRolePolicyCommand({ RoleName: mine, PolicyName: 'x', PolicyDocument: '{}' })
  assert.equal(await refusal(own.iam.send(put)), 'AccessDenied')
  cloud.setIamPolicies('bridge', [
    allow('iam:*'),
    { ...allow('*'), Statement: [{ Effect: 'Deny', Action: 'iam:GetRole', Resource: '*' }] },
  ])
  assert.deepEqual([await get(mine), await read(other)], ['AccessDenied', 'NoSuchEntityException'])
})

describe('sessions of roles', () => {
  test('a role of another account is assumed when it trusts the caller, with the id it expects, and the caller may', async () => {
    await using world = await withAdmin()
    const { cloud } = world
    const trust = {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { AWS: 'arn:aws:iam::111122223333:user/bridge' },
          Action: 'sts:AssumeRole',
          Condition: { StringEquals: { 'sts:ExternalId': 'only-us' } },
        },
      ],
    }
    const id = cloud.addRole({
      accountId: '444455556666',
      name: 'bridge',
      path: '/',
      trust,
      inline: { Own: allow('iam:GetRole') },
    })
    const RoleArn = id.split('#')[0] ?? ''
    const keys = cloud.addIamUser({ name: 'bridge', policies: [allow('sts:AssumeRole', RoleArn)] })
    using own = clients(cloud, keys)
    const assume = (ExternalId?: string) =>
      refusal(
        own.sts.send(
          new AssumeRoleCommand({ RoleArn, RoleSessionName: 'idp-bridge', ...(ExternalId && { ExternalId }) }),
        ),
      )
    assert.deepEqual(
      [await assume(), await assume('guess'), await assume('only-us')],
      ['AccessDenied', 'AccessDenied', 'none'],
    )
    const credentials = await fromTemporaryCredentials({
      masterCredentials: keys,
      clientConfig: { endpoint: cloud.origin, region: 'us-east-1' },
      params: { RoleArn, RoleSessionName: 'idp-bridge', ExternalId: 'only-us' },
    })()
    using there = clients(cloud, credentials)
    assert.equal(await who(there.sts), 'arn:aws:sts::444455556666:assumed-role/bridge/idp-bridge')
    assert.equal(await refusal(there.iam.send(new GetRoleCommand({ RoleName: 'bridge' }))), 'none')
    cloud.setIamPolicies('bridge', [])
    assert.equal(await assume('only-us'), 'AccessDenied')
  })

  test('a token of a registered issuer is exchanged, and no other', async () => {
    await using world = await withAdmin()
    const { cloud, sts } = world
    const issuer = cloud.addIssuer('id/CLUSTER', { jwksPath: 'keys' })
    const host = issuer.replace('http://', '')
    const id = cloud.addRole({
      name: 'bridge',
      trust: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { Federated: `arn:aws:iam::111122223333:oidc-provider/${host}` },
            Action: 'sts:AssumeRoleWithWebIdentity',
            Condition: { StringEquals: { [`${host}:sub`]: 'system:serviceaccount:bridge:bridge' } },
          },
        ],
      },
    })
    const iat = Math.floor(Date.now() / 1000)
    const claims = {
      iss: issuer,
      aud: 'sts.amazonaws.com',
      sub: 'system:serviceaccount:bridge:bridge',
      iat,
      exp: iat + 600,
    }
    const exchange = (changed: object = {}) =>
      refusal(
        sts.send(
          new AssumeRoleWithWebIdentityCommand({
            RoleArn: id.split('#')[0],
            RoleSessionName: 'idp-bridge',
            WebIdentityToken: cloud.signBy(issuer, { ...claims, ...changed }),
          }),
        ),
      )
    assert.equal(await exchange(), 'InvalidIdentityTokenException')
    cloud.addOidcProvider(issuer, ['sts.amazonaws.com'])
    assert.equal(await exchange(), 'none')
    assert.equal(await exchange({ sub: 'system:serviceaccount:other:other' }), 'AccessDenied')
    assert.equal(await exchange({ aud: 'another' }), 'InvalidIdentityTokenException')
    assert.equal(await exchange({ exp: iat - 1 }), 'InvalidIdentityTokenException')
    const keys = await send(`${issuer}/keys`)
    assert.deepEqual([keys.status, at(keys.body, 'keys', 0, 'use')], [200, 'sig'])
    // What was exchanged is nowhere to be read.
    assert.ok(!JSON.stringify(cloud.requests).includes('eyJ'))
  })

  test('containers and instances find the credentials of their role', async () => {
    await using world = await withAdmin()
    const { cloud } = world
    const id = cloud.addRole({ name: 'host' })
    const { authorization, uri } = cloud.serveContainer(id)
    assert.equal((await send(uri)).status, 401)
    const saved = { ...process.env }
    process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI = uri
    process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN = authorization
    try {
      using there = clients(cloud, await fromContainerMetadata()())
      assert.equal(await who(there.sts), 'arn:aws:sts::111122223333:assumed-role/host/container')
    } finally {
      process.env = saved
    }
    cloud.serveInstance(id)
    const path = `${cloud.origin}/latest/meta-data/iam/security-credentials/`
    assert.equal((await send(path)).status, 401)
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' }
    const { body: token } = await send(`${cloud.origin}/latest/api/token`, { method: 'PUT', headers: ttl })
    const headers = { 'x-aws-ec2-metadata-token': String(token) }
    assert.equal((await send(path, { headers })).body, 'host')
    const { body } = await send(`${path}host`, { headers })
    assert.deepEqual([at(body, 'Code'), String(at(body, 'AccessKeyId')).slice(0, 4)], ['Success', 'ASIA'])
  })
})

describe('policy documents', () => {
  test('patterns have two signs, and every one comes to an end', () => {
    assert.ok(like('iam:*Role', 'iam:GetRole') && like('a?c', 'abc') && like('*', '') && like('a*b*c', 'aXbYbZc'))
    assert.ok(!like('iam:Get', 'iam:GetRole') && !like('a?c', 'ac') && !like('IAM:*', 'iam:x'))
    // One that went back at every star would not end.
    assert.ok(!like('*a'.repeat(60), `${'a'.repeat(59)}b`.repeat(20)))
  })

  test('what is no document of its kind is refused', () => {
    const text = (statement: object) => JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    const identity = (statement: object) => typeof parsePolicy(text(statement), 'identity')
    assert.equal(identity({ Effect: 'Deny', Action: '*', Resource: '*' }), 'object')
    assert.equal(identity({ Effect: 'Deny', Action: '*', Resource: '*', Principal: '*' }), 'string')
    assert.equal(identity({ Effect: 'Deny', Action: '*' }), 'string')
    assert.equal(identity({ Effect: 'Maybe', Action: '*', Resource: '*' }), 'string')
    assert.equal(identity({ Sid: 'not a sid', Effect: 'Deny', Action: '*', Resource: '*' }), 'string')
    assert.equal(identity({ Effect: 'Deny', Action: '*', Resource: '*', Condition: { Guess: { a: 'b' } } }), 'string')
    assert.equal(typeof parsePolicy('{', 'identity'), 'string')
  })
})
