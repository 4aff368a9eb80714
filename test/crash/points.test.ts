import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  account,
  agentOf,
  assertAllowed,
  assertDenied,
  kill,
  path,
  principal,
  registerAll,
  scoutDid,
  settledOff,
} from '../e2e/agents.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld, type World } from '../e2e/world.ts'
import { assertAudit, auditOf, crashed, maybe, originsOf, patchesOf, patienceMs, program } from './parts.ts'

const scoutOf = ({ contoso }: World) => contoso.agents.scout

const isOff = (world: World) => () => world.tenant.get(scoutOf(world))?.enabled === false
const isOn = (world: World) => () => world.tenant.get(scoutOf(world))?.enabled === true

/** Two people release the one hold. */
const release = async (daemon: Daemon): Promise<void> => {
  const hold = listAt(await agentOf(daemon, scoutDid), 'holds').at(0)
  const route = path(scoutDid, `/holds/${textAt(hold, 'id')}/release`)
  const asked = await daemon.as('alice').post(route, { reason: 'false alarm' })
  assert.equal(asked.status, 202, asked.text)
  const done = await maybe(daemon.as('bob').post(`/v1/releases/${textAt(asked.body, 'releaseId')}/approve`, {}))
  assert.ok(done === undefined || done.status === 200, done?.text)
}

/** The account is ours by the end: proven at once, or by the directory's log when it is asked. */
const markedOff = (daemon: Daemon, world: World) =>
  until(
    'the account is ours',
    async () => {
      const agent = await agentOf(daemon, scoutDid)
      const state = at(agent, 'principals', 0, 'account')
      return (
        at(state, 'observed') === 'disabled' && ['ours', 'claimed'].includes(textAt(state, 'mark')) && isOff(world)()
      )
    },
    patienceMs,
  )

describe('killed at a named point', { concurrency: 4 }, () => {
  for (const point of ['kill.committed', 'disable.recorded', 'disable.answered', 'disable.settled']) {
    test(`${point}: the hold denies, the account ends disabled, and two people can release it`, async () => {
      await using world = await startWorld()
      const dying = await world.daemon(program, point)
      await registerAll(dying, world)
      const acknowledged = await maybe(kill(dying, scoutDid))
      await crashed(dying)

      const daemon = await world.daemon()
      await assertDenied(daemon, { did: scoutDid })
      await until('the account is off', isOff(world), patienceMs)
      await markedOff(daemon, world)
      assert.deepEqual(await originsOf(daemon, scoutDid), ['runtime:runtime'], 'exactly the one hold')
      if (acknowledged !== undefined) assert.equal(at(await agentOf(daemon, scoutDid), 'holds', 0, 'id'), acknowledged)
      assert.deepEqual(patchesOf(world, scoutOf(world), true), [])
      assert.equal(patchesOf(world, scoutOf(world), false).length, 1)
      assert.ok(world.tenant.get(world.contoso.agents.analyst)?.enabled)

      await settledOff(daemon, scoutDid, scoutOf(world), ['ours', 'claimed'])
      await release(daemon)
      await until('the account is on', isOn(world), patienceMs)
      await account(daemon, scoutDid, scoutOf(world), { mark: 'none', observed: 'enabled' }, patienceMs)
      await assertAllowed(daemon, { did: scoutDid })
      assert.equal(patchesOf(world, scoutOf(world), true).length, 1)
      await assertAudit(world)
      const types = (await auditOf(world)).filter(({ did }) => did === scoutDid).map(({ type }) => type)
      assert.ok(types.includes('account.ours'), 'no enable without a proof that the disable was ours')
    })
  }

  for (const point of ['enable.recorded', 'enable.answered', 'enable.settled']) {
    test(`${point}: the release stands and the account ends enabled`, async () => {
      await using world = await startWorld()
      const dying = await world.daemon(program, point)
      await registerAll(dying, world)
      await kill(dying, scoutDid)
      await settledOff(dying, scoutDid, scoutOf(world))
      await release(dying)
      await crashed(dying)

      const daemon = await world.daemon()
      await assertAllowed(daemon, { did: scoutDid })
      await until('the account is on', isOn(world), patienceMs)
      await account(daemon, scoutDid, scoutOf(world), { mark: 'none', observed: 'enabled' }, patienceMs)
      assert.deepEqual(await originsOf(daemon, scoutDid), [])
      assert.equal(patchesOf(world, scoutOf(world), true).length, 1)
      assert.equal(patchesOf(world, scoutOf(world), false).length, 1)
      await assertAudit(world)
    })

    test(`${point}, then another kill: the account ends disabled and the late enable is not sent`, async () => {
      await using world = await startWorld()
      const dying = await world.daemon(program, point)
      await registerAll(dying, world)
      await kill(dying, scoutDid)
      await settledOff(dying, scoutDid, scoutOf(world))
      await release(dying)
      await crashed(dying)
      const before = patchesOf(world, scoutOf(world), true).length

      const daemon = await world.daemon()
      await kill(daemon, scoutDid, 'again')
      await assertDenied(daemon, { did: scoutDid })
      await until('the account is off', isOff(world), patienceMs)
      await settledOff(daemon, scoutDid, scoutOf(world), ['ours', 'claimed'], patienceMs)
      await assertDenied(daemon, { did: scoutDid })
      assert.deepEqual(await originsOf(daemon, scoutDid), ['runtime:runtime'])
      assert.equal(patchesOf(world, scoutOf(world), true).length, before)
      await assertAudit(world)
    })
  }

  test('agent.registered: the registration is whole, and repeating it changes nothing', async () => {
    await using world = await startWorld()
    const dying = await world.daemon(program, 'agent.registered')
    const body = {
      did: scoutDid,
      name: 'market-scout-agent',
      capabilities: ['read:markets'],
      principals: [principal(scoutOf(world))],
    }
    assert.equal(await maybe(dying.as('alice').post('/v1/agents', body)), undefined)
    await crashed(dying)
    const daemon = await world.daemon()
    await assertAllowed(daemon, { did: scoutDid, capability: 'read:markets' })
    const again = await daemon.as('alice').post('/v1/agents', body)
    assert.equal(again.status, 200, again.text)
    const registered = (await auditOf(world)).filter(({ type }) => type === 'agent.registered')
    assert.equal(registered.length, 1)
  })
})
