import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { unitsOf } from '../../sandbox/entra/throttle.ts'
import { clock, code, GraphClient, ids, rows } from './client.ts'

describe('throttling', () => {
  it('costs what the published table says', () => {
    const cost = (method: string, path: string) => {
      const url = new URL(path, 'http://localhost')
      return unitsOf({ method, segments: url.pathname.split('/').slice(1), search: url.searchParams })
    }
    assert.equal(cost('GET', '/servicePrincipals'), 1)
    assert.equal(cost('GET', '/users'), 2)
    assert.equal(cost('GET', '/users?$select=id'), 1)
    assert.equal(cost('GET', '/groups/x/members'), 3)
    assert.equal(cost('GET', '/groups/x/transitiveMembers'), 5)
    assert.equal(cost('GET', '/groups/x/transitiveMembers?$select=id&$top=10'), 3)
    assert.equal(cost('GET', '/users/x/memberOf'), 2)
    assert.equal(cost('POST', '/users/x/checkMemberGroups'), 4)
    assert.equal(cost('POST', '/servicePrincipals/x/checkMemberGroups'), 1)
    assert.equal(cost('GET', '/servicePrincipals?$select=id&$top=5'), 1)
  })

  it('refuses past the units of the app, warns before, and refills', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ now: time.now, throttle: { unitsPer10s: 10 } })
    const client = await GraphClient.signIn(tenant, 'Application.Read.All')
    const path = '/servicePrincipals?$select=id'
    for (let count = 0; count < 8; count++) {
      const reply = await client.get(path)
      assert.equal(reply.headers.get('x-ms-resource-unit'), '1')
      assert.equal(reply.headers.get('x-ms-throttle-limit-percentage'), null)
    }
    assert.equal((await client.get(path)).headers.get('x-ms-throttle-limit-percentage'), '0.90')
    assert.equal((await client.get(path)).status, 200)
    const refused = await client.get(path)
    assert.deepEqual(code(refused), [429, 'TooManyRequests'])
    const wait = Number(refused.headers.get('retry-after'))
    assert.ok(wait >= 1, `${wait}`)
    assert.equal(
      refused.headers.get('x-ms-throttle-scope'),
      `Tenant_Application/ReadWrite/${client.appId}/${tenant.tenantId}`,
    )
    assert.equal(refused.headers.get('x-ms-throttle-information'), 'ResourceUnitLimitExceeded')
    assert.ok(Number((await client.get(path)).headers.get('retry-after')) > wait, 'retrying early burns quota')
    const other = await GraphClient.signIn(tenant, 'Application.Read.All')
    assert.equal((await other.get(path)).status, 200)
    time.advance(10_000)
    assert.equal((await client.get(path)).status, 200)
  })

  it('counts writes apart', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ now: time.now, throttle: { writesPer150s: 2 } })
    const user = tenant.addUser()
    const client = await GraphClient.signIn(tenant, 'User.ReadWrite.All')
    const write = () => client.patch(`/users/${user}`, { accountEnabled: false })
    assert.deepEqual([(await write()).status, (await write()).status], [204, 204])
    const refused = await write()
    assert.equal(refused.status, 429)
    assert.equal(refused.headers.get('x-ms-throttle-information'), 'WriteLimitExceeded')
    assert.equal((await client.get(`/users/${user}`)).status, 200)
    time.advance(150_000)
    assert.equal((await write()).status, 204)
  })

  it('the audit log takes 5 requests in 10 seconds', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ now: time.now })
    const client = await GraphClient.signIn(tenant, 'AuditLog.Read.All')
    for (let count = 0; count < 5; count++) assert.equal((await client.get('/auditLogs/directoryAudits')).status, 200)
    const refused = await client.get('/auditLogs/directoryAudits')
    assert.equal(refused.status, 429)
    time.advance(Number(refused.headers.get('retry-after')) * 1000)
    assert.equal((await client.get('/auditLogs/directoryAudits')).status, 200)
  })

  it('can be ordered by a test, with any Retry-After or none, and be off', async () => {
    await using tenant = await startEntraTenant({ throttle: false })
    const client = await GraphClient.signIn(tenant, 'AuditLog.Read.All', 'User.Read.All', 'User.ReadWrite.All')
    for (let count = 0; count < 8; count++) rows(await client.get('/auditLogs/directoryAudits'))
    tenant.throttleNext(1, { retryAfter: '0.249' })
    tenant.throttleNext(1, { retryAfter: null })
    assert.equal((await client.get('/users')).headers.get('retry-after'), '0.249')
    const bare = await client.get('/users')
    assert.deepEqual([bare.status, bare.headers.get('retry-after')], [429, null])
    tenant.throttleNext(1, { match: /^PATCH / })
    assert.ok(ids(await client.get('/users')).includes(tenant.admin))
    assert.equal((await client.patch(`/users/${tenant.admin}`, { accountEnabled: true })).status, 429)
  })
})
