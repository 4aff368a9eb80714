import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { playScript } from './spirescript.ts'
import { localSpire, stageAt } from './spirestage.ts'

test('the local SPIRE answers as the real one did when its answers were written down', async () => {
  const recorded = JSON.parse(readFileSync(join(import.meta.dirname, 'recordings/spire.json'), 'utf8'))
  await using local = await localSpire()
  using stage = stageAt(local)
  assert.deepEqual(await playScript(stage), recorded.answers)
})
