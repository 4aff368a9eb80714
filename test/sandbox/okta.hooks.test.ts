import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { at, list, send, text } from './client.ts'
import { refusal, withAdmin } from './oktaclient.ts'

interface Got {
  readonly method: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

/** An endpoint that passes the challenge and then answers as told. */
async function endpoint(answer: (response: ServerResponse, got: Got) => void = (response) => response.end()) {
  const received: Got[] = []
  const server = createServer(async (request, response) => {
    let raw = ''
    for await (const chunk of request) raw += String(chunk)
    const body: unknown = raw === '' ? undefined : JSON.parse(raw)
    const got = { method: request.method ?? '', headers: request.headers, body }
    received.push(got)
    if (got.method !== 'GET') return answer(response, got)
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ verification: request.headers['x-okta-verification-challenge'] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    url: `http://127.0.0.1:${address.port}/hooks/okta`,
    posts: () => received.filter(({ method }) => method === 'POST'),
    received,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

const status = (code: number) => (response: ServerResponse) => {
  response.statusCode = code
  response.end()
}
const events = ['user.lifecycle.suspend', 'user.lifecycle.unsuspend']
const registration = (uri: string, more: object = {}) => ({
  name: 'bridge',
  events: { type: 'EVENT_TYPE', items: events },
  channel: {
    type: 'HTTP',
    version: '1.0.0',
    config: { uri, headers: [], authScheme: { type: 'HEADER', key: 'Authorization', value: 'Bearer s3cret' } },
  },
  ...more,
})
const hooks = '/api/v1/eventHooks'

describe('registering an event hook', () => {
  it('is verified by a challenge, shows no secret and sends nothing before', async () => {
    await using it = await withAdmin()
    await using receiver = await endpoint()
    const made = await it.admin.post(hooks, registration(receiver.url))
    assert.equal(made.status, 200, JSON.stringify(made.body))
    assert.deepEqual([at(made.body, 'status'), at(made.body, 'verificationStatus')], ['ACTIVE', 'UNVERIFIED'])
    assert.doesNotMatch(JSON.stringify(made.body), /s3cret/)
    const id = text(at(made.body, 'id'))
    it.org.act(it.org.addUser(), 'suspend')
    const verified = await it.admin.post(`${hooks}/${id}/lifecycle/verify`)
    assert.equal(at(verified.body, 'verificationStatus'), 'VERIFIED')
    const user = it.org.addUser()
    it.org.act(user, 'suspend')
    await it.org.waitForDelivery(({ outcome }) => outcome === 'delivered')
    assert.equal(receiver.posts().length, 1)
    assert.match(JSON.stringify(receiver.posts()), new RegExp(user))
    // A changed channel has to be verified again; events stop meanwhile.
    const moved = await it.admin.call('PUT', `${hooks}/${id}`, registration(`${receiver.url}?x=1`))
    assert.equal(at(moved.body, 'verificationStatus'), 'UNVERIFIED')
    assert.deepEqual(refusal(await it.admin.call('DELETE', `${hooks}/${id}`)).slice(0, 2), [400, 'E0000001'])
    assert.equal(at((await it.admin.post(`${hooks}/${id}/lifecycle/deactivate`)).body, 'status'), 'INACTIVE')
    assert.equal((await it.admin.call('DELETE', `${hooks}/${id}`)).status, 204)
    assert.deepEqual(refusal(await it.admin.get(`${hooks}/${id}`)), [404, 'E0000007'])
  })

  it('fails where the challenge does, after one more try', async () => {
    await using it = await withAdmin()
    let seen = 0
    const server = createServer((_request, response) => {
      seen += 1
      response.end('{"verification":"another"}')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(address !== null && typeof address === 'object')
    const url = `http://127.0.0.1:${address.port}/`
    await assert.rejects(it.org.registerHook({ url, events }), /verification value/)
    const made = await it.admin.post(hooks, registration(url))
    const verify = `${hooks}/${text(at(made.body, 'id'))}/lifecycle/verify`
    assert.deepEqual(refusal(await it.admin.post(verify)).slice(0, 2), [400, 'E0000001'])
    assert.equal(seen, 2)
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    assert.deepEqual(refusal(await it.admin.post(verify)).slice(0, 2), [400, 'E0000001'])
  })

  it('refuses what is no hook', async () => {
    await using it = await withAdmin()
    const bad = [
      registration('https://bridge.example.com/hooks'),
      registration('http://127.0.0.1/', { name: '' }),
      registration('http://127.0.0.1/', { events: { type: 'EVENT_TYPE', items: [] } }),
      registration('http://127.0.0.1/', { events: { type: 'EVENT_TYPE', items: ['app.oauth2.as.key.rollover'] } }),
      registration('http://127.0.0.1/', { channel: { type: 'HTTP', version: '2.0.0', config: {} } }),
    ]
    for (const body of bad) assert.deepEqual(refusal(await it.admin.post(hooks, body)).slice(0, 2), [400, 'E0000001'])
    for (let each = 0; each < 25; each++) {
      assert.equal((await it.admin.post(hooks, registration('http://127.0.0.1/'))).status, 200)
    }
    assert.deepEqual(refusal(await it.admin.post(hooks, registration('http://127.0.0.1/'))).slice(0, 2), [
      400,
      'E0000001',
    ])
  })
})

describe('deliveries of an event hook', () => {
  it('carry the secret and several events, which the log has too', async () => {
    await using it = await withAdmin({ hookBatchMs: 30 })
    await using receiver = await endpoint(status(204))
    const id = await it.org.registerHook({
      url: receiver.url,
      events,
      secret: 'k',
      header: 'X-Bridge-Key',
      headers: { 'X-Bridge-Tenant': 'contoso' },
    })
    const users = Array.from({ length: 8 }, () => it.org.addUser())
    for (const user of users) it.org.act(user, 'suspend')
    it.org.lockOut(it.org.addUser())
    await it.org.waitForDelivery(({ outcome }) => outcome === 'delivered')
    const [post, ...more] = receiver.posts()
    assert.equal(more.length, 0)
    assert.equal(post?.headers['x-bridge-key'], 'k')
    assert.equal(post?.headers['x-bridge-tenant'], 'contoso')
    const { data, eventId, eventTime, ...rest } = Object(post?.body)
    assert.deepEqual(rest, {
      eventType: 'com.okta.event_hook',
      eventTypeVersion: '1.0',
      cloudEventsVersion: '0.1',
      source: `${it.org.origin}/api/v1/eventHooks/${id}`,
      contentType: 'application/json',
    })
    assert.ok(eventId && eventTime)
    const sent = list(data.events)
    assert.equal(sent.length, users.length)
    const order = sent.map((event) => at(list(at(event, 'target'))[0], 'id'))
    assert.notDeepEqual(order, users)
    assert.deepEqual([...order].sort(), [...users].sort())
    const uuids = it.org.log.filter(({ eventType }) => events.includes(eventType)).map(({ uuid }) => uuid)
    assert.deepEqual(sent.map((event) => text(at(event, 'uuid'))).sort(), uuids.sort())
  })

  it('are tried once more after a failure of the server, never after 4xx or a redirect', async () => {
    for (const [code, wanted] of [
      [500, ['retrying', 'dropped']],
      [400, ['dropped']],
      [404, ['dropped']],
      [302, ['dropped']],
    ] as const) {
      await using it = await withAdmin()
      await using receiver = await endpoint(status(code))
      await it.org.registerHook({ url: receiver.url, events })
      it.org.act(it.org.addUser(), 'suspend')
      await it.org.waitForDelivery(({ outcome }) => outcome === 'dropped')
      assert.deepEqual(
        it.org.deliveries.map(({ outcome }) => outcome),
        wanted,
        String(code),
      )
      assert.equal(new Set(it.org.deliveries.map(({ eventId }) => eventId)).size, 1)
      assert.equal(it.org.log.at(-1)?.eventType, 'event_hook.delivery')
      assert.equal(at(it.org.log.at(-1), 'outcome', 'result'), 'FAILURE')
    }
  })

  it('wait no longer than the limit', async () => {
    await using it = await withAdmin({ hookTimeoutMs: 100 })
    await using receiver = await endpoint(() => undefined)
    await it.org.registerHook({ url: receiver.url, events })
    it.org.act(it.org.addUser(), 'suspend')
    await it.org.waitForDelivery(({ outcome }) => outcome === 'dropped', 30_000)
    assert.deepEqual(
      it.org.deliveries.map(({ outcome, status: code }) => [outcome, code]),
      [
        ['retrying', undefined],
        ['dropped', undefined],
      ],
    )
  })

  it('may come twice, in another order, or not at all', async () => {
    await using it = await withAdmin()
    await using receiver = await endpoint()
    await it.org.registerHook({ url: receiver.url, events })
    const suspend = () => it.org.act(it.org.addUser(), 'suspend')
    const count = () => it.org.deliveries.flatMap(({ uuids }) => uuids).length
    const lift = it.org.disturbEvents('duplicated')
    suspend()
    await it.org.waitForDelivery(() => count() === 2)
    lift()
    const drop = it.org.disturbEvents('dropped')
    suspend()
    drop()
    const keep = it.org.disturbEvents('reordered')
    suspend()
    keep()
    await it.org.waitForDelivery(() => count() === 3)
    const last = await it.org.waitForDelivery(({ outcome }) => outcome === 'delivered')
    it.org.redeliver(last.eventId)
    await it.org.waitForDelivery(() => it.org.deliveries.filter(({ eventId }) => eventId === last.eventId).length === 2)
  })

  it('stop for the day at its limit, silently', async () => {
    await using it = await withAdmin({ hookDailyEvents: 2 })
    await using receiver = await endpoint()
    await it.org.registerHook({ url: receiver.url, events })
    for (let each = 0; each < 4; each++) it.org.act(it.org.addUser(), 'suspend')
    await it.org.waitForDelivery(({ outcome }) => outcome === 'delivered')
    assert.equal(it.org.deliveries.flatMap(({ uuids }) => uuids).length, 2)
  })

  it('begin a while after the hook was made, and end with it', async () => {
    let now = Date.now()
    await using it = await withAdmin({ hookDelayMs: 60_000, now: () => now })
    await using receiver = await endpoint()
    const made = await it.admin.post(hooks, registration(receiver.url))
    await it.admin.post(`${hooks}/${text(at(made.body, 'id'))}/lifecycle/verify`)
    it.org.act(it.org.addUser(), 'suspend')
    now += 60_001
    const user = it.org.addUser()
    it.org.act(user, 'suspend')
    const delivery = await it.org.waitForDelivery(({ outcome }) => outcome === 'delivered')
    assert.equal(delivery.uuids.length, 1)
    it.org.unregisterHook(delivery.hookId)
    it.org.act(user, 'unsuspend')
    assert.equal(it.org.deliveries.length, 1)
  })
})

describe('Universal Logout', () => {
  it('is signed for its endpoint by a key of the org', async () => {
    await using it = await withAdmin()
    await using receiver = await endpoint(status(204))
    const user = it.org.addUser({ login: 'joe@contoso.example' })
    const order = { url: `${receiver.url}?x=1`, clientId: '0oaclient', userId: user }
    assert.equal(await it.org.sendLogout({ ...order, format: 'iss_sub' }), 204)
    assert.equal(await it.org.sendLogout({ ...order, format: 'email' }), 204)
    const [first, second] = receiver.posts()
    assert.deepEqual(first?.body, { sub_id: { format: 'iss_sub', iss: it.org.origin, sub: user } })
    assert.deepEqual(second?.body, { sub_id: { format: 'email', email: 'joe@contoso.example' } })
    const token = text(first?.headers.authorization).replace('Bearer ', '')
    const keys = createLocalJWKSet(Object((await send(`${it.org.origin}/oauth2/v1/keys`)).body))
    const { payload } = await jwtVerify(token, keys, {
      issuer: it.org.origin,
      audience: receiver.url,
      subject: '0oaclient',
      typ: 'global-token-revocation+jwt',
    })
    assert.equal(Number(payload.exp) - Number(payload.nbf), 600)
  })

  it('goes to every app that asked for it when the API is told to', async () => {
    await using it = await withAdmin()
    await using receiver = await endpoint(status(204))
    it.org.addLogoutTarget({ url: receiver.url, clientId: '0oaclient', format: 'iss_sub' })
    const user = it.org.addUser()
    it.org.signIn(user)
    const path = '/oauth2/v1/global-token-revocation'
    const reply = await it.admin.post(path, { sub_id: { format: 'opaque', id: user } })
    assert.equal(reply.status, 204, JSON.stringify(reply.body))
    assert.equal(it.org.sessionsOf(user), 0)
    while (receiver.posts().length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(refusal(await it.admin.post(path, { sub_id: { format: 'opaque', id: 'x' } })), [404, 'E0000007'])
    assert.deepEqual(refusal(await it.admin.post(path, {})), [400, 'E0000003'])
  })
})
