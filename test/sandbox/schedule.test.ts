import assert from 'node:assert/strict'
import { it } from 'node:test'
import { verdict } from '../../sandbox/entra/delivery.ts'

it('waits as long as the retry table says', () => {
  const waits = (status: number | undefined) => {
    const found: number[] = []
    let elapsed = 0
    for (let attempt = 1; ; attempt++) {
      const next = verdict(status, attempt, elapsed)
      if (next.outcome !== 'retrying') return found
      found.push(next.waitSeconds)
      elapsed += next.waitSeconds
    }
  }
  const table = [10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200]
  assert.deepEqual(waits(500), table)
  assert.deepEqual(waits(undefined), table)
  assert.deepEqual(waits(503).slice(0, 3), [30, 30, 60])
  assert.deepEqual(waits(408).slice(0, 4), [120, 120, 120, 300])
  assert.deepEqual(waits(404).slice(0, 5), [300, 300, 300, 300, 600])
  for (const status of [400, 401, 403, 413]) assert.equal(verdict(status, 1, 0).outcome, 'dropped')
  for (const status of [200, 201, 202, 203, 204]) assert.equal(verdict(status, 1, 0).outcome, 'delivered')
  assert.equal(verdict(206, 1, 0).outcome, 'retrying')
  assert.equal(verdict(500, 30, 0).outcome, 'dropped')
})
