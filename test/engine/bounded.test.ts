import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tellDelegations } from '../../src/engine/expiring.ts'
import { regrantAll } from '../../src/engine/regranting.ts'
import { minute, registrar, runtime, World } from './harness.ts'

const parents = ['did:mesh:p1', 'did:mesh:p2', 'did:mesh:p3']
const root = 'did:mesh:root'
const children = 120

/** Commits that the work took. */
const commits = async (world: World, work: () => Promise<unknown>): Promise<number> => {
  const before = world.store.changes.count
  await work()
  return world.store.changes.count - before
}

test('what reaches many descendants is done a part at a time: whoever writes meanwhile gets a turn', async () => {
  await using world = await World.open({ policy: { trust: { suspendBelow: 300, liftAbove: 500 } } })
  const blueprint = { capabilities: ['read:y'], requireSponsor: false }
  await world.bridge.defineBlueprint('B', blueprint, registrar, undefined)
  const expiresAt = new Date(world.clock.now() + minute).toISOString()
  const register = (did: string, fields: object) => world.bridge.register({ did, name: 'n', ...fields }, registrar)
  await register(root, { capabilities: ['read:*'] })
  for (const did of parents) {
    const delegation = { capabilities: ['read:x'], expiresAt }
    await register(did, { parentDid: root, blueprint: 'B', delegation })
    const below = Array.from({ length: children }, (_, n) => `${did}-${n}`)
    await Promise.all(below.map((one) => register(one, { parentDid: did, capabilities: ['*'] })))
  }
  const everyone = parents.length * (children + 1)
  const signalled = async (): Promise<number> => (await world.store.signalRange()).head

  let told = await signalled()
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
