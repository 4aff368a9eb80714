import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, bob, caller, carol, dave, minute, registrar, runtime, soc, World } from './harness.ts'

const code = (wanted: string) => ({ code: wanted })

test('a kill takes two people, neither its actor, and not one twice', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const { holdId } = await world.kill(did, soc)
  await assert.rejects(world.bridge.release(did, holdId, 'r', soc), code('E_FORBIDDEN'))
  await assert.rejects(world.bridge.release(did, holdId, 'r', caller('soc', 'operator')), code('E_SAME_PERSON'))
  await assert.rejects(world.bridge.release(did, holdId, 'r', runtime), code('E_FORBIDDEN'))
  const first = await world.bridge.release(did, holdId, 'r', carol)
  assert.ok(!first.done)
  assert.deepEqual(await world.bridge.release(did, holdId, 'r', dave), first)
  await assert.rejects(world.bridge.approve(first.release.id, carol), code('E_SAME_PERSON'))
  await assert.rejects(world.bridge.approve(first.release.id, soc), code('E_FORBIDDEN'))
  await assert.rejects(world.bridge.approve(first.release.id, caller('soc', 'approver')), code('E_SAME_PERSON'))
  await assert.rejects(world.bridge.approve('nothing', dave), code('E_RELEASE_UNKNOWN'))
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  assert.ok((await world.bridge.approve(first.release.id, dave)).done)
  await assert.rejects(world.bridge.approve(first.release.id, dave), code('E_ALREADY_RELEASED'))
  await assert.rejects(world.bridge.release(did, holdId, 'r', carol), code('E_ALREADY_RELEASED'))
  assert.deepEqual(await world.codes(did), [])
})

test('an agent releases nothing of itself, its ancestors and its descendants, in neither of the two steps', async () => {
  await using world = await World.open()
  const root = await world.agent('root')
  const child = await world.agent('child', { parentDid: root })
  const leaf = await world.agent('leaf', { parentDid: child })
  const other = await world.agent('other')
  const as = (did: string) => ({ ...caller(`agent-${did}`, 'approver'), dids: [did] })
  const { holdId } = await world.kill(child, soc)
  for (const kin of [root, child, leaf])
    await assert.rejects(world.bridge.release(child, holdId, 'r', as(kin)), code('E_FORBIDDEN'), kin)
  const asked = await world.bridge.release(child, holdId, 'r', carol)
  assert.ok(!asked.done)
  for (const kin of [root, child, leaf])
    await assert.rejects(world.bridge.approve(asked.release.id, as(kin)), code('E_FORBIDDEN'), kin)
  assert.deepEqual(await world.codes(child), ['R_SUSPENDED'])
  assert.ok((await world.bridge.approve(asked.release.id, as(other))).done, 'an agent of another family may')
  const parent = { ...runtime, dids: [root] }
  const own = await world.bridge.place(child, { severity: 'suspend', reason: 'r' }, parent)
  await assert.rejects(world.bridge.release(child, own.id, 'r', parent), code('E_FORBIDDEN'))
})

test('the origin lifts its own suspend at once; a token from before stays refused', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, runtime)
  assert.equal(hold.origin, 'runtime:agt-1')
  await assert.rejects(world.bridge.release(did, hold.id, 'r', caller('agt-2', 'runtime')), code('E_FORBIDDEN'))
  const released = await world.bridge.release(did, hold.id, 'r', runtime)
  assert.ok(released.done && released.agent?.status === 'active')
  assert.equal((await world.store.agent(did))?.resumedAt, world.clock.now())
})

test('an override asked for by an operator is not completed by an approver, though the hold became releasable', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  world.north.set('a', false)
  await world.settleAll()
  const [own] = await world.open(did)
  assert.ok(own)
  const override = await world.bridge.release(did, own.id, 'r', alice)
  assert.ok(!override.done && override.release.kind === 'override')
  world.north.set('a', true)
  await world.settleAll()
  await assert.rejects(world.bridge.approve(override.release.id, carol), code('E_FORBIDDEN'))
  // Asked for anew, it is an approval; what was asked before is void.
  const approval = await world.bridge.release(did, own.id, 'r', dave)
  assert.ok(!approval.done && approval.release.kind === 'approve')
  await assert.rejects(world.bridge.approve(override.release.id, bob), code('E_ALREADY_RELEASED'))
  assert.ok((await world.bridge.approve(approval.release.id, carol)).done)
})

test('an approval that waits does not keep an operator from overriding once the account is off again', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  world.north.set('a', false)
  await world.settleAll()
  world.north.set('a', true)
  await world.settleAll()
  const [own] = await world.open(did)
  assert.ok(own)
  await world.bridge.release(did, own.id, 'r', carol)
  world.north.set('a', false)
  await world.settleAll()
  await world.releaseByTwo(did, own.id, alice, bob)
  assert.deepEqual(await world.codes(did), [])
})

test('only operators place disable, nobody places decommission; nobody lifts one', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await assert.rejects(world.bridge.place(did, { severity: 'disable', reason: 'r' }, soc), code('E_FORBIDDEN'))
  await assert.rejects(world.bridge.place(did, { severity: 'decommission', reason: 'r' }, alice), code('E_VALIDATION'))
  await assert.rejects(
    world.bridge.place('did:mesh:no', { severity: 'suspend', reason: 'r' }, soc),
    code('E_AGENT_UNKNOWN'),
  )
  await world.bridge.decommission(did, 'gone', registrar)
  const [hold] = await world.open(did)
  assert.ok(hold)
  await assert.rejects(world.bridge.release(did, hold.id, 'r', alice), code('E_NOT_RELEASABLE'))
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), await world.codes(did)], [false, ['R_SUSPENDED', 'R_DECOMMISSIONED']])
})

test('a kill for an unknown DID is kept, and applies at registration', async () => {
  await using world = await World.open()
  const did = 'did:mesh:a'
  const result = await world.kill(did)
  assert.equal(result.known, false)
  assert.deepEqual(await world.codes(did), ['R_UNKNOWN_DID', 'R_SUSPENDED'])
  await world.restart()
  await world.agent('a')
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), world.south.enabled('a')], [false, false])
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  await assert.rejects(world.kill('not a did'), code('E_DID'))
})

test('a kill that answers a hold of ours acknowledges it and places none', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const other = await world.agent('b')
  const { holdId } = await world.kill(did, soc)
  const answer = (about: string, inResponseTo: string) =>
    world.bridge.kill({ did: about, reason: 'echo', inResponseTo }, runtime)
  assert.deepEqual(await answer(did, holdId), { did, holdId, status: 'acknowledged', known: true })
  assert.equal((await world.open(did)).length, 1)
  assert.equal((await answer(other, holdId)).status, 'suspended')
  assert.equal((await answer(did, 'no such hold')).status, 'suspended')
})

test('a runtime beyond its kill budget is refused; people are not, and time restores it', async () => {
  await using world = await World.open({ policy: { killBudget: { max: 2, perMs: minute } } })
  const did = await world.agent('a')
  await world.kill(did)
  await world.clock.advance(1_000)
  await world.kill(did)
  await assert.rejects(async () => world.kill(did), code('E_BUDGET'))
  await world.kill(did, soc)
  await world.clock.advance(minute)
  await world.kill(did)
  assert.deepEqual(
    world.alerts.map(({ code: alert }) => alert),
    ['kill-budget'],
  )
})

test('what a runtime suspends is out of the same budget; what is refused for another reason is not', async () => {
  await using world = await World.open({ policy: { killBudget: { max: 2, perMs: minute } } })
  const did = await world.agent('a')
  const suspend = (by: typeof runtime, of = did) => world.bridge.place(of, { severity: 'suspend', reason: 'r' }, by)
  await suspend(runtime)
  await assert.rejects(suspend(runtime, 'did:mesh:nobody'), code('E_AGENT_UNKNOWN'))
  await assert.rejects(suspend({ ...runtime, labels: { unit: 'y' } }), code('E_FORBIDDEN'))
  await world.kill(did)
  await assert.rejects(suspend(runtime), code('E_BUDGET'))
  await assert.rejects(world.kill(did), code('E_BUDGET'))
  await suspend(soc)
  assert.equal((await world.open(did)).length, 3)
})

test('a runtime bounded by labels kills and holds only its own', async () => {
  await using world = await World.open()
  const did = await world.agent('a', { labels: { unit: 'x' } })
  const bounded = { ...runtime, labels: { unit: 'y' } }
  await assert.rejects(world.kill(did, bounded), code('E_FORBIDDEN'))
  await assert.rejects(world.bridge.place(did, { severity: 'suspend', reason: 'r' }, bounded), code('E_FORBIDDEN'))
  assert.equal((await world.kill(did, { ...runtime, labels: { unit: 'x' } })).known, true)
})

test('one kill: one write in each directory, one hold, one signal', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await world.kill(did)
  for (let round = 0; round < 3; round++) {
    await world.full()
    await world.settleAll()
    await world.restart()
  }
  assert.deepEqual([world.writes('north'), world.writes('south')], [['disable'], ['disable']])
  assert.equal((await world.store.holdsOf(did, 100)).length, 1)
  assert.equal((await world.store.signalsAfter(0, 100)).length, 1)
  const items = (await world.bridge.audit({ limit: 100 })).items
  assert.deepEqual(
    items.map(({ type }) => type).filter((type) => !type.startsWith('bridge.')),
    ['agent.registered', 'hold.placed', 'account.ours', 'account.ours'],
  )
})

test('paused, nothing is written; verdicts go on, and afterwards all is made up for', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const other = await world.agent('b')
  const hold = await world.bridge.place(other, { severity: 'suspend', reason: 'r' }, soc)
  await world.settleAll()
  await world.bridge.pause(true, 'maintenance', alice)
  assert.deepEqual(await world.bridge.pause(true, 'again', alice), { paused: true })
  await world.kill(did)
  await world.bridge.release(other, hold.id, 'r', soc)
  await world.restart()
  await world.run(20 * minute)
  assert.deepEqual([await world.codes(did), await world.codes(other)], [['R_SUSPENDED'], []])
  assert.deepEqual([world.north.enabled('a'), world.north.enabled('b')], [true, false])
  const account = await world.account('north', 'b')
  assert.deepEqual([account.attempts, account.lastError], [0, undefined])
  assert.equal((await world.bridge.status()).paused, true)
  await world.bridge.pause(false, 'over', alice)
  await world.run(minute)
  assert.deepEqual([world.north.enabled('a'), world.north.enabled('b')], [false, true])
})

for (const [mode, killed, held] of [
  ['inbound', true, true],
  ['outbound', false, false],
  ['observe', true, false],
] as const) {
  test(`mirror: ${mode}`, async () => {
    await using world = await World.open({ adapters: { north: { settings: { mirror: mode } } } })
    const did = await world.agent('a', {}, ['north'])
    const other = await world.agent('b', {}, ['north'])
    const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
    world.north.set('b', false)
    await world.settleAll()
    assert.equal(world.north.enabled('a'), killed)
    assert.deepEqual(await world.codes(other), held ? ['R_SUSPENDED'] : [])
    await world.bridge.release(did, hold.id, 'r', soc)
    await world.settleAll()
    assert.deepEqual([world.north.enabled('a'), await world.codes(did)], [true, []])
  })
}
