import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { SignalFrame } from '../../src/engine/api.ts'
import { begin } from '../../src/engine/start.ts'
import { alice, minute, registrar, runtime, second, settleMs, soc, World } from './harness.ts'

const read = async (world: World, by: Caller, from: string | undefined, count: number): Promise<SignalFrame[]> => {
  const frames: SignalFrame[] = []
  const stop = new AbortController()
  for await (const frame of world.bridge.signals(by, from, stop.signal)) {
    frames.push(frame)
    if (frames.length === count) break
  }
  stop.abort()
  return frames
}
const shape = ({ id, event }: SignalFrame) => `${id} ${event}`

test('a stream resumes where it stood; without a usable position it begins with all that is held', async () => {
  await using world = await World.open()
  const a = await world.agent('a')
  const hold = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  await world.bridge.release(a, hold.id, 'r', soc)
  await world.kill('did:mesh:unknown')
  assert.deepEqual((await read(world, runtime, 'generation-0', 3)).map(shape), [
    'generation-1 suspended',
    'generation-2 resumed',
    'generation-3 suspended',
  ])
  assert.deepEqual((await read(world, runtime, 'generation-2', 1)).map(shape), ['generation-3 suspended'])
  for (const position of [undefined, 'generation-4', 'older-2', 'junk', '']) {
    const [first] = await read(world, runtime, position, 1)
    assert.equal(first && shape(first), 'generation-3 snapshot')
    assert.match(JSON.stringify(first?.data), /did:mesh:unknown/)
    assert.doesNotMatch(JSON.stringify(first?.data), /did:mesh:a"/)
  }
  await world.store.write((tx) =>
    tx.prune({ signals: world.clock.now() + 1, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }),
  )
  assert.deepEqual((await read(world, runtime, 'generation-1', 1)).map(shape), ['generation-3 snapshot'])
})

test('a reader that waits is woken by the commit; retention that overtakes a slow one gives it a snapshot', async () => {
  await using world = await World.open()
  const a = await world.agent('a')
  const stop = new AbortController()
  const frames = world.bridge.signals(runtime, 'generation-0', stop.signal)[Symbol.asyncIterator]()
  assert.deepEqual((await frames.next()).value, {
    id: 'generation-0',
    event: 'current',
    data: { seq: 0, type: 'current' },
  })
  const next = frames.next()
  await world.kill(a)
  assert.equal((await next).value?.event, 'suspended')
  await world.kill(a)
  await world.kill(a)
  await world.store.write((tx) =>
    tx.prune({ signals: world.clock.now() + 1, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }),
  )
  await world.clock.advance(10)
  await world.kill(a)
  assert.equal((await frames.next()).value?.event, 'snapshot')
  await world.kill(a)
  await world.store.write((tx) =>
    tx.prune({ signals: world.clock.now() + 1, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }),
  )
  // Nothing newer is needed to notice that.
  assert.equal((await frames.next()).value?.event, 'snapshot')
  stop.abort()
  assert.equal((await frames.next()).done, true)
})

test('a stream that resumed is told once that it is current, past what is not for it; a snapshot says so itself', async () => {
  await using world = await World.open()
  const x = await world.agent('x', { labels: { unit: 'x' } })
  const y = await world.agent('y', { labels: { unit: 'y' } })
  await world.kill(y)
  await world.kill(x)
  const bounded = { ...runtime, labels: { unit: 'y' } }
  const stop = new AbortController()
  const frames = world.bridge.signals(bounded, 'generation-0', stop.signal)[Symbol.asyncIterator]()
  const told = async () => {
    const { value } = await frames.next()
    return value && shape(value)
  }
  assert.equal(await told(), 'generation-1 suspended')
  assert.equal(await told(), 'generation-2 current')
  const next = told()
  await world.kill(y)
  assert.equal(await next, 'generation-3 suspended')
  stop.abort()
  assert.equal((await frames.next()).done, true)

  const fresh = new AbortController()
  const others = world.bridge.signals(runtime, undefined, fresh.signal)[Symbol.asyncIterator]()
  assert.equal((await others.next()).value?.event, 'snapshot')
  const later = others.next()
  await world.kill(y)
  assert.equal((await later).value?.event, 'suspended')
  fresh.abort()
  assert.equal((await others.next()).done, true)
})

test('labels bound what a runtime sees, in the stream and in the snapshot', async () => {
  await using world = await World.open()
  const x = await world.agent('x', { labels: { unit: 'x' } })
  const y = await world.agent('y', { labels: { unit: 'y' } })
  await world.kill(x)
  await world.kill(y)
  const bounded = { ...runtime, labels: { unit: 'y' } }
  assert.deepEqual((await read(world, bounded, 'generation-0', 1)).map(shape), ['generation-2 suspended'])
  const [snapshot] = await read(world, bounded, undefined, 1)
  assert.match(JSON.stringify(snapshot?.data), /did:mesh:y/)
  assert.doesNotMatch(JSON.stringify(snapshot?.data), /did:mesh:x/)
})

test('bells: read at once and again after settle; a repeat, a stranger and a wrong key change nothing', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  await world.clock.advance(minute)
  world.north.lagMs = 5 * second
  world.north.set('a', false)
  const reads = () => world.north.readIds.length
  const before = reads()
  await world.ring('north', { delivery: '1', principal: 'a' })
  assert.deepEqual(await world.origins(did), [])
  await world.work()
  assert.equal(reads(), before + 1)
  await world.ring('north', { delivery: '1', principal: 'a' })
  await world.ring('north', { delivery: '2', principal: 'stranger' })
  await world.work()
  assert.equal(reads(), before + 1)
  assert.deepEqual(await world.origins(did), [])
  await world.run(settleMs + second)
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])
  const request = { method: 'POST', headers: {}, query: {}, body: new Uint8Array() }
  await assert.rejects(world.bridge.hook('north', request, world.signal), { code: 'E_HOOK_UNVERIFIED' })
  await assert.rejects(world.bridge.hook('west', request, world.signal), { code: 'E_NOT_FOUND' })
})

test('a bell that names a group reads that group', async () => {
  await using world = await World.open({ adapters: { north: { settings: { groups: { g: ['read:x'] } } } } })
  const did = await world.agent('a')
  world.north.setGroup('g', ['a'])
  await world.ring('north', { delivery: '1', group: 'g' })
  await world.ring('north', { delivery: '2', group: 'not mapped' })
  await world.runner('north').groups.syncAsked(world.signal)
  assert.deepEqual((await world.bridge.agent(did, registrar)).effective, ['read:x'])
})

test('a wake between looking and waiting is not lost, for any of several waiters', async () => {
  await using world = await World.open()
  const { bus } = world.deps
  const stop = new AbortController()
  const seen = bus.count('t')
  const first = bus.wait('t', seen, 60_000, stop.signal)
  bus.wake('t')
  await bus.wait('t', seen, 60_000, stop.signal)
  await first
  let woken = false
  const later = bus.wait('t', bus.count('t'), 60_000, stop.signal).then(() => {
    woken = true
  })
  await Promise.resolve()
  assert.equal(woken, false)
  stop.abort()
  await later
})

test('the loops: started, they carry a kill out at once, and stop when told to', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  for (const runner of world.runners.values()) runner.start()
  await world.kill(did)
  const deadline = AbortSignal.timeout(60_000)
  while (world.north.enabled('a') || world.south.enabled('a')) {
    deadline.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all([...world.runners.values()].map((runner) => runner.stop()))
  assert.deepEqual([world.writes('north'), world.writes('south')], [['disable'], ['disable']])
})

test('a store with holds refuses an adapter that went away or points elsewhere', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const without = (name: string) => ({
    ...world.deps,
    mounts: () => new Map([...world.deps.mounts()].filter(([key]) => key !== name)),
  })
  const moved = () => {
    const mounts = new Map(world.deps.mounts())
    const mount = world.runner('north').mount
    mounts.set('north', { ...mount, adapter: { ...mount.adapter, realm: 'elsewhere' } })
    return { ...world.deps, mounts: () => mounts }
  }
  await begin(without('north'), () => 'g')
  await world.kill(did)
  await begin(without('south'), () => 'g')
  await assert.rejects(
    begin(without('north'), () => 'g'),
    { code: 'E_ADAPTER_MOVED' },
  )
  await assert.rejects(
    begin(moved(), () => 'g'),
    { code: 'E_ADAPTER_MOVED' },
  )
})

test('status and metrics say what is', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await world.settleAll(minute)
  await world.kill(did)
  const status = await world.bridge.status()
  assert.deepEqual(status.adapters[0]?.lanes, [
    { lane: 'suspend', due: 1 },
    { lane: 'other', due: 0 },
  ])
  assert.deepEqual(
    [status.holds, status.adapters[0]?.stale],
    [
      { open: 1, agents: 1 },
      { warn: 0, deny: 0 },
    ],
  )
  const text = await world.metrics.text()
  assert.match(text, /holds_open\{severity="kill"\} 1/)
  assert.match(text, /holds_open\{severity="suspend"\} 0/)
  assert.match(text, /adapter_staleness_seconds\{adapter="north"\} \d/)
  const entries = (await world.bridge.audit({ limit: 99 })).items.length
  assert.match(text, new RegExp(`audit_entries_total ${entries - 0}\\b`))
  await world.bridge.pause(true, 'r', alice)
  assert.equal((await world.bridge.ready()).ready, true)
})

test('readings that grow old are refreshed by id; more than enough of them by one pass', async () => {
  await using world = await World.open()
  await world.agent('a', {}, ['north'])
  await world.clock.advance(8 * minute)
  const before = world.north.readIds.length
  await world.runner('north').sync.refresh(world.signal)
  await world.work()
  assert.equal(world.north.readIds.length, before + 1)
  await world.runner('north').sync.refresh(world.signal)
  await world.work()
  assert.equal(world.north.readIds.length, before + 1)
})
