import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configs } from '../../adapters/index.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { opening } from '../adapters/opening.ts'
import { signal } from '../adapters/tenant.ts'
import { listAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { killsAndRestores } from '../e2e/workload.ts'
import { SpireClient } from '../sandbox/spireclient.ts'
import { installSpire } from './spireinstall.ts'
import { startRealSpire } from './spireworld.ts'

test('on a real SPIRE a kill holds every entry of a workload and stops what it is issued; the release restores every field', {
  timeout: 30 * 60_000,
}, async (t) => {
  const programs = await installSpire()
  if ('skip' in programs) {
    t.skip(programs.skip)
    return
  }
  await using real = await startRealSpire(programs)
  const { resumedMs, stoppedMs, toldMs } = await killsAndRestores(real)
  t.diagnostic(
    `after the kill: no JWT-SVID from ${stoppedMs} ms on, no X.509-SVID from ${toldMs} ms on; issued again ${resumedMs} ms after the release`,
  )
})

test('over the network the bridge signs in to a real SPIRE with an SVID of its own', {
  timeout: 30 * 60_000,
}, async (t) => {
  const programs = await installSpire()
  if ('skip' in programs) {
    t.skip(programs.skip)
    return
  }
  await using stack = new AsyncDisposableStack()
  const bridge = 'spiffe://example.org/identity-bridge'
  const real = stack.use(await startRealSpire(programs, { adminIds: [bridge] }))
  const server = stack.use(new SpireClient(real.socket))
  const { agentId, selector, trustDomain } = real
  const id = (path: string) => ({ trust_domain: trustDomain, path })
  const [type = '', ...value] = selector.split(':')
  const entries = [
    {
      spiffe_id: id('/identity-bridge'),
      parent_id: id(agentId.slice(`spiffe://${trustDomain}`.length)),
      selectors: [{ type, value: value.join(':') }],
    },
    {
      id: 'agent',
      spiffe_id: id('/agents/a'),
      parent_id: id('/nodes/other'),
      selectors: [{ type: 'k8s', value: 'sa:a' }],
    },
  ]
  await server.get('BatchCreateEntry', { entries })
  const adapter = stack.use(opening(systemClock)).open(
    configs.spiffe.parse({
      kind: 'spiffe',
      trustDomain,
      server: { address: real.address.replace('127.0.0.1', 'localhost'), workloadApi: real.workload },
    }),
  )
  const agent = { id: `spiffe://${trustDomain}/agents/a`, kind: 'workload' }
  const state = async () => (await adapter.lookup([agent], signal())).get(agent.id)?.state
  await until('its SVID is there', () => state().catch(() => undefined), 120_000)
  assert.equal(await state(), 'enabled')
  const held = async () => listAt(await server.get('GetEntry', { id: 'agent' }), 'selectors').length
  assert.deepEqual(
    (await adapter.accounts?.disable([agent], signal()))?.map(({ outcome }) => outcome),
    ['done'],
  )
  assert.deepEqual([await state(), await held()], ['disabled', 2])
  assert.deepEqual(
    (await adapter.accounts?.enable([agent], signal()))?.map(({ outcome }) => outcome),
    ['done'],
  )
  assert.deepEqual([await state(), await held()], ['enabled', 1])
})
