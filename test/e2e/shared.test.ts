import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  account,
  agentOf,
  assertAllowed,
  assertDenied,
  decision,
  kill,
  path,
  principal,
  register,
  settledOff,
} from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { audience, startWorld } from './world.ts'

const [first, second] = ['did:mesh:night-shift', 'did:mesh:day-shift'] as const

test('two agents share one identity: one is stopped by decisions, both by the directory, and no token names either', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const { tenant, contoso } = world
  const { analyst, scout } = contoso.agents
  const shared = { ...principal(analyst), shared: true }
  await register(daemon.as('registrar'), { did: first, name: 'night', principals: [shared, principal(scout)] })
  const alone = await daemon
    .as('registrar')
    .post('/v1/agents', { did: second, name: 'day', principals: [principal(analyst)] })
  assert.deepEqual([alone.status, at(alone.body, 'code')], [409, 'E_PRINCIPAL_TAKEN'])
  await register(daemon.as('registrar'), { did: second, name: 'day', principals: [shared] })
  assert.equal(at(await agentOf(daemon, second), 'principals', 0, 'shared'), true)

  const found = await daemon.as('alice').get(`/v1/principals?adapter=contoso&id=${analyst}`)
  assert.equal(at(found.body, 'shared'), true)
  assert.deepEqual(
    listAt(found.body, 'agents').map((agent) => at(agent, 'did')),
    [second, first],
  )

  const token = tenant.issueToken({ kind: 'agent', version: 'v2', id: analyst, audience })
  const verified = await daemon.as('gateway').post('/v1/tokens/verify', { token })
  assert.deepEqual(verified.body, { valid: false, codes: ['R_AMBIGUOUS'] })
  for (const question of [{ token }, { principal: { adapter: 'contoso', id: analyst } }]) {
    const answer = await decision(daemon, question)
    assert.partialDeepStrictEqual(answer, { allow: false, did: null, codes: ['R_AMBIGUOUS'] })
  }
  for (const did of [first, second]) await assertAllowed(daemon, { did })

  const holdId = await kill(daemon, first)
  await assertDenied(daemon, { did: first })
  await assertAllowed(daemon, { did: second })
  await until('its own identity is off', () => tenant.get(scout)?.enabled === false)
  assert.equal(tenant.get(analyst)?.enabled, true)
  await account(daemon, first, analyst, { desired: 'enabled', mark: 'none' })

  await kill(daemon, second)
  await settledOff(daemon, second, analyst)
  assert.equal(tenant.get(analyst)?.enabled, false)

  const asked = await daemon.as('alice').post(path(first, `/holds/${holdId}/release`), { reason: 'all clear' })
  assert.equal(asked.status, 202, asked.text)
  const approved = await daemon.as('bob').post(`/v1/releases/${textAt(asked.body, 'releaseId')}/approve`, {})
  assert.equal(approved.status, 200, approved.text)
  await until('the shared identity is on', () => tenant.get(analyst)?.enabled === true)
  await assertAllowed(daemon, { did: first })
  await assertDenied(daemon, { did: second })
})
