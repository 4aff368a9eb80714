import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import fc from 'fast-check'
import { mostHops } from '../../src/core/delegation.ts'
import { alice, minute, names, soc, World } from '../engine/harness.ts'

/** For each agent but the root, how far back its parent is: small numbers make long chains. */
const tree = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3)), { minLength: 2, maxLength: 13 })
const holds = fc.array(
  fc.record({ of: fc.nat(20), severity: fc.constantFrom('suspend' as const, 'kill' as const, 'disable' as const) }),
  {
    maxLength: 5,
  },
)

interface Grown {
  readonly dids: string[]
  readonly parents: ReadonlyMap<string, string>
}

const grow = async (world: World, back: readonly number[]): Promise<Grown> => {
  const dids = [await world.agent('a0', { capabilities: ['read:*'] })]
  const parents = new Map<string, string>()
  const depths = [0]
  for (const [at, far] of back.entries()) {
    const from = Math.max(0, at - far)
    const under = (depths[from] ?? 0) < mostHops ? from : 0
    const parentDid = dids[under] ?? ''
    const delegation = { capabilities: ['read:x'] }
    const did = await world.agent(`a${at + 1}`, { parentDid, delegation })
    dids.push(did)
    parents.set(did, parentDid)
    depths.push((depths[under] ?? 0) + 1)
  }
  return { dids, parents }
}

/** All that a release must give back: holds, verdicts, what is on in each directory, what each may do. */
const everything = async (world: World, dids: readonly string[]) => {
  const rows: unknown[] = []
  for (const did of dids) {
    const id = did.slice('did:mesh:'.length)
    const { codes } = await world.bridge.decide({ did, capability: 'read:x' })
    const on = names.map((name) => world.directories[name].enabled(id))
    const marks = await Promise.all(names.map(async (name) => (await world.account(name, id)).mark))
    const open = (await world.open(did)).map(({ id: hold, origin, severity }) => [hold, origin, severity])
    rows.push({ did, codes, on, marks, open: open.sort() })
  }
  return rows
}

test('a hold at hop one stops all below in every directory and runtime, and its release undoes exactly that', async () => {
  const property = fc.asyncProperty(tree, holds, fc.nat(20), async (back, sprinkled, which) => {
    await using world = await World.open()
    const { dids, parents } = await grow(world, back)
    for (const { of, severity } of sprinkled) {
      await world.bridge.place(dids[of % dids.length] ?? '', { severity, reason: 'sprinkled' }, alice)
    }
    await world.settleAll()
    const before = await everything(world, dids)

    const one = dids[which % dids.length] ?? ''
    const isBelow = (did: string): boolean => did === one || isBelowParent(parents.get(did))
    const isBelowParent = (parent: string | undefined): boolean => parent !== undefined && isBelow(parent)
    const family = dids.filter(isBelow)
    const free = new Set<string>()
    for (const did of family) if ((await world.open(did)).length === 0) free.add(did)
    const start = (await world.store.signalRange()).head
    const hold = await world.bridge.place(one, { severity: 'suspend', reason: 'hop one' }, soc)
    for (const did of family) assert.ok((await world.codes(did)).includes('R_SUSPENDED'), did)
    const heard = await world.store.signalsAfter(start, 9_999)
    const stopped = new Set(heard.map(({ did }) => did))
    const isOther = (did: string) => !family.includes(did)
    assert.deepEqual([...stopped].filter(isOther), [], 'told of others')
    assert.deepEqual(
      [...free].filter((did) => !stopped.has(did)),
      [],
      'not told of all that were free',
    )
    await world.settleAll()
    for (const did of family) {
      const id = did.slice('did:mesh:'.length)
      assert.deepEqual(
        names.map((name) => world.directories[name].enabled(id)),
        names.map(() => false),
        did,
      )
    }
    const during = await everything(world, dids)
    const outside = (rows: unknown[]) => rows.filter((_, at) => !family.includes(dids[at] ?? ''))
    assert.deepEqual(outside(during), outside(before), 'something beside the family changed')

    const middle = (await world.store.signalRange()).head
    await world.bridge.release(one, hold.id, 'over', soc)
    await world.settleAll(60 * minute)
    assert.deepEqual(await everything(world, dids), before)
    const resumed = (await world.store.signalsAfter(middle, 9_999)).filter(({ type }) => type === 'resumed')
    assert.deepEqual(resumed.map(({ did }) => did).sort(), [...free].sort())
    assert.equal((await world.bridge.verifyAudit()).ok, true)
    assert.deepEqual(world.violations, [])
  })
  await fc.assert(property, { numRuns: Number(env['FC_RUNS'] ?? 15) })
})
