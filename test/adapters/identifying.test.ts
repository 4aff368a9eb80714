import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { identifierOf } from '../../adapters/identifying.ts'
import { configs } from '../../adapters/index.ts'
import type { AdapterBase } from '../../src/config/adapter.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { opening } from './opening.ts'

const [tenant, ...ids] = [1, 2, 3, 4].map((n) => `${String(n).repeat(8)}-1111-4222-8333-444444444444`)
const [main, other] = ['111122223333', '444455556666']
const store = 'd-1234567890'
const role = (account = main) => `arn:aws:iam::${account}:role/agents/a`
const outbound = 'https://a.outbound.example'
const outboundOther = 'https://b.outbound.example'
const eks = 'https://eks.example/id/A'
const pool = 'https://cognito.example/pool'
const audiences = ['https://agents.contoso.example']
const okta = { client: '0oa000000000000000A1', user: '00u000000000000000H1', agent: 'wlp000000000000000A1' }

const maybe = <T>(...of: T[]) => fc.option(fc.constantFrom<unknown>(...of, '__proto__', 7), { nil: undefined })

/** Configurations that say all that tells whom tokens name, and claims that use it. */
const kinds: Readonly<Record<string, readonly [AdapterBase, fc.Arbitrary<Record<string, unknown>>]>> = {
  entra: [
    configs.entra.parse({
      kind: 'entra',
      tenantId: tenant?.toUpperCase(),
      credential: { type: 'managedIdentity' },
      tokens: { audiences },
    }),
    fc.record({
      tid: fc.constantFrom(tenant, tenant?.toUpperCase(), ids[0]),
      aud: fc.constantFrom('api://agents', 'https://graph.microsoft.com/'),
      oid: maybe(...ids),
      azp: maybe(...ids),
      appid: maybe(...ids),
      idtyp: maybe('app', 'user'),
      scp: maybe('a b', '/'),
      roles: maybe(['R']),
      xms_act_fct: maybe('3 11'),
      xms_sub_fct: maybe('11', '13 3'),
    }),
  ],
  okta: [
    configs.okta.parse({
      kind: 'okta',
      orgUrl: 'https://contoso.okta.com',
      credential: { type: 'apiToken', token: 'an-api-token-of-the-bridge' },
      tokens: { audiences, clients: { 'https://agent.example/client.json': okta.agent } },
    }),
    fc.record({
      cid: maybe('https://agent.example/client.json', okta.client, okta.agent, 'constructor'),
      uid: maybe(okta.user),
      scp: maybe(['a', 'b', 'a']),
      act: maybe({ sub: 'x', act: { sub: 'y' } }),
    }),
  ],
  aws: [
    configs.aws.parse({
      kind: 'aws',
      region: 'us-east-1',
      credential: { type: 'accessKey', accessKeyId: 'AKIAEXAMPLEEXAMPLE00', secretAccessKey: 's'.repeat(40) },
      accounts: { [main]: {}, [other]: { assumeRole: { roleArn: `arn:aws:iam::${other}:role/b`, externalId: 'e1' } } },
      identityCenter: { identityStoreId: store, region: 'us-east-1' },
      manage: { kinds: ['iamRole', 'identityCenterUser'], paths: ['/agents/'] },
      tokens: {
        audiences,
        outbound: { [main]: outbound, [other]: outboundOther },
        eks: [
          {
            issuer: eks,
            subjects: { 'system:serviceaccount:a:b': role(), 'system:serviceaccount:a:c': `${store}/${ids[1]}` },
          },
        ],
        cognito: [{ issuer: pool, clients: { client1: role(other), client2: `${role()}#AROAEXAMPLE1` } }],
      },
    }),
    fc.record({
      iss: fc.constantFrom(outbound, outboundOther, eks, pool, 'https://other.example'),
      sub: maybe(role(), role(other), 'system:serviceaccount:a:b', 'system:serviceaccount:a:c'),
      token_use: maybe('access', 'id'),
      client_id: maybe('client1', 'client2', 'client3'),
      username: maybe('alice'),
      scope: maybe('a b a'),
      'https://sts.amazonaws.com/': maybe(
        { aws_account: main },
        { aws_account: other },
        {
          aws_account: main,
          identity_store_user_id: ids[0],
          identity_store_arn: `arn:aws:identitystore::${main}:identitystore/${store}`,
        },
        {
          aws_account: main,
          identity_store_user_id: ids[0],
          identity_store_arn: `arn:aws:identitystore::${main}:identitystore/d-9999999999`,
        },
      ),
    }),
  ],
  spiffe: [
    configs.spiffe.parse({
      kind: 'spiffe',
      trustDomain: 'example.org',
      server: { address: 'unix:///run/spire/api.sock' },
      tokens: { audiences, federated: { 'partner.org': { bundle: { type: 'server' } } } },
    }),
    fc.record({
      sub: maybe(
        'spiffe://example.org/agents/a',
        'spiffe://partner.org/agents/a',
        'spiffe://other.org/agents/a',
        'spiffe://example.org',
        'spiffe://example.org/spire/server',
      ),
      iss: maybe('https://oidc.example.org'),
    }),
  ],
  memory: [
    configs.memory.parse({ kind: 'memory', tokens: { audiences } }),
    fc.record({
      realm: maybe('contoso', 'memory'),
      sub: maybe('a'),
      azp: maybe('b'),
      obo: maybe('c'),
      scope: maybe('a b'),
    }),
  ],
}

for (const kind of Object.keys(configs)) {
  test(`whom a token names is told of ${kind} by its identity alone, as JSON, just as by the adapter`, async () => {
    const [config, claims] = kinds[kind] ?? assert.fail(`no claims of ${kind}`)
    await using adapters = opening(systemClock)
    const adapter = adapters.open(config)
    const told: unknown = JSON.parse(JSON.stringify(adapter.identity))
    const identify = identifierOf(kind, told)
    assert.ok(identify)
    const seen = new Set<string>()
    fc.assert(
      fc.property(claims, (one) => {
        const subject = adapter.identify(one)
        assert.deepEqual(identify(one), subject)
        seen.add(subject === undefined ? 'nobody' : 'refused' in subject ? 'refused' : 'somebody')
        if (subject && 'names' in subject) seen.add('names')
      }),
      { numRuns: 2_000 },
    )
    assert.ok(seen.has('somebody') && seen.size > 1, [...seen].join())
    assert.equal(seen.has('names'), kind === 'aws')
    // Of what cannot be understood nothing is guessed.
    for (const wrong of [null, undefined, 'x', [], { ...Object(told), later: 'more' }]) {
      assert.equal(identifierOf(kind, wrong), undefined)
    }
  })
}

test('a kind of which nothing is known identifies nobody', () => {
  assert.equal(identifierOf('spiffe', {}), undefined)
  assert.equal(identifierOf('constructor', {}), undefined)
})
