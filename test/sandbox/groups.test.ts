import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, code, GraphClient, ids, list, rows } from './client.ts'

const eventual = { ConsistencyLevel: 'eventual' }

function nested(tenant: EntraTenant) {
  const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
  const user = tenant.addUser()
  const inner = tenant.addGroup({ displayName: 'inner', members: [agent] })
  const outer = tenant.addGroup({ displayName: 'outer', members: [inner, user] })
  return { agent, user, inner, outer }
}

describe('memberships', () => {
  it('direct and transitive members, nesting flattened, cycles ended', async () => {
    await using tenant = await startEntraTenant()
    const { agent, user, inner, outer } = nested(tenant)
    tenant.addMember(inner, outer)
    const client = await GraphClient.signIn(tenant, 'Directory.Read.All')
    assert.deepEqual(ids(await client.get(`/groups/${outer}/members`)), [inner, user])
    assert.deepEqual(
      new Set(ids(await client.get(`/groups/${outer}/transitiveMembers`))),
      new Set([inner, user, agent]),
    )
    assert.deepEqual(ids(await client.get(`/servicePrincipals/${agent}/memberOf`)), [inner])
    const path = `/servicePrincipals/${agent}/microsoft.graph.agentIdentity/transitiveMemberOf`
    assert.deepEqual(new Set(ids(await client.get(path))), new Set([inner, outer]))
    assert.deepEqual(ids(await client.get(`/users/${user}/memberOf`)), [outer])
    const types = rows(await client.get(`/groups/${outer}/transitiveMembers`)).map((row) => at(row, '@odata.type'))
    assert.ok(types.includes('#microsoft.graph.agentIdentity') && types.includes('#microsoft.graph.user'))
  })

  it('casts are advanced queries', async () => {
    await using tenant = await startEntraTenant()
    const { agent, user, outer } = nested(tenant)
    const client = await GraphClient.signIn(tenant, 'Directory.Read.All')
    const path = `/groups/${outer}/transitiveMembers/microsoft.graph.servicePrincipal`
    assert.deepEqual(code(await client.get(path)), [400, 'Request_UnsupportedQuery'])
    assert.equal((await client.get(`${path}?$count=true`)).status, 400)
    assert.equal((await client.get(path, eventual)).status, 400)
    const reply = await client.get(`${path}?$count=true&$select=id,displayName`, eventual)
    assert.deepEqual(ids(reply), [agent])
    assert.equal(at(reply.body, '@odata.count'), 1)
    assert.equal((await client.get(`${path}?$count=true&$select=nope`, eventual)).status, 400)
    const users = `/groups/${outer}/members/microsoft.graph.user?$count=true`
    assert.deepEqual(ids(await client.get(users, eventual)), [user])
    const groups = `/servicePrincipals/${agent}/transitiveMemberOf/microsoft.graph.group?$count=true`
    assert.equal(rows(await client.get(groups, eventual)).length, 2)
    assert.equal((await client.get(`/groups/${outer}/members/microsoft.graph.nope`)).status, 400)
  })

  it('members the caller may not read come with an id and nulls', async () => {
    await using tenant = await startEntraTenant()
    const { user, outer } = nested(tenant)
    const client = await GraphClient.signIn(tenant, 'GroupMember.Read.All')
    const found = rows(await client.get(`/groups/${outer}/members?$select=id,displayName`))
    assert.deepEqual(found[1], { '@odata.type': '#microsoft.graph.user', id: user, displayName: null })
    assert.equal(at(found[0], 'displayName'), 'inner')
  })

  it('page, and leave out deleted members', async () => {
    await using tenant = await startEntraTenant({ pageSize: 2 })
    const members = Array.from({ length: 5 }, () => tenant.addUser())
    const group = tenant.addGroup({ members })
    const client = await GraphClient.signIn(tenant, 'Directory.Read.All')
    const all = async (path: string) => (await client.all(path)).rows.map((row) => at(row, 'id'))
    assert.deepEqual(await all(`/groups/${group}/members`), members)
    assert.deepEqual(await all(`/groups/${group}/transitiveMembers?$select=id`), members)
    tenant.remove(members[1] ?? '')
    assert.equal((await all(`/groups/${group}/members`)).length, 4)
    tenant.restore(members[1] ?? '')
    assert.deepEqual(await all(`/groups/${group}/members`), members)
    tenant.remove(group)
    assert.equal((await client.get(`/groups/${group}/members`)).status, 404)
    assert.deepEqual(ids(await client.get(`/users/${members[0]}/memberOf`)), [])
  })

  it('getMemberGroups and checkMemberGroups are transitive and strict about their bodies', async () => {
    await using tenant = await startEntraTenant()
    const { agent, user, inner, outer } = nested(tenant)
    const stranger = tenant.addGroup()
    const client = await GraphClient.signIn(tenant, 'Directory.Read.All')
    const ask = (path: string, body: unknown) => client.post(`/servicePrincipals/${agent}/${path}`, body)
    const got = await ask('getMemberGroups', { securityEnabledOnly: false })
    assert.deepEqual(new Set(list(at(got.body, 'value'))), new Set([inner, outer]))
    assert.equal((await ask('getMemberGroups', { securityEnabledOnly: true })).status, 400)
    assert.equal((await ask('getMemberGroups', {})).status, 400)
    assert.equal((await client.post(`/users/${user}/getMemberGroups`, { securityEnabledOnly: true })).status, 200)
    const checked = await ask('checkMemberGroups', { groupIds: [stranger, outer] })
    assert.deepEqual(at(checked.body, 'value'), [outer])
    const many = Array.from({ length: 21 }, () => crypto.randomUUID())
    assert.equal((await ask('checkMemberGroups', { groupIds: many })).status, 400)
    const anywhere = await client.post(`/directoryObjects/${agent}/getMemberObjects`, { securityEnabledOnly: false })
    assert.equal(list(at(anywhere.body, 'value')).length, 2)
    assert.equal((await client.get(`/servicePrincipals/${agent}/getMemberGroups`)).status, 405)
    assert.equal((await client.get(`/groups/${crypto.randomUUID()}/members`)).status, 404)
  })

  it('sponsors show no more than an id unless selected', async () => {
    await using tenant = await startEntraTenant()
    const alice = tenant.addUser({ displayName: 'Alice' })
    const agent = tenant.addAgentIdentity({
      displayName: 'agent',
      blueprintAppId: crypto.randomUUID(),
      sponsorIds: [alice],
    })
    const client = await GraphClient.signIn(tenant, 'Directory.Read.All')
    const path = `/servicePrincipals/${agent}/microsoft.graph.agentIdentity/sponsors`
    assert.deepEqual(rows(await client.get(path)), [{ '@odata.type': '#microsoft.graph.directoryObject', id: alice }])
    const selected = rows(await client.get(`/servicePrincipals/${agent}/sponsors?$select=id,displayName`))
    assert.deepEqual(selected, [{ '@odata.type': '#microsoft.graph.user', id: alice, displayName: 'Alice' }])
  })
})
