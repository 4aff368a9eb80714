import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { outcomes, STATE, watching, watchRoles } from './watching.ts'

const day = 24 * 3_600_000
const withoutGroups = watchRoles.filter((role) => role !== 'Group.Read.All')

describe('entra subscriptions to changes', () => {
  it('makes one of each resource, and what changes rings through it', async () => {
    await using it = await watching()
    const report = await it.tend()
    assert.deepEqual(outcomes(report), ['created users', 'created groups'])
    assert.equal(report.missed, false)
    for (const one of it.tenant.subscriptions.list) {
      assert.match(one.notificationUrl, new RegExp(`^${it.hook}\\?v=[0-9a-f]{12}$`))
      assert.equal(one.lifecycleNotificationUrl, one.notificationUrl)
      assert.deepEqual([one.clientState, one.changeTypes], [STATE, ['updated', 'deleted']])
    }
    const user = it.tenant.addUser()
    it.tenant.setEnabled(user, false)
    await it.tenant.subscriptions.wait(({ what, outcome }) => what.endsWith(user) && outcome === 'delivered')
    const group = it.tenant.addGroup()
    await it.tenant.subscriptions.wait(({ what, outcome }) => what.endsWith(group) && outcome === 'delivered')
    const hints = it.answers.flatMap((answer) => (typeof answer === 'string' ? [] : answer.hints))
    assert.ok(hints.some(({ principal }) => principal === user))
    assert.ok(hints.some((hint) => hint.group === group && hint.principal === undefined))
    assert.ok(it.answers.every((answer) => typeof answer !== 'string' && answer.status <= 202))
    for (const one of it.adapter.tending.subscriptions()) {
      assert.ok(one.expiresAt !== undefined && one.notifiedAt !== undefined && one.error === undefined)
    }
    const requests = JSON.stringify(it.tenant.requests.map(({ path }) => path))
    assert.ok(!requests.includes(STATE) && !it.bench.logged().includes(STATE))
  })

  it('finds its own again after a restart and makes none anew', async () => {
    await using it = await watching()
    await it.tend()
    const before = it.ids()
    it.restart()
    assert.deepEqual(outcomes(await it.tend()), [])
    assert.deepEqual(it.ids(), before)
    assert.ok(it.adapter.tending.subscriptions().every(({ expiresAt }) => expiresAt !== undefined))
  })

  it('replaces those of another secret, and ends those of a resource that is not configured any more', async () => {
    await using it = await watching()
    await it.tend()
    const before = it.ids()
    it.restart({ clientState: ['another-state-of-the-bridge', STATE] })
    assert.deepEqual(outcomes(await it.tend()), ['created users', 'created groups', 'removed users', 'removed groups'])
    assert.ok(it.ids().every((id) => !before.includes(id)))
    it.restart({ clientState: 'another-state-of-the-bridge', resources: ['users'] })
    assert.deepEqual(outcomes(await it.tend()), ['removed other'])
    assert.deepEqual(
      it.tenant.subscriptions.list.map(({ resource }) => resource),
      ['users'],
    )
  })

  it('never touches a subscription that is not ours for certain', async () => {
    await using it = await watching()
    await it.tend()
    const [own] = it.tenant.subscriptions.list
    assert.ok(own)
    const { search } = new URL(own.notificationUrl)
    for (const path of [`other${search}`, `contoso/deeper${search}`, 'contoso?v=short', 'contoso']) {
      const notificationUrl = new URL(path, it.hook).href
      it.tenant.subscriptions.put({ ...own, id: randomUUID(), notificationUrl })
    }
    const before = it.ids()
    assert.equal(before.length, 6)
    assert.deepEqual(outcomes(await it.tend()), [])
    assert.deepEqual(it.ids(), before)
  })

  it('renews in the second half of its life, and keeps the id', async () => {
    await using it = await watching()
    await it.tend()
    const before = it.ids()
    await it.clock.sleep(2 * day)
    assert.deepEqual(outcomes(await it.tend()), [])
    await it.clock.sleep(2 * day)
    const report = await it.tend()
    assert.deepEqual(outcomes(report), ['renewed users', 'renewed groups'])
    assert.deepEqual([it.ids(), report.missed], [before, false])
    const [one] = it.tenant.subscriptions.list
    assert.ok((one?.expiresAt ?? 0) > it.clock.now() + 6 * day)
  })

  it('one that was lost or ran out is made again, and something may have been missed', async () => {
    await using it = await watching()
    await it.tend()
    await it.clock.sleep(3_600_000)
    it.tenant.subscriptions.lose(it.ids()[0] ?? '')
    const lost = await it.tend()
    assert.deepEqual([outcomes(lost), lost.missed], [['lost users', 'created users'], true])
    await it.clock.sleep(8 * day)
    const ended = await it.tend()
    const all = ['lost users', 'lost groups', 'created users', 'created groups']
    assert.deepEqual([outcomes(ended), ended.missed], [all, true])
    assert.equal(it.ids().length, 2)
  })

  it('one that is gone between the list and its renewal is made again', async () => {
    await using it = await watching({}, { resources: ['users'] })
    await it.tend()
    await it.clock.sleep(4 * day)
    const code = 'ResourceNotFound'
    it.tenant.fail(/^PATCH \/subscriptions\//, { status: 404, code })
    const report = await it.tend()
    assert.deepEqual([outcomes(report), report.missed], [['lost users', 'created users'], true])
    // It was there all the same: one of two is enough.
    assert.deepEqual(outcomes(await it.tend()), ['removed users'])
    assert.equal(it.ids().length, 1)
  })

  it('a list that lags behind costs no second one', async () => {
    await using it = await watching()
    await it.tend()
    it.tenant.fail(/^GET \/subscriptions/, { status: 200, body: { value: [] } })
    const report = await it.tend()
    assert.deepEqual([outcomes(report), report.missed, it.ids().length], [[], false, 2])
  })

  it('a refused resource says why and what mends it; the others go on', async () => {
    await using it = await watching({ roles: withoutGroups })
    const report = await it.tend()
    assert.deepEqual(outcomes(report), ['created users', 'failed groups'])
    const [users, groups] = it.adapter.tending.subscriptions()
    assert.equal(users?.error, undefined)
    assert.equal(groups?.error?.code, 'E_DIRECTORY_FORBIDDEN')
    assert.match(groups?.error?.hint ?? '', /Group\.Read\.All/)
    assert.ok(report.againMs <= 900_000)
    it.tenant.grant(it.bench.bridge.appId, 'Group.Read.All')
    await it.clock.sleep(1.1 * day)
    const mended = await it.tend()
    assert.deepEqual([outcomes(mended), mended.missed], [['created groups'], true])
    assert.equal(it.adapter.tending.subscriptions()[1]?.error, undefined)
  })

  it('service principals are refused as Graph documents it, and taken should it offer them', async () => {
    const resources = ['users', 'servicePrincipals']
    await using it = await watching({}, { resources })
    assert.deepEqual(outcomes(await it.tend()), ['created users', 'failed servicePrincipals'])
    assert.equal(it.adapter.tending.subscriptions()[1]?.error?.code, 'E_DIRECTORY_REFUSED')
    await using able = await watching({ subscribable: ['users', 'groups', 'servicePrincipals'] }, { resources })
    await able.tend()
    const id = able.tenant.addServicePrincipal({ displayName: 'a' })
    await able.tenant.subscriptions.wait(({ what, outcome }) => what.endsWith(id) && outcome === 'delivered')
    assert.ok(able.answers.some((answer) => typeof answer !== 'string' && answer.hints[0]?.principal === id))
  })

  it('says that Graph does not reach the hook', async () => {
    await using it = await watching({}, {}, false)
    assert.deepEqual(outcomes(await it.tend()), ['failed users', 'failed groups'])
    const [users] = it.adapter.tending.subscriptions()
    assert.equal(users?.error?.code, 'E_HOOK_UNREACHABLE')
    assert.match(users?.error?.hint ?? '', /publicUrl/)
  })

  it('an answer that was lost leaves no second one behind', async () => {
    await using it = await watching({}, { resources: ['users'] })
    it.tenant.fail(/^POST \/\$batch/, { mode: 'reset-after-body' })
    assert.deepEqual(outcomes(await it.tend()), ['failed users'])
    assert.equal(it.ids().length, 1)
    assert.deepEqual(outcomes(await it.tend()), [])
    const [users] = it.adapter.tending.subscriptions()
    assert.deepEqual([it.ids().length, users?.error], [1, undefined])
  })

  it('concludes nothing from a list that fails, and waits as long as Graph asks', async () => {
    await using it = await watching()
    await it.tend()
    const before = it.ids()
    it.tenant.fail(/^GET \/subscriptions/, { status: 429, headers: { 'Retry-After': '1200' }, times: 9 })
    const report = await it.tend()
    assert.deepEqual(outcomes(report), ['failed users', 'failed groups'])
    assert.ok(report.againMs >= 1_200_000 && !report.missed)
    assert.deepEqual(it.ids(), before)
    it.tenant.clearFaults()
    assert.deepEqual(outcomes(await it.tend()), [])
  })

  it('gives up when told to stop', async () => {
    await using it = await watching()
    await assert.rejects(it.adapter.tending.tend(AbortSignal.abort()))
    assert.deepEqual(it.ids(), [])
  })

  it('acts on what Graph says of a subscription', async () => {
    await using it = await watching({}, { resources: ['users'] })
    await it.tend()
    const [id = ''] = it.ids()
    const told = async (event: 'reauthorizationRequired' | 'subscriptionRemoved' | 'missed') => {
      it.tenant.subscriptions.tell(it.ids()[0] ?? '', event)
      await it.tenant.subscriptions.wait(({ what, outcome }) => what === event && outcome === 'delivered')
      const answer = it.answers.at(-1)
      assert.ok(answer !== undefined && typeof answer !== 'string')
      return { status: answer.status, hints: answer.hints.length, tend: answer.tend, missed: answer.missed }
    }
    const quiet = { status: 202, hints: 0, tend: true }
    assert.deepEqual(await told('reauthorizationRequired'), { ...quiet, missed: false })
    assert.deepEqual(outcomes(await it.tend()), ['renewed users'])
    assert.deepEqual(outcomes(await it.tend()), [])
    assert.deepEqual(await told('missed'), { ...quiet, missed: true })
    assert.deepEqual(it.ids(), [id])
    assert.deepEqual(await told('subscriptionRemoved'), { ...quiet, missed: true })
    const report = await it.tend()
    assert.deepEqual([outcomes(report), report.missed], [['lost users', 'created users'], true])
    assert.notEqual(it.ids()[0], id)
  })
})
