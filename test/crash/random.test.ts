import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as after } from 'node:timers/promises'
import { agentOf, assertAllowed, isAllowed, principal, register } from '../e2e/agents.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld, type World } from '../e2e/world.ts'
import { assertAudit, auditOf, maybe, patchesOf, patienceMs } from './parts.ts'

interface Agent {
  readonly did: string
  readonly id: string
}

const count = 40
const rounds = 4

const populate = async (world: World, daemon: Daemon): Promise<readonly Agent[]> => {
  const agents = Array.from({ length: count }, (_, n) => ({
    did: `did:mesh:agent-${n}`,
    id: world.tenant.addAgentIdentity({ displayName: `agent-${n}`, blueprintAppId: world.contoso.blueprint.appId }),
  }))
  for (const { did, id } of agents) await register(daemon.as('alice'), { did, name: did, principals: [principal(id)] })
  return agents
}

/** Kills agents one after another until the daemon is gone; returns the holds that were acknowledged. */
const stream = async (daemon: Daemon, agents: readonly Agent[]): Promise<ReadonlyMap<string, string>> => {
  const acknowledged = new Map<string, string>()
  for (const { did } of agents) {
    const answer = await maybe(daemon.as('runtime').post('/v1/kill', { agentId: did, reason: 'loop' }))
    if (answer === undefined) break
    assert.equal(answer.status, 202, answer.text)
    acknowledged.set(textAt(answer.body, 'holdId'), did)
  }
  return acknowledged
}

test('killed at random moments under a stream of kills, the daemon loses and doubles nothing', async (t) => {
  await using world = await startWorld({ auth: { killBudget: { max: 10_000, per: '10m' } } })
  let daemon = await world.daemon()
  const agents = await populate(world, daemon)
  const spared = agents.slice(0, 4)
  const acknowledged = new Map<string, string>()
  for (let round = 0; round < rounds; round += 1) {
    const targets = agents.slice(4 + round * 9, 4 + (round + 1) * 9)
    const streams = [stream(daemon, targets), stream(daemon, targets.toReversed())]
    // How long is the point of the test: the kill falls anywhere. But of a slow machine the last round has something to lose.
    const isLast = round === rounds - 1 && acknowledged.size === 0
    await (isLast ? Promise.race(streams) : after(randomInt(5, 250)))
    daemon.process.signal('SIGKILL')
    await daemon.process.ended()
    for (const done of await Promise.all(streams)) for (const [hold, did] of done) acknowledged.set(hold, did)
    daemon = await world.daemon()
    for (const did of new Set(acknowledged.values())) assert.equal(await isAllowed(daemon, { did }), false, did)
  }
  t.diagnostic(`${acknowledged.size} acknowledged kills in ${rounds} rounds`)
  assert.ok(acknowledged.size > 0)

  const held = new Set<string>()
  for (const { did } of agents) {
    const holds = listAt(await agentOf(daemon, did), 'holds')
    for (const hold of holds) assert.equal(at(hold, 'origin'), 'runtime:runtime', 'an echo became a hold')
    const ids = holds.map((hold) => at(hold, 'id'))
    for (const [id, killed] of acknowledged) if (killed === did) assert.ok(ids.includes(id), `${id} is lost`)
    assert.ok(ids.length <= 2, 'more holds than kills were sent')
    if (ids.length > 0) held.add(did)
  }
  for (const { did } of spared) {
    assert.ok(!held.has(did))
    await assertAllowed(daemon, { did })
  }
  const isAsWanted = ({ did, id }: Agent) => world.tenant.get(id)?.enabled === !held.has(did)
  await until('every account is as its holds want it', () => agents.every(isAsWanted), patienceMs)
  const marks = async () => {
    const states = await Promise.all(agents.map(({ did }) => agentOf(daemon, did)))
    return states.map((agent) => [at(agent, 'did'), at(agent, 'principals', 0, 'account', 'mark')] as const)
  }
  await until(
    'every account that is off is claimed by us',
    async () =>
      (await marks()).every(([did, mark]) =>
        held.has(String(did)) ? mark === 'ours' || mark === 'claimed' : mark === 'none',
      ),
    patienceMs,
  )
  for (const { id } of agents) assert.deepEqual(patchesOf(world, id, true), [], 'an enable was sent')
  await assertAudit(world)
  const placed = (await auditOf(world)).filter(({ type }) => type === 'hold.placed').map(({ hold }) => hold)
  for (const id of acknowledged.keys()) assert.ok(placed.includes(id))
})
