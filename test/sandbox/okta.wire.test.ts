import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { playable } from '../../sandbox/okta/playable.ts'
import { wireFaults } from '../../sandbox/schedule.ts'
import { at, list, send, text } from './client.ts'
import { newSigningKey, nextOf, OktaClient, refusal, requestToken, withAdmin } from './oktaclient.ts'

const forever = Number.POSITIVE_INFINITY
const quota = (headers: Headers) =>
  ['limit', 'remaining', 'reset'].map((name) => Number(headers.get(`x-rate-limit-${name}`)))

describe('an error', () => {
  it('has the document and the words of the API', async () => {
    await using it = await withAdmin()
    const cases: [string, string, unknown, number, string, string][] = [
      ['GET', '/api/v1/nothing', undefined, 404, 'E0000008', 'The requested path was not found'],
      ['GET', '/api/v1/users/%E0%A4%A', undefined, 404, 'E0000008', 'The requested path was not found'],
      ['PUT', '/api/v1/users', {}, 405, 'E0000022', 'The endpoint does not support the provided HTTP method'],
      ['GET', '/api/v1/users/nobody', undefined, 404, 'E0000007', 'Not found: Resource not found: nobody (User)'],
    ]
    for (const [method, path, body, status, code, summary] of cases) {
      const reply = await it.admin.call(method, path, body)
      assert.equal(reply.status, status)
      const { errorId, ...rest } = Object(reply.body)
      assert.match(errorId, /^oae/)
      assert.deepEqual(rest, { errorCode: code, errorSummary: summary, errorLink: code, errorCauses: [] })
      assert.ok(reply.headers.get('x-okta-request-id'))
    }
    const hooks = `${it.org.origin}/api/v1/eventHooks`
    const headers = { Authorization: it.admin.authorization, 'Content-Type': 'text/plain' }
    assert.deepEqual(refusal(await send(hooks, { method: 'POST', body: 'x', headers })), [400, 'E0000021'])
    const broken = { ...headers, 'Content-Type': 'application/json' }
    assert.deepEqual(refusal(await send(hooks, { method: 'POST', body: '{', headers: broken })), [400, 'E0000003'])
    assert.deepEqual(refusal(await it.admin.get('/api/v1/users', { Accept: 'text/html' })), [400, 'E0000021'])
  })
})

describe('rate limits', () => {
  it('show on every answer and give one caller half', async () => {
    let now = 1_800_000_000_500
    await using it = await withAdmin({ limits: { perMinute: { users: 10 } }, now: () => now })
    const other = OktaClient.admin(it.org)
    const first = await it.admin.get('/api/v1/users')
    assert.deepEqual(quota(first.headers), [5, 4, 1_800_000_061])
    for (let each = 0; each < 4; each++) assert.equal((await it.admin.get('/api/v1/users')).status, 200)
    const refused = await it.admin.get('/api/v1/users')
    assert.deepEqual(refusal(refused), [429, 'E0000047'])
    assert.equal(at(refused.body, 'errorSummary'), 'API call exceeded rate limit due to too many requests.')
    assert.deepEqual(quota(refused.headers), [5, 0, 1_800_000_061])
    assert.equal(refused.headers.get('retry-after'), null)
    // Buckets and callers of their own; the org's whole counts too.
    assert.equal((await it.admin.get('/api/v1/groups')).status, 200)
    for (let each = 0; each < 4; each++) assert.equal((await other.get('/api/v1/users')).status, 200)
    assert.deepEqual(refusal(await other.get('/api/v1/users')), [429, 'E0000047'])
    now += 60_001
    assert.deepEqual(quota((await it.admin.get('/api/v1/users')).headers).slice(0, 2), [5, 4])
    const violations = it.org.log.filter(({ eventType }) => eventType === 'system.org.rate_limit.violation')
    assert.equal(violations.length, 1)
  })

  it('count reads and writes of users apart, and keys not at all', async () => {
    await using it = await withAdmin({ limits: {} })
    const id = it.org.addUser()
    const limitOf = async (method: string, path: string) => quota((await it.admin.call(method, path)).headers)[0]
    assert.equal(await limitOf('GET', `/api/v1/users/${id}`), 1000)
    assert.equal(await limitOf('POST', `/api/v1/users/${id}/lifecycle/suspend`), 300)
    assert.equal(await limitOf('GET', '/api/v1/users'), 300)
    assert.equal(await limitOf('GET', '/api/v1/logs'), 60)
    assert.equal(await limitOf('GET', '/api/v1/apps'), 50)
    const keys = await send(`${it.org.origin}/oauth2/v1/keys`)
    assert.equal(keys.headers.get('x-rate-limit-limit'), null)
    const unknown = await send(`${it.org.origin}/api/v1/users`)
    assert.deepEqual([unknown.status, unknown.headers.get('x-rate-limit-limit')], [401, '300'])
  })

  it('on concurrency answer with zeros', async () => {
    await using it = await withAdmin({ limits: { concurrency: 4 } })
    const held = it.org.hold(/^GET \/api\/v1\/users\?/)
    const other = OktaClient.admin(it.org)
    const running = [1, 2].map((each) => it.admin.get(`/api/v1/users?limit=${each}`))
    await held.reached()
    await it.org.waitForRequest(({ path }) => path.endsWith('limit=2'))
    await it.org.waitForRequest(({ path }) => path.endsWith('limit=1'))
    // Half of it is for one caller.
    const refused = await it.admin.get('/api/v1/groups')
    assert.deepEqual(refusal(refused), [429, 'E0000047'])
    assert.deepEqual(quota(refused.headers).slice(0, 2), [0, 0])
    assert.equal((await other.get('/api/v1/groups')).status, 200)
    held.release()
    for (const reply of await Promise.all(running)) assert.equal(reply.status, 200)
    assert.equal((await it.admin.get('/api/v1/groups')).status, 200)
    assert.ok(it.org.log.some(({ eventType }) => eventType === 'core.concurrency.org.limit.violation'))
  })

  it('on concurrency are met sooner the longer each answer takes', async () => {
    await using it = await withAdmin({ limits: { concurrency: 6 } })
    it.org.setLatency(600_000)
    const given = Promise.allSettled([1, 2, 3].map((each) => it.admin.get(`/api/v1/groups?limit=${each}`)))
    for (const each of [1, 2, 3]) await it.org.waitForRequest(({ path }) => path.endsWith(`limit=${each}`), 60_000)
    // Refused at once, whatever the others take.
    assert.deepEqual(refusal(await it.admin.get('/api/v1/groups')), [429, 'E0000047'])
    await it.org.goAway()
    assert.ok((await given).every(({ status }) => status === 'rejected'))
  })

  it('can be ordered by a test', async () => {
    await using it = await withAdmin()
    it.org.throttleNext(1)
    it.org.throttleNext(1, { match: '/api/v1/groups', concurrent: true })
    assert.equal((await it.admin.get('/api/v1/users')).status, 429)
    assert.deepEqual(quota((await it.admin.get('/api/v1/groups')).headers).slice(0, 2), [0, 0])
    assert.equal((await it.admin.get('/api/v1/groups')).status, 200)
  })
})

describe('faults', () => {
  it('mislead with pages that are empty, repeated or looping', async () => {
    await using it = await withAdmin({ pageSize: 1 })
    it.org.addUser()
    const path = '/api/v1/users?limit=1'
    it.org.fail('/api/v1/users', { altered: 'empty' })
    const empty = await it.admin.get(path)
    assert.deepEqual([empty.body, nextOf(empty)], [[], undefined])
    it.org.fail('/api/v1/users', { altered: 'looping' })
    assert.equal(nextOf(await it.admin.get(path)), `${it.org.origin}${path}`)
    const second = text(nextOf(await it.admin.get(path)))
    it.org.fail('/api/v1/users', { altered: 'repeated' })
    const once = await it.admin.get(second)
    const again = text(nextOf(once))
    assert.notEqual(again, second)
    assert.deepEqual((await it.admin.get(again)).body, once.body)
    const poll = text(nextOf(await it.admin.get('/api/v1/logs')))
    it.org.act(it.org.addUser(), 'suspend')
    it.org.fail('/api/v1/logs', { altered: 'empty' })
    const log = await it.admin.get(poll)
    assert.deepEqual(log.body, [])
    assert.equal(list((await it.admin.get(text(nextOf(log)))).body).length, 1, 'a poll goes on from where it was')
    const agents = '/workload-principals/api/v1/ai-agents'
    it.org.addAgent()
    it.org.fail(agents, { altered: 'looping' })
    assert.equal(at((await it.admin.get(agents)).body, '_links', 'next', 'href'), `${it.org.origin}${agents}`)
    it.org.fail(agents, { altered: 'empty' })
    assert.deepEqual(at((await it.admin.get(agents)).body, 'data'), [])
  })

  it('show what was, lose answers and carry out late', async () => {
    let now = Date.now()
    await using it = await withAdmin({ now: () => now })
    const id = it.org.addUser()
    now += 10_000
    it.org.act(id, 'suspend')
    const status = async () => at((await it.admin.get(`/api/v1/users/${id}`)).body, 'status')
    it.org.fail('/api/v1/users', { altered: 'stale', byMs: 5000 })
    assert.deepEqual([await status(), await status()], ['ACTIVE', 'SUSPENDED'])
    const path = `/api/v1/users/${id}/lifecycle/unsuspend`
    it.org.fail(path, { status: 504, applied: true })
    assert.equal((await it.admin.post(path)).status, 504)
    assert.equal(await status(), 'ACTIVE')
    it.org.fail('/api/v1/users', { status: 503 })
    assert.deepEqual(refusal(await it.admin.get('/api/v1/users')), [503, 'E0000010'])
    it.org.fail('/api/v1/users', { status: 429 })
    const throttled = await it.admin.get('/api/v1/users')
    assert.deepEqual(refusal(throttled), [429, 'E0000047'])
    assert.equal(quota(throttled.headers)[1], 0)
    it.org.fail('/oauth2/v1/token', { status: 500 })
    assert.equal((await send(`${it.org.origin}/oauth2/v1/token`, { method: 'POST' })).status, 500)
    it.org.fail('/api/v1/users', { mode: 'reset' })
    await assert.rejects(it.admin.get('/api/v1/users'))
    await it.org.goAway()
    await assert.rejects(it.admin.get('/api/v1/users'))
    await it.org.comeBack()
    assert.equal(await status(), 'ACTIVE')
  })

  it('of a schedule can each be played here', async () => {
    await using it = await withAdmin()
    const played = playable(it.org)
    const id = it.org.addUser()
    for (const [name, { answer, match }] of Object.entries(wireFaults(1000))) {
      const lift = played.fail(played.places[match], { ...answer, times: forever })
      lift()
      assert.equal((await it.admin.get(`/api/v1/users/${id}`)).status, 200, name)
    }
    const key = await newSigningKey()
    const app = it.org.addApp({ keys: [key.publicJwk], scopes: ['okta.users.read'] })
    // A connection kept from before may have gone with the listener.
    const again = <T>(ask: () => Promise<T>) => ask().catch(ask)
    const statusOf = async (path: string) => (await again(() => send(`${it.org.origin}${path}`))).status
    const date = async () =>
      Date.parse(text((await again(() => send(`${it.org.origin}/api/v1/users`))).headers.get('date')))
    const isOn: Record<string, () => Promise<boolean>> = {
      refused: async () => (await send(it.org.origin).catch(() => undefined)) === undefined,
      'token-endpoint-down': async () => (await requestToken(it.org, app, key, 'okta.users.read')).status === 503,
      'keys-down': async () => (await statusOf('/oauth2/default/v1/keys')) === 503,
      'clock-ahead': async () => (await date()) > Date.now() + 500_000,
      'clock-behind': async () => (await date()) < Date.now() - 500_000,
    }
    for (const what of played.disturbances) {
      const end = await played.disturb(what)
      assert.equal((await isOn[what]?.()) ?? true, true, what)
      await end()
      assert.equal((await isOn[what]?.()) ?? false, false, what)
    }
    const hit = (method: string, path: string, place: keyof typeof played.places) => {
      const pattern = played.places[place]
      assert.ok(pattern instanceof RegExp)
      return pattern.test(`${method} ${path}`)
    }
    assert.ok(hit('POST', `/api/v1/users/${id}/lifecycle/suspend`, 'writes'))
    assert.ok(hit('POST', '/api/v1/apps/0oa/lifecycle/deactivate', 'writes'))
    assert.ok(!hit('POST', '/oauth2/v1/token', 'writes'))
    for (const path of ['/api/v1/users?limit=1', '/api/v1/groups/00g/users', '/api/v1/logs?after=x']) {
      assert.ok(hit('GET', path, 'lists'), path)
    }
    assert.ok(!hit('GET', `/api/v1/users/${id}`, 'lists'))
  })
})
