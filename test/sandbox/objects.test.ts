import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, code, GraphClient, ids, list, rows, send, text } from './client.ts'

const cast = 'microsoft.graph.agentIdentity'
const all = [
  'AgentIdentity.ReadWrite.All',
  'AgentIdentityBlueprintPrincipal.ReadWrite.All',
  'Application.ReadWrite.All',
  'Directory.Read.All',
  'User.ReadWrite.All',
  'User.RevokeSessions.All',
]

describe('lists', () => {
  it('page by opaque next links of the full origin, with an empty page between', async () => {
    await using tenant = await startEntraTenant({ pageSize: 2 })
    const agents = ['a', 'b', 'c', 'd', 'e'].map((displayName) =>
      tenant.addAgentIdentity({ displayName, blueprintAppId: crypto.randomUUID() }),
    )
    const client = await GraphClient.signIn(tenant, ...all)
    const found = await client.all(`/servicePrincipals/${cast}?$select=id,accountEnabled`)
    assert.deepEqual(
      found.rows.map((row) => at(row, 'id')),
      agents,
    )
    assert.deepEqual(
      found.pages.map((page) => rows(page).length),
      [2, 0, 2, 1],
    )
    const next = text(at(found.pages[0]?.body, '@odata.nextLink'))
    assert.ok(next.startsWith(`${tenant.origin}/v1.0/servicePrincipals/`))
    assert.equal((await client.get(next.replace('accountEnabled', 'displayName'))).status, 400)
    assert.equal((await client.get(`${next}x`)).status, 400)
    assert.equal((await client.get('/users?$skiptoken=invented')).status, 400)
  })

  it('agent identities: at most 100 a page; others 999', async () => {
    await using tenant = await startEntraTenant()
    for (let index = 0; index < 101; index++) {
      tenant.addAgentIdentity({ displayName: `agent ${index}`, blueprintAppId: crypto.randomUUID() })
    }
    const client = await GraphClient.signIn(tenant, ...all)
    assert.equal(rows(await client.get(`/servicePrincipals/${cast}`)).length, 100)
    assert.equal((await client.get(`/servicePrincipals/${cast}?$top=101`)).status, 400)
    assert.equal(rows(await client.get('/servicePrincipals')).length, 100)
    assert.ok(rows(await client.get('/servicePrincipals?$top=999')).length > 101)
    for (const top of ['1000', '0', '-1', 'x']) {
      assert.equal((await client.get(`/servicePrincipals?$top=${top}`)).status, 400)
    }
  })

  it('name derived types where the base type is declared, and not on the cast path', async () => {
    await using tenant = await startEntraTenant()
    const blueprint = tenant.addBlueprintPrincipal({})
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: blueprint.appId })
    const agentUser = tenant.addAgentUser({ identityParentId: agent })
    const client = await GraphClient.signIn(tenant, ...all)
    const type = (row: unknown) => at(row, '@odata.type')
    const principals = rows(await client.get('/servicePrincipals'))
    assert.equal(type(principals.find((row) => at(row, 'id') === agent)), `#${cast}`)
    assert.equal(
      type(principals.find((row) => at(row, 'id') === blueprint.id)),
      '#microsoft.graph.agentIdentityBlueprintPrincipal',
    )
    assert.ok(principals.some((row) => type(row) === undefined))
    assert.deepEqual(rows(await client.get(`/servicePrincipals/${cast}`)).map(type), [undefined])
    assert.equal(type((await client.get(`/servicePrincipals/${agent}/${cast}`)).body), `#${cast}`)
    assert.equal(type((await client.get(`/users/${agentUser}`)).body), '#microsoft.graph.agentUser')
    assert.deepEqual(ids(await client.get('/users/microsoft.graph.agentUser')), [agentUser])
    assert.deepEqual(ids(await client.get('/servicePrincipals/microsoft.graph.agentIdentityBlueprintPrincipal')), [
      blueprint.id,
    ])
  })

  it('honour $select: absent properties are absent, unknown ones refused', async () => {
    await using tenant = await startEntraTenant()
    const user = tenant.addUser()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...all)
    const byDefault = await client.get(`/users/${user}`)
    assert.equal(at(byDefault.body, 'accountEnabled'), undefined)
    const selected = await client.get(`/users/${user}?$select=id,accountEnabled`)
    assert.deepEqual(Object.keys(Object(selected.body)).sort(), ['@odata.context', 'accountEnabled', 'id'])
    assert.equal((await client.get(`/users/${user}?$select=id,acountEnabled`)).status, 400)
    assert.equal((await client.get('/users?$select=nope')).status, 400)
    assert.equal((await client.get(`/servicePrincipals/${agent}?$select=agentIdentityBlueprintId`)).status, 400)
    const own = await client.get(`/servicePrincipals/${agent}/${cast}?$select=agentIdentityBlueprintId,isDisabled`)
    assert.equal(at(own.body, 'isDisabled'), null)
  })

  it('refuse unknown and repeated query options', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, ...all)
    for (const query of ['$slect=id', 'foo=bar', '$expand=memberOf', '$orderby=id', '$top=5&$top=6', '$search="a"']) {
      assert.equal((await client.get(`/servicePrincipals?${query}`)).status, 400, query)
    }
    assert.equal((await client.get(`/users/${tenant.admin}?$top=5`)).status, 400)
  })

  it('filter what the directory can filter, advanced queries only when asked for as such', async () => {
    await using tenant = await startEntraTenant()
    const blueprintAppId = crypto.randomUUID()
    const on = tenant.addAgentIdentity({ displayName: 'on', blueprintAppId })
    const off = tenant.addAgentIdentity({ displayName: "o'ff", blueprintAppId, enabled: false })
    tenant.addAgentIdentity({ displayName: 'other', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...all)
    const ask = (filter: string, more = '', headers = {}) =>
      client.get(`/servicePrincipals/${cast}?$filter=${encodeURIComponent(filter)}${more}`, headers)
    assert.deepEqual(ids(await ask(`agentIdentityBlueprintId eq '${blueprintAppId}'`)), [on, off])
    assert.deepEqual(ids(await ask('accountEnabled eq false')), [off])
    assert.deepEqual(ids(await ask("displayName eq 'o''ff' or startswith(displayName,'on')")), [on, off])
    assert.deepEqual(ids(await ask(`id in ('${on}', '${off}') and accountEnabled eq true`)), [on])
    assert.deepEqual(code(await ask("displayName ne 'on'")), [400, 'Request_UnsupportedQuery'])
    assert.equal((await ask("displayName ne 'on'", '&$count=true')).status, 400)
    const eventual = { ConsistencyLevel: 'eventual' }
    const advanced = await ask("not(displayName eq 'on')", '&$count=true', eventual)
    assert.equal(rows(advanced).length, 2)
    assert.equal(at(advanced.body, '@odata.count'), 2)
    for (const bad of ['nope eq 1', 'accountEnabled', 'accountEnabled eq', "displayName gt 'a'", "(id eq 'x'"]) {
      assert.equal((await ask(bad)).status, 400, bad)
    }
  })

  it('answer only under v1.0, on known segments, for allowed methods', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, ...all)
    const beta = await send(`${tenant.origin}/beta/users`, { headers: { Authorization: `Bearer ${client.token}` } })
    assert.equal(beta.status, 400)
    for (const path of [
      '/nope',
      '/users/delta/x',
      `/groups/${tenant.admin}/microsoft.graph.user`,
      '/auditLogs/signIns',
    ]) {
      assert.equal((await client.get(path)).status, 400, path)
    }
    assert.equal((await client.call('DELETE', `/users/${tenant.admin}`)).status, 405)
    assert.equal((await client.post('/users', {})).status, 405)
  })
})

describe('single objects', () => {
  it('are found by object id, users by name, service principals by app id', async () => {
    await using tenant = await startEntraTenant()
    const user = tenant.addUser({ userPrincipalName: 'alice@contoso.com' })
    const client = await GraphClient.signIn(tenant, ...all)
    assert.equal(at((await client.get('/users/Alice@contoso.com')).body, 'id'), user)
    const byApp = await client.get(`/servicePrincipals(appId='${client.appId}')?$select=id`)
    assert.equal(at(byApp.body, 'id'), client.servicePrincipalId)
    const graph = await client.get("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')?$select=appRoles")
    assert.ok(list(at(graph.body, 'appRoles')).some((role) => at(role, 'value') === 'AgentIdentity.EnableDisable.All'))
    assert.deepEqual(code(await client.get(`/users/${crypto.randomUUID()}`)), [404, 'Request_ResourceNotFound'])
    assert.equal((await client.get('/users/not-an-id')).status, 400)
    assert.equal((await client.get(`/servicePrincipals/${client.servicePrincipalId}/${cast}`)).status, 404)
    assert.equal((await client.get(`/servicePrincipals/${user}`)).status, 404)
  })

  it('take PATCH of their switch on both spellings of the cast path, and its alias', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...all)
    const paths = [
      `/servicePrincipals/${agent}/${cast}`,
      `/servicePrincipals/${cast}/${agent}`,
      `/servicePrincipals/${agent}/graph.agentIdentity`,
      `/servicePrincipals/${agent}`,
      `/servicePrincipals(appId='${agent}')`,
    ]
    for (const path of paths) {
      for (const accountEnabled of [false, true]) {
        const reply = await client.patch(path, { accountEnabled })
        assert.deepEqual([reply.status, reply.body], [204, ''], path)
        assert.equal(tenant.get(agent)?.enabled, accountEnabled)
        assert.equal(at((await client.get(path)).body, 'accountEnabled'), accountEnabled)
      }
    }
  })

  it('refuse what may not be written', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...all)
    const path = `/servicePrincipals/${agent}/${cast}`
    const bodies: unknown[] = [
      { isDisabled: true },
      { disabledByMicrosoftStatus: null },
      { agentIdentityBlueprintId: crypto.randomUUID() },
      { accountEnable: false },
      { accountEnabled: 'false' },
      { accountEnabled: null },
      [],
      'text',
    ]
    for (const body of bodies) assert.equal((await client.patch(path, body)).status, 400, JSON.stringify(body))
    assert.equal((await client.call('PATCH', path)).status, 400)
    const raw = (body: string, type?: string) =>
      send(`${tenant.origin}/v1.0${path}`, {
        method: 'PATCH',
        headers: { Authorization: `Bearer ${client.token}`, ...(type === undefined ? {} : { 'Content-Type': type }) },
        body: Buffer.from(body),
      })
    assert.equal((await raw('{"accountEnabled":false}')).status, 400)
    assert.equal((await raw('{"accountEnabled":false}', 'text/plain')).status, 415)
    assert.equal((await raw('{"accountEnabled":', 'application/json')).status, 400)
    assert.equal(tenant.get(agent)?.enabled, true)
    const group = tenant.addGroup()
    assert.equal((await client.patch(`/groups/${group}`, { displayName: 'x' })).status, 405)
  })

  it('show all the switches an agent has', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...all)
    const path = `/servicePrincipals/${agent}/${cast}?$select=accountEnabled,isDisabled,disabledByMicrosoftStatus`
    tenant.setDisabledByMicrosoft(agent, true)
    tenant.setIsDisabled(agent, true)
    const reply = await client.get(path)
    assert.equal(at(reply.body, 'accountEnabled'), true)
    assert.equal(at(reply.body, 'isDisabled'), true)
    assert.equal(at(reply.body, 'disabledByMicrosoftStatus'), 'DisabledDueToViolationOfServicesAgreement')
  })

  it('move to deleted items, come back, and go for good', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...all)
    const live = async () => (await client.get(`/servicePrincipals/${agent}`)).status
    const deleted = () => client.get(`/directory/deletedItems/${agent}`)
    assert.deepEqual([await live(), (await deleted()).status], [200, 404])
    tenant.remove(agent)
    const found = await deleted()
    assert.deepEqual([await live(), found.status, at(found.body, '@odata.type')], [404, 200, `#${cast}`])
    assert.equal((await client.patch(`/servicePrincipals/${agent}`, { accountEnabled: false })).status, 404)
    tenant.restore(agent)
    assert.deepEqual([await live(), (await deleted()).status], [200, 404])
    tenant.remove(agent)
    tenant.purge(agent)
    assert.deepEqual([await live(), (await deleted()).status], [404, 404])
    assert.throws(() => tenant.restore(agent), /not soft-deleted/)
  })

  it('go along when their blueprint principal is deleted', async () => {
    await using tenant = await startEntraTenant()
    const blueprint = tenant.addBlueprintPrincipal({})
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: blueprint.appId })
    const other = tenant.addAgentIdentity({ displayName: 'other', blueprintAppId: crypto.randomUUID() })
    tenant.remove(blueprint.id)
    assert.equal(tenant.get(agent)?.life, 'deleted')
    assert.equal(tenant.get(other)?.life, 'live')
  })

  it('users have their sessions revoked', async () => {
    await using tenant = await startEntraTenant()
    const user = tenant.addUser()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...all)
    const reply = await client.post(`/users/${user}/revokeSignInSessions`)
    assert.equal(at(reply.body, 'value'), true)
    assert.equal(typeof tenant.get(user)?.properties.signInSessionsValidFromDateTime, 'string')
    assert.equal((await client.post(`/servicePrincipals/${agent}/revokeSignInSessions`)).status, 400)
    assert.equal((await client.get(`/users/${user}/revokeSignInSessions`)).status, 405)
  })
})
