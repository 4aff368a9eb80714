import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { LookupEventsCommand } from '@aws-sdk/client-cloudtrail'
import { GetRoleCommand } from '@aws-sdk/client-iam'
import { DescribeUserCommand } from '@aws-sdk/client-identitystore'
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import { openSessions, sessionFor } from '../../adapters/aws/account.ts'
import { type AwsConfig, awsConfig } from '../../adapters/aws/config.ts'
import { endpointsOf } from '../../adapters/aws/places.ts'
import { configs } from '../../adapters/index.ts'
import { ServerTime } from '../../adapters/servertime.ts'
import type { AwsCloud } from '../../sandbox/aws/index.ts'
import { codeOf } from '../../src/core/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { bench, documented, elsewhere, otherAccount } from './awscloud.ts'
import { signal } from './tenant.ts'

const roles = { kinds: ['iamRole'], paths: ['/agents/'] }

/** The role that the bridge runs as. */
const bridgeRole = (cloud: AwsCloud, trust?: object): string =>
  cloud.addRole({ name: 'idp-bridge', path: '/', inline: { bridge: documented('account') }, ...(trust && { trust }) })

describe('credentials', () => {
  it('a web identity is read from its file for each sign-in', async () => {
    await using it = await bench()
    const { cloud } = it
    const issuer = cloud.addIssuer('/cluster')
    cloud.addOidcProvider(issuer, ['sts.amazonaws.com'])
    const provider = `arn:aws:iam::111122223333:oidc-provider/${new URL(issuer).host}${new URL(issuer).pathname}`
    const Statement = [{ Effect: 'Allow', Principal: { Federated: provider }, Action: 'sts:AssumeRoleWithWebIdentity' }]
    bridgeRole(cloud, { Version: '2012-10-17', Statement })
    const folder = mkdtempSync(join(tmpdir(), 'aws-'))
    try {
      const tokenFile = join(folder, 'token')
      const now = Math.floor(Date.now() / 1000)
      const claims = {
        iss: issuer,
        aud: 'sts.amazonaws.com',
        sub: 'system:serviceaccount:bridge:bridge',
        iat: now,
        exp: now + 600,
      }
      const settings = {
        credential: { type: 'webIdentity', roleArn: 'arn:aws:iam::111122223333:role/idp-bridge', tokenFile },
        manage: roles,
      }
      const ref = it.role()
      const without = it.open(settings)
      await assert.rejects(without.lookup([ref], signal()), (error) => codeOf(error) === 'E_DIRECTORY_AUTH')
      writeFileSync(tokenFile, cloud.signBy(issuer, claims))
      assert.equal((await without.lookup([ref], signal())).get(ref.id)?.state, 'enabled', 'with no restart')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('a container is asked where the configuration says', async () => {
    await using it = await bench()
    const { uri, authorization } = it.cloud.serveContainer(bridgeRole(it.cloud))
    const folder = mkdtempSync(join(tmpdir(), 'aws-'))
    try {
      const tokenFile = join(folder, 'authorization')
      writeFileSync(tokenFile, authorization)
      const adapter = it.open({ credential: { type: 'container', uri, tokenFile }, manage: roles })
      const ref = it.role()
      assert.equal((await adapter.lookup([ref], signal())).get(ref.id)?.state, 'enabled')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('a session that AWS does not accept any more is exchanged, once, and the call made again', async () => {
    await using it = await bench({ settings: { accounts: elsewhere, manage: roles } })
    const ref = it.role(undefined, otherAccount)
    await it.adapter.lookup([ref], signal())
    const expired =
      '<ErrorResponse><Error><Code>ExpiredToken</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>'
    it.cloud.fail('POST /iam/PutRolePolicy', { status: 403, headers: { 'content-type': 'text/xml' }, body: expired })
    it.cloud.fail('/iam/PutRolePolicy', { status: 403, headers: { 'content-type': 'text/xml' }, body: expired })
    const assumed = () => it.cloud.requests.filter(({ path }) => path === '/sts/AssumeRole').length
    const before = assumed()
    const [result] = (await it.adapter.accounts?.disable([ref], signal())) ?? []
    assert.equal(result?.outcome, 'done')
    assert.equal(assumed(), before + 1)
  })

  it('the wrong external id, or a role that does not trust us, is said with the role and what mends it', async () => {
    await using it = await bench()
    const roleArn = `arn:aws:iam::${otherAccount}:role/idp-bridge`
    const adapter = it.open({
      accounts: { [otherAccount]: { assumeRole: { roleArn, externalId: 'wrong' } } },
      manage: roles,
    })
    const ref = it.role(undefined, otherAccount)
    await assert.rejects(adapter.lookup([ref], signal()), (error) => {
      assert.ok(error instanceof Error && 'hint' in error)
      assert.equal(codeOf(error), 'E_DIRECTORY_AUTH')
      assert.match(String(error.hint), /sts:AssumeRole on arn:aws:iam::444455556666:role\/idp-bridge/)
      return true
    })
  })

  it('a static key and the default chain are warned of', async () => {
    await using it = await bench()
    const codes = async (settings: Record<string, unknown>) =>
      (await it.open(settings).check(signal())).map(({ code }) => code)
    assert.ok((await codes({})).includes('access-key'))
    assert.ok((await codes({ credential: { type: 'default', profile: 'nobody' } })).includes('default-chain'))
  })
})

describe('endpoints', () => {
  const parsed = (over: Record<string, unknown>): AwsConfig =>
    awsConfig.parse({
      kind: 'aws',
      region: 'eu-west-1',
      credential: { type: 'accessKey', accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-some-length' },
      accounts: { '111122223333': {} },
      identityCenter: { identityStoreId: 'd-1234567890', region: 'eu-central-1' },
      events: { queues: ['https://sqs.us-east-1.amazonaws.com/111122223333/agents'] },
      ...over,
    })

  /** Where the SDK sends each call, and for whom it signs it. */
  async function called(config: AwsConfig) {
    const seen: string[] = []
    const fetch: PinnedFetch = Object.assign(
      async (url: string | URL, init: Parameters<PinnedFetch>[1]) => {
        const headers = new Headers(init.headers)
        const scope = /Credential=[^/]+\/\d+\/([^/]+\/[^/]+)\//.exec(headers.get('authorization') ?? '')?.[1]
        seen.push(`${new URL(url).origin} ${scope}`)
        return new Response('', { status: 503 })
      },
      { origins: new Set<string>(), limits: { timeoutMs: 1000, maxBytes: 1000 } },
    )
    const time = new ServerTime(systemClock)
    const closed = new AbortController().signal
    const sessions = openSessions({ config, fetch, clock: systemClock, time, random: () => 0.5, closed })
    const { clients } = sessions.named(undefined)
    const region = config.region.startsWith('cn-') ? 'cn-north-1' : 'us-east-1'
    const calls = [
      () => clients.iam.send(new GetRoleCommand({ RoleName: 'a' })),
      () => clients.iamTrail.send(new LookupEventsCommand({})),
      () => clients.centerTrail.send(new LookupEventsCommand({})),
      () => clients.identityStore.send(new DescribeUserCommand({ IdentityStoreId: 'd-1234567890', UserId: 'a' })),
      () =>
        clients.queue(region).send(new ReceiveMessageCommand({ QueueUrl: `https://sqs.${region}.amazonaws.com/1/a` })),
      () => sessionFor(sessions, '111122223333', closed),
    ]
    for (const call of calls) await call().catch(() => undefined)
    sessions.destroy()
    return [...new Set(seen)]
  }

  it('the SDK calls none but those that are pinned, in every partition', async () => {
    const commercial = parsed({})
    assert.deepEqual(await called(commercial), [
      'https://iam.amazonaws.com us-east-1/iam',
      'https://cloudtrail.us-east-1.amazonaws.com us-east-1/cloudtrail',
      'https://cloudtrail.eu-central-1.amazonaws.com eu-central-1/cloudtrail',
      'https://identitystore.eu-central-1.amazonaws.com eu-central-1/identitystore',
      'https://sqs.us-east-1.amazonaws.com us-east-1/sqs',
      'https://sts.eu-west-1.amazonaws.com eu-west-1/sts',
    ])
    const china = parsed({
      region: 'cn-northwest-1',
      identityCenter: { identityStoreId: 'd-1234567890', region: 'cn-north-1' },
      events: { queues: ['https://sqs.cn-north-1.amazonaws.com.cn/111122223333/agents'] },
    })
    const government = parsed({
      region: 'us-gov-west-1',
      identityCenter: { identityStoreId: 'd-1234567890', region: 'us-gov-west-1' },
      events: undefined,
    })
    for (const config of [commercial, china, government]) {
      const pinned = new Set(endpointsOf(config).origins)
      const origins = (await called(config)).map((each) => each.split(' ')[0] ?? '')
      const asked = config.events ? origins : origins.filter((origin) => !origin.startsWith('https://sqs.'))
      assert.deepEqual(new Set(asked), pinned)
    }
  })

  it('an address that the environment names in their place is not called', async () => {
    const environment = {
      AWS_ENDPOINT_URL: 'https://evil.example',
      AWS_ENDPOINT_URL_IAM: 'https://evil.example',
      AWS_USE_FIPS_ENDPOINT: 'true',
      AWS_USE_DUALSTACK_ENDPOINT: 'true',
    }
    const usual = await called(parsed({}))
    Object.assign(process.env, environment)
    try {
      assert.deepEqual(await called(parsed({})), usual)
      await using it = await bench({ settings: { accounts: elsewhere, manage: roles } })
      const ref = it.role(undefined, otherAccount)
      assert.equal((await it.adapter.lookup([ref], signal())).get(ref.id)?.state, 'enabled', 'signs in, too')
    } finally {
      for (const name of Object.keys(environment)) delete process.env[name]
    }
  })
})

describe('configuration', () => {
  const fault = (over: Record<string, unknown>): string => {
    const base = {
      kind: 'aws',
      region: 'eu-west-1',
      credential: { type: 'instance' },
      accounts: { '111122223333': {} },
    }
    const result = configs.aws.safeParse({ ...base, ...over })
    return result.success ? 'none' : result.error.issues.map(({ path }) => path.join('.')).join(' ')
  }

  it('refuses what can only be a mistake', () => {
    assert.equal(fault({}), 'none')
    const other = { assumeRole: { roleArn: 'arn:aws:iam::999988887777:role/x' } }
    assert.equal(fault({ accounts: { '111122223333': other } }), 'accounts.111122223333.assumeRole.roleArn')
    assert.equal(fault({ accounts: { '111122223333': {}, '444455556666': {} } }), 'accounts')
    assert.equal(fault({ manage: { kinds: ['identityCenterUser'] } }), 'identityCenter')
    const group = { 'a1b2c3d4-1111-4222-8333-444455556666': ['read:reports'] }
    assert.equal(fault({ groups: group }), 'identityCenter')
    assert.equal(fault({ region: 'us-iso-east-1' }), 'region')
    assert.equal(fault({ manage: { paths: ['agents'] } }), 'manage.paths.0')
    assert.equal(fault({ never: ['my-role'] }), 'never.0')
    assert.equal(fault({ groups: { Admins: ['read:x'] } }), 'groups.Admins')
    const tokens = { audiences: ['x'], outbound: { '444455556666': 'https://a.tokens.sts.global.api.aws' } }
    assert.equal(fault({ tokens }), 'tokens.outbound.444455556666')
    assert.equal(fault({ hooks: { sns: { topics: 'arn:aws:sns:us-east-1:111122223333:x.fifo' } } }), 'hooks.sns.topics')
    assert.equal(fault({ endpoints: { iam: 'http://iam.example' } }), 'endpoints.iam')
  })
})
