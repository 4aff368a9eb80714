import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../src/lib/clock.ts'
import { AUDIENCE, bench } from '../adapters/awscloud.ts'
import { registrar } from '../engine/harness.ts'
import { verifierWorld } from './verifierworld.ts'

const main = '111122223333'

test('tokens of AWS are judged here as in the bridge: by name, by client id, for users, for roles made anew', async () => {
  await using it = await bench()
  const { cloud } = it
  const pool = cloud.addIssuer('/eu-west-1_pool')
  const cluster = cloud.addIssuer('/id/EXAMPLE', { jwksPath: 'keys' })
  const role = it.role('agent')
  const [arn = ''] = role.id.split('#')
  const adapter = it.open({
    tokens: {
      audiences: [AUDIENCE],
      outbound: { [main]: await cloud.enableFederation() },
      eks: [{ issuer: cluster, subjects: { 'system:serviceaccount:agents:a': arn } }],
      cognito: [{ issuer: pool, clients: { client1: role.id, client2: arn } }],
    },
  })
  await using of = await verifierWorld({
    clock: manualClock(Date.now()),
    adapters: { north: { adapter: () => ({ ...adapter, name: 'north' }) } },
  })
  const { world } = of
  const user = it.user()
  const map = (did: string, ...principals: { readonly id: string; readonly kind: string }[]) =>
    world.bridge.register(
      { did, name: 'n', principals: principals.map((one) => ({ adapter: 'north', scopes: ['granted'], ...one })) },
      registrar,
    )
  await map('did:mesh:a', role)
  await map('did:mesh:user', user)
  const now = Math.floor(Date.now() / 1000)
  const signed = (iss: string, claims: object) => cloud.signBy(iss, { iss, iat: now, exp: now + 600, ...claims })
  const asCluster = (claims: object) =>
    signed(cluster, { aud: [AUDIENCE], sub: 'system:serviceaccount:agents:a', ...claims })
  const asPool = (claims: object) => signed(pool, { sub: 's', client_id: 'client1', token_use: 'access', ...claims })
  const asRole = (claims: Record<string, unknown> = {}) =>
    cloud.issueToken({ role: role.id, audience: AUDIENCE, claims })
  const session = {
    'https://sts.amazonaws.com/': {
      aws_account: main,
      identity_store_user_id: user.id.split('/')[1],
      identity_store_arn: `arn:aws:identitystore::${main}:identitystore/d-1234567890`,
    },
  }
  const tokens = {
    role: asRole(),
    otherRole: cloud.issueToken({ role: it.role('agent2').id, audience: AUDIENCE }),
    session: asRole(session),
    otherAudience: cloud.issueToken({ role: role.id, audience: 'https://x.example' }),
    cluster: asCluster({}),
    otherSubject: asCluster({ sub: 'system:serviceaccount:agents:b' }),
    client: asPool({ scope: 'crm/read' }),
    clientByName: asPool({ client_id: 'client2', username: 'alice' }),
    otherClient: asPool({ client_id: 'client3' }),
    audienceOfAClient: asPool({ client_id: undefined, aud: 'client1' }),
  }
  const verdicts = async () => {
    await of.rest()
    const found: Record<string, unknown> = {}
    for (const [name, token] of Object.entries(tokens)) {
      const request = { token, scope: 'crm/read' }
      const local = await of.local(request)
      assert.deepEqual(local, await of.remote(request), name)
      found[name] = Object(local).codes?.join() || Object(local).did
    }
    return found
  }
  const first = await verdicts()
  assert.deepEqual(first, {
    role: 'R_SCOPE',
    otherRole: 'R_UNMAPPED',
    session: 'R_AMBIGUOUS,R_SCOPE',
    otherAudience: 'R_AUDIENCE',
    cluster: 'R_SCOPE',
    otherSubject: 'R_NOT_AGENT',
    client: 'did:mesh:a',
    clientByName: 'R_SCOPE',
    otherClient: 'R_AUDIENCE',
    audienceOfAClient: 'R_AUDIENCE',
  })
  // Made anew with the ARN of the one before: whoever has the name may be either.
  const anew = cloud.recreateRole(role.id)
  await map('did:mesh:anew', { ...role, id: anew })
  const second = await verdicts()
  for (const name of ['role', 'cluster', 'clientByName']) assert.match(String(second[name]), /R_AMBIGUOUS/)
  assert.equal(second.client, 'did:mesh:a')
  await world.kill('did:mesh:anew')
  assert.match(String((await verdicts()).role), /R_SUSPENDED/)
})
