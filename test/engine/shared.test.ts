import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hold } from '../../src/core/types.ts'
import { hold } from '../store/fixture.ts'
import { alice, bob, carol, dave, minute, policyOf, second, soc, World, type WorldOptions } from './harness.ts'
import { account, sharer } from './sharing.ts'

const own = `adapter:north/${account}`
const automatic: WorldOptions = { policy: { resume: 'automatic' } }

const pair = async (world: World): Promise<[string, string]> => [await sharer(world, 'a'), await sharer(world, 'b')]
const isOn = (world: World): boolean => world.north.enabled(account)
const view = async (world: World, did: string) => {
  const found = (await world.bridge.agent(did, alice)).principals.find(({ adapter }) => adapter === 'north')
  assert.ok(found)
  return found
}
const ownHold = async (world: World, did: string) => {
  const hold = (await world.open(did)).find(({ origin }) => origin === own)
  assert.ok(hold)
  return hold
}
const signalsOf = async (world: World, did: string): Promise<string[]> =>
  (await world.store.signalsAfter(0, 999)).filter((one) => one.did === did).map(({ type }) => type)

test('a hold on one of two denies that one, and the account they share stays on', async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  await world.kill(a)
  await world.settleAll()
  assert.deepEqual([await world.codes(a), await world.codes(b)], [['R_SUSPENDED'], []])
  assert.deepEqual([isOn(world), world.writes('north')], [true, []])
  assert.deepEqual([world.south.enabled('a'), world.south.enabled('b')], [false, true])
  for (const did of [a, b]) {
    const { account, shared } = await view(world, did)
    assert.deepEqual([shared, account.desired, account.mark], [true, 'enabled', 'none'])
  }
  assert.deepEqual([await signalsOf(world, a), await signalsOf(world, b)], [['suspended'], []])
})

for (const logless of [false, true]) {
  test(`the account is off while all are held, and on again with the first release${logless ? ', without a log' : ''}`, async () => {
    await using world = await World.open({ adapters: { north: { logless } } })
    const [a, b] = await pair(world)
    const first = await world.kill(a)
    await world.clock.advance(minute)
    const second = await world.kill(b)
    await world.settleAll()
    assert.deepEqual([isOn(world), (await world.account('north', account)).mark], [false, 'ours'])
    assert.deepEqual(
      [(await view(world, a)).account.desired, (await view(world, b)).account.desired],
      ['disabled', 'disabled'],
    )
    await world.releaseByTwo(a, first.holdId)
    assert.deepEqual([await world.codes(a), await world.codes(b)], [[], ['R_SUSPENDED']])
    await world.settleAll()
    assert.deepEqual([isOn(world), (await world.account('north', account)).mark], [true, 'none'])
    assert.deepEqual(world.writes('north'), ['disable', 'enable'])
    assert.deepEqual([world.south.enabled('a'), world.south.enabled('b')], [true, false])
    await world.releaseByTwo(b, second.holdId)
    await world.settleAll()
    assert.deepEqual(
      [await world.origins(a), await world.origins(b), world.writes('north')],
      [[], [], ['disable', 'enable']],
    )
    assert.equal((await world.bridge.verifyAudit()).ok, true)
  })
}

test('held again before the account is on: no hold is lost and none is taken for a foreign one', async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  const { holdId } = await world.kill(a)
  await world.kill(b)
  await world.settleAll()
  await world.releaseByTwo(a, holdId)
  await world.work()
  await world.kill(a)
  await world.settleAll()
  assert.deepEqual(
    [isOn(world), await world.origins(a), await world.origins(b)],
    [false, ['runtime:agt-1'], ['runtime:agt-1']],
  )
})

test('disabled by an administrator, the account holds every agent that shares it, and frees all at once', async () => {
  await using world = await World.open(automatic)
  const [a, b] = await pair(world)
  const c = await world.agent('c')
  world.north.set(account, false)
  await world.settleAll(minute)
  assert.deepEqual([await world.origins(a), await world.origins(b), await world.origins(c)], [[own], [own], []])
  assert.deepEqual([world.south.enabled('a'), world.south.enabled('b')], [false, false])
  assert.deepEqual([await signalsOf(world, a), await signalsOf(world, b)], [['suspended'], ['suspended']])
  assert.equal(await world.store.guardCount('north', 'suspend', 0), 1)
  world.north.set(account, true)
  await world.settleAll()
  assert.deepEqual([await world.origins(a), await world.origins(b)], [[], []])
  assert.deepEqual([world.south.enabled('a'), world.south.enabled('b'), world.writes('north')], [true, true, []])
  assert.deepEqual(await signalsOf(world, b), ['suspended', 'resumed'])
})

test("two people approve one agent's release; the other's waits for its own, and both fall with the account", async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  world.north.set(account, false)
  await world.settleAll()
  world.north.set(account, true)
  await world.settleAll()
  const [ofA, ofB] = [await ownHold(world, a), await ownHold(world, b)]
  assert.ok(ofA.releasableAt !== undefined && ofB.releasableAt !== undefined)
  await world.releaseByTwo(a, ofA.id, carol, dave)
  await world.settleAll()
  assert.deepEqual([await world.codes(a), await world.codes(b), isOn(world)], [[], ['R_SUSPENDED'], true])
  // Off again: the one that was freed is held anew, the other cannot be approved any more.
  world.north.set(account, false)
  await world.settleAll()
  assert.deepEqual([await world.origins(a), (await ownHold(world, b)).releasableAt], [[own], undefined])
  assert.equal((await ownHold(world, b)).id, ofB.id)
  world.north.set(account, true)
  await world.settleAll()
  for (const did of [a, b]) await world.releaseByTwo(did, (await ownHold(world, did)).id, carol, dave)
  await world.settleAll()
  assert.deepEqual([await world.codes(a), await world.codes(b), world.writes('north')], [[], [], []])
})

test('somebody else holds it off while all are held for other reasons: it is not written, and not switched on', async () => {
  await using world = await World.open(automatic)
  const [a, b] = await pair(world)
  world.north.set(account, false)
  await world.settleAll(minute)
  const kills = [await world.kill(a), await world.kill(b)]
  await world.settleAll()
  assert.deepEqual([await world.origins(a), world.writes('north')], [[own, 'runtime:agt-1'], []])
  // Switched on against the kills: their hold drives now that nobody else's does.
  world.north.set(account, true)
  await world.settleAll()
  assert.deepEqual(
    [isOn(world), await world.origins(a), world.writes('north')],
    [false, ['runtime:agt-1'], ['disable']],
  )
  await world.releaseByTwo(a, kills[0]?.holdId ?? '')
  await world.settleAll()
  assert.deepEqual([isOn(world), await world.codes(a)], [true, []])
})

test('disabled by somebody else over our own switch-off: found at the release, and each agent is held for it', async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  const { holdId } = await world.kill(a)
  await world.kill(b)
  await world.settleAll()
  world.north.set(account, true)
  world.north.set(account, false)
  await world.releaseByTwo(a, holdId)
  await world.settleAll()
  assert.deepEqual(
    [isOn(world), await world.origins(a), await world.origins(b)],
    [false, [own], [own, 'runtime:agt-1']],
  )
})

test('an override frees one agent; the other stays held, and a newer disable holds the first again', async () => {
  await using world = await World.open(automatic)
  const [a, b] = await pair(world)
  world.north.set(account, false)
  await world.settleAll()
  await world.releaseByTwo(a, (await ownHold(world, a)).id, alice, bob)
  await world.settleAll()
  assert.deepEqual([await world.codes(a), await world.codes(b), isOn(world)], [[], ['R_SUSPENDED'], false])
  assert.equal((await view(world, a)).account.overridden, true)
  // Nobody saw it on in between: the log tells.
  world.north.set(account, true)
  world.north.set(account, false)
  await world.settleAll()
  assert.deepEqual([await world.origins(a), await world.origins(b)], [[own], [own]])
  world.north.set(account, true)
  await world.settleAll()
  assert.deepEqual([await world.codes(a), await world.codes(b), world.writes('north')], [[], [], []])
})

test('overriding the second hold later forgets no disable that counts for the first', async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  world.north.set(account, false)
  await world.settleAll()
  await world.releaseByTwo(a, (await ownHold(world, a)).id, alice, bob)
  await world.run(second)
  world.north.set(account, true)
  world.north.set(account, false)
  await world.clock.advance(second)
  await world.releaseByTwo(b, (await ownHold(world, b)).id, alice, bob)
  await world.settleAll()
  assert.deepEqual(await world.origins(a), [own])
})

test('an override for one agent does not keep a foreign disable from being put back for the other', async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  const { holdId } = await world.kill(a)
  await world.kill(b)
  await world.settleAll()
  await world.releaseByTwo(a, holdId)
  const at = world.clock.now()
  await world.work()
  assert.equal(isOn(world), true)
  world.north.addLog({ id: account, at: at - 1, action: 'disable', ours: false, actor: 'mallory' })
  // What puts it back is not taken for so long that an operator comes first.
  world.north.writes.add({ mode: 'throttled', times: 3, retryAfterMs: minute })
  await world.run(minute)
  assert.deepEqual([isOn(world), (await world.account('north', account)).putBack], [true, true])
  await world.releaseByTwo(a, (await ownHold(world, a)).id, alice, bob)
  await world.settleAll()
  assert.deepEqual([isOn(world), await world.origins(a), await world.origins(b)], [false, [], [own, 'runtime:agt-1']])
  await world.releaseByTwo(b, (await ownHold(world, b)).id, alice, bob)
  assert.equal((await world.account('north', account)).putBack, false)
})

test('parent and child share one account: the hold of the parent switches it off, its release on', async () => {
  await using world = await World.open(automatic)
  const a = await sharer(world, 'a')
  const b = await sharer(world, 'b', {}, { parentDid: a })
  const { id } = await world.bridge.place(b, { severity: 'suspend', reason: 'r' }, soc)
  await world.settleAll()
  assert.equal(isOn(world), true)
  await world.bridge.release(b, id, 'r', soc)
  const held = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  await world.settleAll()
  assert.deepEqual([isOn(world), await world.origins(b)], [false, [`cascade:${a}`]])
  await world.bridge.release(a, held.id, 'r', soc)
  await world.settleAll()
  assert.deepEqual([isOn(world), await world.origins(b), world.writes('north')], [true, [], ['disable', 'enable']])
  world.north.set(account, false)
  await world.settleAll(minute)
  assert.deepEqual(await world.origins(b), [own, `cascade:${a}`])
  assert.equal(await world.store.guardCount('north', 'suspend', 0), 2)
  world.north.set(account, true)
  await world.settleAll()
  assert.deepEqual([await world.origins(a), await world.origins(b), isOn(world)], [[], [], true])
})

for (const point of ['kill.committed', 'disable.recorded', 'disable.answered', 'disable.settled']) {
  test(`the process dies at ${point} of the second kill: both hold after the restart, and the account goes off once`, async () => {
    await using world = await World.open()
    const [a, b] = await pair(world)
    const { holdId } = await world.kill(a)
    await world.settleAll()
    const before = world.passed.length
    world.dieAt = point
    await world.kill(b).catch(() => undefined)
    if (!world.dead) await world.run(minute)
    assert.equal(world.passed.slice(before).at(-1), point)
    await world.restart()
    await world.settleAll()
    assert.deepEqual(
      [await world.codes(a), await world.codes(b), isOn(world)],
      [['R_SUSPENDED'], ['R_SUSPENDED'], false],
    )
    await world.releaseByTwo(a, holdId)
    await world.settleAll()
    assert.deepEqual([await world.origins(a), await world.origins(b), isOn(world)], [[], ['runtime:agt-1'], true])
  })
}

for (const point of ['enable.recorded', 'enable.answered', 'enable.settled']) {
  test(`the process dies at ${point} of the release: the account comes on, and no echo holds anybody`, async () => {
    await using world = await World.open()
    const [a, b] = await pair(world)
    const { holdId } = await world.kill(a)
    await world.kill(b)
    await world.settleAll()
    await world.releaseByTwo(a, holdId)
    world.dieAt = point
    await world.settleAll()
    assert.equal(world.dead, true)
    await world.restart()
    await world.settleAll()
    assert.deepEqual([isOn(world), await world.origins(a), await world.origins(b)], [true, [], ['runtime:agt-1']])
    assert.deepEqual(world.violations, [])
  })
}

/** Plays up to an enable, with this hold committed together with its intent. */
const withIntent = async (world: World, late: (dids: [string, string]) => Hold): Promise<[string, string]> => {
  const [a, b] = await pair(world)
  const { holdId } = await world.kill(a)
  await world.kill(b)
  await world.settleAll()
  await world.releaseByTwo(a, holdId)
  const { store } = world
  const { write } = store
  let placed = false
  store.write = (work) => {
    const done = write(work)
    // Queued in the same turn: what is queued together shares one commit.
    const together = write(async (tx) => {
      const principal = await tx.principal({ adapter: 'north', id: account })
      if (placed || principal?.account.intent !== 'enable') return
      placed = true
      await tx.insertHold(late([a, b]))
    })
    return together.then(() => done)
  }
  await world.work()
  store.write = write
  assert.equal(placed, true)
  return [a, b]
}

test('a hold that completes the set, committed together with the intent of an enable, keeps it from being sent', async () => {
  await using world = await World.open()
  const [a] = await withIntent(world, ([did]) => hold('late', did))
  await world.settleAll()
  assert.deepEqual([world.violations, isOn(world), world.writes('north')], [[], false, ['disable']])
  await world.bridge.release(a, 'late', 'r', soc)
  await world.settleAll()
  assert.deepEqual([world.violations, isOn(world), world.writes('north')], [[], true, ['disable', 'enable']])
})

test('so does an own hold on one of them, though not all are held', async () => {
  await using world = await World.open()
  await withIntent(world, ([, did]) => hold('late', did, { origin: own }))
  assert.deepEqual([world.violations, isOn(world), world.writes('north')], [[], false, ['disable']])
})

test('what the guard keeps back on one of them moves nothing; approved, it does', async () => {
  const guard = { ...policyOf().guard, suspend: { max: 1, percent: 100 }, resume: { max: 9, percent: 100 } }
  await using world = await World.open({ policy: { guard } })
  const [a, b] = await pair(world)
  await world.poll()
  await world.clock.advance(second)
  await world.kill(a)
  // Two changes in south: the second, of b, is held back.
  world.south.add({ id: 'x' })
  await world.agent('x', {}, ['south'])
  await world.clock.advance(second)
  world.south.set('x', false)
  await world.poll()
  await world.run(second)
  world.south.set('b', false)
  await world.settleAll(minute)
  assert.deepEqual(
    (await world.open(b)).map(({ guarded }) => guarded),
    [true],
  )
  assert.deepEqual([await world.codes(b), isOn(world)], [['R_SUSPENDED'], true])
  const plan = (await world.bridge.guard('south')).suspend.plan
  assert.ok(plan)
  await world.bridge.approveGuard('south', plan.hash, carol)
  await world.bridge.approveGuard('south', plan.hash, dave)
  await world.settleAll(minute)
  assert.equal(isOn(world), false)
})

test('an account asked about by itself is nobody in particular; with a DID it is that one', async () => {
  await using world = await World.open()
  const a = await sharer(world, 'a', { scopes: ['of a'] })
  const b = await sharer(world, 'b', { scopes: ['of b'] })
  const other = await world.agent('x')
  const principal = { adapter: 'north', id: account }
  const ask = async (part: object) => {
    const { allow, codes, did } = await world.bridge.decide({ principal, ...part })
    return [allow, did, ...codes]
  }
  assert.deepEqual(await ask({}), [false, undefined, 'R_AMBIGUOUS'])
  assert.deepEqual(await ask({ did: a }), [true, a])
  assert.deepEqual(await ask({ did: a, scope: 'of a' }), [true, a])
  assert.deepEqual(await ask({ did: a, scope: 'of b' }), [false, a, 'R_SCOPE'])
  assert.equal((await ask({ did: other })).includes('R_MISMATCH'), true)
  await world.kill(b)
  assert.deepEqual(await ask({}), [false, undefined, 'R_AMBIGUOUS', 'R_SUSPENDED'])
  assert.deepEqual([await ask({ did: a }), (await ask({ did: b }))[0]], [[true, a], false])
  assert.deepEqual((await world.bridge.decide({ did: a })).allow, true)
})

test('shared by one agent so far, it is ambiguous all the same', async () => {
  await using world = await World.open()
  const a = await sharer(world, 'a')
  const { codes } = await world.bridge.decide({ principal: { adapter: 'north', id: account } })
  assert.deepEqual([codes, await world.codes(a)], [['R_AMBIGUOUS'], []])
})

test('the account answers with all of its agents; one that is not shared with its own', async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  const found = await world.bridge.principal('north', account, alice)
  assert.ok('agents' in found)
  assert.deepEqual(
    found.agents.map(({ did }) => did),
    [a, b],
  )
  const alone = await world.bridge.principal('south', 'a', alice)
  assert.ok('did' in alone && alone.did === a)
})

test('a membership of a shared account grants nothing to any of its agents', async () => {
  await using world = await World.open({ adapters: { north: { settings: { groups: { g: ['read:x'] } } } } })
  const [a, b] = await pair(world)
  const c = await world.agent('c')
  world.north.setGroup('g', [account, 'c'])
  await world.runner('north').groups.sync(world.signal)
  for (const [did, capabilities] of [
    [a, []],
    [b, []],
    [c, ['read:x']],
  ] as const) {
    assert.deepEqual((await world.bridge.agent(did, alice)).effective, capabilities)
  }
})

test('marks of a shared account are chained with all of its agents', async () => {
  await using world = await World.open()
  const [a, b] = await pair(world)
  await world.kill(a)
  await world.kill(b, soc)
  await world.settleAll()
  const { items } = await world.bridge.audit({ limit: 1_000 })
  const marks = items.filter(({ principals, type }) => type.startsWith('account.') && principals?.[0]?.id === account)
  assert.deepEqual(
    marks.map(({ details, did, type }) => [type, did, details?.['shared']]),
    [['account.ours', undefined, [a, b]]],
  )
})
