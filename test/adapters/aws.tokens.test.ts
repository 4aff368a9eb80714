import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startAws } from '../../sandbox/aws/index.ts'
import { freshAccount } from '../../src/core/account.ts'
import type { ScheduledPrincipal } from '../../src/core/store.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createKeySource, type KeySource } from '../../src/lib/jwks.ts'
import { AUDIENCE, bench } from './awscloud.ts'

const main = '111122223333'

async function world(tokens: (cloud: Awaited<ReturnType<typeof bench>>['cloud']) => Promise<Record<string, unknown>>) {
  const it = await bench()
  const adapter = it.open({ tokens: { audiences: [AUDIENCE], ...(await tokens(it.cloud)) } })
  const rows: ScheduledPrincipal[] = []
  const sources = new Map<string, KeySource>()
  const verifier = createVerifier({
    adapters: () => [adapter],
    keys: ({ jwksUri: uri, fetch }) => {
      const source = sources.get(uri) ?? createKeySource({ uri, fetch, clock: systemClock })
      sources.set(uri, source)
      return source
    },
    clock: systemClock,
    store: {
      principalsById: async (_adapter, ids) => rows.filter(({ id }) => ids.includes(id)),
      principalsNamed: async (_adapter, names) =>
        rows.filter(({ id }) => names.some((name) => id.startsWith(`${name}#`))),
      sharersOf: async () => [],
    },
  })
  const map = (did: string, id: string) =>
    void rows.push({
      adapter: 'contoso',
      id,
      did,
      kind: 'iamRole',
      appId: undefined,
      scopes: [],
      mappedAt: 0,
      shared: false,
      account: freshAccount,
      schedule: { nextAt: undefined, lane: 1 },
    })
  const verdict = async (token: string) => {
    const said = await verifier.verify(token)
    return said.valid ? [said.actor.did, said.actor.principal.id, said.onBehalfOf?.id] : said.codes
  }
  return { ...it, adapter, map, verdict, [Symbol.asyncDispose]: () => it[Symbol.asyncDispose]() }
}

const permissionSet = (cloud: Awaited<ReturnType<typeof bench>>['cloud']) =>
  cloud.addRole({ path: '/aws-reserved/sso.amazonaws.com/eu-west-1/', name: 'AWSReservedSSO_Agent_0123456789abcdef' })
const sessionOf = (user: string, store = 'd-1234567890') => ({
  'https://sts.amazonaws.com/': {
    aws_account: main,
    identity_store_user_id: user.split('/')[1],
    identity_store_arn: `arn:aws:identitystore::${main}:identitystore/${store}`,
  },
})

describe('tokens of outbound identity federation', () => {
  const federated = async (cloud: Awaited<ReturnType<typeof bench>>['cloud']) => ({
    outbound: { [main]: await cloud.enableFederation() },
  })

  it('speak for the role that has the ARN, by either algorithm', async () => {
    await using it = await world(federated)
    const role = it.role()
    it.map('did:mesh:a', role.id)
    for (const alg of ['RS256', 'ES384'] as const)
      assert.deepEqual(await it.verdict(it.cloud.issueToken({ role: role.id, audience: AUDIENCE, alg })), [
        'did:mesh:a',
        role.id,
        undefined,
      ])
    assert.deepEqual(await it.verdict(it.cloud.issueToken({ role: it.role().id, audience: AUDIENCE })), ['R_UNMAPPED'])
  })

  it('of a role created anew are ambiguous while both are mapped to different agents', async () => {
    await using it = await world(federated)
    const role = it.role()
    const anew = it.cloud.recreateRole(role.id)
    it.map('did:mesh:old', role.id)
    it.map('did:mesh:new', anew)
    assert.deepEqual(await it.verdict(it.cloud.issueToken({ role: anew, audience: AUDIENCE })), ['R_AMBIGUOUS'])
  })

  it('name their account three times, and it must be the issuer’s own each time', async () => {
    await using it = await world(federated)
    const role = it.role('agent')
    it.map('did:mesh:a', role.id)
    const token = (claims: Record<string, unknown>) =>
      it.cloud.issueToken({ role: role.id, audience: AUDIENCE, claims })
    const session = (over: object) => ({ 'https://sts.amazonaws.com/': { aws_account: main, ...over } })
    assert.deepEqual(await it.verdict(token(session({ aws_account: '999988887777' }))), ['R_NOT_AGENT'])
    assert.deepEqual(await it.verdict(token({ sub: 'arn:aws:iam::999988887777:role/agents/agent' })), ['R_NOT_AGENT'])
    assert.deepEqual(await it.verdict(token({ sub: 'arn:aws:sts::111122223333:assumed-role/agent/x' })), [
      'R_NOT_AGENT',
    ])
    assert.deepEqual(await it.verdict(token({ 'https://sts.amazonaws.com/': undefined })), ['R_NOT_AGENT'])
    assert.deepEqual(await it.verdict(token({ act: { sub: 'x' } })), ['R_ACT'])
  })

  it('never speak for anyone by their tags, which callers choose', async () => {
    await using it = await world(federated)
    const [attacker, victim] = [it.role('attacker'), it.role('victim')]
    it.map('did:mesh:victim', victim.id)
    const token = it.cloud.issueToken({
      role: attacker.id,
      audience: AUDIENCE,
      requestTags: { 'agentmesh:did': 'did:mesh:victim', sub: victim.id },
      claims: { principals: [victim.id], did: 'did:mesh:victim' },
    })
    assert.deepEqual(await it.verdict(token), ['R_UNMAPPED'])
  })

  it('of a permission set speak for the user of Identity Center, when the store is ours', async () => {
    await using it = await world(federated)
    const [set, user] = [permissionSet(it.cloud), it.user()]
    it.map('did:mesh:user', user.id)
    const token = (store?: string) =>
      it.cloud.issueToken({ role: set, audience: AUDIENCE, claims: sessionOf(user.id, store) })
    assert.deepEqual(await it.verdict(token()), ['did:mesh:user', user.id, undefined])
    assert.deepEqual(await it.verdict(token('d-9999999999')), ['R_UNMAPPED'])
  })

  it('of any other role that acts for a user never speak for the user', async () => {
    await using it = await world(federated)
    const [role, user] = [it.role(), it.user()]
    const token = it.cloud.issueToken({ role: role.id, audience: AUDIENCE, claims: sessionOf(user.id) })
    it.map('did:mesh:user', user.id)
    assert.deepEqual(await it.verdict(token), ['R_UNMAPPED'])
    it.map('did:mesh:role', role.id)
    assert.deepEqual(await it.verdict(token), ['R_AMBIGUOUS'], 'two agents in one token')
  })

  it('of a role that acts for a person name that person', async () => {
    await using it = await world(federated)
    const [role, user] = [it.role(), it.user()]
    it.map('did:mesh:role', role.id)
    const token = it.cloud.issueToken({ role: role.id, audience: AUDIENCE, claims: sessionOf(user.id) })
    assert.deepEqual(await it.verdict(token), ['did:mesh:role', role.id, user.id])
  })

  it('of a neighbour, for another audience, or by another algorithm are refused', async () => {
    await using it = await world(federated)
    await using neighbour = await startAws()
    const issuer = await neighbour.enableFederation()
    const role = it.role('agent')
    it.map('did:mesh:a', role.id)
    const there = neighbour.addRole({ name: 'agent' })
    assert.deepEqual(await it.verdict(neighbour.issueToken({ role: there, audience: AUDIENCE })), ['R_ISSUER'])
    assert.deepEqual(await it.verdict(it.cloud.issueToken({ role: role.id, audience: 'https://x.example' })), [
      'R_AUDIENCE',
    ])
    const forged = neighbour.signBy(issuer, { iss: it.adapter.issuers[0]?.issuer, aud: AUDIENCE, sub: role.id })
    assert.notEqual((await it.verdict(forged))[0], 'did:mesh:a')
  })
})

describe('tokens of clusters and user pools', () => {
  it('speak for whom the configuration names, and nobody else', async () => {
    const places = { eks: '', cognito: '' }
    let roleId = ''
    await using it = await world(async (cloud) => {
      places.eks = cloud.addIssuer('/id/EXAMPLE', { jwksPath: 'keys' })
      places.cognito = cloud.addIssuer('/eu-west-1_pool')
      roleId = cloud.addRole({ name: 'agent' })
      const [arn = ''] = roleId.split('#')
      return {
        eks: [{ issuer: places.eks, subjects: { 'system:serviceaccount:agents:reporter': arn } }],
        cognito: [{ issuer: places.cognito, clients: { client1: roleId } }],
      }
    })
    it.map('did:mesh:a', roleId)
    const now = Math.floor(Date.now() / 1000)
    const dates = { iat: now, exp: now + 600 }
    const eks = (over: object) =>
      it.cloud.signBy(places.eks, {
        iss: places.eks,
        aud: [AUDIENCE],
        sub: 'system:serviceaccount:agents:reporter',
        ...dates,
        ...over,
      })
    assert.deepEqual(await it.verdict(eks({})), ['did:mesh:a', roleId, undefined])
    assert.deepEqual(await it.verdict(eks({ sub: 'system:serviceaccount:agents:other' })), ['R_NOT_AGENT'])
    assert.deepEqual(await it.verdict(eks({ sub: 'constructor' })), ['R_NOT_AGENT'])
    assert.deepEqual(await it.verdict(eks({ aud: ['sts.amazonaws.com'] })), ['R_AUDIENCE'])

    const pool = (over: object) =>
      it.cloud.signBy(places.cognito, {
        iss: places.cognito,
        sub: 'client1',
        client_id: 'client1',
        token_use: 'access',
        scope: 'crm/read crm/read',
        ...dates,
        ...over,
      })
    assert.deepEqual(await it.verdict(pool({})), ['did:mesh:a', roleId, undefined])
    assert.deepEqual(await it.verdict(pool({ sub: 'u1', username: 'alice' })), ['did:mesh:a', roleId, 'u1'])
    assert.deepEqual(await it.verdict(pool({ client_id: 'client2' })), ['R_AUDIENCE'])
    assert.deepEqual(await it.verdict(pool({ client_id: undefined, aud: 'client1' })), ['R_AUDIENCE'])
    assert.deepEqual(await it.verdict(pool({ token_use: 'id' })), ['R_NOT_AGENT'])
    assert.deepEqual(await it.verdict(pool({ client_id: undefined, aud: '__proto__' })), ['R_AUDIENCE'])
  })
})
