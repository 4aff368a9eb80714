import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, code, GraphClient, requestToken, rows } from './client.ts'

const roles = ['User.ReadWrite.All', 'GroupMember.Read.All']

async function start(): Promise<{ tenant: EntraTenant; client: GraphClient; user: string }> {
  const tenant = await startEntraTenant()
  return { tenant, client: await GraphClient.signIn(tenant, ...roles), user: tenant.addUser() }
}

describe('faults', () => {
  it('answer with a status, so many times, until lifted', async () => {
    const { tenant, client } = await start()
    await using _ = tenant
    tenant.fail('/users', { status: 503, times: 2, headers: { 'Retry-After': '3' } })
    const first = await client.get('/users')
    assert.deepEqual([first.status, first.headers.get('retry-after')], [503, '3'])
    assert.equal((await client.get('/groups')).status, 200)
    assert.equal((await client.get('/users')).status, 503)
    assert.equal((await client.get('/users')).status, 200)
    const lift = tenant.fail(/^GET \/users/, { status: 500, times: 99 })
    assert.equal((await client.get('/users')).status, 500)
    lift()
    assert.equal((await client.get('/users')).status, 200)
    tenant.fail((request) => request.header('x-test') === '1', {
      status: 400,
      code: 'Custom',
      body: 'not json',
      headers: { 'Content-Type': 'text/html' },
    })
    const custom = await client.get('/users', { 'x-test': '1' })
    assert.deepEqual([custom.status, custom.body], [400, 'not json'])
    tenant.fail(/oauth2/, { status: 500 })
    assert.equal(at((await requestToken(tenant, {})).body, 'error'), 'temporarily_unavailable')
  })

  it('a lost answer leaves the write done; a cut connection does not', async () => {
    const { tenant, client, user } = await start()
    await using _ = tenant
    const off = () => client.patch(`/users/${user}`, { accountEnabled: false })
    tenant.fail('/users', { mode: 'reset' })
    await assert.rejects(off())
    assert.equal(tenant.get(user)?.enabled, true)
    tenant.fail('/users', { status: 504 })
    assert.equal((await off()).status, 504)
    assert.equal(tenant.get(user)?.enabled, true)
    tenant.fail('/users', { mode: 'reset-after-body' })
    await assert.rejects(off())
    assert.equal(tenant.get(user)?.enabled, false)
    tenant.setEnabled(user, true)
    tenant.fail('/users', { status: 504, applied: true })
    assert.equal((await off()).status, 504)
    assert.equal(tenant.get(user)?.enabled, false)
  })

  it('hang, drip and truncate', async () => {
    const { tenant, client, user } = await start()
    await using _ = tenant
    const ask = (signal: AbortSignal) =>
      fetch(`${tenant.origin}/v1.0/users/${user}`, { headers: { Authorization: `Bearer ${client.token}` }, signal })
    const abort = new AbortController()
    tenant.fail('/users', { mode: 'hang' })
    const hanging = ask(abort.signal)
    const seen = await tenant.waitForRequest((each) => each.path.startsWith('/users/'))
    assert.equal(seen.status, undefined)
    abort.abort()
    await assert.rejects(hanging, { name: 'AbortError' })
    tenant.fail('/users', { mode: 'truncate' })
    await assert.rejects(async () => (await ask(AbortSignal.timeout(60_000))).text())
    tenant.fail('/users', { mode: 'drip', everyMs: 1 })
    const dripped = await ask(AbortSignal.timeout(60_000))
    assert.equal(at(await dripped.json(), 'id'), user)
  })

  it('hold a request back until released', async () => {
    const { tenant, client, user } = await start()
    await using _ = tenant
    const held = tenant.hold(/^PATCH \/users/)
    const writing = client.patch(`/users/${user}`, { accountEnabled: false })
    await held.reached()
    assert.equal(tenant.get(user)?.enabled, true)
    held.release()
    assert.equal((await writing).status, 204)
    assert.equal(tenant.get(user)?.enabled, false)
  })

  it('reach into batches, and fail one group', async () => {
    const { tenant, client } = await start()
    await using _ = tenant
    const [broken, whole] = [tenant.addGroup(), tenant.addGroup()]
    const lift = tenant.setGroupReadFault(broken, 403)
    const replies = await client.batch([
      { id: '1', method: 'GET', url: `/groups/${broken}/members` },
      { id: '2', method: 'GET', url: `/groups/${whole}/transitiveMembers` },
    ])
    assert.deepEqual([replies.get('1')?.status, replies.get('2')?.status], [403, 200])
    assert.deepEqual(code(await client.get(`/groups/${broken}/transitiveMembers`)), [
      403,
      'Authorization_RequestDenied',
    ])
    lift()
    assert.deepEqual(rows(await client.get(`/groups/${broken}/members`)), [])
  })
})

describe('the request log', () => {
  it('keeps who asked what and what was answered, without tokens or secrets', async () => {
    const { tenant, client, user } = await start()
    await using _ = tenant
    await client.get(`/users/${user}?$select=id`, { 'x-ms-throttle-priority': 'Low', 'client-request-id': 'abc' })
    await client.patch(`/users/${user}`, { accountEnabled: false })
    const [signIn, read, write] = tenant.requests
    assert.deepEqual([signIn?.surface, signIn?.body], ['login', undefined])
    assert.deepEqual([read?.method, read?.path, read?.status], ['GET', `/users/${user}?$select=id`, 200])
    assert.deepEqual(read?.headers['x-ms-throttle-priority'], 'Low')
    assert.equal(read?.headers['client-request-id'], 'abc')
    assert.equal(read?.appId, client.appId)
    assert.deepEqual([write?.status, write?.body], [204, { accountEnabled: false }])
    const kept = JSON.stringify(tenant.requests)
    assert.ok(!kept.includes(client.token) && !kept.includes(client.secret))
    tenant.clearRequests()
    assert.equal(tenant.requests.length, 0)
  })

  it('waits for what is to come, is bounded, and gives up', async () => {
    await using tenant = await startEntraTenant({ requestLogSize: 10 })
    const client = await GraphClient.signIn(tenant, 'User.Read.All')
    const waiting = tenant.waitForRequest((each) => each.path === '/users' && each.status === 200)
    await client.get('/users')
    assert.equal((await waiting).method, 'GET')
    for (let count = 0; count < 20; count++) await client.get('/users')
    assert.ok(tenant.requests.length <= 10)
    await assert.rejects(
      tenant.waitForRequest((each) => each.path === '/nowhere', 1),
      /no such request/,
    )
  })
})
