import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { KillTargets } from '../../src/engine/killapi.ts'
import { until } from '../e2e/until.ts'
import { agent, idle, principal } from '../store/fixture.ts'
import { fleet } from './fleet.ts'
import { alice, bob, caller, minute, policyOf, registrar, runtime, soc, World, type WorldOptions } from './harness.ts'

const code = (wanted: string) => ({ code: wanted })

const killMany = (world: World, targets: KillTargets, by: Caller = soc) =>
  world.bridge.killMany({ targets, reason: 'breach' }, 1000, by)

const denied = async (world: World, dids: readonly string[]) => {
  for (const did of dids) assert.ok((await world.codes(did)).includes('R_SUSPENDED'), did)
}

const killsInAudit = async (world: World) => {
  assert.equal((await world.bridge.verifyAudit()).ok, true)
  const { items } = await world.bridge.audit({ limit: 10_000 })
  return {
    kills: items.filter(({ type }) => type === 'kill.recorded'),
    placed: items.filter(({ type }) => type === 'hold.placed'),
  }
}

test('a list is held whole by the time it is answered, registered or not, each agent once', async () => {
  await using world = await World.open()
  const dids = await fleet(world, 30)
  const unknown = 'did:mesh:not-yet'
  const { kill, items } = await killMany(world, { dids: [...dids, unknown, dids[3] ?? ''] })
  assert.deepEqual([kill.agents, kill.placed, kill.released], [31, 31, 0])
  assert.deepEqual(
    items.map(({ did, known }) => [did, known]),
    [...dids.map((did) => [did, true]), [unknown, false]],
  )
  await denied(world, dids)
  const { kills, placed } = await killsInAudit(world)
  assert.deepEqual(
    kills.map(({ details, text }) => [details?.killId, details?.agents, text?.reason]),
    [[kill.id, 31, 'breach']],
  )
  assert.deepEqual(placed.map(({ hold }) => hold).sort(), items.map(({ holdId }) => holdId).sort())
  assert.ok(placed.every(({ details }) => details?.killId === kill.id))
  await world.agent('not-yet')
  await denied(world, [unknown])

  await world.run(minute)
  for (const name of ['north', 'south'] as const) {
    assert.deepEqual(
      dids.filter((did) => world.directories[name].enabled(did.slice('did:mesh:'.length))),
      [],
    )
  }
  const [status] = (await world.bridge.status()).kills
  assert.deepEqual(status?.accounts, { total: 62, off: 62, pending: 0, failed: 0, shared: 0, unsupported: 0 })
})

test('a selector holds those that match every member of it, and nobody else', async () => {
  await using world = await World.open()
  const mail = { email: 'Alice@contoso.com', objectId: 'oid-1' }
  await world.bridge.defineBlueprint('Analyst', {}, alice, undefined)
  const a = await world.agent('a', { sponsor: mail, blueprint: 'Analyst' }, ['north'])
  const b = await world.agent('b', { sponsor: mail, parentDid: a }, ['south'])
  const c = await world.agent('c', { parentDid: b, blueprint: 'Analyst' }, ['south'])
  const gone = await world.agent('gone', { sponsor: mail })
  await world.bridge.decommission(gone, 'r', registrar)
  const matched = async (selector: object) =>
    (await world.bridge.previewKill({ selector }, soc)).map(({ did }) => did).sort()
  assert.deepEqual(await matched({ sponsor: 'alice@CONTOSO.com' }), [a, b])
  assert.deepEqual(await matched({ sponsor: 'oid-1' }), [a, b])
  assert.deepEqual(await matched({ blueprint: 'Analyst' }), [a, c])
  assert.deepEqual(await matched({ blueprint: 'analyst' }), [])
  assert.deepEqual(await matched({ parent: a }), [b])
  assert.deepEqual(await matched({ adapter: 'south' }), [b, c])
  assert.deepEqual(await matched({ adapter: 'south', blueprint: 'Analyst' }), [c])
  assert.deepEqual(await world.origins(a), [], 'a preview holds nobody')

  const { items } = await killMany(world, { selector: { parent: a } })
  assert.deepEqual(
    items.map(({ did }) => did),
    [b],
  )
  await denied(world, [b, c])
  assert.deepEqual(await world.origins(c), [`cascade:${b}`])
  assert.deepEqual(await world.origins(a), [], 'the parent itself goes on')
  const [entry] = (await killsInAudit(world)).kills
  assert.deepEqual(entry?.details?.selector, { parent: a })
})

test("a sponsor's e-mail address stands beside the chain, not in it", async () => {
  await using world = await World.open()
  await world.agent('a', { sponsor: { email: 'alice@contoso.com' } })
  await killMany(world, { selector: { sponsor: 'alice@contoso.com' } })
  const [entry] = (await killsInAudit(world)).kills
  assert.deepEqual(entry?.details?.selector, {})
  assert.equal(entry?.text?.sponsor, 'alice@contoso.com')
})

test('what cannot be is refused, and nobody is held', async () => {
  await using world = await World.open({ policy: { killBudget: { max: 5, perMs: 10 * minute } } })
  const dids = await fleet(world, 4, { labels: { unit: 'payments' } })
  const foreign = await world.agent('foreign')
  const bounded = { ...runtime, labels: { unit: 'payments' } }
  await assert.rejects(killMany(world, { selector: { blueprint: 'none' } }), code('E_AGENT_UNKNOWN'))
  await assert.rejects(killMany(world, { selector: { adapter: 'east' } }), code('E_ADAPTER_UNKNOWN'))
  await assert.rejects(killMany(world, { selector: { adapter: 'north' } }, runtime), code('E_FORBIDDEN'))
  await assert.rejects(killMany(world, { dids: [...dids, 'not a did'] }), code('E_DID'))
  await assert.rejects(killMany(world, { dids: [...dids, foreign] }, bounded), code('E_FORBIDDEN'))
  const many = Array.from({ length: 10_001 }, (_, n) => `did:mesh:x${n}`)
  await assert.rejects(killMany(world, { dids: many }), code('E_VALIDATION'))
  const six = [...dids, 'did:mesh:u1', 'did:mesh:u2']
  await assert.rejects(killMany(world, { dids: six }, bounded), code('E_BUDGET'))
  for (const did of [...dids, foreign]) assert.deepEqual(await world.origins(did), [])
  assert.deepEqual((await killsInAudit(world)).kills, [])

  const { items } = await killMany(world, { dids }, bounded)
  assert.deepEqual(await world.origins(items[0]?.did ?? ''), ['runtime:agt-1'])
  await assert.rejects(killMany(world, { dids: dids.slice(0, 2) }, bounded), (error: unknown) => {
    assert.ok(error instanceof Error && 'retryAfterMs' in error && Number(error.retryAfterMs) > 9 * minute)
    return true
  })
  await killMany(world, { dids: dids.slice(0, 1) }, bounded)
})

test('an exact fit of the targets and 10,000 of them pass', async () => {
  await using world = await World.open()
  const many = Array.from({ length: 10_000 }, (_, n) => `did:mesh:x${n}`)
  const { kill, items, nextCursor } = await killMany(world, { dids: many })
  assert.deepEqual([kill.placed, items.length, nextCursor], [10_000, 1000, '1000'])
  const last = await world.bridge.killed(kill.id, '9990', 1000, soc)
  assert.deepEqual([last.items.length, last.nextCursor, last.items.at(-1)?.did], [10, null, 'did:mesh:x9999'])
  await denied(world, [many[0] ?? '', many[5000] ?? '', many[9999] ?? ''])
})

for (const point of ['kill.recorded', 'kill.advanced']) {
  test(`the process dies at ${point}: the whole of what was recorded is held before it serves again`, async () => {
    await using world = await World.open()
    const dids = await fleet(world, 3)
    const more = Array.from({ length: 500 }, (_, n) => `did:mesh:x${n}`)
    world.dieAt = point
    await assert.rejects(killMany(world, { dids: [...more, ...dids] }))
    await world.restart()
    await denied(world, [...dids, ...more])
    const { kills, placed } = await killsInAudit(world)
    assert.equal(kills.length, 1)
    assert.equal(new Set(placed.map(({ hold }) => hold)).size, 503)
    assert.equal(placed.length, 503, 'one entry and one hold each, however often it was gone through')
    const [kill] = (await world.bridge.status()).kills
    assert.deepEqual([kill?.placed, kill?.accounts.total], [503, 6])
    await world.run(minute)
    assert.equal(world.north.enabled('a0'), false)
  })
}

test('parents and children of one kill: each has its own hold and that of its ancestor', async () => {
  await using world = await World.open()
  const [a] = await fleet(world, 1)
  const children = await fleet(world, 150, { parentDid: a }, 'c')
  await killMany(world, { dids: [a ?? '', ...children] })
  for (const did of children) assert.deepEqual(await world.origins(did), [`cascade:${a}`, 'operator:soc'])
  const { placed } = await killsInAudit(world)
  assert.equal(placed.length, 301)
  const claims = placed.flatMap(({ details }) => (Array.isArray(details?.claimed) ? details.claimed : []))
  assert.equal(claims.length, 302, 'each account is claimed once')
})

test('a single kill sent after one of hundreds is written before what is left of those', async () => {
  await using world = await World.open()
  const dids = await fleet(world, 130)
  const single = await world.agent('single', {}, ['north'])
  await killMany(world, { dids })
  const { mirror } = world.runner('north')
  await mirror.suspendOnce()
  await mirror.drained()
  const before = world.north.written.length
  assert.ok(before > 0 && before < 100, `${before}`)
  await world.kill(single, soc)
  await mirror.suspendOnce()
  await mirror.drained()
  assert.equal(world.north.written[before]?.id, 'single')
  await world.run(5 * minute)
  assert.deepEqual(
    dids.filter((did) => world.north.enabled(did.slice('did:mesh:'.length))),
    [],
  )
})

test('a single kill of a parent that one of hundreds held takes its descendants out of the lane of the many', async () => {
  await using world = await World.open()
  const dids = await fleet(world, 130)
  const [child = ''] = await fleet(world, 1, { parentDid: dids[99] }, 'c')
  await killMany(world, { dids })
  const laneOf = async (id: string) => (await world.store.principal({ adapter: 'north', id }))?.schedule.lane
  assert.deepEqual([await laneOf('a99'), await laneOf('c0')], [4, 4])
  const before = await world.origins(child)
  await world.kill(dids[99] ?? '', soc)
  assert.deepEqual([await laneOf('a99'), await laneOf('c0')], [0, 0])
  assert.deepEqual(await world.origins(child), before)
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('while calls for many are on the wire, a single kill and one that joins it have calls of their own', async () => {
  await using world = await World.open()
  const dids = await fleet(world, 130)
  await killMany(world, { dids })
  world.north.latencyMs = 1_000
  const { mirror } = world.runner('north')
  const calls = (count: number) => until(`${count} calls`, () => world.clock.sleeping === count)
  await mirror.suspendOnce()
  await calls(2)
  await world.kill(dids[99] ?? '', soc)
  await mirror.suspendOnce()
  await calls(3)
  await world.clock.advance(1_000)
  await mirror.drained()
  const written = world.north.written.map(({ id }) => id)
  assert.ok(written.includes('a99'), 'a target of the many that is killed alone waits for them no more')
  assert.ok(written.length < 130)
  world.north.latencyMs = 0
})

test('one directory that throttles to a crawl does not slow another', async () => {
  await using world = await World.open()
  const dids = await fleet(world, 150)
  world.north.writes.add({ mode: 'throttled', retryAfterMs: 60_000 })
  await killMany(world, { selector: { adapter: 'north' } })
  await world.run(10_000)
  const off = dids.filter((did) => !world.south.enabled(did.slice('did:mesh:'.length)))
  assert.equal(off.length, 150)
  assert.ok(world.north.written.length <= 100, `asked to wait, it is left alone (${world.north.written.length} writes)`)
  const [kill] = (await world.bridge.status()).kills
  assert.equal(kill?.accounts.off, 150)
  assert.ok((kill?.accounts.failed ?? 0) > 0)
  assert.equal((kill?.accounts.failed ?? 0) + (kill?.accounts.pending ?? 0), 150)
  world.north.writes.clear()
  await world.run(5 * minute)
  assert.equal((await world.bridge.status()).kills[0]?.accounts.off, 300)
})

test('progress: a directory that is not written, holds released since, and who may see it', async () => {
  const options: WorldOptions = { adapters: { south: { settings: { mirror: 'inbound' } } }, policy: policyOf() }
  await using world = await World.open(options)
  const dids = await fleet(world, 3)
  const { kill, items } = await killMany(world, { dids }, runtime)
  await world.run(minute)
  const seen = (by: Caller) => world.bridge.killed(kill.id, undefined, 10, by)
  assert.deepEqual((await seen(soc)).kill.accounts, {
    total: 6,
    off: 3,
    pending: 0,
    failed: 0,
    shared: 0,
    unsupported: 3,
  })
  await world.releaseByTwo(dids[0] ?? '', items[0]?.holdId ?? '', alice, bob)
  const page = await seen(runtime)
  assert.equal(page.kill.released, 1)
  assert.equal(page.kill.accounts.total, 4)
  assert.deepEqual(
    page.items.map(({ released }) => released),
    [true, false, false],
  )
  await assert.rejects(seen(caller('agt-2', 'runtime')), code('E_NOT_FOUND'))
  await assert.rejects(world.bridge.killed('none', undefined, 10, soc), code('E_NOT_FOUND'))
  await assert.rejects(world.bridge.killed(kill.id, 'x', 10, soc), code('E_VALIDATION'))
  await world.clock.advance(25 * 60 * minute)
  assert.deepEqual((await world.bridge.status()).kills, [], 'a day later it is no news any more')
})

test('a kill of a parent with hundreds of descendants holds all of them in its transaction', async () => {
  await using world = await World.open()
  const root = await world.agent('root')
  const middle = await world.agent('middle', { parentDid: root })
  const leaves = await fleet(world, 150, { parentDid: middle })
  const { holdId } = await world.kill(root, soc)
  for (const did of leaves) assert.deepEqual(await world.origins(did), [`cascade:${root}`])
  const single = await world.agent('single', {}, ['north'])
  const { mirror } = world.runner('north')
  await world.kill(single, soc)
  await mirror.suspendOnce()
  await mirror.drained()
  assert.ok(world.north.written.slice(0, 2).some(({ id }) => id === 'single'))
  await world.run(5 * minute)
  await world.releaseByTwo(root, holdId, alice, bob)
  for (const did of leaves) assert.deepEqual(await world.origins(did), [])
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('agents that share an account: it is claimed and counted once, when all of them are targets, and left on otherwise', async () => {
  await using world = await World.open()
  const shared = { adapter: 'north', kind: 'account', shared: true }
  for (const id of ['s', 't']) world.north.add({ id })
  const register = (did: string, ids: readonly string[]) =>
    world.bridge.register({ did, name: did, principals: ids.map((id) => ({ ...shared, id })) }, registrar)
  await register('did:mesh:one', ['s', 't'])
  await register('did:mesh:two', ['s'])
  await register('did:mesh:three', ['t'])
  const { kill } = await killMany(world, { dids: ['did:mesh:one', 'did:mesh:two'] })
  const claims = (await killsInAudit(world)).placed.flatMap(({ details }) => details?.claimed ?? [])
  assert.deepEqual(claims, [{ adapter: 'north', id: 's' }])
  await world.run(minute)
  assert.deepEqual([world.north.enabled('s'), world.north.enabled('t')], [false, true])
  const { accounts } = (await world.bridge.killed(kill.id, undefined, 10, soc)).kill
  assert.deepEqual([accounts.total, accounts.off, accounts.shared, accounts.pending], [2, 1, 1, 0])
})

test('what may not be written of many waits among the many, not where single kills are repeated', async () => {
  await using world = await World.open({ adapters: { north: { never: ['a0', 'alone'] } } })
  const dids = await fleet(world, 101)
  await killMany(world, { dids })
  await world.store.write(async (tx) => {
    await tx.insertAgent(agent('did:mesh:alone'))
    await tx.insertPrincipal(principal('did:mesh:alone', 'alone', { adapter: 'north', kind: 'account' }), idle)
  })
  await world.kill('did:mesh:alone', soc)
  await world.run(1_000)
  const lane = async (id: string) => (await world.store.principal({ adapter: 'north', id }))?.schedule.lane
  assert.deepEqual([await lane('a0'), await lane('alone')], [4, 2])
  assert.equal((await world.account('north', 'a0')).lastError, 'E_NEVER')
})
