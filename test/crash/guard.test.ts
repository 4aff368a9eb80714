import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentOf, registerAll, reporterDid, scoutDid } from '../e2e/agents.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { startWorld } from '../e2e/world.ts'
import { assertAudit, auditOf, crashed, maybe, patienceMs, program } from './parts.ts'

test('killed in the middle of an approved guard plan: it is applied once, and nobody has to approve it again', async () => {
  await using world = await startWorld({ policy: { guard: { suspend: { max: 1 } } } })
  const dying = await world.daemon(program, 'guard.chunk')
  await registerAll(dying, world)
  const guardOf = async (daemon: typeof dying) => (await daemon.as('alice').get('/v1/guard/contoso')).body
  for (const [id, did] of [
    [world.contoso.agents.scout, scoutDid],
    [world.contoso.agents.reporter, reporterDid],
  ] as const) {
    world.tenant.setEnabled(id, false)
    await until(`${did} is held`, async () => listAt(await agentOf(dying, did), 'holds').length > 0, patienceMs)
  }
  const hash = textAt(await guardOf(dying), 'suspend', 'plan', 'hash')
  const route = '/v1/guard/contoso/approve'
  assert.equal((await dying.as('alice').post(route, { hash })).status, 202)
  const key = { 'idempotency-key': 'approval of bob' }
  assert.equal(await maybe(dying.as('bob').post(route, { hash }, key)), undefined, 'the crash took the answer')
  await crashed(dying)

  const daemon = await world.daemon()
  const applied = async () => at(await guardOf(daemon), 'suspend', 'approval') === null
  await until('the plan is applied', applied, patienceMs)
  const again = await daemon.as('bob').post(route, { hash }, key)
  assert.deepEqual([again.status, at(again.body, 'applied'), at(again.body, 'dropped')], [200, 1, 0], again.text)
  assert.equal(at(await guardOf(daemon), 'suspend', 'tripped'), false)
  assert.equal(at(await agentOf(daemon, reporterDid), 'holds', 0, 'guarded'), false)
  await assertAudit(world)
  const types = (await auditOf(world)).map(({ type }) => type)
  for (const type of ['guard.approved', 'guard.applied', 'guard.cleared', 'hold.guard-passed']) {
    assert.equal(types.filter((one) => one === type).length, 1, type)
  }
})
