import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { at, list, type Reply, text } from './client.ts'
import { nextOf, OktaClient, refusal, withAdmin } from './oktaclient.ts'

const day = 24 * 3_600_000
const minute = 60_000
const iso = (ms: number) => new Date(ms).toISOString()
const logs = (query: Record<string, string>) => `/api/v1/logs?${new URLSearchParams(query)}`
const lifecycle = { filter: 'eventType eq "user.lifecycle.suspend" or eventType eq "user.lifecycle.unsuspend"' }
const subjects = (reply: Reply): string[] => {
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  return list(reply.body).flatMap((event) => list(at(event, 'target')).map((target) => text(at(target, 'id'))))
}

async function world(options: Parameters<typeof withAdmin>[0] = {}) {
  let now = Date.now()
  const it = await withAdmin({ now: () => now, ...options })
  const users = Array.from({ length: 5 }, () => it.org.addUser())
  return {
    ...it,
    users: users as [string, string, string, string, string],
    now: () => now,
    advance: (ms: number) => {
      now += ms
    },
    [Symbol.asyncDispose]: () => it.org.close(),
  }
}

describe('polling the log', () => {
  it('goes on for ever, with a next link for an empty page too', async () => {
    await using it = await world()
    const [a, b, c] = it.users
    it.org.act(a, 'suspend')
    it.advance(10)
    it.org.act(b, 'suspend')
    const first = await it.admin.get(logs({ since: iso(it.now() - minute), limit: '1', ...lifecycle }))
    assert.deepEqual(subjects(first), [a])
    assert.match(nextOf(first) ?? '', /filter=/)
    assert.doesNotMatch(nextOf(first) ?? '', /since=/)
    const second = await it.admin.get(text(nextOf(first)))
    assert.deepEqual(subjects(second), [b])
    const third = await it.admin.get(text(nextOf(second)))
    assert.deepEqual(subjects(third), [])
    const fourth = await it.admin.get(text(nextOf(third)))
    assert.deepEqual(subjects(fourth), [])
    it.org.act(c, 'suspend')
    assert.deepEqual(subjects(await it.admin.get(text(nextOf(fourth)))), [c])
    // An old link gives the same again.
    assert.deepEqual(subjects(await it.admin.get(text(nextOf(first)))), [b, c].slice(0, 1))
  })

  it('follows persistence: what is late comes after what is younger, and nothing is missing', async () => {
    await using it = await world()
    const [a, b] = it.users
    const punctual = it.org.delayLog(5 * minute)
    it.org.act(a, 'suspend')
    punctual()
    it.advance(1000)
    it.org.act(b, 'suspend')
    const first = await it.admin.get(logs({ since: iso(it.now() - minute), ...lifecycle }))
    assert.deepEqual(subjects(first), [b])
    it.advance(5 * minute)
    const second = await it.admin.get(text(nextOf(first)))
    assert.deepEqual(subjects(second), [a])
    // A poll that began after the event was published, and before it was persisted, has it too.
    assert.deepEqual(subjects(await it.admin.get(logs({ since: iso(it.now() - minute), ...lifecycle }))), [a])
  })

  it('refuses cursors that it gave out before', async () => {
    await using it = await world()
    const first = await it.admin.get(logs({}))
    it.org.expireLogCursors()
    assert.deepEqual(refusal(await it.admin.get(text(nextOf(first)))).slice(0, 2), [400, 'E0000001'])
    assert.deepEqual(refusal(await it.admin.get(logs({ after: 'made-up' }))).slice(0, 2), [400, 'E0000001'])
  })
})

describe('a bounded query', () => {
  it('is ordered by published, ends, and misses what is late', async () => {
    await using it = await world()
    const [a, b, c] = it.users
    const begin = it.now()
    const punctual = it.org.delayLog(minute)
    it.org.act(a, 'suspend')
    punctual()
    it.advance(1000)
    it.org.act(b, 'suspend')
    it.advance(1000)
    it.org.act(c, 'suspend')
    const query = { since: iso(begin), until: iso(it.now()), ...lifecycle }
    assert.deepEqual(subjects(await it.admin.get(logs(query))), [b, c])
    it.advance(minute)
    const { pages, rows } = await it.admin.all(logs({ ...query, limit: '2' }))
    assert.deepEqual([rows.length, pages.length], [3, 2])
    assert.deepEqual(pages.flatMap(subjects), [a, b, c])
    assert.match(nextOf(pages[0] as Reply) ?? '', /until=/)
    assert.deepEqual(subjects(await it.admin.get(logs({ ...query, sortOrder: 'DESCENDING' }))), [c, b, a])
    assert.deepEqual(subjects(await it.admin.get(logs({ ...query, until: iso(begin + 1000) }))), [a, b])
  })

  it('looks back seven days unless told, and never past ninety', async () => {
    await using it = await world()
    const [a, b] = it.users
    it.org.act(a, 'suspend')
    it.advance(8 * day)
    it.org.act(b, 'suspend')
    const until = () => iso(it.now())
    assert.deepEqual(subjects(await it.admin.get(logs({ until: until(), ...lifecycle }))), [b])
    const since = iso(it.now() - 80 * day)
    assert.deepEqual(subjects(await it.admin.get(logs({ since, until: until(), ...lifecycle }))), [a, b])
    it.advance(83 * day)
    assert.deepEqual(subjects(await it.admin.get(logs({ since, until: until(), ...lifecycle }))), [b])
  })

  it('refuses what it does not understand', async () => {
    await using it = await world()
    const next = new URL(text(nextOf(await it.admin.get(logs({}))))).searchParams.get('after') ?? ''
    const cases: [Record<string, string>, string][] = [
      [{ limit: '1001' }, 'E0000001'],
      [{ limit: '-1' }, 'E0000001'],
      [{ limit: 'x' }, 'E0000001'],
      [{ since: iso(it.now()), after: next }, 'E0000001'],
      [{ sortOrder: 'UP' }, 'E0000001'],
      [{ since: 'yesterday' }, 'E0000030'],
      [{ until: '2026-11-21' }, 'E0000030'],
      [{ filter: 'published gt "2026-01-01T00:00:00Z"' }, 'E0000031'],
      [{ filter: 'eventType' }, 'E0000031'],
      [{ q: 'a '.repeat(11) }, 'E0000001'],
      [{ q: 'a'.repeat(41) }, 'E0000001'],
    ]
    for (const [query, wanted] of cases) {
      const reply = await it.admin.get(logs(query))
      assert.deepEqual(refusal(reply).slice(0, 2), [400, wanted], JSON.stringify(query))
    }
    assert.deepEqual(subjects(await it.admin.get(logs({ limit: '0' }))), [])
    assert.equal((await it.admin.get(logs({ limit: '1000' }))).status, 200)
  })
})

describe('an event', () => {
  it('names the service app, its call and its target', async () => {
    await using it = await world()
    const id = it.users[0]
    const scopes = ['okta.users.manage', 'okta.users.read']
    const client = await OktaClient.signIn(it.org, scopes, { label: 'the bridge' })
    const reply = await client.call('POST', `/api/v1/users/${id}/lifecycle/suspend`, undefined, {
      'User-Agent': 'ua/1',
    })
    const event = it.org.log.findLast(({ eventType }) => eventType === 'user.lifecycle.suspend')
    const requestId = reply.headers.get('x-okta-request-id')
    assert.deepEqual(at(event, 'actor'), {
      id: client.clientId,
      type: 'PublicClientApp',
      alternateId: client.clientId,
      displayName: 'the bridge',
      detailEntry: null,
    })
    assert.equal(at(event, 'client', 'id'), client.clientId)
    assert.equal(at(event, 'client', 'userAgent', 'rawUserAgent'), 'ua/1')
    assert.equal(at(event, 'transaction', 'id'), requestId)
    assert.equal(at(event, 'debugContext', 'debugData', 'requestId'), requestId)
    assert.equal(at(event, 'debugContext', 'debugData', 'requestUri'), `/api/v1/users/${id}/lifecycle/suspend`)
    assert.deepEqual(at(event, 'outcome'), { result: 'SUCCESS', reason: null })
    assert.equal(at(event, 'legacyEventType'), 'core.user.config.user_status.suspended')
    assert.deepEqual(
      list(at(event, 'target')).map((target) => [at(target, 'type'), at(target, 'id')]),
      [['User', id]],
    )
  })

  it('names the owner of an API token, an administrator, the directory itself', async () => {
    await using it = await world()
    const [a, b, c] = it.users
    await it.admin.post(`/api/v1/users/${a}/lifecycle/suspend`)
    it.org.act(b, 'suspend')
    it.org.lockOut(c)
    const actors = it.org.log.map((event) => [at(event, 'actor', 'type'), at(event, 'actor', 'id')])
    assert.deepEqual(actors, [
      ['User', it.org.admin],
      ['User', it.org.admin],
      ['SystemPrincipal', 'system'],
    ])
    assert.match(text(at(it.org.log[0], 'transaction', 'detail', 'requestApiTokenId')), /^00T/)
  })

  it('of a refused suspension is a failure', async () => {
    await using it = await world()
    const id = it.org.addUser({ status: 'STAGED' })
    await it.admin.post(`/api/v1/users/${id}/lifecycle/suspend`)
    const query = { filter: `outcome.result eq "FAILURE" and target.id eq "${id}"` }
    const [event] = list((await it.admin.get(logs(query))).body)
    assert.equal(at(event, 'outcome', 'reason'), 'Cannot suspend a user that is not active')
    assert.equal((await it.admin.get(logs({ q: id.toUpperCase() }))).status, 200)
  })
})
