import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserStatus } from '../../sandbox/okta/index.ts'
import type { PrincipalRef } from '../../src/core/adapter.ts'
import type { Sighting } from '../../src/core/types.ts'
import { bench, nobody, type Org, withAgents } from './org.ts'
import { leaping, signal } from './tenant.ts'

const always = Number.POSITIVE_INFINITY
const unset: PrincipalRef = { id: '', kind: '' }
const states = (sighting: Sighting | undefined) =>
  Object.fromEntries((sighting?.switches ?? []).map((each) => [each.name, each.state]))
const read = async ({ adapter }: Org, ref: PrincipalRef) => (await adapter.lookup([ref], signal())).get(ref.id)
const apiCalls = ({ org }: Org) => org.requests.filter(({ surface }) => surface === 'api')

describe('okta reads', () => {
  const table: Readonly<Record<UserStatus, readonly [string, string, string]>> = {
    ACTIVE: ['enabled', 'on', 'on'],
    LOCKED_OUT: ['enabled', 'on', 'on'],
    PASSWORD_EXPIRED: ['enabled', 'on', 'on'],
    RECOVERY: ['enabled', 'on', 'on'],
    SUSPENDED: ['disabled', 'off', 'on'],
    STAGED: ['disabled', 'on', 'off'],
    PROVISIONED: ['disabled', 'on', 'off'],
    DEPROVISIONED: ['disabled', 'on', 'off'],
  }

  it('every status of a user is what it means for who may act', async () => {
    await using it = await bench()
    for (const [status, [state, identity, lifecycle]] of Object.entries(table)) {
      const known = (Object.keys(table) as UserStatus[]).find((each) => each === status)
      const sighting = await read(it, { id: it.org.addUser(known ? { status: known } : {}), kind: 'user' })
      assert.deepEqual([sighting?.state, states(sighting)], [state, { identity, lifecycle }], status)
      assert.deepEqual([sighting?.kind, sighting?.byId], ['user', true])
    }
  })

  it('a status that nobody documented, and one on its way to another, are unknown', async () => {
    await using it = await bench({ transitionMs: 3_600_000 })
    const [user = unset] = it.users(1)
    const row = { id: user.id, profile: {} }
    it.org.fail('/api/v1/users/', { status: 200, body: { ...row, status: 'FROZEN' } })
    assert.equal((await read(it, user))?.state, 'unknown')
    for (const [status, next, state] of [
      ['ACTIVE', 'DEPROVISIONED', 'unknown'],
      ['STAGED', 'ACTIVE', 'unknown'],
      ['SUSPENDED', 'DEPROVISIONED', 'disabled'],
      ['ACTIVE', null, 'enabled'],
    ]) {
      it.org.fail('/api/v1/users/', { status: 200, body: { ...row, status, transitioningToStatus: next } })
      assert.equal((await read(it, user))?.state, state, `${status} → ${next}`)
    }
    const staged = { id: it.org.addUser({ status: 'DEPROVISIONED' }), kind: 'user' }
    it.org.act(staged.id, 'activate')
    assert.equal((await read(it, staged))?.state, 'unknown')
    it.org.settle()
    assert.notEqual((await read(it, staged))?.state, 'unknown')
  })

  it('service apps and AI agents, and an app that is none', async () => {
    await using it = await bench(withAgents)
    const [app = unset] = it.apps(1)
    const [agent = unset] = it.agents(1)
    for (const ref of [app, agent]) {
      const on = await read(it, ref)
      assert.deepEqual([on?.state, on?.kind], ['enabled', ref.kind])
      it.org.setEnabled(ref.id, false)
      const off = await read(it, ref)
      assert.deepEqual([off?.state, states(off)], ['disabled', { identity: 'off', lifecycle: 'on' }])
    }
    const staged = await read(it, { id: it.org.addAgent({ status: 'STAGED' }), kind: 'aiAgent' })
    assert.deepEqual([staged?.state, states(staged)], ['disabled', { identity: 'on', lifecycle: 'off' }])
    it.org.fail('/api/v1/apps/', { status: 200, body: { id: app.id, status: 'PAUSED' } })
    assert.equal((await read(it, app))?.state, 'unknown')
    const website = { id: it.org.addApp({ applicationType: 'web' }), kind: 'serviceApp' }
    assert.equal((await read(it, website))?.kind, 'app')
    assert.equal(it.adapter.vet(website)?.code, 'E_KIND_REFUSED')
  })

  it('absent is what Okta says to be, and no other 404; another account is no answer', async () => {
    await using it = await bench()
    const [user = unset, other = unset] = it.users(2)
    const gone = { id: nobody, kind: 'user' }
    assert.deepEqual([(await read(it, gone))?.state, (await read(it, gone))?.kind], ['absent', undefined])
    const lookup = async () => (await it.adapter.lookup([user, other], signal())).get(user.id)?.state
    it.org.fail(`/api/v1/users/${user.id}`, { status: 404, body: '<html>proxy</html>' })
    assert.equal(await lookup(), 'unknown')
    it.org.fail(`/api/v1/users/${user.id}`, { status: 404, code: 'E0000022', message: 'x' })
    assert.equal(await lookup(), 'unknown')
    it.org.fail(`/api/v1/users/${user.id}`, { status: 200, body: { id: other.id, status: 'ACTIVE' } })
    assert.equal(await lookup(), 'unknown')
    it.org.fail(`/api/v1/users/${user.id}`, { status: 200, body: { status: 'ACTIVE' } })
    assert.equal(await lookup(), 'unknown')
  })

  it('reads by id, one call each and each id once, never from the index that lags', async () => {
    await using it = await bench({ staleMs: 0 })
    const refs = it.users(40)
    const seen = await it.adapter.lookup([...refs, ...refs], signal())
    assert.equal(seen.size, 40)
    assert.ok([...seen.values()].every(({ state }) => state === 'enabled'))
    assert.equal(apiCalls(it).length, 40)
    assert.ok(apiCalls(it).every(({ path }) => /^\/api\/v1\/users\/00u\w{17}$/.test(path)))
  })

  it('repeats reads that break, a bounded number of times, and gives up when nobody is answered', async () => {
    await using it = await bench()
    const refs = it.users(30)
    const [one = unset] = refs
    it.org.fail('/api/v1/users/', { mode: 'reset', times: 2 })
    assert.equal((await read(it, one))?.state, 'enabled')
    it.org.fail('/api/v1/users/', { status: 503, times: always })
    it.org.clearRequests()
    await assert.rejects(it.adapter.lookup(refs, signal()), { code: 'E_DIRECTORY_DOWN' })
    assert.ok(apiCalls(it).length <= 4 * 16, 'not four for each of thirty')
  })

  it('one that cannot be read costs only itself', async () => {
    await using it = await bench()
    const refs = it.users(20)
    const [one = unset] = refs
    it.org.fail(`/api/v1/users/${one.id}`, { status: 500, times: always })
    const seen = await it.adapter.lookup(refs, signal())
    assert.equal(seen.get(one.id)?.state, 'unknown')
    assert.equal([...seen.values()].filter(({ state }) => state === 'enabled').length, 19)
  })

  it('refuses logins, e-mail addresses, names and ids of other kinds', async () => {
    await using it = await bench(withAgents)
    const fault = (id: string, kind = 'user') => it.adapter.vet({ id, kind })?.code
    for (const id of [
      'me',
      'agent@contoso.example',
      'agent',
      '00u',
      `${nobody}0`,
      '00g00000000000000000',
      ` ${nobody}`,
    ])
      assert.equal(fault(id), 'E_PRINCIPAL_ID', id)
    assert.equal(fault(nobody), undefined)
    assert.equal(fault(nobody, 'serviceApp'), 'E_PRINCIPAL_ID')
    assert.equal(fault(nobody, 'group'), 'E_KIND_REFUSED')
    assert.equal(fault(it.bridge, 'serviceApp'), 'E_NEVER')
    const plain = it.open({ manage: {} })
    assert.equal(plain.vet({ id: 'wlp00000000000000000', kind: 'aiAgent' })?.code, 'E_KIND_REFUSED')
  })

  it('the realm is the host of the org', async () => {
    await using it = await bench()
    assert.equal(it.adapter.realm, new URL(it.org.origin).host)
    assert.deepEqual([it.adapter.kind, it.adapter.name], ['okta', 'contoso'])
  })

  it('stays within the limits of an org that other clients use too, and says when to come back', async () => {
    const clock = leaping()
    await using it = await bench({ clock, limits: { perMinute: { user: 40 }, share: 1 } })
    const refs = it.users(30)
    const seen = await it.adapter.lookup(refs, signal())
    const unknown = [...seen.values()].filter(({ state }) => state === 'unknown').length
    // Half of forty, less what is kept for those above.
    assert.equal(unknown, 30 - 14)
    assert.ok(
      apiCalls(it).every(({ status }) => status === 200),
      'the wall was never met',
    )
    const [write] = (await it.adapter.accounts?.disable(refs.slice(0, 1), signal())) ?? []
    assert.deepEqual([write?.outcome, write?.before?.state], ['done', 'enabled'])
  })
})
