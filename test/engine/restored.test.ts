import assert from 'node:assert/strict'
import { test } from 'node:test'
import { minute, World } from './harness.ts'

const generation = ({ store }: World) => store.meta('signals:generation')

test('a restored store resumes nothing before each directory was read whole, also across restarts', async () => {
  await using world = await World.open({ policy: { resume: 'automatic' } })
  const did = await world.agent('a', {}, ['north'])
  world.north.set('a', false)
  await world.settleAll()
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])
  const before = await generation(world)
  await world.restore(await world.backup())
  assert.notEqual(await generation(world), before)
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['store-restored'],
  )
  world.north.set('a', true)
  await world.run(60 * minute)
  assert.deepEqual(await world.origins(did), ['adapter:north/a'], 'reads by id alone end nothing')
  const after = await generation(world)
  await world.restart()
  assert.equal(await generation(world), after, 'a restart is no restore')
  await world.run(60 * minute)
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])
  await world.runner('south').sync.full(world.signal)
  await world.run(60 * minute)
  assert.deepEqual(await world.origins(did), ['adapter:north/a'], 'another directory says nothing about this one')
  await world.runner('north').sync.changes(world.signal)
  await world.run(60 * minute)
  assert.deepEqual(await world.origins(did), [], 'without a checkpoint the first pass is a whole one')
  await world.restart()
  world.north.set('a', false)
  await world.settleAll()
  world.north.set('a', true)
  await world.settleAll()
  assert.deepEqual(await world.origins(did), [], 'and from then on all is as before')
})

test('no claim from before a restore enables, whatever the log says; one from after does', async () => {
  for (const logless of [false, true]) {
    await using world = await World.open({ adapters: { north: { logless }, south: { logless } } })
    const held = await world.agent('a', {}, ['north'])
    const free = await world.agent('b', {}, ['north'])
    const old = await world.kill(held)
    await world.settleAll()
    const copy = await world.backup()
    await world.clock.advance(minute)
    // What the backup does not have: a later hold of each.
    await world.kill(held)
    await world.kill(free)
    await world.settleAll()
    await world.restore(copy)
    await world.full()
    await world.settleAll()
    assert.deepEqual(await world.origins(free), ['adapter:north/b'], 'held for what is off')
    const sent = world.north.written.length
    await world.releaseByTwo(held, old.holdId)
    await world.settleAll()
    assert.deepEqual(await world.origins(held), ['adapter:north/a'])
    assert.equal(world.north.enabled('a'), false)
    assert.equal(world.north.written.length, sent)

    const later = await world.agent('c')
    const { holdId } = await world.kill(later)
    await world.settleAll()
    await world.releaseByTwo(later, holdId)
    await world.settleAll()
    assert.equal(world.north.enabled('c'), true)
    assert.deepEqual(world.violations, [])
  }
})

test('a claim that was never sent ends without a write, and what is off then is held', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  world.dieAt = 'kill.committed'
  const old = await world.kill(did).catch(() => undefined)
  assert.equal(old, undefined)
  world.dead = false
  const copy = await world.backup()
  await world.restart()
  await world.settleAll()
  assert.equal(world.north.enabled('a'), false)
  await world.restore(copy)
  const [hold] = await world.open(did)
  await world.releaseByTwo(did, hold?.id ?? '')
  await world.full()
  await world.settleAll()
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])
  assert.equal(world.north.enabled('a'), false)
  assert.deepEqual(world.violations, [])
})
