import assert from 'node:assert/strict'
import { test } from 'node:test'
import { minute, policyOf, registrar, second, settleMs, World } from './harness.ts'

const grants = { g: ['read:x', 'write:x'], other: ['read:x'] }
const open = () => World.open({ adapters: { north: { settings: { groups: grants } } } })
const effective = async (world: World, did: string) => (await world.bridge.agent(did, registrar)).effective
const sync = (world: World) => world.runner('north').groups.sync(world.signal)

test('joining grants, leaving revokes, what is granted otherwise stays', async () => {
  await using world = await open()
  const a = await world.agent('a', { capabilities: ['read:x'] })
  const b = await world.agent('b')
  world.north.setGroup('nested', ['b', 'stranger']).setGroup('g', ['a', 'nested']).setGroup('other', [])
  await sync(world)
  assert.deepEqual(await effective(world, a), ['read:x', 'write:x'])
  assert.deepEqual(await effective(world, b), ['read:x', 'write:x'])
  assert.equal((await world.bridge.decide({ did: b, capability: 'write:x' })).allow, true)
  const { head } = await world.store.signalRange()
  await sync(world)
  assert.equal((await world.store.signalRange()).head, head)
  world.north.setGroup('g', ['nested']).setGroup('other', ['b'])
  await sync(world)
  assert.deepEqual(await effective(world, a), ['read:x'])
  world.north.setGroup('nested', [])
  world.north.setGroup('g', ['stranger'])
  await sync(world)
  assert.deepEqual(await effective(world, b), ['read:x'])
  const last = (await world.store.signalsAfter(0, 99)).at(-1)
  assert.deepEqual([last?.type, last?.did, last?.capabilities], ['capabilities', b, ['read:x']])
})

for (const mode of ['down', 'forbidden', 'midway', 'absent'] as const) {
  test(`a group read that fails (${mode}) removes nothing`, async () => {
    await using world = await open()
    const a = await world.agent('a')
    world.north.setGroup('g', ['a']).setGroup('other', [])
    await sync(world)
    world.north.setGroup('g', ['stranger'])
    world.north.groupFaults.add({ mode, id: 'g', times: 1 })
    await sync(world)
    assert.deepEqual(await effective(world, a), ['read:x', 'write:x'])
    assert.notEqual((await world.bridge.status()).adapters[0]?.groups.lastError, undefined)
    await sync(world)
    assert.deepEqual(await effective(world, a), [])
    assert.equal((await world.bridge.status()).adapters[0]?.groups.lastError, undefined)
  })
}

test('a group that was full and answers empty is believed at the second read past settle, and counts in the guard', async () => {
  await using world = await open()
  const dids: string[] = []
  for (const id of ['a', 'b', 'c']) dids.push(await world.agent(id))
  world.north.setGroup('g', ['a', 'b', 'c']).setGroup('other', [])
  await sync(world)
  world.north.setGroup('g', [])
  await sync(world)
  await world.clock.advance(settleMs - second)
  await sync(world)
  assert.deepEqual(await effective(world, dids[0] ?? ''), ['read:x', 'write:x'])
  await world.clock.advance(2 * second)
  await sync(world)
  assert.deepEqual(await effective(world, dids[0] ?? ''), [])
  assert.equal((await world.bridge.guard('north')).suspend.count, 3)
})

test('what was not confirmed for maxAge ends; a jump of the clock ends nothing before a full pass', async () => {
  await using world = await World.open({
    policy: { ...policyOf(), capabilitiesMaxAgeMs: 60 * minute },
    adapters: { north: { settings: { groups: grants } } },
  })
  const a = await world.agent('a', { capabilities: ['manual:cap'] })
  world.north.setGroup('g', ['a']).setGroup('other', [])
  await sync(world)
  world.north.groupFaults.add({ mode: 'down', id: 'g' })
  world.clock.jump(2 * 60 * minute)
  await world.work()
  await sync(world)
  assert.deepEqual(await effective(world, a), ['manual:cap', 'read:x', 'write:x'])
  await world.full()
  await sync(world)
  assert.deepEqual(await effective(world, a), ['manual:cap'])
})

test('a group that left the configuration grants nothing', async () => {
  await using world = await open()
  const a = await world.agent('a')
  world.north.setGroup('g', ['a']).setGroup('other', ['a'])
  await sync(world)
  world.settings.north = { ...world.settings.north, groups: { other: ['read:x'] } }
  await sync(world)
  assert.deepEqual(await effective(world, a), ['read:x'])
})

test("a child has no more than its parent, and loses it in the parent's change", async () => {
  await using world = await open()
  const a = await world.agent('a', { capabilities: ['read:*'] })
  const b = await world.agent('b', { parentDid: a, capabilities: ['read:x', 'read:y', 'write:x'] })
  assert.deepEqual(await effective(world, b), ['read:x', 'read:y'])
  await world.bridge.patch(a, { capabilities: ['read:y'] }, registrar, undefined)
  assert.deepEqual(await effective(world, b), ['read:y'])
  const last = (await world.store.signalsAfter(0, 99)).filter(({ did }) => did === b).at(-1)
  assert.deepEqual(last?.capabilities, ['read:y'])
})
