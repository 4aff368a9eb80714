import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guardPlan, trips } from '../../src/core/guard.ts'
import { hold } from './accounts.ts'

const settings = {
  windowMs: 600_000,
  minAgents: 50,
  suspend: { max: 50, percent: 20 },
  resume: { max: 10, percent: 5 },
}

for (const [direction, count, mapped, wanted] of [
  ['suspend', 50, 10_000, false],
  ['suspend', 51, 10_000, true],
  ['suspend', 20, 100, false],
  ['suspend', 21, 100, true],
  ['suspend', 11, 50, true],
  ['suspend', 11, 49, false],
  ['resume', 10, 10_000, false],
  ['resume', 11, 10_000, true],
  ['resume', 5, 100, false],
  ['resume', 6, 100, true],
] as const) {
  test(`${count} ${direction} changes of ${mapped} accounts ${wanted ? 'trip' : 'pass'}`, () => {
    assert.equal(trips(settings, direction, count, mapped), wanted)
  })
}

test('a plan is named by its content, in whatever order it was found', () => {
  const a = hold('adapter:north/a', { id: '1' })
  const b = hold('adapter:north/b', { id: '2' })
  const plan = guardPlan('north', 'suspend', [b, a])
  assert.deepEqual(
    plan.rows.map(({ holdId }) => holdId),
    ['1', '2'],
  )
  assert.equal(plan.hash, guardPlan('north', 'suspend', [a, b]).hash)
  for (const other of [
    guardPlan('north', 'suspend', [a]),
    guardPlan('south', 'suspend', [a, b]),
    guardPlan('north', 'resume', [a, b]),
    guardPlan('north', 'suspend', [a, { ...b, placedAt: 1 }]),
  ]) {
    assert.notEqual(other.hash, plan.hash)
  }
})
