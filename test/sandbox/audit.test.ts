import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, clock, GraphClient, list, rows, text } from './client.ts'

const cast = 'microsoft.graph.agentIdentity'
const roles = ['AgentIdentity.EnableDisable.All', 'AuditLog.Read.All', 'User.ReadWrite.All']
const log = '/auditLogs/directoryAudits'

function filtered(...parts: string[]): string {
  return `${log}?$filter=${encodeURIComponent(parts.join(' and '))}`
}

describe('audit log', () => {
  it('names the app or the person, the object and the flip', async () => {
    await using tenant = await startEntraTenant({ throttle: false })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    await client.patch(`/servicePrincipals/${agent}/${cast}`, { accountEnabled: false })
    tenant.setEnabled(agent, true)
    const updates = filtered("activityDisplayName eq 'Update service principal'")
    const [byAdmin, byApp] = rows(await client.get(updates))
    assert.deepEqual(at(byApp, 'initiatedBy', 'app'), {
      appId: client.appId,
      displayName: 'test client',
      servicePrincipalId: client.servicePrincipalId,
      servicePrincipalName: null,
    })
    assert.equal(at(byApp, 'initiatedBy', 'user'), null)
    assert.equal(at(byApp, 'targetResources', 0, 'id'), agent)
    const flip = (record: unknown) => list(at(record, 'targetResources', 0, 'modifiedProperties'))[0]
    assert.deepEqual(flip(byApp), { displayName: 'AccountEnabled', oldValue: '[true]', newValue: '[false]' })
    assert.deepEqual(flip(byAdmin), { displayName: 'AccountEnabled', oldValue: '[false]', newValue: '[true]' })
    assert.equal(at(byAdmin, 'initiatedBy', 'app'), null)
    assert.equal(at(byAdmin, 'initiatedBy', 'user', 'id'), tenant.admin)
    assert.match(text(at(byApp, 'activityDateTime')), /\.\d{7}Z$/)
  })

  it('a write that changes nothing says so', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    const reply = await client.patch(`/servicePrincipals/${agent}/${cast}`, { accountEnabled: true })
    assert.equal(reply.status, 204)
    const [record] = rows(await client.get(filtered("activityDisplayName eq 'Update service principal'")))
    assert.deepEqual(at(record, 'targetResources', 0, 'modifiedProperties'), [])
  })

  it('users have activities of their own', async () => {
    await using tenant = await startEntraTenant()
    const user = tenant.addUser()
    const client = await GraphClient.signIn(tenant, ...roles)
    await client.patch(`/users/${user}`, { accountEnabled: false })
    const found = rows(await client.get(filtered(`targetResources/any(t:t/id eq '${user}')`)))
    assert.deepEqual(
      found.map((record) => at(record, 'activityDisplayName')),
      ['Disable account', 'Update user', 'Add user'],
    )
  })

  it('becomes readable only after its delay', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ auditDelayMs: 120_000, now: time.now, throttle: false })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    tenant.settle()
    time.advance(1000)
    const since = new Date(time.now()).toISOString()
    time.advance(1000)
    tenant.setEnabled(agent, false)
    const found = async () => rows(await client.get(filtered(`activityDateTime gt ${since}`))).length
    assert.equal(await found(), 0)
    time.advance(119_999)
    assert.equal(await found(), 0)
    time.advance(1)
    assert.equal(await found(), 1)
    tenant.setEnabled(agent, true)
    assert.equal(await found(), 1)
    tenant.settle()
    assert.equal(await found(), 2)
  })

  it('filters by time and activity, orders, limits and pages', async () => {
    const time = clock(Date.parse('2026-11-21T10:00:00Z'))
    await using tenant = await startEntraTenant({ now: time.now, throttle: false })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    const flips = "activityDisplayName eq 'Update service principal'"
    for (let count = 0; count < 5; count++) {
      time.advance(60_000)
      tenant.setEnabled(agent, count % 2 === 1)
    }
    const times = (found: unknown[]) => found.map((record) => text(at(record, 'activityDateTime')).slice(11, 16))
    const range = ['activityDateTime ge 2026-11-21T10:02:00Z', 'activityDateTime lt 2026-11-21T10:04:00Z', flips]
    assert.deepEqual(times(rows(await client.get(filtered(...range)))), ['10:03', '10:02'])
    assert.deepEqual(times(rows(await client.get(`${filtered(flips)}&$orderby=activityDateTime asc&$top=2`))), [
      '10:01',
      '10:02',
    ])
    const le = filtered('activityDateTime le 2026-11-21T10:02:00.9999999Z', flips)
    assert.deepEqual(times(rows(await client.get(le))), ['10:02', '10:01'])
    const paged = await client.all(`${filtered(flips)}&$top=2`)
    assert.deepEqual(times(paged.rows), ['10:05', '10:04', '10:03', '10:02', '10:01'])
    assert.ok(paged.pages.length > 3)
  })

  it('refuses what the log cannot filter or sort by', async () => {
    await using tenant = await startEntraTenant({ throttle: false })
    const client = await GraphClient.signIn(tenant, ...roles)
    for (const filter of ["activityDisplayName ne 'x'", "nope eq 'x'", 'activityDateTime ge yesterday']) {
      assert.equal((await client.get(filtered(filter))).status, 400, filter)
    }
    for (const query of ['$orderby=category', '$select=id', '$top=1000']) {
      assert.equal((await client.get(`${log}?${query}`)).status, 400, query)
    }
  })

  it('records memberships, deletions and restorations', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const group = tenant.addGroup({ members: [agent] })
    tenant.removeMember(group, agent)
    tenant.remove(agent)
    tenant.restore(agent)
    const client = await GraphClient.signIn(tenant, ...roles)
    const activities = rows(await client.get(filtered(`targetResources/any(t:t/id eq '${agent}')`)))
    assert.deepEqual(
      activities.map((record) => at(record, 'activityDisplayName')),
      [
        'Restore service principal',
        'Delete service principal',
        'Remove member from group',
        'Add member to group',
        'Add service principal',
      ],
    )
  })
})
