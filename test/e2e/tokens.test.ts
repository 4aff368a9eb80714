import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  agentOf,
  analystDid,
  assertAllowed,
  assertDenied,
  isAllowed,
  principal,
  register,
  registerAll,
  scoutDid,
} from './agents.ts'
import { at } from './json.ts'
import { until } from './until.ts'
import { audience, type Daemon, startWorld } from './world.ts'

const verify = async ({ as }: Daemon, token: string): Promise<unknown> => {
  const answer = await as('gateway').post('/v1/tokens/verify', { token })
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}

test('app-only tokens of both versions name the agent, with its status and capabilities', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  await until('the group was read', () => isAllowed(daemon, { did: analystDid, capability: 'read:reports' }))
  for (const version of ['v1', 'v2'] as const) {
    const token = tenant.issueToken({
      kind: 'agent',
      version,
      id: contoso.agents.analyst,
      audience,
      roles: ['Ledger.Read'],
    })
    assert.partialDeepStrictEqual(await verify(daemon, token), {
      valid: true,
      issuer:
        version === 'v1'
          ? `https://sts.windows.net/${tenant.tenantId}/`
          : `https://login.microsoftonline.com/${tenant.tenantId}/v2.0`,
      adapter: 'contoso',
      actor: { did: analystDid, principal: { adapter: 'contoso', id: contoso.agents.analyst } },
      onBehalfOf: null,
      status: 'active',
      capabilities: ['read:customer-data', 'read:reports', 'write:notes'],
    })
    await assertAllowed(daemon, { token, capability: 'read:reports', scope: 'Ledger.Read' })
    await assertDenied(daemon, { token, capability: 'delete:reports' }, 'R_CAPABILITY')
    await assertDenied(daemon, { token, scope: 'Ledger.Write' }, 'R_SCOPE')
  }
})

test('a classic app is an agent by the object id of its service principal', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const { id, appId } = world.contoso.classicAgent
  const did = 'did:agentmesh:invoice-copilot'
  await register(daemon.as('alice'), {
    did,
    name: 'invoice-copilot',
    principals: [principal(id, 'servicePrincipal', appId)],
  })
  for (const version of ['v1', 'v2'] as const) {
    const token = world.tenant.issueToken({ kind: 'app', version, id, audience })
    assert.partialDeepStrictEqual(await verify(daemon, token), { valid: true, actor: { did, principal: { id } } })
  }
})

test('who acts and for whom it acts are kept apart; a human alone is no agent', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  const { analyst } = contoso.agents
  const { alice } = contoso.sponsors
  for (const version of ['v1', 'v2'] as const) {
    const obo = tenant.issueToken({ kind: 'obo', version, id: analyst, user: alice, audience })
    assert.partialDeepStrictEqual(await verify(daemon, obo), {
      valid: true,
      actor: { did: analystDid, principal: { id: analyst } },
      onBehalfOf: { id: alice, kind: 'person' },
    })
    const agentUser = tenant.issueToken({ kind: 'agentUser', version, id: analyst, user: contoso.agentUser, audience })
    assert.partialDeepStrictEqual(await verify(daemon, agentUser), {
      valid: true,
      actor: { did: analystDid, principal: { id: analyst } },
      onBehalfOf: null,
    })
    const human = tenant.issueToken({ kind: 'human', version, id: contoso.blueprint.appId, user: alice, audience })
    assert.deepEqual(await verify(daemon, human), { valid: false, codes: ['R_NOT_AGENT'] })
    await assertDenied(daemon, { token: human }, 'R_NOT_AGENT')
  }
  const unmapped = tenant.issueToken({ kind: 'agent', id: contoso.agents.reconciler, audience })
  assert.deepEqual(await verify(daemon, unmapped), { valid: false, codes: ['R_UNMAPPED'] })
})

test('a valid token of a held agent verifies as suspended and is denied', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const token = world.tenant.issueToken({ kind: 'agent', id: world.contoso.agents.scout, audience })
  await assertAllowed(daemon, { token })
  const killed = await daemon.as('runtime').post('/v1/kill', { agentId: scoutDid, reason: 'loop' })
  assert.equal(killed.status, 202)
  await assertDenied(daemon, { token })
  assert.partialDeepStrictEqual(await verify(daemon, token), { valid: true, status: 'suspended' })
})

test('keys roll over without a gap; withdrawn ones stop counting', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  const issue = () => tenant.issueToken({ kind: 'agent', id: contoso.agents.scout, audience })
  const old = issue()
  await assertAllowed(daemon, { token: old })
  tenant.rotateKeys()
  const fresh = issue()
  await assertAllowed(daemon, { token: fresh })
  await assertAllowed(daemon, { token: old })
  const fetches = () => tenant.requests.filter(({ path }) => path.endsWith('/discovery/keys')).length
  const before = fetches()
  tenant.rotateKeys({ withdraw: true })
  const answer = await daemon.as('gateway').post('/v1/decisions', { token: issue() })
  assert.equal(at(answer.body, 'allow') === true, false, 'one fetch for an unknown key in five minutes')
  assert.equal(fetches(), before, 'tokens with made-up key ids cause no storm')
})

test('with the key endpoint down known keys go on working; without any the answer is 503, never a guess', async () => {
  await using world = await startWorld()
  const { tenant, contoso } = world
  const issue = () => tenant.issueToken({ kind: 'agent', id: contoso.agents.scout, audience })
  {
    await using daemon = await world.daemon()
    await registerAll(daemon, world)
    await assertAllowed(daemon, { token: issue() })
    tenant.setJwksDown(true)
    await assertAllowed(daemon, { token: issue() })
    await daemon.as('runtime').post('/v1/kill', { agentId: analystDid, reason: 'loop' })
  }
  await using daemon = await world.daemon()
  const unknown = await daemon.as('gateway').post('/v1/decisions', { token: issue() })
  assert.equal(unknown.status, 503, unknown.text)
  assert.equal(at(unknown.body, 'code'), 'E_JWKS_DOWN')
  const verified = await daemon.as('gateway').post('/v1/tokens/verify', { token: issue() })
  assert.equal(verified.status, 503)
  await assertDenied(daemon, { did: analystDid })
  await assertAllowed(daemon, { did: scoutDid })
  assert.equal(at(await agentOf(daemon, analystDid), 'status'), 'suspended')
  tenant.setJwksDown(false)
  await until('the keys are fetched again', async () => {
    const { status, body } = await daemon.as('gateway').post('/v1/decisions', { token: issue() })
    return status === 200 && at(body, 'allow') === true
  })
})
