import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOnScale, pointsOf, type TrustReport, type TrustScale, taken, trustRule } from '../../src/core/trust.ts'

const limits = { suspendBelow: 300, liftAbove: 500 }
const report = (score: number, fields: Partial<TrustReport> = {}): TrustReport => ({
  did: 'did:mesh:a',
  client: 'agt-1',
  score,
  scale: '0-1000',
  at: 10,
  reportedAt: 10,
  settled: false,
  ...fields,
})
const share = (score: number, fields: Partial<TrustReport> = {}) => report(score, { scale: '0-1', ...fields })

test('a score is one of its scale or none: a fraction of a thousand is not', () => {
  const on = (scale: TrustScale, ...scores: number[]) => scores.map((score) => isOnScale(score, scale))
  assert.deepEqual(on('0-1000', 0, 1, 999, 1000), [true, true, true, true])
  assert.deepEqual(on('0-1000', -1, 1001, 0.5, 300.0001, Number.NaN, Number.POSITIVE_INFINITY), Array(6).fill(false))
  assert.deepEqual(on('0-1', 0, 0.3, 1, 5e-324), [true, true, true, true])
  assert.deepEqual(on('0-1', -0.1, 1.0000001, 300, Number.NaN), [false, false, false, false])
})

test('scores of both scales meet the thresholds at the same place, to the last digit', () => {
  const places = (one: TrustReport) => trustRule(limits, one, [], false) === 'place'
  const lifts = (one: TrustReport) => trustRule(limits, one, [], true) === 'lift'
  assert.deepEqual(
    [299, 300].map((score) => places(report(score))),
    [true, false],
  )
  assert.deepEqual(
    [0.29999999999999993, 0.3].map((score) => places(share(score))),
    [true, false],
  )
  assert.deepEqual(
    [499, 500].map((score) => lifts(report(score))),
    [false, true],
  )
  assert.deepEqual(
    [0.4999999999999999, 0.5].map((score) => lifts(share(score))),
    [false, true],
  )
  for (let points = 1; points < 1000; points += 1) {
    const at = { suspendBelow: points, liftAbove: 1000 }
    assert.equal(trustRule(at, share(Number(`0.${String(points).padStart(3, '0')}`)), [], false), 'nothing')
    assert.equal(pointsOf(share(Number(`0.${String(points).padStart(3, '0')}`))), points)
  }
})

test('between the thresholds nothing changes, and without the policy nothing ever does', () => {
  for (const score of [300, 499]) {
    for (const held of [true, false]) assert.equal(trustRule(limits, report(score), [], held), 'nothing')
  }
  assert.equal(trustRule(limits, report(0), [], true), 'nothing', 'one hold is enough')
  assert.equal(trustRule(limits, report(1000), [], false), 'nothing')
  for (const score of [0, 1000]) {
    for (const held of [true, false]) assert.equal(trustRule(undefined, report(score), [], held), 'nothing')
  }
})

test('one client that is not above the second threshold keeps it held, unless two people settled its score', () => {
  const high = report(900)
  const of = (fields: Partial<TrustReport>, score = 499) => [report(score, { client: 'agt-2', ...fields })]
  assert.equal(trustRule(limits, high, of({}), true), 'nothing')
  assert.equal(trustRule(limits, high, of({ settled: true }), true), 'lift')
  assert.equal(trustRule(limits, high, of({}, 500), true), 'lift')
  assert.equal(trustRule(limits, high, of({}, 0), false), 'nothing', 'a stored score places nothing')
})

test('what a client said of a later moment stands, and a report without a time is the latest', () => {
  const given = (at: number | undefined) => ({
    did: 'did:mesh:a',
    client: 'agt-1',
    score: 1,
    scale: '0-1000' as const,
    at,
  })
  const last = report(700, { at: 50 })
  assert.equal(taken(given(49), last, 100), undefined)
  assert.equal(taken(given(50), last, 100)?.at, 50)
  assert.equal(taken(given(60), last, 100)?.score, 1)
  assert.equal(taken(given(120), undefined, 100)?.at, 100, 'a clock that is ahead makes no report that outlasts others')
  assert.equal(taken(given(undefined), last, 20)?.at, 20, 'also after the clock was set back')
  assert.equal(taken(given(20), last, 20)?.at, 20)
  assert.equal(taken(given(19), last, 20), undefined)
  assert.equal(taken(given(60), report(1, { settled: true }), 100)?.settled, false)
})
