import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endsATime } from '../../src/core/ending.ts'
import { endCascades } from '../../src/engine/ending.ts'
import { fleet } from './fleet.ts'
import { alice, bob, minute, registrar, runtime, soc, World } from './harness.ts'

const suspend = { severity: 'suspend', reason: 'r' } as const

/** A root with four transactions full of children and one grandchild below the first: more than one release ends at once. */
const family = async (world: World) => {
  const root = await world.agent('root')
  const children = await fleet(world, 4 * endsATime, { parentDid: root }, 'c')
  const [first = ''] = children
  const [grandchild = ''] = await fleet(world, 1, { parentDid: first }, 'g')
  return { root, children, first, grandchild, all: [...children, grandchild] }
}

const heldBelow = async (world: World, root: string): Promise<string[]> =>
  (await world.store.cascadeHolds(root, 10_000)).map(({ did }) => did)

const auditOf = async (world: World, type: string) => {
  assert.equal((await world.bridge.verifyAudit()).ok, true)
  return (await world.bridge.audit({ limit: 10_000 })).items.filter((entry) => entry.type === type)
}

/** The process dies after the first of the transactions that end what is below the root; the root is released by then. */
const dieHalfway = async (world: World, root: string, holdId: string): Promise<void> => {
  world.dieAt = 'cascade.ended'
  await world.bridge.release(root, holdId, 'r', soc)
  assert.ok(world.dead)
  await world.restart()
}

test('a release is answered when every descendant is free, each told once, the nearest first', async () => {
  await using world = await World.open()
  world.runtimes = [{ name: 'agt-1', labels: undefined }]
  const { root, first, grandchild, all } = await family(world)
  const hold = await world.bridge.place(root, suspend, soc)
  await world.run(minute)
  assert.equal(world.north.enabled('g0'), false)
  const own = await world.bridge.place(grandchild, suspend, alice)
  const { head } = await world.store.signalRange()
  await world.bridge.release(root, hold.id, 'r', soc)

  assert.deepEqual(await heldBelow(world, root), [])
  assert.deepEqual(await world.store.cascadeEnds(), [])
  const resumed = (await world.store.signalsAfter(head, 10_000)).filter(({ type }) => type === 'resumed')
  const told = resumed.map(({ did }) => did)
  assert.equal(told[0], root)
  assert.deepEqual(told.slice(1).sort(), all.filter((did) => did !== grandchild).sort())
  const released = await auditOf(world, 'hold.released')
  assert.equal(new Set(released.map(({ hold: id }) => id)).size, all.length + 1)
  assert.equal(released.length, all.length + 1)
  assert.ok(released.every(({ actor, requestId }) => actor === soc.name && requestId === soc.requestId))
  assert.equal(released.at(-1)?.did, grandchild)
  assert.equal(released.at(-1)?.status, 'suspended')
  assert.ok(((await world.store.agent(first))?.resumedAt ?? 0) > 0)

  const [derived] = released.filter(({ did }) => did === first)
  const legs = await world.store.legsOf([derived?.hold ?? ''])
  assert.deepEqual(
    legs.map(({ adapter, ended }) => [adapter, ended?.state, ended?.reason]),
    [
      ['north', 'closed', 'disabled'],
      ['south', 'closed', 'disabled'],
      ['', 'pending', 'unacknowledged'],
    ],
  )
  assert.deepEqual(await world.origins(grandchild), [own.origin])
  await world.settleAll()
  assert.deepEqual([world.north.enabled('c0'), world.north.enabled('g0')], [true, false])
  assert.deepEqual(world.violations, [])
})

test('a kill sent while a parent of hundreds is released is durable before the last of them is free', async () => {
  await using world = await World.open()
  const { root } = await family(world)
  const alone = await world.agent('alone')
  const hold = await world.bridge.place(root, suspend, soc)
  const order: string[] = []
  const release = world.bridge.release(root, hold.id, 'r', soc).then(() => order.push('released'))
  const kill = world.kill(alone).then(async () => order.push(`killed, ${(await heldBelow(world, root)).length > 0}`))
  await Promise.all([release, kill])
  assert.deepEqual(order, ['killed, true', 'released'])
})

test('dead in the middle of a release, the rest stays held until the start and then ends', async () => {
  await using world = await World.open()
  const { root, all } = await family(world)
  const hold = await world.bridge.place(root, suspend, soc)
  await world.run(minute)
  await dieHalfway(world, root, hold.id)
  const left = await heldBelow(world, root)
  assert.ok(left.length > 0 && left.length < all.length, `${left.length} of ${all.length}`)
  assert.deepEqual(await world.codes(root), [])
  for (const did of left) assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  assert.ok(left.every((did) => !world.north.enabled(did.slice('did:mesh:'.length))))
  await world.settleAll()
  for (const did of all) assert.deepEqual(await world.origins(did), [])
  assert.deepEqual(
    all.filter((did) => !world.north.enabled(did.slice('did:mesh:'.length))),
    [],
  )
  const released = await auditOf(world, 'hold.released')
  assert.deepEqual([released.length, new Set(released.map(({ did }) => did)).size], [all.length + 1, all.length + 1])
  assert.ok(released.every(({ actor }) => actor === soc.name))
  assert.deepEqual(await world.store.cascadeEnds(), [])
  assert.deepEqual(world.violations, [])
})

test('the graver of two holds released, what is below becomes less in turn, and whole after a crash', async () => {
  await using world = await World.open()
  const { root, all } = await family(world)
  const mild = await world.bridge.place(root, suspend, soc)
  const { holdId } = await world.kill(root)
  const severities = async () => Map.groupBy(await world.store.cascadeHolds(root, 10_000), ({ severity }) => severity)
  assert.deepEqual((await severities()).get('kill')?.length, all.length)
  const asked = await world.bridge.release(root, holdId, 'r', alice)
  assert.ok(!asked.done)
  world.dieAt = 'cascade.ended'
  await world.bridge.approve(asked.release.id, bob)
  await world.restart()
  const between = await severities()
  assert.deepEqual(
    [between.get('suspend')?.length, between.get('kill')?.length],
    [2 * endsATime, all.length - 2 * endsATime],
  )
  await endCascades(world.deps)
  assert.deepEqual([...(await severities()).keys()], ['suspend'])
  assert.deepEqual(await world.store.cascadeEnds(), [])
  const changed = (await auditOf(world, 'hold.changed')).filter(({ details }) => details?.severity === 'suspend')
  assert.deepEqual([changed.length, new Set(changed.map(({ did }) => did)).size], [all.length, all.length])
  assert.equal((await heldBelow(world, root)).length, all.length)
  await world.bridge.release(root, mild.id, 'r', soc)
  assert.deepEqual(await heldBelow(world, root), [])
})

test('held again in the middle of its release, a parent holds every descendant, once', async () => {
  await using world = await World.open()
  const { root, all } = await family(world)
  await dieHalfway(world, root, (await world.bridge.place(root, suspend, soc)).id)
  const { holdId } = await world.kill(root)
  const below = async () => (await heldBelow(world, root)).sort()
  assert.deepEqual(await below(), [...all].sort())
  await endCascades(world.deps)
  assert.deepEqual(await below(), [...all].sort())
  assert.deepEqual(await world.store.cascadeEnds(), [])
  await world.releaseByTwo(root, holdId, alice, bob)
  assert.deepEqual(await below(), [])
})

test('what leaves a parent in the middle of its release is free of it, and stays so', async () => {
  await using world = await World.open()
  const { root, first, grandchild } = await family(world)
  const other = await world.agent('other')
  await dieHalfway(world, root, (await world.bridge.place(root, suspend, soc)).id)
  assert.deepEqual([await world.origins(first), await world.origins(grandchild)], [[], [`cascade:${root}`]])
  await world.bridge.patch(first, { parentDid: other }, registrar, undefined)
  assert.deepEqual(await world.origins(grandchild), [])
  await world.kill(root)
  assert.deepEqual(await world.origins(grandchild), [])
  const { holdId } = await world.kill(other)
  assert.deepEqual(await world.origins(grandchild), [`cascade:${other}`])
  await world.releaseByTwo(other, holdId)
  await endCascades(world.deps)
  assert.deepEqual(await world.origins(grandchild), [])
})

test('an account switched on again in its directory frees the descendants of its agent, however many', async () => {
  const many = { max: 1_000, percent: 100 }
  const guard = { windowMs: 10 * minute, minAgents: 50, suspend: many, resume: many }
  await using world = await World.open({ policy: { resume: 'automatic', guard } })
  const { root, all } = await family(world)
  await world.settleAll(minute)
  world.north.set('root', false)
  await world.settleAll(minute)
  assert.equal((await heldBelow(world, root)).length, all.length)
  world.north.set('root', true)
  await world.settleAll()
  assert.deepEqual(await heldBelow(world, root), [])
  assert.deepEqual(await world.origins(root), [])
  assert.equal(world.north.enabled('g0'), true)
})

test('a release that cannot go on is answered all the same, and goes on later', async () => {
  await using world = await World.open()
  const { root, all } = await family(world)
  const { holdId } = await world.kill(root, runtime)
  const asked = await world.bridge.release(root, holdId, 'r', alice)
  assert.ok(!asked.done)
  world.dieAt = 'cascade.ended'
  const result = await world.bridge.approve(asked.release.id, bob)
  assert.ok(result.done && result.agent?.status === 'active')
  await world.restart()
  await world.settleAll()
  for (const did of all) assert.deepEqual(await world.origins(did), [])
})
