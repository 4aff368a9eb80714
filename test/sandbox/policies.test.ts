import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, clock, code, GraphClient, list, send } from './client.ts'

const base = '/identity/conditionalAccess/policies'

describe('Conditional Access policies', () => {
  it('are listed and read by id, with $select', async () => {
    await using tenant = await startEntraTenant({ throttle: false })
    const client = await GraphClient.signIn(tenant, 'Policy.Read.All')
    const id = tenant.addPolicy({ displayName: 'Block agents', state: 'enabledForReportingButNotEnforced' })
    const { status, body } = await client.get(`${base}/${id}`)
    assert.equal(status, 200)
    assert.deepEqual(
      ['id', 'displayName', 'state', 'modifiedDateTime'].map((name) => at(body, name)),
      [id, 'Block agents', 'enabledForReportingButNotEnforced', null],
    )
    const part = await client.get(`${base}/${id}?$select=id,state`)
    assert.deepEqual(Object.keys(Object(part.body)).sort(), ['@odata.context', 'id', 'state'])
    const all = await client.get(base)
    assert.deepEqual(
      list(at(all.body, 'value')).map((one) => at(one, 'id')),
      [id],
    )
    tenant.setPolicyState(id, 'enabled')
    assert.equal(at((await client.get(`${base}/${id}`)).body, 'state'), 'enabled')
  })

  it('refuse without the permission, what does not exist, what is no id and what is no property', async () => {
    await using tenant = await startEntraTenant({ throttle: false })
    const id = tenant.addPolicy({ displayName: 'x' })
    for (const role of ['Directory.Read.All', 'Application.Read.All']) {
      const lacking = await GraphClient.signIn(tenant, role)
      assert.deepEqual(code(await lacking.get(`${base}/${id}`)), [403, 'AccessDenied'])
    }
    const client = await GraphClient.signIn(tenant, 'Policy.Read.All')
    assert.deepEqual(code(await client.get(`${base}/${crypto.randomUUID()}`)), [404, 'NotFound'])
    assert.deepEqual(code(await client.get(`${base}/nonsense`)), [400, 'BadRequest'])
    assert.equal((await client.get(`${base}/${id}?$select=name`)).status, 400)
    assert.equal((await client.get(`${base}/${id}?$filter=x`)).status, 400)
    assert.equal((await client.get('/identity/conditionalAccess/namedLocations')).status, 400)
    assert.equal((await client.patch(`${base}/${id}`, { state: 'disabled' })).status, 405)
  })

  it('take one request a second from all apps together, and say no Retry-After', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ now: time.now })
    const id = tenant.addPolicy({ displayName: 'x' })
    const client = await GraphClient.signIn(tenant, 'Policy.Read.All')
    const other = await GraphClient.signIn(tenant, 'Policy.Read.All', 'User.Read.All')
    assert.equal((await client.get(`${base}/${id}`)).status, 200)
    const refused = await other.get(`${base}/${id}`)
    assert.deepEqual(code(refused), [429, 'TooManyRequests'])
    assert.equal(refused.headers.get('retry-after'), null)
    assert.equal(refused.headers.get('x-ms-throttle-scope'), `Tenant/Read/${other.appId}/${tenant.tenantId}`)
    assert.equal((await other.get('/users?$select=id')).status, 200)
    time.advance(1000)
    assert.equal((await other.get(`${base}/${id}`)).status, 429, 'a refused request counts too')
    time.advance(2000)
    assert.equal((await other.get(`${base}/${id}`)).status, 200)
  })

  it('can be made, switched and removed over the control API', async () => {
    await using tenant = await startEntraTenant()
    const post = (path: string, body: unknown) =>
      send(`${tenant.origin}/_sandbox/${path}`, { method: 'POST', body: JSON.stringify(body) })
    const id = at((await post('policies', { displayName: 'x' })).body, 'id')
    assert.equal((await post('policyState', { id, state: 'disabled' })).status, 204)
    assert.equal((await post('policyState', { id, state: 'maybe' })).status, 422)
    assert.equal((await post('removePolicy', { id })).status, 204)
    assert.equal((await post('removePolicy', { id })).status, 422)
  })
})
