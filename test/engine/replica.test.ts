import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SignalFrame } from '../../src/engine/api.ts'
import { topics } from '../../src/engine/bus.ts'
import { alice, names, policyOf, registrar, runtime, soc, World } from './harness.ts'

/** The frames of one stream until one of them fits. */
const read = async (world: World, from: string | undefined, last: (frame: SignalFrame) => boolean) => {
  const frames: SignalFrame[] = []
  const stop = new AbortController()
  for await (const frame of world.bridge.replicaSignals(from, stop.signal)) {
    frames.push(frame)
    if (last(frame)) break
  }
  stop.abort()
  return frames
}
const isCurrent = ({ event }: SignalFrame) => event === 'current'
const shape = (frames: readonly SignalFrame[]) => frames.map(({ event }) => event).join(' ')
const textOf = (frames: readonly SignalFrame[]) => JSON.stringify(frames.map(({ data }) => data))

test('a stream goes on at any position of its generation, and says so; from no position it begins at the present', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const fresh = await read(world, undefined, isCurrent)
  assert.equal(shape(fresh), 'settings current')
  assert.match(textOf(fresh), /"resumed":false/)
  const from = fresh.at(-1)?.id
  assert.equal(shape(await read(world, from, isCurrent)), 'settings current')
  for (let n = 0; n < 3; n++) {
    const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'secret', publicReason: 'told' }, soc)
    await world.bridge.release(did, hold.id, 'r', soc)
  }
  await world.agent('b', {}, [])
  const more = await read(world, from, isCurrent)
  assert.equal(shape(more), 'settings changed current')
  assert.match(textOf(more), /"resumed":true/)
  assert.equal(textOf(more).split(did).length - 1, 1, 'many changes of one agent are one item')
  await world.restart()
  assert.equal(shape(await read(world, from, isCurrent)), 'settings changed current')
  const { seq } = await world.store.auditHead()
  assert.match(textOf(await read(world, more.at(-1)?.id, isCurrent)), new RegExp(`"epoch":${seq}\\b`))
  for (const wrong of ['junk', 'other-1', 'generation-999999']) {
    assert.match(textOf(await read(world, wrong, isCurrent)), /"resumed":false/)
  }
  assert.doesNotMatch(textOf([...more, ...fresh]), /secret/)
})

test('a stream that is cut after any event goes on there, and what that event did not tell comes then', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const from = (await read(world, undefined, isCurrent)).at(-1)?.id
  const depth = { capabilities: [], requireSponsor: false, maxDelegationDepth: 1 }
  await world.bridge.defineBlueprint('B', depth, registrar, undefined)
  await world.kill(did)
  const frames = await read(world, from, isCurrent)
  assert.equal(shape(frames), 'settings settings changed current')
  for (const [at, { id }] of frames.entries()) {
    const told = frames.slice(0, at + 1)
    const rest = await read(world, id, isCurrent)
    assert.match(textOf([...told, ...rest]), /"severity":"kill"/, `cut after event ${at}`)
  }
})

test('settings that are in force are told though nobody could note it', async () => {
  await using world = await World.open()
  const stop = new AbortController()
  const frames = world.bridge.replicaSignals(undefined, stop.signal)[Symbol.asyncIterator]()
  const next = async () => (await frames.next()).value
  assert.deepEqual([(await next())?.event, (await next())?.event], ['settings', 'current'])
  world.policy = { ...world.policy, unknownActors: 'allow' }
  world.deps.bus.wake(topics.changes)
  const told = await next()
  assert.equal(told?.event, 'settings')
  assert.match(JSON.stringify(told?.data), /"unknownActors":"allow"/)
  assert.equal((await next())?.event, 'current')
  stop.abort()
})

test('a restored store is another generation, of which no position of the one before counts', async () => {
  await using world = await World.open()
  await world.agent('a')
  const copy = await world.backup()
  const from = (await read(world, undefined, isCurrent)).at(-1)?.id
  await world.restore(copy)
  assert.match(textOf(await read(world, from, isCurrent)), /"resumed":false/)
})

/** Trips at the second switch-off. */
const guard = { ...policyOf().guard, minAgents: 1, suspend: { max: 1, percent: 1 } }

test('the stream wakes on every commit, and tells holds that the guard keeps back and changes without a signal', async () => {
  await using world = await World.open({ policy: { guard } })
  const dids: string[] = []
  for (const id of ['a', 'b', 'c', 'd']) dids.push(await world.agent(id, { capabilities: ['read:x'] }))
  const stop = new AbortController()
  const frames = world.bridge.replicaSignals(undefined, stop.signal)[Symbol.asyncIterator]()
  const next = async () => {
    for (;;) {
      const { value } = await frames.next()
      if (value?.event !== 'current') return JSON.stringify(value?.data)
    }
  }
  assert.match(await next(), /"resumed":false/)
  await world.bridge.patch(dids[0] ?? '', { aliases: ['did:agentmesh:other'] }, alice, undefined)
  assert.match(await next(), /"aliases":\["did:agentmesh:other"\]/)
  await world.bridge.defineBlueprint(
    'B',
    { capabilities: [], requireSponsor: false, maxDelegationDepth: 1 },
    registrar,
    undefined,
  )
  assert.match(await next(), /"limits":\[\{"blueprint":"B","maxDelegationDepth":1\}\]/)
  for (const id of ['a', 'b', 'c', 'd']) world.north.set(id, false)
  await world.poll()
  const held = new Set<string>()
  while (held.size < dids.length) {
    const text = await next()
    for (const did of dids) if (text.includes(`"did":"${did}"`) && text.includes('adapter:north/')) held.add(did)
  }
  const holds = await Promise.all(dids.map((did) => world.open(did)))
  assert.ok(
    holds.flat().some(({ guarded }) => guarded),
    'the guard keeps some back',
  )
  stop.abort()
})

test('pages have every registered and held DID once, in byte order', async () => {
  await using world = await World.open()
  for (const id of ['b', 'a', 'c']) await world.agent(id, {}, id === 'a' ? names : [])
  await world.kill('did:mesh:aa', runtime)
  const all = await world.bridge.replicaPage(undefined, 10)
  assert.deepEqual(
    all.items.map(({ did }) => did),
    ['did:mesh:a', 'did:mesh:aa', 'did:mesh:b', 'did:mesh:c'],
  )
  assert.equal(all.nextCursor, null)
  const paged: string[] = []
  let cursor: string | null | undefined
  do {
    const page = await world.bridge.replicaPage(cursor ?? undefined, 2)
    paged.push(...page.items.map(({ did }) => did))
    cursor = page.nextCursor
  } while (cursor !== null)
  assert.deepEqual(
    paged,
    all.items.map(({ did }) => did),
  )
  const { items } = await world.bridge.replicaItems(['did:mesh:aa', 'did:mesh:none'])
  assert.deepEqual(
    items.map(({ agent }) => agent),
    [null, null],
  )
  await assert.rejects(world.bridge.replicaItems(['none']), { code: 'E_DID' })
})
