import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endsATime } from '../../src/core/ending.ts'
import type { StoreReads, StoreTx } from '../../src/core/store.ts'
import type { Deps } from '../../src/engine/deps.ts'
import { endCascades } from '../../src/engine/ending.ts'
import { place } from '../../src/engine/holding.ts'
import { fleet } from './fleet.ts'
import { minute, soc, World } from './harness.ts'

const suspend = { severity: 'suspend', reason: 'r' } as const

type Seen = { readonly call: string; readonly rows: number }

/** The same daemon; tells how many rows each call of these takes or gives, in a transaction or not. */
const watched = (deps: Deps, calls: readonly (keyof StoreTx & string)[]): { deps: Deps; seen: Seen[] } => {
  const seen: Seen[] = []
  const count = (value: unknown) => (Array.isArray(value) ? value.length : 0)
  const watch = <T extends StoreReads>(reads: T): T => {
    const heard = calls.flatMap((call) => {
      const real: unknown = Reflect.get(reads, call)
      if (typeof real !== 'function') return []
      const told = async (...args: readonly unknown[]) => {
        const result: unknown = await Reflect.apply(real, reads, args)
        seen.push({ call, rows: Math.max(count(args[0]), count(result)) })
        return result
      }
      return [[call, told] as const]
    })
    return { ...reads, ...Object.fromEntries(heard) }
  }
  const { store } = deps
  const write: typeof store.write = (work) => store.write((tx) => work(watch(tx)))
  return { deps: { ...deps, store: { ...watch(store), write } }, seen }
}

const bySet = [
  'openHoldsByDid',
  'principalsByDid',
  'agentsByDid',
  'insertHolds',
  'saveAccounts',
  'appendAudits',
  'appendSignals',
] as const

test('a parent of hundreds is held in one transaction, some hundred at a time', async () => {
  await using world = await World.open()
  const root = await world.agent('root')
  const children = await fleet(world, 1_050, { parentDid: root }, 'c')
  const { deps, seen } = watched(world.deps, bySet)
  const { head } = await world.store.signalRange()
  await place(deps, root, suspend, soc, () => undefined)
  for (const call of bySet) {
    const rows = seen.filter((one) => one.call === call).map((one) => one.rows)
    // Two accounts each.
    assert.ok(Math.max(...rows) <= 400, `${call}: ${Math.max(...rows)} rows at once`)
    assert.ok(Math.max(...rows) >= 50, call)
  }
  for (const did of children) assert.ok((await world.codes(did)).includes('R_SUSPENDED'), did)
  const told = (await world.store.signalsAfter(head, 10_000)).map(({ did }) => did)
  assert.deepEqual(told, [root, ...told.slice(1)])
  assert.deepEqual(told.slice(1).sort(), [...children].sort())
  assert.equal((await world.bridge.verifyAudit()).ok, true)
  await world.run(minute)
  assert.equal(world.north.enabled('c1049'), false)
  assert.deepEqual(world.violations, [])
})

test('what a release left to end is looked for once for many transactions', async () => {
  await using world = await World.open()
  const root = await world.agent('root')
  const children = await fleet(world, 10 * endsATime, { parentDid: root }, 'c')
  const held = await world.bridge.place(root, suspend, soc)
  world.dieAt = 'cascade.ended'
  await world.bridge.release(root, held.id, 'r', soc)
  await world.restart()
  const { deps, seen } = watched(world.deps, ['cascadeHolds', 'closeHolds'])
  await endCascades(deps)
  const times = (call: string) => seen.filter((one) => one.call === call).length
  assert.equal(times('closeHolds'), 8, 'fifty a transaction')
  assert.equal(times('cascadeHolds'), 2)
  for (const did of children) assert.deepEqual(await world.origins(did), [])
  assert.deepEqual(await world.store.cascadeEnds(), [])
})
