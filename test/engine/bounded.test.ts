import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tellDelegations } from '../../src/engine/expiring.ts'
import { regrantAll } from '../../src/engine/regranting.ts'
import { minute, registrar, runtime, World } from './harness.ts'

const ids = ['p1', 'p2', 'p3']
const parents = ids.map((id) => `did:mesh:${id}`)
const root = 'did:mesh:root'
const children = 120

/** Commits that the work took. */
const commits = async (world: World, work: () => Promise<unknown>): Promise<number> => {
  const before = world.store.changes.count
  await work()
  return world.store.changes.count - before
}

test('what reaches many descendants is done a part at a time: whoever writes meanwhile gets a turn', async () => {
  await using world = await World.open({
    policy: { trust: { suspendBelow: 300, liftAbove: 500 } },
    adapters: { north: { settings: { groups: { g: ['read:v', 'read:w'] } } } },
  })
  const blueprint = { capabilities: ['read:y'], requireSponsor: false }
  await world.bridge.defineBlueprint('B', blueprint, registrar, undefined)
  const expiresAt = new Date(world.clock.now() + minute).toISOString()
  const register = (did: string, fields: object) => world.bridge.register({ did, name: 'n', ...fields }, registrar)
  await register(root, { capabilities: ['read:*'] })
  for (const id of ids) {
    const delegation = { capabilities: ['read:x'], expiresAt }
    const did = await world.agent(id, { parentDid: root, blueprint: 'B', delegation }, ['north'])
    const below = Array.from({ length: children }, (_, n) => `${did}-${n}`)
    await Promise.all(below.map((one) => register(one, { parentDid: did, capabilities: ['*'] })))
  }
  const everyone = parents.length * (children + 1)
  const signalled = async (): Promise<number> => (await world.store.signalRange()).head

  let told = await signalled()
  world.north.setGroup('g', ids)
  const sync = () => world.runner('north').groups.sync(world.signal)
  assert.ok((await commits(world, sync)) >= parents.length)
  assert.equal((await signalled()) - told, everyone)

  told = await signalled()
  await world.bridge.defineBlueprint('B', { ...blueprint, capabilities: ['read:z'] }, registrar, undefined)
  assert.ok((await commits(world, () => regrantAll(world.deps))) >= parents.length)
  assert.deepEqual([(await signalled()) - told, await world.store.regrants()], [everyone, []])

  told = await signalled()
  await world.clock.advance(minute)
  assert.ok((await commits(world, () => tellDelegations(world.deps))) >= parents.length)
  assert.equal((await signalled()) - told, everyone)
  assert.deepEqual(await world.store.dueDelegations(world.clock.now(), 10), [])

  told = await signalled()
  const low = parents.map((did) => ({ did, score: 1, scale: '0-1000' as const }))
  let answers: readonly { did: string; hold: string | undefined }[] = []
  const report = async () => {
    answers = await world.bridge.reportTrust(low, runtime)
  }
  assert.ok((await commits(world, report)) >= parents.length)
  assert.equal((await signalled()) - told, everyone)
  assert.deepEqual(
    answers.map(({ did, hold }) => [did, hold !== undefined]),
    parents.map((did) => [did, true]),
  )
})
