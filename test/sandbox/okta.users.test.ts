import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserStatus } from '../../sandbox/okta/index.ts'
import { at, type Reply, text } from './client.ts'
import { nextOf, OktaClient, refusal, withAdmin } from './oktaclient.ts'

const life = (id: string, verb: string) => `/api/v1/users/${id}/lifecycle/${verb}`
const status = async (client: OktaClient, id: string) => at((await client.get(`/api/v1/users/${id}`)).body, 'status')
const logins = (reply: Reply) => {
  assert.ok(Array.isArray(reply.body), JSON.stringify(reply.body))
  return reply.body.map((user) => text(at(user, 'profile', 'login')))
}

const every: readonly UserStatus[] = [
  'STAGED',
  'PROVISIONED',
  'ACTIVE',
  'RECOVERY',
  'PASSWORD_EXPIRED',
  'LOCKED_OUT',
  'SUSPENDED',
  'DEPROVISIONED',
]

describe('the status of a user', () => {
  it('suspends from ACTIVE alone and unsuspends from SUSPENDED alone', async () => {
    await using it = await withAdmin()
    for (const from of every) {
      const id = it.org.addUser({ status: from })
      const suspended = await it.admin.post(life(id, 'suspend'))
      if (from === 'ACTIVE') {
        assert.deepEqual([suspended.status, suspended.body], [200, ''])
        assert.equal(await status(it.admin, id), 'SUSPENDED')
      } else {
        const wanted = [400, 'E0000001', 'Cannot suspend a user that is not active']
        assert.deepEqual(refusal(suspended), wanted)
        assert.equal(at(suspended.body, 'errorSummary'), 'Api validation failed: suspendUser')
        assert.equal(await status(it.admin, id), from)
      }
      const other = it.org.addUser({ status: from })
      const unsuspended = await it.admin.post(life(other, 'unsuspend'))
      if (from === 'SUSPENDED') {
        assert.equal(unsuspended.status, 200)
        assert.equal(await status(it.admin, other), 'ACTIVE')
      } else {
        assert.deepEqual(refusal(unsuspended), [400, 'E0000001', 'Cannot unsuspend a user that is not suspended'])
        assert.equal(await status(it.admin, other), from)
      }
    }
  })

  it('lets each other call through from the statuses it is made for', async () => {
    await using it = await withAdmin()
    const cases: Record<string, (from: UserStatus) => UserStatus | [number, string]> = {
      activate: (from) => {
        if (from === 'DEPROVISIONED') return 'ACTIVE'
        if (from === 'STAGED') return 'PROVISIONED'
        return from === 'ACTIVE' || from === 'PROVISIONED' ? [403, 'E0000016'] : [403, 'E0000038']
      },
      reactivate: (from) => (from === 'PROVISIONED' || from === 'RECOVERY' ? 'PROVISIONED' : [403, 'E0000038']),
      unlock: (from) => (from === 'LOCKED_OUT' ? 'ACTIVE' : [403, 'E0000032']),
      deactivate: (from) => (from === 'DEPROVISIONED' ? [403, 'E0000038'] : 'DEPROVISIONED'),
    }
    for (const [verb, wanted] of Object.entries(cases)) {
      for (const from of every) {
        const id = it.org.addUser({ status: from })
        const reply = await it.admin.post(life(id, verb))
        const expected = wanted(from)
        if (typeof expected === 'string') {
          assert.equal(reply.status, 200, `${verb} from ${from}`)
          assert.equal(await status(it.admin, id), expected, `${verb} from ${from}`)
        } else {
          assert.deepEqual(refusal(reply), expected, `${verb} from ${from}`)
          assert.equal(await status(it.admin, id), from)
        }
      }
    }
    const mastered = it.org.addUser({ status: 'LOCKED_OUT', source: 'ACTIVE_DIRECTORY' })
    assert.deepEqual(refusal(await it.admin.post(life(mastered, 'unlock'))), [403, 'E0000032'])
  })

  it('is the old one while a change runs, which refuses others meanwhile', async () => {
    let now = Date.now()
    await using it = await withAdmin({ transitionMs: 60_000, now: () => now })
    const staged = it.org.addUser({ status: 'STAGED' })
    assert.equal((await it.admin.post(`${life(staged, 'activate')}?sendEmail=false`)).status, 200)
    const during = await it.admin.get(`/api/v1/users/${staged}`)
    assert.deepEqual([at(during.body, 'status'), at(during.body, 'transitioningToStatus')], ['STAGED', 'PROVISIONED'])
    assert.deepEqual(refusal(await it.admin.post(life(staged, 'suspend'))), [409, 'E0000112'])
    const active = it.org.addUser()
    await it.admin.call('POST', life(active, 'deactivate'), undefined, { Prefer: 'respond-async' })
    const leaving = await it.admin.get(`/api/v1/users/${active}`)
    assert.deepEqual(
      [at(leaving.body, 'status'), at(leaving.body, 'transitioningToStatus')],
      ['ACTIVE', 'DEPROVISIONED'],
    )
    assert.deepEqual(refusal(await it.admin.post(life(active, 'suspend'))), [403, 'E0000038'])
    now += 60_001
    assert.equal(await status(it.admin, staged), 'PROVISIONED')
    const done = await it.admin.get(`/api/v1/users/${active}`)
    assert.equal(at(done.body, 'status'), 'DEPROVISIONED')
    assert.equal(at(done.body, 'transitioningToStatus'), undefined)
  })

  it('changes statusChanged and nothing else when it is suspended', async () => {
    let now = Date.parse('2026-11-21T10:00:00Z')
    await using it = await withAdmin({ now: () => now })
    const id = it.org.addUser()
    const before = await it.admin.get(`/api/v1/users/${id}`)
    now += 5000
    await it.admin.post(life(id, 'suspend'))
    const after = await it.admin.get(`/api/v1/users/${id}`)
    assert.equal(at(before.body, 'statusChanged'), '2026-11-21T10:00:00.000Z')
    assert.equal(at(after.body, 'statusChanged'), '2026-11-21T10:00:05.000Z')
    assert.deepEqual(at(after.body, 'profile'), at(before.body, 'profile'))
  })
})

describe('users by id and in lists', () => {
  it('are found by id, login and short login, and refused otherwise', async () => {
    await using it = await withAdmin()
    const id = it.org.addUser({ login: 'ada@contoso.example' })
    it.org.addUser({ login: 'bo@contoso.example' })
    it.org.addUser({ login: 'bo@other.example' })
    for (const name of [id, 'ada@contoso.example', 'ada']) {
      assert.equal(at((await it.admin.get(`/api/v1/users/${name}`)).body, 'id'), id)
    }
    for (const name of ['bo', 'nobody', '00uAAAAAAAAAAAAAAAAA']) {
      const reply = await it.admin.get(`/api/v1/users/${name}`)
      assert.deepEqual(refusal(reply), [404, 'E0000007'])
      assert.equal(at(reply.body, 'errorSummary'), `Not found: Resource not found: ${name} (User)`)
    }
    assert.deepEqual(refusal(await it.admin.post(life('nobody', 'suspend'))), [404, 'E0000007'])
  })

  it('come in pages whose Link headers are lines of their own', async () => {
    await using it = await withAdmin({ pageSize: 2 })
    for (let each = 0; each < 4; each++) it.org.addUser({ login: `u${each}@contoso.example` })
    const first = await it.admin.get('/api/v1/users?limit=200')
    assert.match(first.headers.get('link') ?? '', /^<[^>]+>; rel="self", <[^>]+>; rel="next"$/)
    const { pages, rows } = await it.admin.all('/api/v1/users?limit=200')
    assert.deepEqual([rows.length, pages.length], [5, 3])
    assert.equal(new Set(rows.map((user) => at(user, 'id'))).size, 5)
    assert.match(nextOf(first) ?? '', /limit=200/)
    assert.deepEqual(refusal(await it.admin.get('/api/v1/users?after=made-up')), [400, 'E0000029'])
    assert.deepEqual(refusal(await it.admin.get('/api/v1/users?limit=0')).slice(0, 2), [400, 'E0000001'])
  })

  it('leave deactivated users out unless they are asked for', async () => {
    await using it = await withAdmin()
    it.org.addUser({ login: 'gone@contoso.example', status: 'DEPROVISIONED' })
    it.org.addUser({ login: 'held@contoso.example', status: 'SUSPENDED' })
    const found = async (query: string) => logins(await it.admin.get(`/api/v1/users?${new URLSearchParams(query)}`))
    assert.deepEqual(await found(''), ['admin@contoso.example', 'held@contoso.example'])
    assert.deepEqual(await found('filter=status eq "DEPROVISIONED"'), ['gone@contoso.example'])
    assert.deepEqual(await found('search=status eq "SUSPENDED" or status eq "DEPROVISIONED"'), [
      'gone@contoso.example',
      'held@contoso.example',
    ])
    assert.deepEqual(await found('search=profile.login sw "he" and not (status eq "ACTIVE")'), ['held@contoso.example'])
    assert.deepEqual(await found('q=held'), ['held@contoso.example'])
    for (const bad of ['filter=profile.department eq "x"', 'filter=status ne "ACTIVE"', 'search=status', 'search=(']) {
      const reply = await it.admin.get(`/api/v1/users?${new URLSearchParams(bad)}`)
      assert.deepEqual(refusal(reply), [400, 'E0000031'], bad)
    }
    const both = await it.admin.get('/api/v1/users?q=a&filter=status+eq+"ACTIVE"')
    assert.deepEqual(refusal(both), [400, 'E0000033'])
  })

  it('lag behind writes, searches twice as long', async () => {
    let now = Date.now()
    await using it = await withAdmin({ staleMs: 1000, now: () => now })
    const id = it.org.addUser()
    const suspended = async () => {
      const query = new URLSearchParams({ search: 'status eq "SUSPENDED"' })
      return logins(await it.admin.get(`/api/v1/users?${query}`)).length
    }
    await it.admin.post(life(id, 'suspend'))
    assert.equal(await status(it.admin, id), 'ACTIVE')
    now += 1001
    assert.equal(await status(it.admin, id), 'SUSPENDED')
    assert.equal(await suspended(), 0)
    now += 1001
    assert.equal(await suspended(), 1)
    // What a write asks of the user is the truth.
    await it.admin.post(life(id, 'unsuspend'))
    assert.deepEqual(refusal(await it.admin.post(life(id, 'unsuspend'))).slice(0, 2), [400, 'E0000001'])
  })

  it('change their profile without a change of status', async () => {
    await using it = await withAdmin()
    const id = it.org.addUser()
    it.org.updateProfile(id, { department: 'Agents' }, { by: 'system' })
    const { body } = await it.admin.get(`/api/v1/users/${id}`)
    assert.deepEqual([at(body, 'profile', 'department'), at(body, 'status')], ['Agents', 'ACTIVE'])
    assert.equal(it.org.log.at(-1)?.eventType, 'user.account.update_profile')
  })

  it('are deactivated by the first deletion and gone after the second', async () => {
    await using it = await withAdmin()
    const id = it.org.addUser()
    assert.equal((await it.admin.call('DELETE', `/api/v1/users/${id}`)).status, 204)
    assert.equal(await status(it.admin, id), 'DEPROVISIONED')
    assert.equal((await it.admin.call('DELETE', `/api/v1/users/${id}`)).status, 204)
    assert.deepEqual(refusal(await it.admin.get(`/api/v1/users/${id}`)), [404, 'E0000007'])
  })
})

describe('sessions and tokens of a user', () => {
  it('end with the sessions call, tokens only when that is asked for', async () => {
    await using it = await withAdmin()
    const id = it.org.addUser()
    it.org.signIn(id)
    const clientId = it.org.addApp()
    const { access, refresh } = it.org.issueTokens({ server: 'default', clientId, userId: id })
    const alone = it.org.issueToken({ server: 'default', clientId })
    const path = `/api/v1/users/${id}/sessions`
    assert.equal((await it.admin.call('DELETE', path)).status, 204)
    assert.deepEqual([it.org.sessionsOf(id), it.org.isActiveToken(access)], [0, true])
    assert.equal((await it.admin.call('DELETE', `${path}?oauthTokens=true&forgetDevices=true`)).status, 204)
    assert.deepEqual(
      [access, refresh, alone].map((token) => it.org.isActiveToken(token)),
      [false, false, true],
    )
    assert.deepEqual(refusal(await it.admin.call('DELETE', `${path}?oauthTokens=yes`)).slice(0, 2), [400, 'E0000001'])
    assert.deepEqual(refusal(await it.admin.call('DELETE', '/api/v1/users/none/sessions')), [404, 'E0000007'])
  })

  it('a suspension ends sessions and leaves tokens', async () => {
    await using it = await withAdmin()
    const id = it.org.addUser()
    it.org.signIn(id)
    const token = it.org.issueToken({ server: 'default', clientId: it.org.addApp(), userId: id })
    await it.admin.post(life(id, 'suspend'))
    assert.deepEqual([it.org.sessionsOf(id), it.org.isActiveToken(token)], [0, true])
    assert.throws(() => it.org.signIn(id), /SUSPENDED/)
  })

  it('an app loses its refresh tokens and what came with them, other access tokens stay', async () => {
    await using it = await withAdmin()
    const clientId = it.org.addApp()
    const { access, refresh } = it.org.issueTokens({ server: 'default', clientId, userId: it.org.addUser() })
    const alone = it.org.issueToken({ server: 'default', clientId })
    assert.equal((await it.admin.call('DELETE', `/api/v1/apps/${clientId}/tokens`)).status, 204)
    assert.deepEqual(
      [access, refresh, alone].map((token) => it.org.isActiveToken(token)),
      [false, false, true],
    )
  })
})

describe('an API token', () => {
  it('acts as its owner, and not after the owner is suspended', async () => {
    await using it = await withAdmin()
    const owner = it.org.addUser()
    const client = new OktaClient(it.org, owner, `SSWS ${it.org.addApiToken(owner)}`)
    assert.deepEqual(refusal(await client.get('/api/v1/users')), [403, 'E0000006'])
    it.org.setRights(owner, { roles: ['READ_ONLY_ADMIN'] })
    assert.equal((await client.get('/api/v1/users')).status, 200)
    assert.deepEqual(refusal(await client.post(life(it.org.admin, 'suspend'))), [403, 'E0000006'])
    await it.admin.post(life(owner, 'suspend'))
    assert.deepEqual(refusal(await client.get('/api/v1/users')), [401, 'E0000011'])
  })
})
