import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import fc from 'fast-check'
import { minute, registrar, second, settleMs, World } from '../engine/harness.ts'

const ids = ['a', 'b', 'c', 'd'] as const
const maxAgeMs = 30 * minute

type Step =
  | { do: 'members'; ids: readonly string[]; nested: boolean }
  | { do: 'sync'; fault: 'none' | 'down' | 'midway' | 'forbidden' }
  | { do: 'advance'; ms: number }
  | { do: 'restart' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('members'), ids: fc.subarray([...ids]), nested: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('sync'),
      fault: fc.constantFrom('none', 'none', 'down', 'midway', 'forbidden'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('advance'),
      ms: fc.constantFrom(second, 2 * settleMs, 20 * minute, 31 * minute),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart') }) },
)

/** What DESIGN says, kept by hand: who is granted, and when that was last confirmed. */
interface Model {
  members: readonly string[]
  granted: Map<string, number>
  emptySince: number | undefined
}

const synced = (model: Model, failed: boolean, now: number, mono: number): void => {
  if (!failed) {
    const sudden = model.members.length === 0 && model.granted.size >= 3
    if (sudden && model.emptySince === undefined) model.emptySince = mono
    else if (!sudden || mono - (model.emptySince ?? mono) > settleMs) {
      model.emptySince = undefined
      model.granted = new Map(model.members.map((id) => [id, now]))
    }
  }
  for (const [id, at] of model.granted) if (at < now - maxAgeMs) model.granted.delete(id)
}

test('I6: a source goes only after a complete read that lacks it, or at its age', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
    await using world = await World.open({
      policy: { capabilitiesMaxAgeMs: maxAgeMs },
      adapters: { north: { settings: { groups: { g: ['read:x'] } } } },
    })
    for (const id of ids) await world.agent(id, {}, ['north'])
    const model: Model = { members: [], granted: new Map(), emptySince: undefined }
    world.north.setGroup('g', [])
    for (const one of steps) {
      if (one.do === 'members') {
        model.members = one.ids
        world.north.setGroup('inner', one.nested ? [...one.ids, 'g'] : [])
        world.north.setGroup('g', one.nested ? ['inner'] : one.ids)
      } else if (one.do === 'sync') {
        if (one.fault !== 'none') world.north.groupFaults.add({ mode: one.fault, times: 1 })
        await world.runner('north').groups.sync(world.signal)
        synced(model, one.fault !== 'none', world.clock.now(), world.clock.mono())
      } else if (one.do === 'advance') {
        await world.clock.advance(one.ms)
      } else {
        await world.restart()
        model.emptySince = undefined
      }
      for (const id of ids) {
        const { effective } = await world.bridge.agent(`did:mesh:${id}`, registrar)
        assert.deepEqual(effective, model.granted.has(id) ? ['read:x'] : [], `${id} after ${JSON.stringify(one)}`)
      }
    }
    assert.equal((await world.bridge.verifyAudit()).ok, true)
  })
  await fc.assert(property, { numRuns: Number(env['FC_RUNS'] ?? 60) })
})
