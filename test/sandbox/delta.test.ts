import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, clock, code, GraphClient, list, rows, text } from './client.ts'

const roles = ['Directory.Read.All', 'AgentIdentity.EnableDisable.All']
const principals = '/servicePrincipals/delta?$select=id,accountEnabled'

function addAgent(tenant: EntraTenant, displayName = 'agent'): string {
  return tenant.addAgentIdentity({ displayName, blueprintAppId: crypto.randomUUID() })
}

function of(found: readonly unknown[], id: string): unknown[] {
  return found.filter((row) => at(row, 'id') === id)
}

describe('delta queries', () => {
  it('a first round lists everything, later ones only what changed', async () => {
    await using tenant = await startEntraTenant()
    const agent = addAgent(tenant)
    const client = await GraphClient.signIn(tenant, ...roles)
    const first = await client.all(principals)
    assert.deepEqual(of(first.rows, agent), [
      { '@odata.type': '#microsoft.graph.agentIdentity', id: agent, accountEnabled: true },
    ])
    assert.ok(first.delta.startsWith(`${tenant.origin}/v1.0/servicePrincipals/delta?$deltatoken=`))
    const quiet = await client.all(first.delta)
    assert.deepEqual(quiet.rows, [])
    tenant.setEnabled(agent, false)
    const second = await client.all(quiet.delta)
    assert.deepEqual(second.rows, [
      { '@odata.type': '#microsoft.graph.agentIdentity', id: agent, accountEnabled: false },
    ])
    assert.deepEqual((await client.all(second.delta)).rows, [])
    assert.equal((await client.all(first.delta)).rows.length, 1)
  })

  it('changes to unselected properties do not appear', async () => {
    await using tenant = await startEntraTenant()
    const agent = addAgent(tenant)
    const client = await GraphClient.signIn(tenant, ...roles)
    const { delta } = await client.all(principals)
    tenant.update(agent, { displayName: 'renamed' })
    tenant.setDisabledByMicrosoft(agent, true)
    assert.deepEqual((await client.all(delta)).rows, [])
    const wide = await client.all('/servicePrincipals/delta?$select=id,disabledByMicrosoftStatus')
    tenant.setDisabledByMicrosoft(agent, false)
    assert.equal(of((await client.all(wide.delta)).rows, agent).length, 1)
  })

  it('Prefer: return=minimal leaves out what did not change', async () => {
    await using tenant = await startEntraTenant()
    const agent = addAgent(tenant)
    const client = await GraphClient.signIn(tenant, ...roles)
    const { delta } = await client.all('/servicePrincipals/delta?$select=id,accountEnabled,displayName')
    tenant.setEnabled(agent, false)
    const full = await client.get(delta)
    assert.equal(at(rows(full)[0], 'displayName'), 'agent')
    const minimal = await client.get(delta, { Prefer: 'return=minimal' })
    assert.equal(minimal.headers.get('preference-applied'), 'return=minimal')
    assert.deepEqual(Object.keys(Object(rows(minimal)[0])).sort(), ['@odata.type', 'accountEnabled', 'id'])
  })

  it('removed objects say whether they can come back, in the first round too', async () => {
    await using tenant = await startEntraTenant()
    const agent = addAgent(tenant)
    const client = await GraphClient.signIn(tenant, ...roles)
    const first = await client.all(principals)
    tenant.remove(agent)
    const second = await client.all(first.delta)
    assert.deepEqual(second.rows, [{ id: agent, '@removed': { reason: 'changed' } }])
    assert.deepEqual(of((await client.all(principals)).rows, agent), [{ id: agent, '@removed': { reason: 'changed' } }])
    tenant.purge(agent)
    assert.deepEqual((await client.all(second.delta)).rows, [{ id: agent, '@removed': { reason: 'deleted' } }])
  })

  it('pages may be empty, and the same object may come twice in a round', async () => {
    await using tenant = await startEntraTenant({ pageSize: 3 })
    const agents = Array.from({ length: 8 }, (_, index) => addAgent(tenant, `agent ${index}`))
    const client = await GraphClient.signIn(tenant, ...roles)
    const first = await client.all(principals)
    assert.equal(rows(first.pages[1] ?? assert.fail()).length, 0)
    const counts = new Map<unknown, number>()
    for (const row of first.rows) counts.set(at(row, 'id'), (counts.get(at(row, 'id')) ?? 0) + 1)
    assert.ok([...counts.values()].includes(2))
    for (const agent of agents) assert.ok(counts.has(agent))
    for (const agent of agents) tenant.setEnabled(agent, false)
    const second = await client.all(first.delta)
    assert.equal(new Set(second.rows.map((row) => at(row, 'id'))).size, 8)
    assert.ok(second.rows.length > 8)
    assert.ok(second.pages.some((page) => rows(page).length === 0))
  })

  it('what changes while a round is read comes in the next one', async () => {
    await using tenant = await startEntraTenant({ pageSize: 2 })
    const agents = Array.from({ length: 6 }, (_, index) => addAgent(tenant, `agent ${index}`))
    const client = await GraphClient.signIn(tenant, ...roles)
    const page = await client.get(principals)
    tenant.setEnabled(agents[0] ?? '', false)
    tenant.setEnabled(agents[5] ?? '', false)
    const rest = await client.all(text(at(page.body, '@odata.nextLink')))
    const next = await client.all(rest.delta)
    assert.deepEqual(new Set(next.rows.map((row) => at(row, 'id'))), new Set([agents[0], agents[5]]))
  })

  it('a change appears once it is replicated, and is not lost', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ staleMs: 5000, now: time.now })
    const agent = addAgent(tenant)
    tenant.settle()
    const client = await GraphClient.signIn(tenant, ...roles)
    const first = await client.all(principals)
    tenant.setEnabled(agent, false)
    const second = await client.all(first.delta)
    assert.deepEqual(second.rows, [])
    time.advance(5001)
    const third = await client.all(second.delta)
    assert.equal(at(of(third.rows, agent)[0], 'accountEnabled'), false)
  })

  it('tokens are opaque, of one collection, and take no further options', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, ...roles, 'User.Read.All')
    const { delta } = await client.all(principals)
    assert.deepEqual(code(await client.get(`${delta}x`)), [400, 'syncStateNotFound'])
    assert.equal((await client.get(delta.replace('servicePrincipals', 'users'))).status, 400)
    assert.equal((await client.get(delta.replace('$deltatoken', '$skiptoken'))).status, 400)
    assert.equal((await client.get(`${delta}&$select=id`)).status, 400)
    for (const option of ['$top=5', '$orderby=id', '$expand=members', "$filter=displayName eq 'a'", '$select=nope']) {
      assert.equal((await client.get(`/users/delta?${option}`)).status, 400, option)
    }
  })

  it('filters by id only', async () => {
    await using tenant = await startEntraTenant()
    const [one, two, three] = [tenant.addUser(), tenant.addUser(), tenant.addUser()]
    const client = await GraphClient.signIn(tenant, 'User.Read.All')
    const filter = encodeURIComponent(`id eq '${one}' or id eq '${two}'`)
    const first = await client.all(`/users/delta?$select=id,accountEnabled&$filter=${filter}`)
    assert.deepEqual(
      first.rows.map((row) => at(row, 'id')),
      [one, two],
    )
    tenant.setEnabled(two, false)
    tenant.setEnabled(three, false)
    const second = await client.all(first.delta)
    assert.deepEqual(second.rows, [{ id: two, accountEnabled: false }])
  })

  it('$deltatoken=latest starts from now', async () => {
    await using tenant = await startEntraTenant()
    const agent = addAgent(tenant)
    const client = await GraphClient.signIn(tenant, ...roles)
    const latest = await client.all(`${principals}&$deltatoken=latest`)
    assert.deepEqual(latest.rows, [])
    tenant.setEnabled(agent, false)
    assert.equal((await client.all(latest.delta)).rows.length, 1)
  })

  it('links live seven days; expired ones are 410 with where to start over, or syncStateNotFound', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ now: time.now })
    const days = (count: number) => count * 24 * 3_600_000
    const signIn = () => GraphClient.signIn(tenant, ...roles)
    const { delta } = await (await signIn()).all(principals)
    time.advance(days(6.9))
    const client = await signIn()
    const renewed = (await client.all(delta)).delta
    time.advance(days(0.2))
    const gone = await (await signIn()).get(delta)
    assert.equal(gone.status, 410)
    const location = gone.headers.get('location') ?? ''
    assert.equal(location, `${tenant.origin}/v1.0/servicePrincipals/delta?$deltatoken=`)
    const later = await signIn()
    assert.ok(rows(await later.get(location)).length > 0)
    assert.equal((await later.get(renewed)).status, 200)
    tenant.expireDelta('syncStateNotFound')
    assert.deepEqual(code(await later.get(renewed)), [400, 'syncStateNotFound'])
    tenant.expireDelta()
    assert.equal((await later.get(renewed)).status, 410)
    assert.equal((await later.get((await later.all(principals)).delta)).status, 200)
  })

  it('a round can repeat what its predecessor reported', async () => {
    await using tenant = await startEntraTenant()
    const agent = addAgent(tenant)
    const client = await GraphClient.signIn(tenant, ...roles)
    const first = await client.all(principals)
    tenant.setEnabled(agent, false)
    const second = await client.all(first.delta)
    tenant.replayDelta()
    const third = await client.all(second.delta)
    assert.deepEqual(third.rows, second.rows)
    assert.deepEqual((await client.all(third.delta)).rows, [])
  })

  it('can leave agent identities out', async () => {
    await using tenant = await startEntraTenant({ deltaHidesAgents: true })
    const agent = addAgent(tenant)
    const client = await GraphClient.signIn(tenant, ...roles)
    const first = await client.all(principals)
    tenant.setEnabled(agent, false)
    tenant.setEnabled(client.servicePrincipalId, false)
    const second = await client.all(first.delta)
    assert.deepEqual([of(first.rows, agent), of(second.rows, agent)], [[], []])
    assert.equal(of(second.rows, client.servicePrincipalId).length, 1)
  })
})

describe('group delta', () => {
  const groups = '/groups/delta?$select=id,displayName,members'

  it('reports direct members, and removals as deleted', async () => {
    await using tenant = await startEntraTenant()
    const agent = addAgent(tenant)
    const user = tenant.addUser()
    const group = tenant.addGroup({ displayName: 'finance', members: [agent] })
    const client = await GraphClient.signIn(tenant, 'GroupMember.Read.All')
    const first = await client.all(groups)
    const member = { '@odata.type': '#microsoft.graph.agentIdentity', id: agent }
    assert.deepEqual(of(first.rows, group), [{ id: group, displayName: 'finance', 'members@delta': [member] }])
    tenant.addMember(group, user)
    tenant.removeMember(group, agent)
    const second = await client.all(first.delta)
    assert.deepEqual(at(of(second.rows, group)[0], 'members@delta'), [
      { '@odata.type': '#microsoft.graph.user', id: user },
      { ...member, '@removed': { reason: 'deleted' } },
    ])
    tenant.remove(user)
    const third = await client.all(second.delta)
    assert.deepEqual(at(of(third.rows, group)[0], 'members@delta', 0, '@removed'), { reason: 'deleted' })
    tenant.removeMember(group, user)
    const unselected = await client.all('/groups/delta?$select=id,displayName')
    tenant.addMember(group, agent)
    assert.deepEqual((await client.all(unselected.delta)).rows, [])
  })

  it('a big group spans pages, recurring with other members', async () => {
    await using tenant = await startEntraTenant({ pageSize: 4 })
    const members = Array.from({ length: 10 }, (_, index) => addAgent(tenant, `agent ${index}`))
    const group = tenant.addGroup({ members })
    const small = tenant.addGroup({ members: members.slice(0, 1) })
    const client = await GraphClient.signIn(tenant, 'GroupMember.Read.All')
    const first = await client.all(groups)
    const pieces = of(first.rows, group)
    assert.ok(pieces.length > 2)
    const seen = pieces.flatMap((row) => list(at(row, 'members@delta')).map((each) => at(each, 'id')))
    assert.deepEqual(new Set(seen), new Set(members))
    assert.ok(of(first.rows, small).length > 0)
  })
})
