import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  approvalTtlMs,
  guardPlan,
  implausible,
  isExpired,
  trips,
  waitsFor,
  weighAbsence,
} from '../../src/core/guard.ts'
import { hold } from './accounts.ts'

const settings = {
  windowMs: 600_000,
  minAgents: 50,
  suspend: { max: 50, percent: 20 },
  resume: { max: 10, percent: 5 },
}

/** The first count that trips, at the defaults. Whole fleets of fewer than `minAgents` pass: that is what it is for. */
for (const [mapped, suspend, resume] of [
  [1, 51, 11],
  [4, 51, 11],
  [19, 51, 11],
  [49, 51, 11],
  [50, 11, 3],
  [100, 21, 6],
  [255, 51, 11],
  [5_000, 51, 11],
] as const) {
  test(`a fleet of ${mapped}: suspension ${suspend} and resume ${resume} trip, none before`, () => {
    for (const [direction, first] of [
      ['suspend', suspend],
      ['resume', resume],
    ] as const) {
      for (let count = 1; count <= 60; count++) {
        assert.equal(trips(settings, direction, count, mapped), count >= first, `${direction} ${count}`)
      }
    }
  })
}

test('one change by itself is no share of the fleet, however small that is and whatever the limit', () => {
  const strict = { ...settings, minAgents: 1, suspend: { max: 50, percent: 1 } }
  for (const mapped of [1, 2, 4, 19]) {
    assert.equal(trips(strict, 'suspend', 1, mapped), false)
    assert.equal(trips(strict, 'suspend', 2, mapped), true)
  }
})

for (const [mapped, first] of [
  [1, undefined],
  [2, undefined],
  [3, 3],
  [4, 3],
  [5, 3],
  [19, 10],
  [49, 25],
  [50, 11],
  [5_000, 51],
] as const) {
  test(`of ${mapped} accounts ${first ?? 'none'} may be gone at once to be doubted`, () => {
    for (let gone = 0; gone <= Math.min(mapped, 60); gone++) {
      assert.equal(implausible(settings, gone, mapped), first !== undefined && gone >= first, `${gone}`)
    }
  })
}

test('an absence is believed at once, or by a read begun past settle', () => {
  const noted = { at: 1_000, believed: false }
  for (const [absence, begunAt, doubted, worth] of [
    [undefined, 5, false, 'believe'],
    [undefined, 5, true, 'first'],
    [noted, 1_000, true, 'wait'],
    [noted, 1_500, true, 'wait'],
    [noted, 1_501, true, 'believe'],
    // Whatever ended the quarantine meanwhile, this one was doubted.
    [noted, 1_500, false, 'wait'],
    [{ at: 1_000, believed: true }, 1_001, true, 'believe'],
  ] as const) {
    assert.equal(weighAbsence(absence, begunAt, 500, doubted), worth)
  }
})

test('a first approval lasts an hour, on a clock that was set back as well; a complete one for ever', () => {
  const plan = { hash: 'h', rows: 1, by: 'carol', at: 10_000_000, second: undefined, done: 0, applied: 0 }
  assert.equal(isExpired(plan, plan.at + approvalTtlMs), false)
  assert.equal(isExpired(plan, plan.at + approvalTtlMs + 1), true)
  assert.equal(isExpired(plan, plan.at - approvalTtlMs - 1), true)
  assert.equal(isExpired({ ...plan, second: 'dave' }, plan.at + 10 * approvalTtlMs), false)
})

test('what waits: guarded holds for their mirror, releasable ones for their release', () => {
  const kept = hold('adapter:north/a', { guarded: true })
  const free = { ...kept, releasableAt: 5 }
  assert.deepEqual([waitsFor(kept, 'suspend'), waitsFor(kept, 'resume')], [true, false])
  assert.deepEqual([waitsFor(free, 'suspend'), waitsFor(free, 'resume')], [false, true])
  assert.equal(waitsFor(hold('adapter:north/a'), 'suspend'), false)
})

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
