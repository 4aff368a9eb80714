import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSuccessor } from '../../src/core/discovery.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { DiscoverFilter, DiscoverPage } from '../../src/engine/discoverapi.ts'
import { agent, principal } from '../store/fixture.ts'
import { alice, registrar, second, World } from './harness.ts'

const pages = async (world: World, filter: DiscoverFilter = {}, name = 'north'): Promise<DiscoverPage[]> => {
  const all: DiscoverPage[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: DiscoverPage = await world.bridge.discover(name, { ...filter, cursor }, world.signal)
    all.push(page)
    cursor = page.nextCursor
  }
  return all
}
const told = (all: readonly DiscoverPage[]) =>
  all.flatMap(({ items }) =>
    items.map((one) => `${one.finding} ${one.finding === 'gone' ? `${one.did} ` : ''}${one.id}`),
  )
const sum = (all: readonly DiscoverPage[], key: 'looked' | 'passedOver' | 'unread') =>
  all.reduce((total, page) => total + page[key], 0)
const code = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing',
    (error) => codeOf(error),
  )

test('accounts that no DID maps and DIDs whose account is gone are told, and nothing is changed', async () => {
  await using world = await World.open({ adapters: { north: { never: ['kept'] } } })
  await world.agent('a')
  await world.agent('b')
  world.north.add({ id: 'shadow' }).add({ id: 'kept' }).add({ id: 'off', enabled: false }).remove('b')
  const before = await world.store.auditHead()
  const all = await pages(world)
  assert.deepEqual(told(all), ['unmapped shadow', 'unmapped off', 'gone did:mesh:b b'])
  const off = all.flatMap(({ items }) => items).find(({ id }) => id === 'off')
  assert.partialDeepStrictEqual(off, { state: 'disabled', name: 'agent off', isAgent: true, replaces: [] })
  assert.deepEqual(told(await pages(world, { only: 'unmapped' })), ['unmapped shadow', 'unmapped off'])
  assert.deepEqual(told(await pages(world, { only: 'gone' })), ['gone did:mesh:b b'])
  assert.deepEqual(await world.store.auditHead(), before)
  assert.deepEqual(world.north.written, [])
  assert.equal((await world.open('did:mesh:b')).length, 0, 'the mirror finds it by itself')
})

test('what the listing has is not read by id; nothing is gone but by such a read, and what cannot be read is said', async () => {
  await using world = await World.open()
  for (const id of ['a', 'b', 'c', 'd']) await world.agent(id)
  world.north.remove('b').remove('c')
  world.north.reads.add({ mode: 'unreadable', id: 'c', times: 1 })
  world.north.readIds.length = 0
  const all = await pages(world)
  assert.deepEqual(told(all), ['gone did:mesh:b b'])
  assert.equal(sum(all, 'unread'), 1)
  assert.deepEqual(world.north.readIds, ['b', 'c'])
  world.north.readIds.length = 0
  await world.clock.advance(second)
  assert.deepEqual(told(await pages(world, { only: 'gone' })), ['gone did:mesh:b b', 'gone did:mesh:c c'])
  assert.deepEqual(world.north.readIds, ['a', 'b', 'c', 'd'], 'a listing of another run says nothing')
})

for (const mode of ['down', 'midway', 'forbidden', 'throttled'] as const) {
  test(`a listing that fails (${mode}) tells nothing, and no account is gone by it`, async () => {
    await using world = await World.open()
    for (const id of ['a', 'b', 'c']) await world.agent(id)
    world.north.pageSize = 2
    const first = await world.bridge.discover('north', {}, world.signal)
    assert.notEqual(first.nextCursor, null)
    world.north.feed.add({ mode, times: 1 })
    await assert.rejects(world.bridge.discover('north', { cursor: first.nextCursor ?? '' }, world.signal), BridgeError)
    world.north.reads.add({ mode: 'down', times: 1 })
    await assert.rejects(world.bridge.discover('north', { only: 'gone' }, world.signal), BridgeError)
    assert.deepEqual(told(await pages(world)), [])
  })
}

test('a cursor is of this process and this question only', async () => {
  await using world = await World.open()
  for (const id of ['a', 'b', 'c']) await world.agent(id)
  world.north.pageSize = 2
  const cursor = (await world.bridge.discover('north', {}, world.signal)).nextCursor ?? ''
  assert.equal(await code(world.bridge.discover('north', { cursor }, world.signal)), 'nothing')
  const forged = Buffer.from(`${'x'.repeat(16)}{"adapter":"north"}`).toString('base64url')
  const turned = `${cursor[0] === 'A' ? 'B' : 'A'}${cursor.slice(1)}`
  for (const wrong of ['', 'x', `${cursor}A`, turned, forged])
    assert.equal(await code(world.bridge.discover('north', { cursor: wrong }, world.signal)), 'E_VALIDATION', wrong)
  for (const other of [{ all: true }, { only: 'gone' }, { only: 'unmapped' }] as const)
    assert.equal(await code(world.bridge.discover('north', { cursor, ...other }, world.signal)), 'E_VALIDATION')
  assert.equal(await code(world.bridge.discover('south', { cursor }, world.signal)), 'E_VALIDATION')
  assert.equal(await code(world.bridge.discover('nowhere', {}, world.signal)), 'E_NOT_FOUND')
})

test('each DID of a shared account that is gone is told, and nobody who was decommissioned', async () => {
  await using world = await World.open()
  world.north.add({ id: 's' }).add({ id: 'd' })
  const shared = (name: string) => ({
    did: `did:mesh:${name}`,
    name,
    principals: [{ adapter: 'north', id: 's', kind: 'account', shared: true }],
  })
  await world.bridge.register(shared('one'), registrar)
  await world.bridge.register(shared('two'), registrar)
  await world.bridge.register(shared('former'), registrar)
  await world.bridge.decommission('did:mesh:former', 'left', alice)
  const left = await world.agent('d', {}, ['north'])
  await world.bridge.decommission(left, 'left', alice)
  await world.work()
  world.north.remove('s').remove('d')
  assert.deepEqual(told(await pages(world)), ['gone did:mesh:one s', 'gone did:mesh:two s'])
})

test('an account made anew under the name of one that is gone is told as another', async () => {
  await using world = await World.open()
  const did = await world.agent('old', { name: 'agent new' }, ['north'])
  world.north.add({ id: 'new' }).add({ id: 'else' })
  const replaces = async () => {
    const items = (await pages(world)).flatMap((page) => page.items)
    return items.flatMap((one) => (one.finding === 'unmapped' && one.replaces.length > 0 ? [one] : []))
  }
  await world.runner('north').sync.full(world.signal)
  assert.deepEqual(await replaces(), [], 'the one that it could replace is there')
  world.north.remove('old')
  await world.runner('north').sync.changes(world.signal)
  await world.clock.advance(second)
  await world.work()
  const [one, ...more] = await replaces()
  assert.deepEqual([one?.id, one?.replaces, more], ['new', [{ did, id: 'old' }], []])
})

test('a role of the same ARN and another id, and a principal of the same application, are successors', () => {
  const account = { name: 'n', appId: 'app', state: 'enabled', isAgent: true } as const
  const mapped = { did: 'd', agent: 'x', shared: false, decommissioned: false } as const
  const role = { ...account, id: 'arn:role/a#NEW', kind: 'iamRole' }
  assert.ok(isSuccessor(role, { ...mapped, id: 'arn:role/a#OLD', kind: 'iamRole', appId: undefined }))
  assert.ok(!isSuccessor(role, { ...mapped, id: 'arn:role/b#OLD', kind: 'iamRole', appId: 'app', agent: 'n' }))
  const app = { ...account, id: 'new', kind: 'servicePrincipal' }
  assert.ok(isSuccessor(app, { ...mapped, id: 'old', kind: 'servicePrincipal', appId: 'app' }))
  assert.ok(!isSuccessor(app, { ...mapped, id: 'old', kind: 'user', appId: 'app' }))
  assert.ok(!isSuccessor(app, { ...mapped, id: 'new', kind: 'servicePrincipal', appId: 'app' }))
})

test('10,000 mapped accounts that the listing has are read by id never, and those it lacks twenty a page', async () => {
  await using world = await World.open()
  const ids = Array.from({ length: 10_000 }, (_, n) => `m${String(n).padStart(5, '0')}`)
  await world.store.write(async (tx) => {
    for (const id of ids) {
      await tx.insertAgent(agent(`did:mesh:${id}`))
      const row = principal(`did:mesh:${id}`, id)
      await tx.insertPrincipal({ ...row, adapter: 'north' }, { nextAt: undefined, lane: 1 })
    }
  })
  for (const id of ids.slice(50)) world.north.add({ id })
  const all = await pages(world)
  assert.equal(told(all).length, 50)
  assert.ok(told(all).every((one) => one.startsWith('gone')))
  assert.deepEqual(world.north.readIds, ids.slice(0, 50))
  assert.ok(all.every(({ items }) => items.length <= 100))
  assert.equal(sum(all, 'looked'), 9_950 + 50)
  assert.ok(all.length <= 100 + 3 + 2, `${all.length} pages`)
})

test('a page whose caller has left is read no further, and leaves room for others', async () => {
  await using world = await World.open()
  await world.agent('a')
  world.north.add({ id: 'shadow' })
  world.north.readIds.length = 0
  const gone = AbortSignal.abort(new Error('the client left'))
  for (let n = 0; n < 3; n++) assert.equal(await code(world.bridge.discover('north', {}, gone)), 'E_ABORTED')
  assert.deepEqual(world.north.readIds, [])
  assert.deepEqual(told(await pages(world)), ['unmapped shadow'])
})
