import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fleetOf } from './fleet.ts'
import {
  alice,
  bob,
  caller,
  carol,
  Death,
  dave,
  minute,
  policyOf,
  settleMs,
  soc,
  World,
  type WorldOptions,
} from './harness.ts'

const tight = (resume: 'approval' | 'automatic' = 'automatic'): WorldOptions => ({
  policy: {
    resume,
    guard: { ...policyOf().guard, suspend: { max: 3, percent: 100 }, resume: { max: 3, percent: 100 } },
  },
})

const off = async (world: World, from: number, until: number, forMs = minute): Promise<void> => {
  for (let n = from; n < until; n++) world.north.set(`a${n}`, false)
  await world.settleAll(forMs)
}

const south = (world: World, until: number): string =>
  Array.from({ length: until }, (_, n) => (world.south.enabled(`a${n}`) ? 'on' : 'off')).join(' ')

const planOf = async (world: World, direction: 'suspend' | 'resume' = 'suspend') => {
  const { plan } = (await world.bridge.guard('north'))[direction]
  assert.ok(plan)
  return plan
}

const approve = async (world: World, hash: string) => {
  assert.equal((await world.bridge.approveGuard('north', hash, carol)).done, false)
  return world.bridge.approveGuard('north', hash, dave)
}

const entries = async (world: World, type: string) =>
  (await world.bridge.audit({ limit: 10_000 })).items.filter((entry) => entry.type === type)

test('what is seen after an approval counts anew: one approved plan is no free pass', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 12)
  await off(world, 0, 5)
  const before = await planOf(world)
  assert.equal(before.rows.length, 2)
  assert.deepEqual(await approve(world, before.hash), { done: true, applied: 2, dropped: 0 })
  const clear = (await world.bridge.guard('north')).suspend
  assert.deepEqual([clear.tripped, clear.count, clear.plan, clear.approval], [false, 0, undefined, undefined])
  await off(world, 5, 10)
  assert.equal(south(world, 10), 'off off off off off off off off on on')
  const after = await planOf(world)
  assert.equal(after.rows.length, 2)
  assert.notEqual(after.hash, before.hash)
  await assert.rejects(world.bridge.approveGuard('north', before.hash, carol), { code: 'E_GUARD_PLAN' })
})

test('seen between the two approvals: another plan, of another hash; the old hash applies the frozen rows only', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 8)
  await off(world, 0, 5)
  const frozen = await planOf(world)
  await world.bridge.approveGuard('north', frozen.hash, carol)
  await off(world, 5, 7)
  const view = (await world.bridge.guard('north')).suspend
  assert.deepEqual([view.plan?.rows.length, view.approval?.rows, view.approval?.by], [4, 2, 'carol'])
  assert.deepEqual([view.approval?.hash, view.plan?.hash === frozen.hash], [frozen.hash, false])
  assert.equal((await world.bridge.approveGuard('north', frozen.hash, dave)).applied, 2)
  await world.run(minute)
  assert.equal(south(world, 7), 'off off off off off on on')
  assert.equal((await world.bridge.guard('north')).suspend.tripped, true)
  assert.equal((await planOf(world)).rows.length, 2)
})

test('a first approval is good for an hour, then audited as expired', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 6)
  await off(world, 0, 5)
  const { hash } = await planOf(world)
  await world.bridge.approveGuard('north', hash, carol)
  await world.run(61 * minute)
  // Neither completed by the second nor repeated for the first: it begins anew.
  assert.equal((await world.bridge.guard('north')).suspend.approval, undefined)
  assert.equal((await world.bridge.approveGuard('north', hash, dave)).done, false)
  await world.run(61 * minute)
  await world.poll()
  const [expired, ...others] = await entries(world, 'guard.approval-expired')
  assert.deepEqual([expired?.details?.['first'], expired?.details?.['hash'], others.length], ['dave', hash, 0])
  assert.equal(await world.store.meta('guard-plan:north:suspend'), undefined)
  assert.equal(await world.store.meta('guard-rows:north:suspend'), undefined)
  assert.equal((await approve(world, hash)).applied, 2)
})

test('one frozen plan a direction: a later first approval takes the place of the earlier', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 8)
  await off(world, 0, 5)
  const old = await planOf(world)
  await world.bridge.approveGuard('north', old.hash, carol)
  await off(world, 5, 6)
  const present = await planOf(world)
  assert.equal((await world.bridge.approveGuard('north', present.hash, dave)).done, false)
  await assert.rejects(world.bridge.approveGuard('north', old.hash, alice), { code: 'E_GUARD_PLAN' })
  await assert.rejects(world.bridge.approveGuard('north', present.hash, dave), { code: 'E_SAME_PERSON' })
  assert.equal((await world.bridge.approveGuard('north', present.hash, carol)).applied, 3)
  const asked = await entries(world, 'guard.approval-requested')
  assert.deepEqual(
    asked.map(({ details }) => details?.['replaced']),
    [undefined, old.hash],
  )
})

test('two people who approve in the same moment are two people', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 6)
  await off(world, 0, 5)
  const { hash } = await planOf(world)
  const answers = await Promise.all([carol, dave].map((who) => world.bridge.approveGuard('north', hash, who)))
  assert.deepEqual(answers.map(({ done }) => done).sort(), [false, true])
})

for (const resume of ['automatic', 'approval'] as const) {
  test(`a row that is on again is dropped, and its hold ends as any other does (resume: ${resume})`, async () => {
    await using world = await World.open(tight(resume))
    await fleetOf(world, 6)
    await off(world, 0, 5)
    const { hash } = await planOf(world)
    world.north.set('a4', true)
    assert.deepEqual(await approve(world, hash), { done: true, applied: 1, dropped: 1 })
    await world.run(2 * minute)
    assert.equal(south(world, 5), 'off off off off on')
    const [hold, ...others] = await world.open('did:mesh:a4')
    assert.equal(others.length, 0)
    if (resume === 'approval') {
      assert.notEqual(hold?.releasableAt, undefined)
      await world.releaseByTwo('did:mesh:a4', hold?.id ?? '', carol, dave)
    }
    await world.settleAll(11 * minute)
    await world.poll()
    assert.deepEqual(await world.origins('did:mesh:a4'), [])
    assert.equal((await world.bridge.guard('north')).suspend.tripped, false)
    assert.deepEqual(world.writes('south', 'a4'), [])
  })
}

test('rows that cannot be read are dropped and wait in the next plan', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 6)
  await off(world, 0, 5)
  const { hash } = await planOf(world)
  await world.bridge.approveGuard('north', hash, carol)
  world.north.reads.add({ mode: 'unreadable', id: 'a4', times: 1 })
  assert.deepEqual(await world.bridge.approveGuard('north', hash, dave), { done: true, applied: 1, dropped: 1 })
  await world.run(minute)
  assert.equal(south(world, 5), 'off off off off on')
  const next = await planOf(world)
  assert.deepEqual(
    next.rows.map(({ did }) => did),
    ['did:mesh:a4'],
  )
})

test('a guard tripped in one directory leaves the other alone', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 9)
  await off(world, 0, 5)
  world.south.set('a7', false)
  await world.settleAll(minute)
  assert.equal(world.north.enabled('a7'), false)
  const view = await world.bridge.guard('south')
  assert.deepEqual([view.suspend.tripped, view.suspend.count, view.resume.tripped], [false, 1, false])
  assert.equal((await world.bridge.guard('north')).suspend.tripped, true)
})

test('while tripped, what people and runtimes do passes, on agents that wait as well', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 6)
  await off(world, 0, 5)
  const did = 'did:mesh:a4'
  assert.equal(world.south.enabled('a4'), true)
  const told = async () => (await world.store.signalsAfter(0, 99)).filter((signal) => signal.did === did)
  assert.deepEqual(await told(), [])
  const { holdId } = await world.kill(did)
  await world.run(minute)
  assert.equal(world.south.enabled('a4'), false)
  assert.deepEqual(
    (await told()).map((signal) => signal.holdId),
    [holdId],
  )
  // The account in the north is somebody else's: not written, whatever the kill wants.
  assert.deepEqual(world.writes('north', 'a4'), [])
  const placed = await world.bridge.place('did:mesh:a5', { severity: 'suspend', reason: 'r' }, soc)
  await world.run(minute)
  assert.deepEqual([world.north.enabled('a5'), world.south.enabled('a5')], [false, false])
  await world.bridge.release('did:mesh:a5', placed.id, 'r', caller('soc', 'responder'))
  await world.releaseByTwo(did, holdId, alice, bob)
  await world.run(5 * minute)
  assert.deepEqual([world.north.enabled('a5'), world.south.enabled('a5')], [true, true])
  // Its own hold is still there, kept back: no resume of it, and off where the kill left it.
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  assert.equal(world.south.enabled('a4'), false)
  world.north.set('a4', true)
  await world.settleAll(5 * minute)
  assert.deepEqual(await world.origins(did), [])
  assert.equal(world.south.enabled('a4'), true)
})

test('on, off again after the guard had cleared itself: counted, and kept back no longer', async () => {
  await using world = await World.open(tight('approval'))
  await fleetOf(world, 6)
  await off(world, 0, 4)
  world.north.set('a3', true)
  await world.settleAll(12 * minute)
  await world.poll()
  assert.equal((await world.bridge.guard('north')).suspend.tripped, false)
  await off(world, 3, 4)
  assert.equal(south(world, 4), 'off off off off')
  const [hold] = await world.open('did:mesh:a3')
  assert.deepEqual([hold?.guarded, hold?.releasableAt], [false, undefined])
  assert.equal((await world.bridge.guard('north')).suspend.count, 1)
})

const many = 250

test('a plan of many rows survives the death of the process between any two batches', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, many)
  await off(world, 0, many)
  const { hash, rows } = await planOf(world)
  assert.equal(rows.length, many - 3)
  await world.bridge.approveGuard('north', hash, carol)
  world.dieAt = 'guard.chunk'
  await assert.rejects(world.bridge.approveGuard('north', hash, dave), Death)
  await world.restart()
  const half = (await world.bridge.guard('north')).suspend
  assert.deepEqual([half.approval?.done, half.approval?.applied, half.approval?.second], [100, 100, 'dave'])
  assert.deepEqual([half.tripped, half.plan?.rows.length], [true, many - 103])
  // What is approved cannot be pushed aside by another plan.
  await assert.rejects(world.bridge.approveGuard('north', half.plan?.hash ?? '', carol), { code: 'E_GUARD_PLAN' })
  world.dieAt = 'guard.chunk'
  await assert.rejects(world.poll(), Death)
  await world.restart()
  await world.poll()
  await world.run(2 * minute)
  assert.equal((await world.bridge.guard('north')).suspend.tripped, false)
  for (let n = 0; n < many; n++) assert.equal(world.south.enabled(`a${n}`), false, `a${n}`)
  const passed = (await entries(world, 'hold.guard-passed')).map(({ hold }) => hold)
  assert.deepEqual(passed.sort(), rows.map(({ holdId }) => holdId).sort(), 'each exactly once')
  const [applied, ...others] = await entries(world, 'guard.applied')
  assert.deepEqual([applied?.details?.['applied'], applied?.details?.['dropped'], others.length], [many - 3, 0, 0])
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('a directory that fails midway: the answer says so, and the rest is applied when it is back', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, many)
  await off(world, 0, many)
  const { hash } = await planOf(world)
  await world.bridge.approveGuard('north', hash, carol)
  world.north.reads.add({ mode: 'down', times: 2 })
  await assert.rejects(world.bridge.approveGuard('north', hash, dave), { code: 'E_DIRECTORY_DOWN' })
  // Asked again by anyone: gone on with. It needs no third approval.
  await assert.rejects(world.bridge.approveGuard('north', hash, carol), { code: 'E_DIRECTORY_DOWN' })
  assert.deepEqual(await world.bridge.approveGuard('north', hash, carol), {
    done: true,
    applied: many - 3,
    dropped: 0,
  })
  assert.equal((await entries(world, 'guard.approved')).length, 1)
})

test('a resume plan: applied where the account is on, waiting where it cannot be read, ended where it is off', async () => {
  await using world = await World.open(tight())
  await fleetOf(world, 7)
  for (let n = 0; n < 7; n++) await off(world, n, n + 1, 11 * minute)
  for (let n = 0; n < 7; n++) world.north.set(`a${n}`, true)
  await world.settleAll(3 * minute)
  const { hash, rows } = await planOf(world, 'resume')
  assert.equal(rows.length, 4)
  const ids = rows.map(({ did }) => did.slice('did:mesh:'.length))
  const [fine, unreadable, offAgain, gone] = ids
  world.north.reads.add({ mode: 'unreadable', id: unreadable ?? '', times: 1 })
  world.north.set(offAgain ?? '', false)
  world.north.remove(gone ?? '')
  assert.deepEqual(await approve(world, hash), { done: true, applied: 1, dropped: 3 })
  await world.run(settleMs + minute)
  const open = async (id: string | undefined) => (await world.open(`did:mesh:${id}`))[0]
  assert.equal(await open(fine), undefined)
  assert.notEqual((await open(unreadable))?.releasableAt, undefined)
  for (const id of [offAgain, gone]) {
    const hold = await open(id)
    assert.ok(hold)
    assert.equal(hold.releasableAt, undefined, id)
  }
  assert.deepEqual(
    (await planOf(world, 'resume')).rows.map(({ did }) => did),
    [`did:mesh:${unreadable}`],
  )
})
