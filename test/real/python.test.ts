import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pythonWithClient } from './virtualenv.ts'

test('the Python client is typed, and passes its tests on this daemon and the published AGT packages', {
  timeout: 900_000,
}, async (t: TestContext) => {
  const python = await pythonWithClient(t)
  if (python === undefined) return
  const { folder, module } = python
  await module('mypy', '--cache-dir', join(folder, 'mypy'))
  await module('ruff', 'check', '--no-cache', '.')
  const tests = await module('pytest', '-p', 'no:cacheprovider', '-o', 'faulthandler_timeout=120', '--durations=5')
  t.diagnostic(tests.trim().split('\n').at(-1) ?? '')
  assert.match(tests, /\d+ passed/)
})
