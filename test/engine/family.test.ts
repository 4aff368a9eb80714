import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, minute, registrar, soc, World } from './harness.ts'

const code = (wanted: string) => ({ code: wanted })

const chain = async (world: World) => {
  const a = await world.agent('a')
  const b = await world.agent('b', { parentDid: a })
  const c = await world.agent('c', { parentDid: b })
  const d = await world.agent('d', { parentDid: c })
  return [a, b, c, d] as const
}

test('a hold reaches the third hop at once, and leaves it with the last hold above', async () => {
  await using world = await World.open()
  const [a, b, , d] = await chain(world)
  const first = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  assert.deepEqual(await world.origins(d), [`cascade:${a}`])
  assert.deepEqual(await world.codes(d), ['R_SUSPENDED'])
  const second = await world.bridge.place(b, { severity: 'suspend', reason: 'r' }, soc)
  assert.deepEqual(await world.origins(d), [`cascade:${a}`, `cascade:${b}`])
  await world.settleAll()
  assert.equal(world.south.enabled('d'), false)
  const [cascaded] = await world.open(d)
  await assert.rejects(world.bridge.release(d, cascaded?.id ?? '', 'r', alice), code('E_NOT_RELEASABLE'))
  await world.bridge.release(a, first.id, 'r', soc)
  assert.deepEqual(await world.origins(d), [`cascade:${b}`])
  await world.settleAll()
  assert.deepEqual([world.south.enabled('a'), world.south.enabled('d')], [true, false])
  await world.bridge.release(b, second.id, 'r', soc)
  assert.deepEqual(await world.codes(d), [])
  await world.settleAll()
  assert.equal(world.south.enabled('d'), true)
  assert.deepEqual(world.writes('south', 'd'), ['disable', 'enable'])
})

test("an account that is off in a directory holds its agent's descendants too", async () => {
  await using world = await World.open()
  const [a, , , d] = await chain(world)
  world.north.set('a', false)
  await world.settleAll(minute)
  assert.deepEqual(await world.origins(d), [`cascade:${a}`])
  assert.equal(world.north.enabled('d'), false)
})

test('the severity of a cascade follows the most severe hold above', async () => {
  await using world = await World.open()
  const [a, , , d] = await chain(world)
  await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  const { holdId } = await world.kill(a, soc)
  assert.deepEqual(
    (await world.open(d)).map(({ severity }) => severity),
    ['kill'],
  )
  await world.releaseByTwo(a, holdId)
  assert.deepEqual(
    (await world.open(d)).map(({ severity }) => severity),
    ['suspend'],
  )
})

test('registered under a held parent, an agent is held from the start', async () => {
  await using world = await World.open()
  const a = await world.agent('a')
  await world.kill(a)
  const b = await world.agent('b', { parentDid: a })
  const c = await world.agent('c', { parentDid: b })
  assert.deepEqual([await world.origins(b), await world.origins(c)], [[`cascade:${a}`], [`cascade:${a}`]])
  await world.settleAll()
  assert.equal(world.north.enabled('c'), false)
})

test('a parent changes only while nobody concerned is held; cycles and unknown parents are refused', async () => {
  await using world = await World.open()
  const [a, b, c, d] = await chain(world)
  const other = await world.agent('e')
  const reparent = (did: string, parentDid: string | null) =>
    world.bridge.patch(did, { parentDid }, registrar, undefined)
  await assert.rejects(reparent(a, d), code('E_CYCLE'))
  await assert.rejects(reparent(a, a), code('E_CYCLE'))
  await assert.rejects(reparent(a, 'did:mesh:none'), code('E_PARENT'))
  const hold = await world.bridge.place(other, { severity: 'suspend', reason: 'r' }, soc)
  await assert.rejects(reparent(d, other), code('E_HELD'))
  await world.bridge.release(other, hold.id, 'r', soc)
  const above = await world.bridge.place(b, { severity: 'suspend', reason: 'r' }, soc)
  await assert.rejects(reparent(c, other), code('E_HELD'))
  await assert.rejects(reparent(b, null), code('E_HELD'))
  await world.bridge.release(b, above.id, 'r', soc)
  assert.equal((await reparent(c, other)).parentDid, other)
  await world.kill(other)
  assert.deepEqual([await world.origins(d), await world.origins(b)], [[`cascade:${other}`], []])
})

test('what is held or ours cannot be unmapped or moved; a tombstone gives its accounts back one by one', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const unmap = (by = registrar) => world.bridge.patch(did, { principals: [] }, by, undefined)
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  await assert.rejects(unmap(), code('E_HELD'))
  await world.settleAll()
  await world.bridge.release(did, hold.id, 'r', soc)
  await assert.rejects(unmap(), code('E_HELD'))
  await world.settleAll()
  const input = { did: 'did:mesh:thief', name: 'thief', principals: [{ adapter: 'north', id: 'a', kind: 'account' }] }
  await assert.rejects(world.bridge.register(input, registrar), code('E_PRINCIPAL_TAKEN'))
  await world.bridge.decommission(did, 'gone', registrar)
  await world.settleAll()
  await assert.rejects(world.bridge.register(input, registrar), code('E_PRINCIPAL_TAKEN'))
  await assert.rejects(unmap(), code('E_DECOMMISSIONED'))
  await assert.rejects(world.bridge.patch(did, { name: 'x' }, alice, undefined), code('E_DECOMMISSIONED'))
  assert.deepEqual((await unmap(alice)).principals, [])
  assert.equal((await world.bridge.register(input, registrar)).agent.status, 'suspended')
  await assert.rejects(world.agent('a'), code('E_DECOMMISSIONED'))
})

test('registering: the same again changes nothing, another is refused, what is absent or unmanaged is refused', async () => {
  await using world = await World.open({ adapters: { north: { never: ['breakglass'] } } })
  const did = await world.agent('a', { labels: { b: '2', a: '1' }, capabilities: ['read:x'] })
  await world.kill(did)
  const principals = ['south', 'north'].map((adapter) => ({ adapter, id: 'a', kind: 'account' }))
  const again = { did, name: 'a', principals, labels: { a: '1', b: '2' }, capabilities: ['read:x', 'read:x'] }
  const repeated = await world.bridge.register(again, registrar)
  assert.deepEqual([repeated.created, repeated.agent.holds.length, repeated.agent.revision], [false, 1, 1])
  await assert.rejects(world.bridge.register({ ...again, name: 'other' }, registrar), code('E_EXISTS'))
  const one = (id: string, adapter = 'north') => ({
    did: 'did:mesh:n',
    name: 'n',
    principals: [{ adapter, id, kind: 'account' }],
  })
  await assert.rejects(world.bridge.register(one('nobody'), registrar), code('E_PRINCIPAL_ABSENT'))
  await assert.rejects(world.bridge.register(one('breakglass'), registrar), code('E_NEVER'))
  await assert.rejects(world.bridge.register(one('x', 'west'), registrar), code('E_ADAPTER_UNKNOWN'))
  await assert.rejects(
    world.bridge.register({ ...one('a'), capabilities: ['no cap'] }, registrar),
    code('E_CAPABILITY'),
  )
  const two = await Promise.all([world.agent('both'), world.agent('both')])
  assert.equal(two[0], two[1])
})

test('unreadable at registration is accepted as unknown, and denies until it is read', async () => {
  await using world = await World.open()
  world.north.add({ id: 'a' }).reads.add({ mode: 'down', times: 1 })
  const did = await world.agent('a', {}, ['north'])
  assert.deepEqual(await world.codes(did), ['R_UNOBSERVED'])
  await world.run(minute)
  assert.deepEqual(await world.codes(did), [])
})

test('changes carry a revision; a label change tells bounded runtimes of what is held', async () => {
  await using world = await World.open()
  const did = await world.agent('a', { labels: { unit: 'x' } })
  await assert.rejects(world.bridge.patch(did, { name: 'b' }, registrar, 7), code('E_REVISION'))
  await assert.rejects(world.bridge.patch(did, { did: 'did:mesh:z' }, registrar, undefined), code('E_VALIDATION'))
  await assert.rejects(world.bridge.patch(did, { name: null }, registrar, undefined), code('E_VALIDATION'))
  const patched = await world.bridge.patch(did, { name: 'b', labels: { unit: null, team: 'y' } }, registrar, 1)
  assert.deepEqual([patched.revision, patched.name, patched.labels], [2, 'b', { team: 'y' }])
  await world.kill(did)
  const { head } = await world.store.signalRange()
  await world.bridge.patch(did, { labels: { team: 'z' } }, registrar, undefined)
  assert.deepEqual(
    (await world.store.signalsAfter(head, 9)).map(({ type }) => type),
    ['suspended'],
  )
  assert.equal((await world.open(did)).length, 1)
})
