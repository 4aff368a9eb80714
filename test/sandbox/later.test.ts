import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Later } from '../../sandbox/later.ts'
import { until } from '../e2e/until.ts'

test('work whose timer is ahead of the clock is done once the clock has caught up', async () => {
  const readings = [0, 4, 4, 4]
  const later = new Later(() => readings.shift() ?? 5)
  let isDone = false
  later.after(5, () => {
    isDone = true
  })
  await until('it is done', () => isDone)
  assert.deepEqual(readings, [])
})
