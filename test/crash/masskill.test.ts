import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as after } from 'node:timers/promises'
import { createFleet } from '../bench/fleet.ts'
import { isAllowed } from '../e2e/agents.ts'
import { at } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld } from '../e2e/world.ts'
import { assertAudit, auditOf, crashed, maybe, patchesOf, patienceMs, program } from './parts.ts'

const never = '0 0 1 1 *'
const quiet = { adapters: { contoso: { sync: { accounts: never, groups: never, full: never } } } }

const heldOf = async (daemon: Daemon, dids: readonly string[]): Promise<number> => {
  let held = 0
  for (const did of dids) if (!(await isAllowed(daemon, { did }))) held += 1
  return held
}

for (const point of ['kill.recorded', 'kill.advanced']) {
  test(`${point}: what was recorded of a kill is held whole after the start, once each`, async () => {
    await using world = await startWorld(quiet)
    const { identities } = await createFleet(world, { identities: 260, users: 0, groups: 1 })
    const dids = identities.map(({ did }) => did)
    const dying = await world.daemon(program, point)
    await until('it is read', () => isAllowed(dying, { did: dids[259] }), patienceMs)
    assert.equal(await maybe(dying.as('alice').post('/v1/kill', { agentIds: dids, reason: 'breach' })), undefined)
    await crashed(dying)
    const daemon = await world.daemon()
    assert.equal(await heldOf(daemon, dids), dids.length)
    await until(
      'all are off',
      () => identities.every(({ id }) => world.tenant.get(id)?.enabled === false),
      2 * patienceMs,
    )
    for (const { id } of identities) assert.deepEqual(patchesOf(world, id, true), [])
    await assertAudit(world)
    const placed = (await auditOf(world)).filter(({ type }) => type === 'hold.placed')
    assert.equal(placed.length, dids.length)
  })
}

test('killed at a random moment of a kill, the daemon holds all of its targets or, unanswered, none', async (t) => {
  await using world = await startWorld(quiet)
  const { identities } = await createFleet(world, { identities: 600, users: 0, groups: 1 })
  let daemon = await world.daemon()
  await until('it is read', () => isAllowed(daemon, { did: identities[599]?.did }), patienceMs)
  const told: string[] = []
  for (let round = 0; round < 3; round += 1) {
    const dids = identities.slice(round * 200, (round + 1) * 200).map(({ did }) => did)
    const sent = maybe(daemon.as('alice').post('/v1/kill', { agentIds: dids, reason: 'breach' }))
    // How long is the point of the test: the kill falls anywhere.
    await after(randomInt(1, 200))
    daemon.process.signal('SIGKILL')
    await daemon.process.ended()
    const answer = await sent
    daemon = await world.daemon()
    const held = await heldOf(daemon, dids)
    told.push(`${answer === undefined ? 'unanswered' : at(answer.body, 'placed')}: ${held}`)
    if (answer !== undefined) assert.equal(answer.status, 202, answer.text)
    assert.ok(held === dids.length || (held === 0 && answer === undefined), `${held} of ${dids.length} are held`)
  }
  t.diagnostic(told.join(', '))
  await assertAudit(world)
})
