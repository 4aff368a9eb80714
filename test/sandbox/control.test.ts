import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { bridgeRoles, seedContoso } from '../../sandbox/entra/seed.ts'
import { at, GraphClient, ids, list, requestToken, send, text } from './client.ts'

describe('the control API', () => {
  it('flips switches in a name, and shows the true state', async () => {
    await using tenant = await startEntraTenant({ staleMs: 60_000 })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const person = tenant.addUser()
    const post = (path: string, body?: unknown) =>
      send(`${tenant.origin}/_sandbox/${path}`, {
        method: 'POST',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
    assert.equal((await post(`objects/${agent}/disable`, { by: person })).status, 204)
    assert.equal(at((await send(`${tenant.origin}/_sandbox/objects/${agent}`)).body, 'enabled'), false)
    assert.equal((await post(`objects/${agent}/enable`)).status, 204)
    assert.equal(tenant.get(agent)?.enabled, true)
    assert.equal((await post(`objects/${agent}/remove`)).status, 204)
    assert.equal((await post(`objects/${agent}/restore`)).status, 204)
    assert.equal((await post(`objects/${agent}/explode`)).status, 404)
    assert.equal((await post(`objects/${crypto.randomUUID()}/disable`)).status, 422)
    assert.equal((await post(`objects/${agent}/disable`, { who: 'me' })).status, 422)
    assert.equal((await post('constructor')).status, 404)
  })

  it('creates what a tour needs', async () => {
    await using tenant = await startEntraTenant()
    const post = async (path: string, body: unknown = {}) => {
      const reply = await send(`${tenant.origin}/_sandbox/${path}`, { method: 'POST', body: JSON.stringify(body) })
      assert.ok(reply.status < 300, `${path}: ${JSON.stringify(reply.body)}`)
      return reply.body
    }
    const app = await post('apps', { name: 'bridge', roles: ['AgentIdentity.Read.All'] })
    assert.equal(typeof at(app, 'secret'), 'string')
    const blueprint = await post('blueprintPrincipals', { displayName: 'Analysts' })
    const agent = text(
      at(await post('agentIdentities', { displayName: 'a', blueprintAppId: at(blueprint, 'appId') }), 'id'),
    )
    const group = text(at(await post('groups', { members: [agent] }), 'id'))
    await post(`groups/${group}/removeMember`, { memberId: agent })
    await post(`groups/${group}/members`, { memberId: agent })
    const token = await post('tokens', { kind: 'agent', id: agent, audience: 'api://agents' })
    assert.equal(text(at(token, 'token')).split('.').length, 3)
    await post('throttle', { count: 1, retryAfter: 2 })
    await post('faults', { path: '/users', status: 503 })
    await post('faults', { path: '/users', altered: 'stale', byMs: 100, share: 0.5 })
    await post('faults', { path: '/users', mode: 'reset', times: 2 })
    await post('faults', { path: '/users', status: 504, appliedAfterMs: 100 })
    await post('outages', { clockOffMs: 1000 })
    await post('outages', { jwks: true, clockOffMs: 0 })
    await post('rotateKeys', { withdraw: true })
    for (const name of ['settle', 'expireDelta', 'replayDelta', 'clearFaults']) await post(name)
    const found = await send(`${tenant.origin}/_sandbox/agentIdentities`)
    assert.deepEqual(
      list(found.body).map((each) => at(each, 'id')),
      [agent],
    )
    assert.equal(at((await send(`${tenant.origin}/_sandbox/tenant`)).body, 'tenantId'), tenant.tenantId)
    assert.equal((await send(`${tenant.origin}/${tenant.tenantId}/discovery/v2.0/keys`)).status, 503)
  })
})

describe('the seeded company', () => {
  it('lets the bridge in with least privilege and shows agents, groups and nesting', async () => {
    await using tenant = await startEntraTenant({ staleMs: 60_000 })
    const contoso = seedContoso(tenant)
    const form = { client_id: contoso.bridge.appId, client_secret: contoso.bridge.secret }
    const reply = await requestToken(tenant, { ...form, scope: 'https://graph.microsoft.com/.default' })
    const client = new GraphClient(tenant, contoso.bridge, text(at(reply.body, 'access_token')))
    const cast = 'microsoft.graph.agentIdentity'
    assert.deepEqual(ids(await client.get(`/servicePrincipals/${cast}`)), Object.values(contoso.agents))
    const path = `/groups/${contoso.groups.finance}/transitiveMembers?$select=id`
    assert.ok(ids(await client.get(path)).includes(contoso.agents.analyst))
    const off = { accountEnabled: false }
    for (const target of [
      `/servicePrincipals/${contoso.agents.scout}/${cast}`,
      `/servicePrincipals/${contoso.classicAgent.id}`,
      `/users/${contoso.agentUser}`,
    ]) {
      assert.equal((await client.patch(target, off)).status, 204, target)
    }
    assert.equal((await client.patch(`/servicePrincipals/${contoso.blueprint.id}`, off)).status, 403)
    assert.ok(!bridgeRoles.some((role) => role.endsWith('.ReadWrite.All')))
  })
})
