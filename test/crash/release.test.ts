import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as after } from 'node:timers/promises'
import { endsATime } from '../../src/core/ending.ts'
import { createFleet } from '../bench/fleet.ts'
import { isAllowed, path } from '../e2e/agents.ts'
import { textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld, type World } from '../e2e/world.ts'
import { assertAudit, auditOf, crashed, maybe, patchesOf, patienceMs, program } from './parts.ts'

const never = '0 0 1 1 *'
const quiet = { adapters: { contoso: { sync: { accounts: never, groups: never, full: never } } } }
const root = 'did:agentmesh:root'
const size = { identities: 330, users: 0, groups: 1, parent: root }

const releaseOf = (daemon: Daemon, holdId: string) =>
  daemon.as('alice').post(path(root, `/holds/${holdId}/release`), { reason: 'all clear' })

const hold = async (daemon: Daemon, world: World, ids: readonly string[]): Promise<string> => {
  const placed = await daemon.as('alice').post(path(root, '/holds'), { severity: 'suspend', reason: 'breach' })
  assert.equal(placed.status, 201, placed.text)
  await until('all are off', () => ids.every((id) => world.tenant.get(id)?.enabled === false), 2 * patienceMs)
  return textAt(placed.body, 'id')
}

const heldOf = async (daemon: Daemon, dids: readonly string[]): Promise<readonly string[]> => {
  const held: string[] = []
  for (const did of dids) if (!(await isAllowed(daemon, { did }))) held.push(did)
  return held
}

const assertAllFree = async (daemon: Daemon, world: World, ids: readonly string[]): Promise<void> => {
  await until('all are on', () => ids.every((id) => world.tenant.get(id)?.enabled === true), 2 * patienceMs)
  for (const id of ids) assert.equal(patchesOf(world, id, true).length, 1)
  await daemon[Symbol.asyncDispose]()
  await assertAudit(world)
  const entries = await auditOf(world)
  const count = (type: string) => entries.filter((entry) => entry.type === type).length
  assert.deepEqual([count('hold.placed'), count('hold.released')], [ids.length + 1, ids.length + 1])
}

test('cascade.ended: what was left of the release of a parent ends after the start, and only then', async () => {
  await using world = await startWorld(quiet)
  const { identities } = await createFleet(world, size)
  const ids = identities.map(({ id }) => id)
  const dids = identities.map(({ did }) => did)
  const dying = await world.daemon(program, 'cascade.ended')
  await until('it is read', () => isAllowed(dying, { did: dids[0] }), patienceMs)
  const holdId = await hold(dying, world, ids)
  assert.equal(await maybe(releaseOf(dying, holdId)), undefined)
  await crashed(dying)
  // The holds of these were not over yet: nothing may have been sent for them.
  const on = ids.filter((id) => patchesOf(world, id, true).length > 0)
  assert.ok(on.length <= 2 * endsATime, `${on.length} were switched on`)
  const daemon = await world.daemon()
  await until('all are free', async () => (await heldOf(daemon, dids)).length === 0, patienceMs)
  await assertAllFree(daemon, world, ids)
})

test('killed at a random moment of a release, the daemon frees all below the parent or, unreleased, none', async (t) => {
  await using world = await startWorld(quiet)
  const { identities } = await createFleet(world, size)
  const ids = identities.map(({ id }) => id)
  const dids = identities.map(({ did }) => did)
  let daemon = await world.daemon()
  await until('it is read', () => isAllowed(daemon, { did: dids[0] }), patienceMs)
  const holdId = await hold(daemon, world, ids)
  const sent = maybe(releaseOf(daemon, holdId))
  // How long is the point of the test: the kill falls anywhere.
  await after(randomInt(1, 300))
  daemon.process.signal('SIGKILL')
  await daemon.process.ended()
  const answer = await sent
  daemon = await world.daemon()
  const isReleased = await isAllowed(daemon, { did: root })
  t.diagnostic(`answered: ${answer !== undefined}, released: ${isReleased}`)
  assert.ok(isReleased || answer === undefined, 'an answered release was lost')
  if (!isReleased) {
    assert.equal((await heldOf(daemon, dids)).length, dids.length)
    assert.equal((await releaseOf(daemon, holdId)).status, 200)
  }
  await until('all are free', async () => (await heldOf(daemon, dids)).length === 0, patienceMs)
  await assertAllFree(daemon, world, ids)
})
