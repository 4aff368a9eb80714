import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startOktaOrg } from '../../sandbox/okta/index.ts'
import { seedContoso } from '../../sandbox/okta/seed.ts'
import { at, list, send, text } from './client.ts'
import { newSigningKey, OktaClient, requestToken, startEcho } from './oktaclient.ts'

async function world() {
  const org = await startOktaOrg({ limits: false })
  const key = await newSigningKey()
  const contoso = seedContoso(org, key.publicJwk)
  return {
    org,
    key,
    contoso,
    ask: (method: string, path: string, body?: unknown) =>
      send(`${org.origin}/_sandbox/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }),
    [Symbol.asyncDispose]: () => org.close(),
  }
}

describe('the control API', () => {
  it('suspends a user as an administrator, or as whoever is named', async () => {
    await using it = await world()
    const { analyst } = it.contoso.agents
    assert.equal((await it.ask('POST', `objects/${analyst}/suspend`)).status, 204)
    const seen = await it.ask('GET', `objects/${analyst}`)
    assert.deepEqual([at(seen.body, 'status'), at(seen.body, 'enabled')], ['SUSPENDED', false])
    assert.equal(at(it.org.log.at(-1), 'actor', 'id'), it.org.admin)
    const again = await it.ask('POST', `objects/${analyst}/suspend`)
    assert.equal(again.status, 422)
    assert.match(text(at(again.body, 'error')), /Cannot suspend a user that is not active/)
    assert.equal((await it.ask('POST', `objects/${analyst}/unsuspend`, { by: it.contoso.bridge })).status, 204)
    assert.equal(at(it.org.log.at(-1), 'actor', 'type'), 'PublicClientApp')
  })

  it('switches and removes every kind of account', async () => {
    await using it = await world()
    for (const id of [it.contoso.agents.scout, it.contoso.analystApp, it.contoso.aiAgent]) {
      assert.equal((await it.ask('POST', `objects/${id}/disable`)).status, 204)
      assert.equal(at((await it.ask('GET', `objects/${id}`)).body, 'enabled'), false)
      assert.equal((await it.ask('POST', `objects/${id}/enable`)).status, 204)
      assert.equal(it.org.get(id)?.enabled, true)
      assert.equal((await it.ask('POST', `objects/${id}/remove`)).status, 204)
      assert.equal((await it.ask('GET', `objects/${id}`)).status, 422)
    }
    for (const [verb, status] of [
      ['lock-out', 'LOCKED_OUT'],
      ['unlock', 'ACTIVE'],
      ['expire-password', 'PASSWORD_EXPIRED'],
      ['deactivate', 'DEPROVISIONED'],
      ['activate', 'ACTIVE'],
      ['reset-password', 'RECOVERY'],
      ['reactivate', 'PROVISIONED'],
    ]) {
      const id = it.contoso.agents.reporter
      assert.equal((await it.ask('POST', `objects/${id}/${verb}`)).status, 204, verb)
      assert.equal(it.org.get(id)?.status, status)
    }
    const before = list((await it.ask('GET', 'objects')).body).length
    const made = await it.ask('POST', 'users', { login: 'new@contoso.example' })
    assert.equal(it.org.get(text(at(made.body, 'id')))?.label, 'new@contoso.example')
    assert.equal(list((await it.ask('GET', 'objects')).body).length, before + 1)
  })

  it('changes groups, arms faults and shows what happened', async () => {
    await using it = await world()
    await using echo = await startEcho()
    const { finance } = it.contoso.groups
    const { analyst } = it.contoso.agents
    assert.equal((await it.ask('POST', `groups/${finance}/members`, { memberId: analyst })).status, 204)
    assert.equal(it.org.isMember(finance, analyst), true)
    assert.equal((await it.ask('POST', `groups/${finance}/removeMember`, { memberId: analyst })).status, 204)
    assert.equal(it.org.isMember(finance, analyst), false)
    const hook = { url: echo.url, events: ['user.lifecycle.suspend'], secret: 's' }
    assert.equal((await it.ask('POST', 'hooks', hook)).status, 200)
    const order = { url: echo.url, clientId: 'c', userId: analyst, format: 'iss_sub' }
    assert.equal(at((await it.ask('POST', 'logouts', order)).body, 'status'), 200)
    const admin = OktaClient.admin(it.org)
    assert.equal((await it.ask('POST', 'faults', { path: '/api/v1/users', status: 503 })).status, 204)
    assert.equal((await admin.get('/api/v1/users')).status, 503)
    assert.equal((await it.ask('POST', 'throttle', { count: 1 })).status, 204)
    assert.equal((await admin.get('/api/v1/users')).status, 429)
    assert.equal((await it.ask('POST', 'outages', { tokenEndpoint: true })).status, 204)
    assert.equal((await requestToken(it.org, it.contoso.bridge, it.key, 'okta.users.read')).status, 503)
    for (const name of ['org', 'requests', 'deliveries', 'log']) {
      assert.equal((await it.ask('GET', name)).status, 200, name)
    }
    for (const name of ['settle', 'rotateKeys', 'expireLogCursors', 'clearFaults']) {
      assert.equal((await it.ask('POST', name)).status, 204, name)
    }
    assert.equal((await it.ask('POST', 'faults', { path: '/', status: 200 })).status, 422)
    assert.equal((await it.ask('GET', 'nothing')).status, 404)
    assert.equal((await it.ask('DELETE', `objects/${analyst}`)).status, 404)
  })
})

describe('the seed', () => {
  it('lets the bridge do what it must, and nothing beyond', async () => {
    await using it = await world()
    const scopes = 'okta.users.read okta.users.manage okta.groups.read okta.apps.read okta.apps.manage okta.logs.read'
    const reply = await requestToken(it.org, it.contoso.bridge, it.key, scopes)
    assert.equal(at(reply.body, 'scope'), scopes)
    const bridge = new OktaClient(it.org, it.contoso.bridge, `Bearer ${text(at(reply.body, 'access_token'))}`)
    const { agents, analystApp, groups } = it.contoso
    for (const path of ['/api/v1/users', '/api/v1/apps', '/api/v1/logs', `/api/v1/groups/${groups.finance}/users`]) {
      assert.equal((await bridge.get(path)).status, 200, path)
    }
    assert.equal((await bridge.post(`/api/v1/users/${agents.scout}/lifecycle/suspend`)).status, 200)
    assert.equal((await bridge.call('DELETE', `/api/v1/users/${agents.scout}/sessions?oauthTokens=true`)).status, 204)
    assert.equal((await bridge.post(`/api/v1/apps/${analystApp}/lifecycle/deactivate`)).status, 200)
    assert.equal((await bridge.post(`/api/v1/users/${agents.scout}/lifecycle/deactivate`)).status, 403)
    assert.equal((await bridge.call('PUT', `/api/v1/groups/${groups.finance}/users/${agents.scout}`)).status, 403)
  })

  it('has the same ids in every run', async () => {
    await using first = await world()
    await using second = await world()
    assert.deepEqual(first.contoso, second.contoso)
  })
})
