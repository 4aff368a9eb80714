import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PrincipalInput } from '../../src/engine/agentapi.ts'
import { alice, bob, minute, registrar, soc, World } from './harness.ts'
import { account, sharedAccount, sharer } from './sharing.ts'

const own = `adapter:north/${account}`
const code = (wanted: string) => ({ code: wanted })
const ofSouth = (id: string): PrincipalInput => ({ adapter: 'south', id, kind: 'account' })
const isOn = (world: World): boolean => world.north.enabled(account)
const sharersOf = async (world: World): Promise<string[]> =>
  (await world.store.sharersOf({ adapter: 'north', id: account })).map(({ did }) => did)
const remap = (world: World, did: string, principals: PrincipalInput[], by = registrar) =>
  world.bridge.patch(did, { principals }, by, undefined)

test('an account is shared only when each of its agents says so', async () => {
  await using world = await World.open()
  await sharer(world, 'a', { shared: false })
  for (const shared of [true, false]) {
    await assert.rejects(sharer(world, 'b', { shared }), code('E_PRINCIPAL_TAKEN'))
    assert.equal(await world.store.agent('did:mesh:b'), undefined)
  }
  await using other = await World.open()
  const a = await sharer(other, 'a')
  await assert.rejects(sharer(other, 'b', { shared: false }), code('E_PRINCIPAL_TAKEN'))
  await assert.rejects(sharer(other, 'b', { kind: 'robot' }), code('E_PRINCIPAL_TAKEN'))
  const b = await sharer(other, 'b')
  assert.deepEqual(await sharersOf(other), [a, b])
})

test('the same registration again changes nothing, and another one is refused', async () => {
  await using world = await World.open()
  const a = await sharer(world, 'a', { scopes: ['x'] })
  await sharer(world, 'b')
  await world.kill(a)
  assert.equal(await sharer(world, 'a', { scopes: ['x'] }), a)
  await assert.rejects(sharer(world, 'a', { scopes: ['x'], shared: false }), code('E_EXISTS'))
  assert.deepEqual(await world.origins(a), ['runtime:agt-1'])
  // A change of something else leaves it shared.
  await world.bridge.patch(a, { labels: { unit: 'x' } }, registrar, undefined)
  assert.equal((await world.bridge.agent(a, alice)).principals[0]?.shared, true)
})

test('who comes to share an account that somebody else keeps off is held from the start', async () => {
  await using world = await World.open({ policy: { resume: 'automatic' } })
  const a = await sharer(world, 'a')
  world.north.set(account, false)
  await world.settleAll(minute)
  const b = await sharer(world, 'b')
  assert.deepEqual(await world.origins(b), [own])
  // Overridden for the one that was there; not for the one that comes.
  for (const did of [a, b]) {
    const [hold] = await world.open(did)
    await world.releaseByTwo(did, hold?.id ?? '', alice, bob)
  }
  await world.settleAll()
  const c = await sharer(world, 'c')
  assert.deepEqual([await world.codes(a), await world.origins(b), await world.origins(c)], [[], [], [own]])
  // Nothing could be read at this one: what is known of the account counts.
  world.north.reads.add({ mode: 'unreadable', id: account, times: 1 })
  const d = await sharer(world, 'd')
  assert.deepEqual(await world.origins(d), [own])
  world.north.set(account, true)
  await world.settleAll()
  for (const did of [a, b, c, d]) assert.deepEqual(await world.codes(did), [])
})

test('the reading of a registration is news for all: an account found off holds those that were there too', async () => {
  await using world = await World.open()
  const a = await sharer(world, 'a')
  await world.clock.advance(minute)
  world.north.set(account, false)
  const b = await sharer(world, 'b')
  assert.deepEqual([await world.origins(a), await world.origins(b)], [[own], [own]])
})

test('nobody joins while the switch is ours; afterwards it is possible, held or not', async () => {
  await using world = await World.open()
  const a = await sharer(world, 'a')
  const { holdId } = await world.kill(a)
  await assert.rejects(sharer(world, 'b'), code('E_HELD'))
  await world.settleAll()
  assert.equal(isOn(world), false)
  await assert.rejects(sharer(world, 'b'), code('E_HELD'))
  assert.equal(await world.store.agent('did:mesh:b'), undefined)
  await world.releaseByTwo(a, holdId)
  await world.work()
  await assert.rejects(sharer(world, 'b'), code('E_HELD'))
  await world.settleAll()
  await world.kill('did:mesh:b')
  const b = await sharer(world, 'b')
  await world.settleAll()
  assert.deepEqual([await world.origins(b), isOn(world)], [['runtime:agt-1'], true])
  await world.kill(a)
  await world.settleAll()
  assert.equal(isOn(world), false)
})

test('a held agent keeps its share; one that is not held may go, and what is left is switched off when it is held', async () => {
  await using world = await World.open()
  const [a, b, c] = [await sharer(world, 'a'), await sharer(world, 'b'), await sharer(world, 'c')]
  const { id } = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  await assert.rejects(remap(world, a, [ofSouth('a')]), code('E_HELD'))
  await remap(world, b, [ofSouth('b')])
  await world.settleAll()
  assert.deepEqual([await sharersOf(world), isOn(world)], [[a, c], true])
  await remap(world, c, [ofSouth('c')])
  await world.settleAll()
  assert.deepEqual([await sharersOf(world), isOn(world), await world.codes(c)], [[a], false, []])
  await world.bridge.release(a, id, 'r', soc)
  await world.settleAll()
  assert.deepEqual([isOn(world), world.writes('north')], [true, ['disable', 'enable']])
  await remap(world, a, [ofSouth('a')])
  assert.equal(await world.store.principal({ adapter: 'north', id: account }), undefined)
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('leaving an account that is off frees nobody', async () => {
  await using world = await World.open()
  const [a, b] = [await sharer(world, 'a'), await sharer(world, 'b')]
  world.north.set(account, false)
  await world.settleAll()
  for (const did of [a, b]) await assert.rejects(remap(world, did, []), code('E_HELD'))
  assert.deepEqual([await world.origins(a), await world.origins(b)], [[own], [own]])
})

test("an account becomes shared, and one agent's own again, only while it is free and nobody else shares it", async () => {
  await using world = await World.open()
  const a = await sharer(world, 'a', { shared: false })
  const { id } = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  const turn = (did: string, shared: boolean, kind = 'account') =>
    remap(world, did, [sharedAccount({ shared, kind }), ofSouth(did.slice('did:mesh:'.length))])
  await assert.rejects(turn(a, true), code('E_HELD'))
  await world.bridge.release(a, id, 'r', soc)
  await assert.rejects(turn(a, true), code('E_HELD'))
  await world.settleAll()
  await turn(a, true)
  const b = await sharer(world, 'b')
  assert.deepEqual(await sharersOf(world), [a, b])
  await assert.rejects(turn(a, false), code('E_PRINCIPAL_TAKEN'))
  await assert.rejects(turn(a, true, 'robot'), code('E_PRINCIPAL_TAKEN'))
  await remap(world, b, [ofSouth('b')])
  await turn(a, false)
  assert.deepEqual(await sharersOf(world), [])
  assert.equal((await world.store.principal({ adapter: 'north', id: account }))?.did, a)
  const decision = await world.bridge.decide({ principal: { adapter: 'north', id: account } })
  assert.deepEqual([decision.allow, decision.did], [true, a])
})

test('a decommissioned agent leaves the account to the others; its share is taken until an operator frees it', async () => {
  await using world = await World.open()
  const [a, b] = [await sharer(world, 'a'), await sharer(world, 'b')]
  await world.bridge.decommission(a, 'gone', registrar)
  await world.settleAll()
  assert.deepEqual([isOn(world), await world.codes(b)], [true, []])
  const { holdId } = await world.kill(b)
  await world.settleAll()
  assert.equal(isOn(world), false)
  // The tombstone goes from an account that is off by us: nobody is freed by it, and nothing is written.
  await assert.rejects(remap(world, a, [ofSouth('a')]), code('E_DECOMMISSIONED'))
  await remap(world, a, [ofSouth('a')], alice)
  await world.settleAll()
  assert.deepEqual([await sharersOf(world), isOn(world), world.writes('north')], [[b], false, ['disable']])
  await world.releaseByTwo(b, holdId)
  await world.settleAll()
  assert.deepEqual([isOn(world), await world.codes(b)], [true, []])
})

test('so many agents share one account and no more', async () => {
  await using world = await World.open()
  for (let n = 0; n < 100; n++) await sharer(world, `a${n}`)
  await assert.rejects(sharer(world, 'late'), code('E_VALIDATION'))
})
