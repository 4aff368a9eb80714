import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Adapter, LogEntry } from '../../src/core/adapter.ts'
import { logSkewMs } from '../../src/core/switchlog.ts'
import { bench, timed, withAgents } from './org.ts'
import { signal } from './tenant.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const SETTLE_MS = 5 * MINUTE_MS
const always = { from: 0, to: Number.MAX_SAFE_INTEGER }

const read = async (adapter: Adapter, window = always) => {
  const answer = await adapter.accounts?.log?.read(window, signal())
  assert.ok(answer)
  return answer
}
const of = (entries: readonly LogEntry[], id: string | undefined) =>
  entries.filter((entry) => entry.id === id).map(({ action, ours }) => `${action} ${ours ? 'ours' : 'theirs'}`)

describe('who switched an okta account', () => {
  it('is told for every kind by the actor of the log', async () => {
    await using it = await bench({ ...withAgents, agentEvents: 'both' })
    const { accounts } = it.adapter
    const refs = [...it.users(2), ...it.apps(2), ...it.agents(2)]
    const mine = refs.filter((_, at) => at % 2 === 0)
    const theirs = refs.filter((_, at) => at % 2 === 1)
    assert.ok(accounts)
    for (const done of [await accounts.disable(mine, signal()), await accounts.enable(mine, signal())])
      assert.ok(done.every(({ outcome }) => outcome === 'done'))
    for (const { id } of theirs) it.org.setEnabled(id, false)
    const other = it.org.addApp({ label: 'another service' })
    for (const { id } of theirs) it.org.setEnabled(id, true, { by: other })
    const { entries } = await read(it.adapter)
    for (const { id } of mine) assert.deepEqual(of(entries, id), ['disable ours', 'enable ours'], id)
    for (const { id } of theirs) {
      assert.deepEqual(of(entries, id), ['disable theirs', 'enable theirs'], id)
      const [first, second] = entries.filter((entry) => entry.id === id)
      assert.deepEqual([first?.actor, first?.actorIds], [it.org.admin, [it.org.admin]])
      assert.deepEqual([second?.actor, second?.actorIds], [other, [other]], 'to compare with trustedWriters')
    }
  })

  it('counts deactivation, and no lock, password or failure', async () => {
    await using it = await timed()
    const [locked, expired, gone, tried] = it.users(4)
    assert.ok(locked && expired && gone && tried)
    it.org.lockOut(locked.id)
    it.org.expirePassword(expired.id)
    it.org.act(gone.id, 'deactivate')
    const target = { id: tried.id, type: 'User', alternateId: 'x', displayName: 'x' }
    it.org.writeLog({ eventType: 'user.lifecycle.suspend', targets: [target], failure: 'denied' }, { by: it.bridge })
    const { entries } = await read(it.adapter)
    assert.deepEqual(
      entries.map(({ id, action, ours }) => [id, action, ours]),
      [[gone.id, 'disable', false]],
    )
  })

  it('with an API token, its owner at the console is another', async () => {
    await using it = await timed()
    const owner = it.org.addUser({ login: 'bridge@contoso.example' })
    it.org.setRights(owner, { roles: ['SUPER_ADMIN'] })
    const token = it.org.addApiToken(owner)
    const adapter = it.open({ credential: { type: 'apiToken', token } })
    const [user, other] = it.users(2)
    assert.ok(user && other)
    const [done] = (await adapter.accounts?.disable([user], signal())) ?? []
    assert.equal(done?.outcome, 'done')
    it.org.setEnabled(other.id, false, { by: owner })
    const { entries } = await read(adapter)
    assert.deepEqual(of(entries, user.id), ['disable ours'])
    assert.deepEqual(of(entries, other.id), ['disable theirs'])
    assert.deepEqual(of((await read(it.adapter)).entries, user.id), ['disable theirs'], 'nor are others the app')
  })

  it('a bridge that cannot tell who it is reads nothing', async () => {
    await using it = await bench()
    const owner = it.org.addUser({})
    it.org.setRights(owner, { roles: ['SUPER_ADMIN'] })
    const adapter = it.open({ credential: { type: 'apiToken', token: it.org.addApiToken(owner) } })
    it.org.fail(/\/users\/me/, { status: 500, times: 10 })
    await assert.rejects(read(adapter), { code: 'E_DIRECTORY_DOWN' })
    assert.ok(it.org.requests.every(({ path }) => !path.startsWith('/api/v1/logs')))
  })

  it('is complete up to settle ago, and no further than was asked', async () => {
    await using it = await timed()
    const begin = it.clock.now()
    const [user] = it.users(1)
    assert.ok(user)
    for (let at = 0; at < 6; at++) {
      await it.clock.advance(10 * MINUTE_MS)
      it.org.setEnabled(user.id, at % 2 === 1)
    }
    const now = it.clock.now()
    const all = await read(it.adapter)
    assert.equal(all.entries.length, 6)
    assert.equal(all.completeUntil, now - SETTLE_MS)
    const some = await read(it.adapter, { from: begin + 20 * MINUTE_MS, to: begin + 40 * MINUTE_MS })
    assert.deepEqual(
      some.entries.map(({ at }) => (at - begin) / MINUTE_MS),
      [20, 30, 40],
    )
    assert.equal(some.completeUntil, begin + 40 * MINUTE_MS)
    const quick = it.open({ settle: '30s' })
    assert.equal((await read(quick)).completeUntil, now - 30_000)
  })

  for (const minutes of [-4, 4]) {
    it(`a clock that is ${minutes} minutes off misses nobody else's disable before it calls the log complete`, async () => {
      await using it = await timed()
      const users = it.users(5)
      it.org.setClockOff(-minutes * MINUTE_MS)
      await it.adapter.lookup(users, signal())
      // As whoever asks does: clocks may differ.
      const from = it.clock.now() - logSkewMs
      const changed: { id: string; at: number }[] = []
      for (const { id } of users) {
        changed.push({ id, at: it.clock.now() })
        it.org.setEnabled(id, false)
        await it.clock.advance(3 * MINUTE_MS)
      }
      for (const adapter of [it.adapter, it.open({})]) {
        const { entries, completeUntil } = await read(adapter, { from, to: it.clock.now() })
        for (const { id, at } of changed.filter((each) => each.at <= completeUntil))
          assert.ok(
            entries.some((entry) => entry.id === id),
            `switched off at ${at}, complete until ${completeUntil}`,
          )
        assert.ok(completeUntil <= it.clock.now() - SETTLE_MS)
      }
    })
  }

  it('a clock further off than entries can be compared over makes it no log', async () => {
    await using it = await timed()
    for (const minutes of [-6, 6]) {
      it.org.setClockOff(minutes * MINUTE_MS)
      await assert.rejects(read(it.open({})), { code: 'E_LOG_LATE', hint: /NTP/ })
    }
    it.org.setClockOff(0)
    await read(it.adapter)
  })

  it('an entry that comes late is in the next reading of the same window', async () => {
    await using it = await timed()
    const [user] = it.users(1)
    assert.ok(user)
    const lift = it.org.delayLog(3 * MINUTE_MS)
    const at = it.clock.now()
    it.org.setEnabled(user.id, false)
    lift()
    const early = await read(it.adapter)
    assert.deepEqual(early.entries, [])
    assert.ok(early.completeUntil < at, 'it was not said to be complete')
    await it.clock.advance(3 * MINUTE_MS)
    assert.deepEqual(of((await read(it.adapter)).entries, user.id), ['disable theirs'])
  })

  it('reaches 90 days back, by the clock of the org, and asks by time alone', async () => {
    await using it = await timed()
    assert.equal(it.adapter.accounts?.log?.retentionMs, 90 * DAY_MS)
    await it.adapter.lookup(it.users(1), signal())
    it.org.setClockOff(2 * MINUTE_MS)
    await it.adapter.lookup(it.users(1), signal())
    const answer = await read(it.adapter)
    const orgNow = it.clock.now() + 2 * MINUTE_MS
    assert.equal(answer.completeUntil, it.clock.now() - SETTLE_MS, 'by the clock that it is compared with')
    const asked = new URL(
      it.org.requests.findLast(({ path }) => path.startsWith('/api/v1/logs'))?.path ?? '',
      'http://x',
    )
    assert.equal(Date.parse(asked.searchParams.get('since') ?? ''), orgNow - 90 * DAY_MS)
    assert.ok(Date.parse(asked.searchParams.get('until') ?? '') > orgNow)
    assert.doesNotMatch(asked.search, /target|actor/)
    const empty = await read(it.adapter, { from: orgNow + DAY_MS, to: orgNow + 2 * DAY_MS })
    assert.deepEqual(empty.entries, [])
  })

  it('reads through all pages, and a page that breaks is no log', async () => {
    await using it = await bench({ pageSize: 2 })
    const users = it.users(7)
    for (const { id } of users) it.org.setEnabled(id, false)
    assert.equal((await read(it.adapter)).entries.length, 7)
    it.org.fail(/^GET \/api\/v1\/logs\?.*after=/, { status: 500, times: 10 })
    await assert.rejects(read(it.adapter), { code: 'E_DIRECTORY_DOWN' })
    it.org.clearFaults()
    const next = `<${it.org.origin}/api/v1/logs?after=x>; rel="next"`
    it.org.fail(/^GET \/api\/v1\/logs/, { status: 200, body: [], headers: { link: next }, times: 10 })
    await assert.rejects(read(it.adapter), { code: 'E_DIRECTORY_ANSWER' })
  })

  it('may be forbidden, and names what is missing', async () => {
    await using it = await bench({ scopes: ['okta.users.read', 'okta.apps.read'] })
    await assert.rejects(read(it.adapter), { code: 'E_DIRECTORY_FORBIDDEN', hint: /okta\.logs\.read/ })
  })
})
