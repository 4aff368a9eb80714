import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { at, list, type Reply, text } from './client.ts'
import { newSigningKey, nextOf, OktaClient, refusal, requestToken, withAdmin } from './oktaclient.ts'

const ids = (value: unknown): string[] => list(value).map((each) => text(at(each, 'id')))

describe('groups', () => {
  it('list members in pages, without deactivated ones', async () => {
    await using it = await withAdmin({ pageSize: 2 })
    const users = Array.from({ length: 5 }, () => it.org.addUser())
    const group = it.org.addGroup({ members: users })
    it.org.act(users[0] ?? '', 'suspend')
    it.org.act(users[1] ?? '', 'deactivate')
    const { pages, rows } = await it.admin.all(`/api/v1/groups/${group}/users?limit=200`)
    assert.deepEqual(ids(rows), [users[0], users[2], users[3], users[4]])
    assert.equal(pages.length, 2)
    assert.equal(nextOf(pages[1] as Reply), undefined)
    assert.deepEqual(refusal(await it.admin.get('/api/v1/groups/00gnone/users')), [404, 'E0000007'])
  })

  it('of a user include the built-in one', async () => {
    await using it = await withAdmin()
    const user = it.org.addUser()
    const group = it.org.addGroup({ members: [user] })
    it.org.addGroup()
    const reply = await it.admin.get(`/api/v1/users/${user}/groups`)
    assert.deepEqual(ids(reply.body), [it.org.everyone, group])
    const everyone = await it.admin.get(`/api/v1/groups/${it.org.everyone}/users`)
    assert.deepEqual(ids(everyone.body), [it.org.admin, user])
  })

  it('take and lose members where the directory owns them', async () => {
    let now = Date.parse('2026-11-21T10:00:00Z')
    await using it = await withAdmin({ now: () => now })
    const user = it.org.addUser()
    const group = it.org.addGroup({ name: 'agents' })
    const imported = it.org.addGroup({ type: 'APP_GROUP' })
    const member = (id: string) => `/api/v1/groups/${id}/users/${user}`
    now += 1000
    assert.equal((await it.admin.call('PUT', member(group))).status, 204)
    const query = new URLSearchParams({ filter: 'lastMembershipUpdated gt "2026-11-21T10:00:00.500Z"' })
    const changed = await it.admin.get(`/api/v1/groups?${query}`)
    assert.deepEqual(ids(changed.body), [group])
    assert.equal(at(list(changed.body)[0], 'lastUpdated'), '2026-11-21T10:00:00.000Z')
    const event = it.org.log.at(-1)
    assert.equal(event?.eventType, 'group.user_membership.add')
    assert.deepEqual(
      list(at(event, 'target'))
        .map((each) => at(each, 'type'))
        .sort(),
      ['User', 'UserGroup'],
    )
    assert.equal((await it.admin.call('PUT', member(group))).status, 204)
    assert.equal(it.org.log.at(-1), event)
    assert.equal((await it.admin.call('DELETE', member(group))).status, 204)
    assert.equal(it.org.isMember(group, user), false)
    for (const id of [imported, it.org.everyone]) {
      assert.deepEqual(refusal(await it.admin.call('PUT', member(id))), [403, 'E0000111'])
    }
    it.org.addMember(imported, user, { by: 'system' })
    assert.equal(at(it.org.log.at(-1), 'actor', 'id'), 'system')
    assert.deepEqual(refusal(await it.admin.call('PUT', `/api/v1/groups/${group}/users/none`)), [404, 'E0000007'])
  })

  it('keep their id when they are renamed, and are gone when they are deleted', async () => {
    await using it = await withAdmin()
    const group = it.org.addGroup({ name: 'before', members: [it.org.addUser()] })
    it.org.renameGroup(group, 'after')
    assert.equal(at((await it.admin.get(`/api/v1/groups/${group}`)).body, 'profile', 'name'), 'after')
    it.org.removeGroup(group)
    for (const path of [`/api/v1/groups/${group}`, `/api/v1/groups/${group}/users`]) {
      assert.deepEqual(refusal(await it.admin.get(path)), [404, 'E0000007'])
    }
    assert.deepEqual(
      it.org.log.map(({ eventType }) => eventType),
      ['group.profile.update', 'group.lifecycle.delete'],
    )
  })

  it('are searched and filtered by what each lets one ask', async () => {
    await using it = await withAdmin()
    const group = it.org.addGroup({ name: 'agents-finance' })
    const ask = async (query: Record<string, string>) => it.admin.get(`/api/v1/groups?${new URLSearchParams(query)}`)
    assert.deepEqual(ids((await ask({ search: 'profile.name sw "agents"' })).body), [group])
    assert.deepEqual(ids((await ask({ filter: 'type eq "BUILT_IN"' })).body), [it.org.everyone])
    assert.deepEqual(ids((await ask({ q: 'agents' })).body), [group])
    assert.deepEqual(refusal(await ask({ filter: 'profile.name eq "x"' })), [400, 'E0000031'])
    assert.deepEqual(refusal(await ask({ filter: 'type eq "BUILT_IN"', q: 'a' })), [400, 'E0000033'])
  })
})

describe('apps', () => {
  it('are switched, and their clients with them', async () => {
    await using it = await withAdmin()
    const key = await newSigningKey()
    const group = it.org.addGroup()
    const id = it.org.addApp({ keys: [key.publicJwk], scopes: ['okta.users.read'], groupIds: [group] })
    const turn = (verb: string) => it.admin.post(`/api/v1/apps/${id}/lifecycle/${verb}`)
    const status = async () => at((await it.admin.get(`/api/v1/apps/${id}`)).body, 'status')
    assert.deepEqual(ids((await it.admin.get(`/api/v1/apps/${id}/groups`)).body), [group])
    assert.equal((await turn('deactivate')).status, 200)
    const events = it.org.log.length
    assert.equal((await turn('deactivate')).status, 200)
    assert.equal(it.org.log.length, events)
    assert.equal(await status(), 'INACTIVE')
    assert.equal((await requestToken(it.org, id, key, 'okta.users.read')).status, 401)
    assert.equal((await turn('activate')).status, 200)
    assert.equal(await status(), 'ACTIVE')
    assert.equal((await requestToken(it.org, id, key, 'okta.users.read')).status, 200)
    // An activation is no pure inverse.
    assert.deepEqual((await it.admin.get(`/api/v1/apps/${id}/groups`)).body, [])
    assert.deepEqual(refusal(await it.admin.post('/api/v1/apps/0oanone/lifecycle/activate')), [404, 'E0000007'])
  })

  it('come twenty to a page, and not all are OAuth clients', async () => {
    await using it = await withAdmin()
    for (let each = 0; each < 25; each++) it.org.addApp()
    const first = await it.admin.get('/api/v1/apps')
    assert.equal(list(first.body).length, 20)
    const { rows } = await it.admin.all('/api/v1/apps')
    assert.equal(rows.length, 26)
    assert.ok(rows.some((app) => at(app, 'signOnMode') !== 'OPENID_CONNECT'))
    const query = new URLSearchParams({ filter: 'status eq "INACTIVE"', limit: '200' })
    assert.deepEqual((await it.admin.get(`/api/v1/apps?${query}`)).body, [])
  })

  it('keep at least one active key', async () => {
    await using it = await withAdmin()
    const [first, second] = [await newSigningKey(), await newSigningKey('RS256')]
    const id = it.org.addApp({ keys: [first.publicJwk], scopes: ['okta.users.read'] })
    const path = `/api/v1/apps/${id}/credentials/jwks`
    const [only] = ids((await it.admin.get(path)).body)
    const refused = await it.admin.post(`${path}/${only}/lifecycle/deactivate`)
    assert.deepEqual(refusal(refused).slice(0, 2), [400, 'E0000001'])
    assert.match(String(refusal(refused)[2]), /^Can't deactivate the only active JSON Web Key/)
    const made = await it.admin.post(path, second.publicJwk)
    assert.equal(made.status, 201)
    const other = text(at(made.body, 'id'))
    for (const bad of [second.publicJwk, { kty: 'RSA' }, { kty: 'RSA', kid: 'short', n: 'AQAB', e: 'AQAB' }]) {
      assert.deepEqual(refusal(await it.admin.post(path, bad)).slice(0, 2), [400, 'E0000001'])
    }
    assert.equal(at((await it.admin.post(`${path}/${only}/lifecycle/deactivate`)).body, 'status'), 'INACTIVE')
    assert.equal((await requestToken(it.org, id, first, 'okta.users.read')).status, 401)
    assert.equal((await requestToken(it.org, id, second, 'okta.users.read')).status, 200)
    assert.deepEqual(refusal(await it.admin.call('DELETE', `${path}/${other}`)).slice(0, 2), [400, 'E0000001'])
    assert.equal((await it.admin.call('DELETE', `${path}/${only}`)).status, 204)
    assert.deepEqual(refusal(await it.admin.get(`${path}/${only}`)), [404, 'E0000007'])
  })
})

describe('AI agents', () => {
  const base = '/workload-principals/api/v1'
  const operation = async (client: OktaClient, accepted: Reply) => {
    assert.deepEqual([accepted.status, accepted.body], [202, ''])
    const reply = await client.get(text(accepted.headers.get('location')))
    assert.equal(reply.status, 200)
    return reply.body
  }

  it('are switched by operations that are scheduled, in progress, and done', async () => {
    let now = Date.now()
    await using it = await withAdmin({ operationMs: 1000, now: () => now })
    const id = it.org.addAgent()
    const accepted = await it.admin.post(`${base}/ai-agents/${id}/lifecycle/deactivate`)
    const step = async (ms: number) => {
      now += ms
      const status = at(await operation(it.admin, accepted), 'status')
      return [status, at((await it.admin.get(`${base}/ai-agents/${id}`)).body, 'status')]
    }
    assert.deepEqual(await step(0), ['SCHEDULED', 'ACTIVE'])
    assert.deepEqual(await step(501), ['IN_PROGRESS', 'ACTIVE'])
    assert.deepEqual(await step(501), ['COMPLETED', 'INACTIVE'])
    assert.equal(at(await operation(it.admin, accepted), 'resource', 'id'), id)
    assert.deepEqual(
      it.org.log.map(({ eventType }) => eventType),
      ['workload_principal.ai_agent.deactivate'],
    )
  })

  it('need an owner to be activated, and fail otherwise', async () => {
    await using it = await withAdmin({ operationMs: 0 })
    const id = it.org.addAgent({ status: 'STAGED', ownerIds: [] })
    const turn = (verb: string) => it.admin.post(`${base}/ai-agents/${id}/lifecycle/${verb}`)
    const failed = await operation(it.admin, await turn('activate'))
    assert.deepEqual([at(failed, 'status'), at(failed, 'errorDetails', 'code')], ['FAILED', 'OWNER_REQUIRED'])
    assert.equal(it.org.get(id)?.status, 'STAGED')
    assert.equal(at(await operation(it.admin, await turn('deactivate')), 'status'), 'FAILED')
    it.org.setOwners(id, [it.org.admin])
    assert.equal(at(await operation(it.admin, await turn('activate')), 'status'), 'COMPLETED')
    it.org.failOperations(1, { code: 'X', message: 'no' })
    assert.deepEqual(at(await operation(it.admin, await turn('deactivate')), 'errorDetails'), {
      code: 'X',
      message: 'no',
    })
    assert.equal(it.org.get(id)?.status, 'ACTIVE')
  })

  it('are registered, changed and deleted when they may be', async () => {
    await using it = await withAdmin({ operationMs: 0 })
    const agents = `${base}/ai-agents`
    assert.deepEqual(refusal(await it.admin.post(agents, { profile: { name: 'ab' } })).slice(0, 2), [400, 'E0000001'])
    const made = await operation(it.admin, await it.admin.post(agents, { profile: { name: 'scout' } }))
    const id = text(at(made, 'resource', 'id'))
    assert.equal(it.org.get(id)?.status, 'STAGED')
    const patch = { profile: { description: 'd' } }
    assert.deepEqual(refusal(await it.admin.call('PATCH', `${agents}/${id}`, patch)), [400, 'E0000021'])
    const merge = { 'Content-Type': 'application/merge-patch+json' }
    assert.equal((await it.admin.call('PATCH', `${agents}/${id}`, patch, merge)).status, 202)
    assert.equal(at((await it.admin.get(`${agents}/${id}`)).body, 'profile', 'description'), 'd')
    assert.deepEqual(refusal(await it.admin.call('DELETE', `${agents}/${id}`)).slice(0, 2), [400, 'E0000001'])
    const imported = it.org.addAgent({ status: 'INACTIVE', imported: true })
    assert.deepEqual(refusal(await it.admin.call('DELETE', `${agents}/${imported}`)).slice(0, 2), [400, 'E0000001'])
    const own = it.org.addAgent({ status: 'INACTIVE' })
    assert.equal((await it.admin.call('DELETE', `${agents}/${own}`)).status, 202)
    assert.deepEqual(refusal(await it.admin.get(`${agents}/${own}`)), [404, 'E0000007'])
  })

  it('come in pages linked in the body', async () => {
    await using it = await withAdmin()
    const made = Array.from({ length: 5 }, (_, each) => it.org.addAgent({ name: `agent-${each}` }))
    const found: string[] = []
    let next: unknown = `${base}/ai-agents?limit=2`
    while (typeof next === 'string') {
      const page = await it.admin.get(next)
      assert.equal(page.headers.get('link'), null)
      found.push(...ids(at(page.body, 'data')))
      next = at(page.body, '_links', 'next', 'href')
    }
    assert.deepEqual(found, made)
    const query = new URLSearchParams({ search: 'status eq "ACTIVE" and profile.name eq "agent-3"' })
    assert.deepEqual(ids(at((await it.admin.get(`${base}/ai-agents?${query}`)).body, 'data')), [made[3]])
    assert.deepEqual(refusal(await it.admin.get(`${base}/ai-agents?limit=201`)).slice(0, 2), [400, 'E0000001'])
  })

  it('are for super administrators with the scopes', async () => {
    await using it = await withAdmin()
    const id = it.org.addAgent()
    const denied = [403, 'E0000006']
    const org = await OktaClient.signIn(it.org, ['okta.aiAgents.read', 'okta.aiAgents.manage'], {
      roles: ['ORG_ADMIN'],
    })
    assert.deepEqual(refusal(await org.get(`${base}/ai-agents`)), denied)
    const reader = await OktaClient.signIn(it.org, ['okta.aiAgents.read'])
    assert.equal((await reader.get(`${base}/ai-agents/${id}`)).status, 200)
    assert.deepEqual(refusal(await reader.post(`${base}/ai-agents/${id}/lifecycle/deactivate`)), denied)
  })

  it('may write the older events, or both', async () => {
    for (const [agentEvents, wanted] of [
      ['old', ['workload_principal.deactivate']],
      ['both', ['workload_principal.ai_agent.deactivate', 'workload_principal.deactivate']],
    ] as const) {
      await using it = await withAdmin({ agentEvents })
      it.org.setEnabled(it.org.addAgent(), false)
      assert.deepEqual(
        it.org.log.map(({ eventType }) => eventType),
        wanted,
      )
    }
  })
})
