import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readPlace, writePlace } from '../../adapters/okta/checkpoint.ts'
import { changeTypesOf } from '../../adapters/okta/events.ts'
import type { Page } from '../../src/core/adapter.ts'
import { type Clock, manualClock } from '../../src/lib/clock.ts'
import { bench, timed, withAgents } from './org.ts'
import { pass } from './pass.ts'
import { signal } from './tenant.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** A clock that is that far off another. */
const off = (clock: Clock, ms: number): Clock => ({
  now: () => clock.now() + ms,
  mono: () => clock.mono(),
  sleep: (wait, aborted) => clock.sleep(wait, aborted),
})
const logCalls = (org: { requests: readonly { path: string }[] }) =>
  org.requests.filter(({ path }) => path.startsWith('/api/v1/logs'))
const expired = { code: 'E_CHECKPOINT_EXPIRED' }

describe('okta change feed', () => {
  it('lists what is managed, and says whom to re-read where a state is open', async () => {
    await using it = await bench({ pageSize: 2, ...withAgents, transitionMs: 60_000 })
    const { org } = it
    const statuses = ['ACTIVE', 'SUSPENDED', 'LOCKED_OUT', 'PASSWORD_EXPIRED', 'STAGED', 'PROVISIONED'] as const
    const users = statuses.map((status) => org.addUser({ status }))
    const gone = org.addUser({ status: 'DEPROVISIONED' })
    const moving = org.addUser({ status: 'STAGED' })
    org.act(moving, 'activate')
    const app = org.addApp({ status: 'INACTIVE' })
    const web = org.addApp({ applicationType: 'web' })
    const [agent] = it.agents(1)
    const { sightings, touched, place } = await pass(it.adapter)
    const stateOf = new Map(sightings.map(({ id, state }) => [id, state]))
    assert.deepEqual(
      users.map((id) => stateOf.get(id)),
      ['enabled', 'disabled', 'enabled', 'enabled', 'disabled', 'disabled'],
    )
    assert.deepEqual([stateOf.get(app), stateOf.get(agent?.id ?? '')], ['disabled', 'enabled'])
    assert.ok(!stateOf.has(web) && !stateOf.has(gone) && !stateOf.has(moving))
    assert.deepEqual(touched, [moving])
    assert.ok(sightings.every(({ byId }) => !byId))
    assert.deepEqual(place.seen, [])
    assert.equal(logCalls(org).length, 0)
    assert.ok(org.requests.every(({ path }) => !path.includes('search=')))
    const fresh = it.open({ manage: { kinds: ['serviceApp'] } })
    assert.ok((await pass(fresh)).sightings.every(({ kind }) => kind === 'serviceApp'))
  })

  it('an event says that something changed, once; what, a read says', async () => {
    await using it = await bench(withAgents)
    const { org, adapter } = it
    const [one, two, idle] = it.users(3)
    const [app] = it.apps(1)
    const [agent] = it.agents(1)
    assert.ok(one && two && idle && app && agent)
    const first = await pass(adapter)
    org.clearRequests()
    org.setEnabled(one.id, false)
    org.setEnabled(one.id, true)
    org.lockOut(two.id)
    org.setEnabled(app.id, false)
    org.setEnabled(agent.id, false)
    const second = await pass(adapter, first.checkpoint)
    assert.deepEqual(second.sightings, [])
    assert.deepEqual(second.touched.sort(), [one.id, two.id, app.id, agent.id].sort())
    assert.equal(logCalls(org).length, 1, 'one request a pass')
    const third = await pass(adapter, second.checkpoint)
    assert.deepEqual(third.touched, [])
    org.setEnabled(one.id, false)
    assert.deepEqual((await pass(adapter, third.checkpoint)).touched, [one.id])
    assert.ok(logCalls(org).every(({ path }) => path.length < 4000))
  })

  it('both generations of names for AI agents ring once', async () => {
    await using it = await bench({ ...withAgents, agentEvents: 'both' })
    const [agent] = it.agents(1)
    assert.ok(agent)
    const first = await pass(it.adapter)
    it.org.setEnabled(agent.id, false)
    assert.deepEqual((await pass(it.adapter, first.checkpoint)).touched, [agent.id])
    const users = it.open({ manage: { kinds: ['user'] } })
    const listed = await pass(users)
    it.org.setEnabled(agent.id, true)
    assert.deepEqual((await pass(users, listed.checkpoint)).touched, [])
  })

  it('what failed, and what is about nobody managed, rings for nobody', async () => {
    await using it = await bench()
    const [user] = it.users(1)
    assert.ok(user)
    const first = await pass(it.adapter)
    const target = (id: string) => ({ id, type: 'User', alternateId: 'x', displayName: 'x' })
    it.org.writeLog({ eventType: 'user.lifecycle.suspend', targets: [target(user.id)], failure: 'not allowed' })
    it.org.writeLog({
      eventType: 'user.lifecycle.suspend',
      targets: [target('wlp00000000000000001'), target('someone')],
    })
    it.org.writeLog({ eventType: 'user.session.start', targets: [target(user.id)] })
    it.org.writeLog({ eventType: 'user.lifecycle.suspend', targets: [] })
    assert.deepEqual((await pass(it.adapter, first.checkpoint)).touched, [])
  })

  it('an event that the log takes in late is found, once', async () => {
    await using it = await timed()
    const [user, other] = it.users(2)
    assert.ok(user && other)
    let at = (await pass(it.adapter)).checkpoint
    const lift = it.org.delayLog(8 * MINUTE_MS)
    it.org.setEnabled(user.id, false)
    lift()
    const rung: string[][] = []
    for (let minute = 0; minute < 25; minute++) {
      if (minute === 2) it.org.setEnabled(other.id, false)
      const next = await pass(it.adapter, at)
      rung.push(next.touched)
      at = next.checkpoint
      await it.clock.advance(MINUTE_MS)
    }
    assert.deepEqual(rung[2], [other.id])
    assert.deepEqual(rung[8], [user.id])
    assert.deepEqual(rung.flat(), [other.id, user.id])
    assert.deepEqual(JSON.parse(at).seen, [], 'what is past the window is forgotten')
  })

  it('what changes while everything is listed is in the next pass', async () => {
    await using it = await timed()
    const [user] = it.users(1)
    assert.ok(user)
    const held = it.org.hold(/^GET \/api\/v1\/apps\?/)
    const listing = pass(it.adapter)
    await held.reached()
    it.org.setEnabled(user.id, false)
    await it.clock.advance(30 * MINUTE_MS)
    held.release()
    const first = await listing
    assert.equal(first.sightings.find(({ id }) => id === user.id)?.state, 'enabled')
    assert.deepEqual((await pass(it.adapter, first.checkpoint)).touched, [user.id])
  })

  it('a pass that was not kept is read again, and so is everything since a place that was restored', async () => {
    await using it = await timed()
    const users = it.users(3)
    const old = (await pass(it.adapter)).checkpoint
    let at = old
    for (const { id } of users) {
      it.org.setEnabled(id, false)
      const lost = await pass(it.adapter, at)
      assert.deepEqual(lost.touched, [id])
      const kept = await pass(it.open({}), at)
      assert.deepEqual(kept.touched, [id])
      at = kept.checkpoint
      await it.clock.advance(20 * MINUTE_MS)
    }
    assert.deepEqual(
      (await pass(it.open({}), old)).touched,
      users.map(({ id }) => id),
    )
  })

  it('reads through all pages, and gives up where listing is cheaper', async () => {
    await using it = await timed({ pageSize: 1 })
    const [user, other] = it.users(2)
    assert.ok(user && other)
    const first = await pass(it.adapter)
    for (let count = 0; count < 49; count++) it.org.setEnabled(user.id, count % 2 === 1)
    it.org.setEnabled(other.id, false)
    it.org.clearRequests()
    const second = await pass(it.adapter, first.checkpoint)
    assert.deepEqual(second.touched, [user.id, other.id])
    assert.equal(second.place.seen.length, 50)
    assert.ok(logCalls(it.org).length >= 50)
    for (let count = 0; count < 52; count++) it.org.setEnabled(user.id, count % 2 === 1)
    await assert.rejects(pass(it.adapter, second.checkpoint), expired)
  })

  it('a pass that breaks gives no place', async () => {
    await using it = await bench({ pageSize: 1 })
    const { checkpoint } = await pass(it.adapter)
    for (const { id } of it.users(3)) it.org.setEnabled(id, false)
    it.org.fail(/^GET \/api\/v1\/logs\?.*after=/, { status: 500, times: 20 })
    const pages: Page[] = []
    await assert.rejects(
      async () => {
        for await (const page of it.adapter.changes(checkpoint, signal())) pages.push(page)
      },
      { code: 'E_DIRECTORY_DOWN' },
    )
    assert.ok(pages.length > 0 && pages.every((page) => page.checkpoint === undefined))
  })

  it('a place that the log does not reach, or another could have written, has expired', async () => {
    await using it = await timed()
    const { checkpoint, place } = await pass(it.adapter)
    const bad = [
      '',
      'null',
      '[]',
      'https://contoso.okta.com/api/v1/logs?after=x',
      JSON.stringify({ ...place, v: 2 }),
      JSON.stringify({ ...place, org: 'https://fabrikam.okta.com' }),
      JSON.stringify({ ...place, until: -1 }),
      JSON.stringify({ ...place, until: '0' }),
      JSON.stringify({ ...place, seen: Array.from({ length: 20_001 }, () => 'x') }),
      JSON.stringify({ ...place, until: it.clock.now() + DAY_MS }),
    ]
    it.org.clearRequests()
    for (const since of bad) await assert.rejects(pass(it.adapter, since), expired, since.slice(0, 60))
    assert.equal(it.org.requests.length, 0)
    const more = it.open({ manage: { kinds: ['user', 'serviceApp', 'aiAgent'] } })
    await assert.rejects(pass(more, checkpoint), expired)
    await pass(it.open({ manage: { kinds: ['user'] } }), checkpoint)
    await it.clock.advance(88 * DAY_MS)
    await pass(it.open({}), checkpoint)
    await it.clock.advance(1.1 * DAY_MS)
    await assert.rejects(pass(it.open({}), checkpoint), expired)
  })

  it('the reach of the log is told by the clock of the org', async () => {
    await using it = await timed()
    const { checkpoint } = await pass(it.adapter)
    it.org.setClockOff(100 * DAY_MS)
    await assert.rejects(pass(it.open({}), checkpoint), expired)
  })

  for (const minutes of [-12, -7, 7, 12]) {
    it(`a clock that is ${minutes} minutes off loses no change`, async () => {
      const clock = manualClock()
      await using it = await bench({ now: () => clock.now(), clock: off(clock, minutes * MINUTE_MS) })
      const users = it.users(6)
      let at = (await pass(it.adapter)).checkpoint
      const rung: string[] = []
      for (const { id } of users) {
        it.org.setEnabled(id, false)
        await clock.advance(2 * MINUTE_MS)
        // A restart forgets how far off the clock is.
        const next = await pass(id === users[3]?.id ? it.open({}) : it.adapter, at)
        rung.push(...next.touched)
        at = next.checkpoint
      }
      const last = await pass(it.adapter, at)
      assert.deepEqual([...new Set([...rung, ...last.touched])].sort(), users.map(({ id }) => id).sort())
    })
  }

  it('what changed while the bridge was away is found by one that comes back with a slow clock', async () => {
    const clock = manualClock()
    await using it = await bench({ now: () => clock.now(), clock: off(clock, -15 * MINUTE_MS) })
    const users = it.users(30)
    let at = (await pass(it.adapter)).checkpoint
    for (const { id } of users) {
      await clock.advance(MINUTE_MS)
      it.org.setEnabled(id, false)
    }
    const back = it.open({})
    const rung: string[] = []
    for (let count = 0; count < 2; count++) {
      const next = await pass(back, at)
      rung.push(...next.touched)
      at = next.checkpoint
    }
    assert.deepEqual([...new Set(rung)].sort(), users.map(({ id }) => id).sort())
  })

  it('of more events than a place holds the youngest are remembered', () => {
    const seen = Array.from({ length: 20_005 }, (_, at) => `m${at}`)
    const written = writePlace({ v: 1, org: 'https://contoso.okta.com', kinds: ['user'], until: 1, seen })
    const place = readPlace(written, 'https://contoso.okta.com', ['user'])
    assert.deepEqual([place.seen.length, place.seen[0], place.seen.at(-1)], [20_000, 'm5', 'm20004'])
  })

  it('a log that refuses is answered by listing everything; one that may not be read is not', async () => {
    await using it = await bench()
    const { checkpoint } = await pass(it.adapter)
    it.org.fail(/^GET \/api\/v1\/logs/, { status: 400 })
    await assert.rejects(pass(it.adapter, checkpoint), expired)
    it.org.setScopes(it.bridge, ['okta.users.read', 'okta.apps.read'])
    await assert.rejects(pass(it.open({}), checkpoint), { code: 'E_DIRECTORY_FORBIDDEN', hint: /okta\.logs\.read/ })
  })

  it('answers that cannot be fail the pass', async () => {
    await using it = await bench()
    const { checkpoint } = await pass(it.adapter)
    const whole = { uuid: 'u', published: '2026-11-21T10:00:00.000Z', eventType: 'user.lifecycle.suspend' }
    const bodies = [{}, 'text', [7], [{ ...whole, uuid: undefined }], [{ ...whole, published: 'x' }], { value: [] }]
    for (const body of bodies) {
      it.org.fail(/^GET \/api\/v1\/logs/, { status: 200, body })
      await assert.rejects(pass(it.adapter, checkpoint), { code: 'E_DIRECTORY_ANSWER' }, JSON.stringify(body))
    }
    it.org.fail(/^GET \/api\/v1\/logs/, { status: 200, body: [whole] })
    assert.deepEqual((await pass(it.adapter, checkpoint)).touched, [])
  })

  for (const [name, link] of [
    ['another host', 'https://logs.example.com/api/v1/logs?after=x'],
    ['a user name', 'http://okta@{host}/api/v1/logs?after=x'],
    ['another part of the org', '{origin}/oauth2/v1/token'],
    ['a way out', '{origin}/api/v1/../../oauth2/v1/token'],
    ['no address', '/api/v1/logs?after=x'],
  ] as const) {
    it(`refuses a next link with ${name}`, async () => {
      await using it = await bench()
      const { origin } = it.org
      const { checkpoint } = await pass(it.adapter)
      const hostile = link.replace('{origin}', origin).replace('{host}', new URL(origin).host)
      it.org.clearRequests()
      for (const path of ['/api/v1/logs', '/api/v1/users?']) {
        it.org.fail(path, { status: 200, body: [], headers: { link: `<${hostile}>; rel="next"` } })
        const since = path === '/api/v1/logs' ? checkpoint : undefined
        await assert.rejects(pass(it.adapter, since), { code: 'E_OUTBOUND_ORIGIN' })
      }
      assert.equal(it.org.requests.length, 2)
    })
  }

  it('event hooks that did not arrive are told of, once', async () => {
    await using it = await bench()
    const { checkpoint } = await pass(it.adapter)
    const hook = { id: 'who00000000000000001', type: 'EventHook', alternateId: 'bridge', displayName: 'bridge' }
    it.org.writeLog({ eventType: 'event_hook.delivery', targets: [hook], failure: 'timeout' }, { by: 'system' })
    const warned = () => it.logged().split('could not deliver event hooks').length - 1
    const next = await pass(it.adapter, checkpoint)
    await pass(it.adapter, next.checkpoint)
    assert.equal(warned(), 1)
    await pass(it.open({ hooks: {} }), checkpoint)
    assert.equal(warned(), 1)
  })

  it('asks for nothing that event hooks could not tell of the same accounts', () => {
    const types = changeTypesOf(['user', 'serviceApp', 'aiAgent'])
    assert.equal(new Set(types).size, types.length)
    for (const type of types)
      assert.match(type, /^(user\.(lifecycle|account)|application\.lifecycle|workload_principal)\.[a-z_.]+$/)
  })

  it('property: whatever is late, lost or restored, every change rings after it is in the log', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('switch' as const), user: fc.nat(2), lateMs: fc.nat(9 * MINUTE_MS) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.nat(6 * MINUTE_MS) }),
      fc.record({ do: fc.constantFrom('pass' as const, 'crash' as const, 'restart' as const) }),
      fc.record({ do: fc.constant('restore' as const), back: fc.nat(3) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        await using it = await timed({ pageSize: 3 })
        const users = it.users(3).map(({ id }) => id)
        let adapter = it.adapter
        const places = [(await pass(adapter)).checkpoint]
        /** When each change is in the log at the latest, and whether it rang since. */
        const owed: { id: string; from: number }[] = []
        const run = async () => {
          const begun = it.clock.now()
          const next = await pass(adapter, places.at(-1))
          for (const id of next.touched) {
            const done = owed.filter((each) => each.id === id && each.from <= begun)
            for (const each of done) owed.splice(owed.indexOf(each), 1)
          }
          return next.checkpoint
        }
        for (const one of steps) {
          if (one.do === 'switch') {
            const id = users[one.user] ?? ''
            const lift = it.org.delayLog(one.lateMs)
            it.org.setEnabled(id, it.org.get(id)?.enabled === false)
            lift()
            owed.push({ id, from: it.clock.now() + one.lateMs })
          } else if (one.do === 'wait') await it.clock.advance(one.ms)
          else if (one.do === 'crash') await run()
          else if (one.do === 'restart') adapter = it.open({})
          else if (one.do === 'restore') places.splice(Math.max(1, places.length - one.back))
          else places.push(await run())
        }
        await it.clock.advance(9 * MINUTE_MS)
        const last = await run()
        places.push(last)
        assert.deepEqual(owed, [])
        assert.deepEqual((await pass(adapter, last)).touched, [], 'and no more than that')
      }),
      { numRuns: 25 },
    )
  })
})
