import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, GraphClient, list } from './client.ts'

const cast = 'microsoft.graph.agentIdentity'
const roles = ['AgentIdentity.Read.All', 'AgentIdentity.EnableDisable.All', 'User.Read.All']
const json = { 'Content-Type': 'application/json' }

describe('$batch', () => {
  it('carries out items and answers each, out of order', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    const url = `/servicePrincipals/${agent}/${cast}`
    const requests = [
      { id: '1', method: 'GET', url: `${url}?$select=accountEnabled` },
      { id: '2', method: 'PATCH', url, headers: json, body: { accountEnabled: false }, dependsOn: ['1'] },
    ]
    const reply = await client.post('/$batch', { requests })
    const responses = list(at(reply.body, 'responses'))
    assert.deepEqual(
      responses.map((each) => at(each, 'id')),
      ['2', '1'],
    )
    assert.equal(at(responses[1], 'body', 'accountEnabled'), true)
    assert.deepEqual([at(responses[0], 'status'), at(responses[0], 'body')], [204, undefined])
    assert.equal(tenant.get(agent)?.enabled, false)
  })

  it('refuses malformed batches as a whole', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, ...roles)
    const item = (id: string, more = {}) => ({ id, method: 'GET', url: '/users', ...more })
    const patch = { method: 'PATCH', url: `/users/${tenant.admin}` }
    const numbered = (count: number) => Array.from({ length: count }, (_, index) => item(`${index}`))
    const bad: [string, unknown[]][] = [
      ['more than 20', numbered(21)],
      ['none', []],
      ['ids twice', [item('a'), item('A')]],
      ['body without content type', [item('1', { ...patch, body: { accountEnabled: false } })]],
      ['patch without body', [item('1', { ...patch, headers: json })]],
      ['unknown dependency', [item('1'), item('2', { dependsOn: ['9'] })]],
      ['forward dependency', [item('1', { dependsOn: ['2'] }), item('2')]],
      ['half serial', [item('1'), item('2', { dependsOn: ['1'] }), item('3')]],
      ['a fan', [item('1'), item('2', { dependsOn: ['1'] }), item('3', { dependsOn: ['1'] })]],
      ['no url', [{ id: '1', method: 'GET' }]],
    ]
    for (const [name, requests] of bad) assert.equal((await client.post('/$batch', { requests })).status, 400, name)
    assert.equal((await client.batch(numbered(20))).size, 20)
    const serial = [item('1'), item('2', { dependsOn: ['1'] }), item('3', { dependsOn: ['2'] })]
    assert.equal((await client.batch(serial)).get('3')?.status, 200)
    assert.equal((await client.get('/$batch')).status, 405)
  })

  it('fails what depends on a failure with 424 and does not carry it out', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    const off = { headers: json, body: { accountEnabled: false }, method: 'PATCH' }
    const replies = await client.batch([
      { id: '1', method: 'GET', url: `/servicePrincipals/${crypto.randomUUID()}/${cast}` },
      { id: '2', ...off, url: `/servicePrincipals/${agent}/${cast}`, dependsOn: ['1'] },
      { id: '3', method: 'GET', url: '/users', dependsOn: ['2'] },
    ])
    assert.deepEqual(
      ['1', '2', '3'].map((id) => replies.get(id)?.status),
      [404, 424, 424],
    )
    assert.equal(at(replies.get('2')?.body, 'error', 'code'), 'FailedDependency')
    assert.equal(tenant.get(agent)?.enabled, true)
  })

  it('throttles items one by one inside an outer 200', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, ...roles)
    tenant.throttleNext(1, { retryAfter: 7 })
    const replies = await client.batch([
      { id: '1', method: 'GET', url: '/users' },
      { id: '2', method: 'GET', url: '/users' },
    ])
    assert.deepEqual([replies.get('1')?.status, replies.get('2')?.status], [429, 200])
    assert.equal(at(replies.get('1')?.headers, 'Retry-After'), '7')
    assert.equal(at(replies.get('1')?.body, 'error', 'code'), 'TooManyRequests')
    tenant.throttleNext(1, { match: '/$batch' })
    const outer = await client.post('/$batch', { requests: [{ id: '1', method: 'GET', url: '/users' }] })
    assert.equal(outer.status, 429)
  })

  it('items have their own permissions, headers, paging and version-relative urls', async () => {
    await using tenant = await startEntraTenant({ pageSize: 1 })
    tenant.addUser()
    const client = await GraphClient.signIn(tenant, ...roles)
    const count = '/users?$count=true'
    const replies = await client.batch([
      { id: 'forbidden', method: 'GET', url: '/groups' },
      { id: 'absolute', method: 'GET', url: `${tenant.origin}/v1.0/users` },
      { id: 'versioned', method: 'GET', url: '/v1.0/users' },
      { id: 'nested', method: 'POST', url: '/$batch', headers: json, body: { requests: [] } },
      { id: 'advanced', method: 'GET', url: count, headers: { ConsistencyLevel: 'eventual' } },
      { id: 'plain', method: 'GET', url: count },
    ])
    const status = (id: string) => replies.get(id)?.status
    assert.deepEqual(
      [status('forbidden'), status('absolute'), status('versioned'), status('nested')],
      [403, 400, 400, 400],
    )
    assert.deepEqual([status('advanced'), status('plain')], [200, 400])
    assert.match(String(at(replies.get('advanced')?.body, '@odata.nextLink')), /\/v1\.0\/users\?/)
  })

  it('shows in the request log item by item', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, ...roles)
    await client.batch([{ id: '1', method: 'GET', url: '/users', headers: { 'x-ms-throttle-priority': 'High' } }])
    const item = tenant.requests.find((each) => each.batch !== undefined)
    const outer = tenant.requests.find((each) => each.path === '/$batch')
    assert.deepEqual([item?.path, item?.status, item?.batch], ['/users', 200, outer?.seq])
    assert.equal(item?.headers['x-ms-throttle-priority'], 'High')
    assert.equal(item?.appId, client.appId)
  })
})
