import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fleetOf } from './fleet.ts'
import { minute, policyOf, second, World, type WorldOptions } from './harness.ts'

const tight = (max: number, resume: 'approval' | 'automatic' = 'automatic'): WorldOptions => ({
  policy: { resume, guard: { ...policyOf().guard, suspend: { max, percent: 100 }, resume: { max: 99, percent: 100 } } },
})

const suspend = async (world: World) => (await world.bridge.guard('north')).suspend

/** The entries of the chain of these types, oldest first, as `type direction`. */
const edges = async (world: World): Promise<string[]> =>
  (await world.bridge.audit({ limit: 10_000 })).items
    .filter(({ type }) => type.startsWith('guard.'))
    .map(({ details, type }) => `${type.slice('guard.'.length)} ${details?.['direction']}`)

test('what counts is the window, not the pass: one a minute trips, one in eleven does not', async () => {
  for (const [apartMs, tripped] of [
    [minute, true],
    [11 * minute, false],
  ] as const) {
    await using world = await World.open(tight(3))
    await fleetOf(world, 6)
    for (let n = 0; n < 4; n++) {
      world.north.set(`a${n}`, false)
      await world.settleAll(apartMs)
    }
    assert.equal((await suspend(world)).tripped, tripped)
  }
})

test('a restart forgets nothing that was counted', async () => {
  await using world = await World.open(tight(3))
  await fleetOf(world, 6)
  for (let n = 0; n < 4; n++) {
    world.north.set(`a${n}`, false)
    await world.poll()
    await world.restart()
    assert.deepEqual([(await suspend(world)).count, (await suspend(world)).tripped], [n + 1, n === 3])
  }
  await world.restart()
  world.north.set('a4', false)
  await world.settleAll(minute)
  assert.equal(world.south.enabled('a4'), true, 'it is still tripped')
})

test('a state that is read again, by hint, listing, pass or restart, counts once', async () => {
  await using world = await World.open(tight(3))
  await fleetOf(world, 6)
  world.north.set('a0', false)
  await world.ring('north', { delivery: 'd1', principal: 'a0' })
  await world.settleAll(30 * second)
  await world.ring('north', { delivery: 'd2', principal: 'a0' })
  await world.settleAll(30 * second)
  await world.full()
  await world.restart()
  await world.full()
  await world.settleAll(minute)
  assert.equal((await suspend(world)).count, 1)
})

test('an account that flaps counts at every confirmed change', async () => {
  await using world = await World.open(tight(3))
  await fleetOf(world, 6)
  for (let n = 1; n <= 3; n++) {
    world.north.set('a0', false)
    await world.settleAll(30 * second)
    assert.equal((await suspend(world)).count, n)
    world.north.set('a0', true)
    await world.settleAll(2 * minute)
    assert.deepEqual(await world.origins('did:mesh:a0'), [])
    assert.equal((await world.bridge.guard('north')).resume.count, n)
  }
  world.north.set('a0', false)
  await world.poll()
  assert.equal((await suspend(world)).tripped, true)
})

test('off again before anybody released it: one more change', async () => {
  await using world = await World.open(tight(3, 'approval'))
  await fleetOf(world, 6)
  for (let n = 1; n <= 3; n++) {
    world.north.set('a0', false)
    await world.settleAll(minute)
    assert.equal((await suspend(world)).count, n)
    world.north.set('a0', true)
    await world.settleAll(2 * minute)
    assert.notEqual((await world.open('did:mesh:a0'))[0]?.releasableAt, undefined)
  }
})

test('a clock set back by a day: what was counted is of now, and passes with the window', async () => {
  await using world = await World.open(tight(3))
  await fleetOf(world, 8)
  for (let n = 0; n < 3; n++) world.north.set(`a${n}`, false)
  await world.settleAll(minute)
  world.clock.jump(-24 * 60 * minute)
  await world.work()
  assert.equal((await suspend(world)).count, 3)
  await world.settleAll(11 * minute)
  assert.equal((await suspend(world)).count, 0)
  for (let n = 3; n < 6; n++) world.north.set(`a${n}`, false)
  await world.settleAll(minute)
  assert.equal((await suspend(world)).tripped, false)
  // Set back while tripped: it ends as it would have.
  world.north.set('a6', false)
  await world.settleAll(minute)
  assert.equal((await suspend(world)).tripped, true)
  world.clock.jump(-24 * 60 * minute)
  world.north.set('a6', true)
  await world.work()
  await world.full()
  await world.settleAll(15 * minute)
  await world.poll()
  assert.equal((await suspend(world)).tripped, false)
})

test('tripped with nothing behind it: it clears itself when the window has passed, with an entry', async () => {
  await using world = await World.open(tight(3))
  await fleetOf(world, 8)
  for (let n = 0; n < 4; n++) world.north.set(`a${n}`, false)
  await world.settleAll(minute)
  assert.equal((await suspend(world)).plan?.rows.length, 1)
  world.north.set('a3', true)
  await world.settleAll(4 * minute)
  const empty = await suspend(world)
  assert.deepEqual([empty.tripped, empty.plan?.rows], [true, []])
  // Not before: who is trickling in accounts must not be let through in between.
  await world.settleAll(5 * minute)
  assert.equal((await suspend(world)).tripped, true)
  await world.settleAll(2 * minute)
  await world.poll()
  assert.equal((await suspend(world)).tripped, false)
  assert.deepEqual(await edges(world), ['tripped suspend', 'cleared suspend'])
  assert.match(await world.metrics.text(), /guard_tripped\{adapter="north",direction="suspend"\} 0/)
  world.north.set('a5', false)
  await world.settleAll(minute)
  assert.equal(world.south.enabled('a5'), false)
})

test('while something waits it never clears itself, however long nobody comes', async () => {
  await using world = await World.open(tight(3))
  await fleetOf(world, 8)
  for (let n = 0; n < 4; n++) world.north.set(`a${n}`, false)
  for (let hours = 0; hours < 6; hours++) await world.settleAll(60 * minute)
  assert.deepEqual([(await suspend(world)).tripped, world.south.enabled('a3')], [true, true])
})

test('a resume under other holds counts, and waits once too many were seen', async () => {
  await using world = await World.open({
    policy: { resume: 'automatic', guard: { ...policyOf().guard, resume: { max: 2, percent: 100 } } },
  })
  const dids = await fleetOf(world, 4, ['north'])
  for (let n = 0; n < 4; n++) world.north.set(`a${n}`, false)
  await world.settleAll(minute)
  for (const did of dids) await world.kill(did)
  for (let n = 0; n < 4; n++) world.north.set(`a${n}`, true)
  await world.settleAll(3 * minute)
  const { count, plan, tripped } = (await world.bridge.guard('north')).resume
  assert.deepEqual([tripped, count, plan?.rows.length], [true, 4, 2])
  for (const did of dids) assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  for (let n = 0; n < 4; n++) assert.equal(world.north.enabled(`a${n}`), false, 'the kill holds it off again')
})
