import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Adapter } from '../../src/core/adapter.ts'
import { domain } from './trustdomain.ts'

const id = 'spiffe://example.org/bridge'
const signal = () => AbortSignal.timeout(30_000)
const ask = ({ doctor }: Adapter) => {
  assert.ok(doctor)
  return doctor.permissions(['workload'], signal())
}

test('spiffe doctor proves the right to change entries by a change of none', async () => {
  await using base = await domain()
  const [ref] = base.workloads(1)
  const before = JSON.stringify(base.spire.entries)
  const findings = await ask(base.adapter)
  assert.deepEqual(
    findings.map(({ level, text }) => [level, text]),
    [
      ['ok', 'listing entries'],
      ['ok', 'listing banned agents'],
      ['ok', 'changing entries'],
    ],
  )
  assert.equal(JSON.stringify(base.spire.entries), before)
  assert.ok(ref)
  const reading = await ask(base.open({ mirror: 'inbound' }))
  assert.equal(reading.length, 2, 'and asks for no right to write where it only reads')
})

test('spiffe doctor tells who is no administrator, with both ways to make it one', async () => {
  for (const [adminIds, level] of [
    [[], 'error'],
    [[id], 'ok'],
  ] as const) {
    await using base = await domain({ adminIds: [...adminIds] })
    base.spire.addEntry({ spiffeId: id, selectors: ['unix:uid:9'] })
    const workloadApi = await base.spire.workload(['unix:uid:9'])
    const adapter = base.open({ server: { address: base.spire.address, workloadApi } })
    // Known from its first call on.
    await adapter.lookup([], signal()).catch(() => undefined)
    await ask(adapter)
    const findings = await ask(adapter)
    assert.deepEqual(new Set(findings.map((one) => one.level)), new Set([level]))
    if (level === 'ok') continue
    for (const { code, mend } of findings) {
      assert.equal(code, 'E_DIRECTORY_FORBIDDEN')
      assert.ok(mend?.includes(`"${id}" to admin_ids`) && mend.includes('-admin'), mend)
    }
  }
})

test('spiffe doctor calls a right unknown to no one: what a policy of the server takes away is told', async () => {
  await using base = await domain()
  base.spire.fail('/spire.api.server.entry.v1.Entry/BatchUpdateEntry', { status: 7, times: 1 })
  const findings = await ask(base.adapter)
  assert.deepEqual(
    findings.map(({ level }) => level),
    ['ok', 'ok', 'error'],
  )
})

test('spiffe doctor says that the clock of SPIRE is not told', async () => {
  await using base = await domain()
  const clock = (await base.adapter.check(signal())).find(({ code }) => code === 'clock')
  assert.equal(clock?.level, 'unknown')
})
