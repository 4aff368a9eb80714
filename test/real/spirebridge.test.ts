import { test } from 'node:test'
import { killsAndRestores } from '../e2e/workload.ts'
import { installSpire } from './spireinstall.ts'
import { startRealSpire } from './spireworld.ts'

test('on a real SPIRE a kill holds every entry of a workload and stops what it is issued; the release restores every field', {
  timeout: 90 * 60_000,
}, async (t) => {
  const programs = await installSpire()
  if ('skip' in programs) {
    t.skip(programs.skip)
    return
  }
  await using real = await startRealSpire(programs)
  const { resumedMs, stoppedMs } = await killsAndRestores(real)
  t.diagnostic(`issuance stopped ${stoppedMs} ms after the kill and resumed ${resumedMs} ms after the release`)
})
