import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import type { HookNews, HookQueue, QueuedNews } from '../../src/core/hookqueue.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { minute, soc, World } from './harness.ts'

/** What waits, as a server keeps it: some at once, again until it is removed. */
class Waiting implements HookQueue {
  readonly place = 'https://queue.test/bells'
  readonly pollMs = 2_000
  readonly most = 4
  readonly held: { id: string; news: HookNews | undefined; times: number }[] = []
  readonly removed: string[] = []
  failure: Error | undefined
  /** Removes nothing. */
  stuck: Error | undefined
  looks = 0

  put(id: string, news: HookNews | undefined): void {
    this.held.push({ id, news, times: 0 })
  }

  async take(signal: AbortSignal): Promise<readonly QueuedNews[]> {
    signal.throwIfAborted()
    this.looks += 1
    if (this.failure) throw this.failure
    return this.held.slice(0, this.most).map((one) => {
      one.times += 1
      const remove = async () => {
        if (this.stuck) throw this.stuck
        this.removed.push(one.id)
        this.held.splice(this.held.indexOf(one), 1)
      }
      return { ...one, remove }
    })
  }
}

const { signal } = new AbortController()
const bell = (principal: string, delivery = `bell of ${principal}`): HookNews => ({ hints: [{ delivery, principal }] })
const down = new BridgeError('E_DIRECTORY_FORBIDDEN', 'the queue answered 403', { hint: 'grant the role' })

const rigOf = async () => {
  const queue = new Waiting()
  const world = await World.open({ adapters: { north: { queue } } })
  const drain = () => world.runner('north').queue ?? assert.fail('no queue')
  return { queue, world, drain, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}
const metric = async (world: World, text: RegExp) => assert.match(await world.metrics.text(), text)

test('a doctor tells of the queue by what taking from it came to', async () => {
  await using rig = await rigOf()
  const { drain, queue, world } = rig
  const told = async () => {
    const { findings } = await world.bridge.doctor('north')
    const found = findings.find(({ text }) => text.includes(queue.place))
    return [found?.code, found?.level, found?.mend]
  }
  assert.deepEqual(await told(), ['queue-pending', 'unknown', undefined])
  await drain().step(signal)
  assert.deepEqual(await told(), ['ok', 'ok', undefined])
  queue.failure = down
  await drain().step(signal)
  assert.deepEqual(await told(), ['E_DIRECTORY_FORBIDDEN', 'error', 'grant the role'])
})

test('a bell in the queue has its account read by id, and is removed', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  const did = await world.agent('a', {}, ['north'])
  await world.poll()
  await world.settleAll()
  queue.put('1', bell('a'))
  world.north.set('a', false)
  assert.equal(await drain().step(signal), queue.pollMs)
  assert.deepEqual(queue.removed, ['1'])
  await world.work()
  assert.equal((await world.account('north', 'a')).observed, 'disabled')
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])
  await metric(world, /hook_queue_messages_total\{adapter="north",outcome="taken"\} 1/)
})

test('a bell for a group reads the members of that group', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  world.settings.north = { ...world.settings.north, groups: { g: ['read:x'] } }
  const did = await world.agent('a', {}, ['north'])
  await world.settleAll()
  world.north.setGroup('g', ['a'])
  queue.put('1', { hints: [{ delivery: 'd', group: 'g' }] })
  await drain().step(signal)
  await world.runner('north').groups.syncAsked(signal)
  const { capabilities } = await world.bridge.agent(did, soc)
  assert.deepEqual(
    capabilities.map(({ name }) => name),
    ['read:x'],
  )
})

test('a process that ends between taking in and removing finds the message again: it rings nobody twice', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  await world.agent('a', {}, ['north'])
  await world.settleAll()
  queue.put('1', bell('a'))
  world.north.set('a', false)
  world.dieAt = 'queue.taken'
  await assert.rejects(drain().step(signal))
  assert.deepEqual(queue.removed, [], 'nothing is removed before it is durable, nor by a dead process')
  await world.restart()
  await world.work()
  assert.equal((await world.account('north', 'a')).observed, 'disabled', 'the bell is in the store')
  const reads = world.north.readIds.length
  await drain().step(signal)
  assert.deepEqual(queue.removed, ['1'])
  await world.work()
  assert.equal(world.north.readIds.length, reads)
})

test('what cannot be taken in is not removed', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  await world.agent('a', {}, ['north'])
  queue.put('1', bell('a'))
  world.dead = true
  await assert.rejects(drain().step(signal))
  assert.deepEqual(queue.removed, [])
  world.dead = false
  await drain().step(signal)
  assert.deepEqual(queue.removed, ['1'])
})

test('an unreadable message keeps no other back, is told of without its content, and goes after five times', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  await world.agent('a', {}, ['north'])
  queue.put('strange', undefined)
  queue.put('1', bell('a'))
  await drain().step(signal)
  assert.deepEqual(queue.removed, ['1'])
  for (let n = 0; n < 3; n++) await drain().step(signal)
  assert.equal(queue.held.length, 1)
  assert.deepEqual(world.alerts, [])
  await drain().step(signal)
  assert.deepEqual(queue.removed, ['1', 'strange'])
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['hook-queue-unreadable'],
  )
  await metric(world, /hook_queue_messages_total\{adapter="north",outcome="unreadable"\} 4/)
  await metric(world, /hook_queue_messages_total\{adapter="north",outcome="dropped"\} 1/)
})

test('an alert that comes with many messages is told once in a while', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  const skipped = { hints: [], alert: { code: 'hook-skipped', text: 'left out.' } }
  for (let n = 0; n < 8; n++) queue.put(`${n}`, skipped)
  await drain().step(signal)
  await drain().step(signal)
  assert.deepEqual(
    world.alerts.map(({ code, text }) => [code, text]),
    [['hook-skipped', 'north: left out.']],
  )
  await world.clock.advance(11 * minute)
  queue.put('later', skipped)
  await drain().step(signal)
  assert.equal(world.alerts.length, 2)
})

test('a full batch is followed at once by the next, but for ever only as fast as it is polled', async () => {
  await using rig = await rigOf()
  const { queue, drain } = rig
  for (let n = 0; n < 9; n++) queue.put(`${n}`, bell(`${n}`))
  assert.deepEqual([await drain().step(signal), await drain().step(signal)], [0, 0])
  assert.equal(await drain().step(signal), queue.pollMs)
  queue.stuck = new BridgeError('E_DIRECTORY_DOWN', 'away')
  for (let n = 0; n < 9; n++) queue.put(`${n}`, bell(`${n}`))
  assert.equal(await drain().step(signal), queue.pollMs, 'the same batch would come again')
  queue.stuck = undefined
  const waits: number[] = []
  for (let n = 0; n < 51; n++) {
    while (queue.held.length < queue.most) queue.put(`more ${n} ${queue.held.length}`, bell('x'))
    waits.push(await drain().step(signal))
  }
  assert.equal(waits.filter((ms) => ms > 0).length, 1)
})

test('a queue that cannot be read is told with what mends it, waits longer and longer, and stops nothing else', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  const did = await world.agent('a', {}, ['north'])
  await world.settleAll()
  queue.failure = down
  const waits: number[] = []
  for (let n = 0; n < 12; n++) waits.push(await drain().step(signal))
  assert.ok(waits.every((ms) => ms >= queue.pollMs && ms <= minute + queue.pollMs))
  assert.ok((waits.at(-1) ?? 0) > 5 * (waits[0] ?? 0))
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['hook-queue'],
  )
  assert.match(world.alerts[0]?.text ?? '', /E_DIRECTORY_FORBIDDEN.*grant the role/)
  const status = async () => (await world.bridge.status()).adapters.find(({ adapter }) => adapter === 'north')
  const { code, mend, since } = (await status())?.queue?.failing ?? {}
  assert.deepEqual([code, mend, since], ['E_DIRECTORY_FORBIDDEN', 'grant the role', world.clock.now()])
  assert.equal((await status())?.quarantine, undefined, 'nothing is concluded of the directory')
  const { ready, checks } = await world.bridge.ready()
  assert.deepEqual(
    [ready, checks.find(({ name }) => name === 'queue:north')?.text],
    [true, 'failing (E_DIRECTORY_FORBIDDEN)'],
  )
  await metric(world, /hook_queue_failing\{adapter="north"\} 1/)
  world.north.set('a', false)
  await world.poll()
  await world.work()
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])

  queue.failure = undefined
  assert.equal(await drain().step(signal), queue.pollMs)
  assert.equal((await status())?.queue?.failing, undefined)
  assert.equal((await status())?.queue?.lastOkAt, world.clock.now())
  await metric(world, /hook_queue_failing\{adapter="north"\} 0/)
})

test('a bell of thousands of accounts is taken in piece by piece, whole', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  const ids = Array.from({ length: 1_201 }, (_, n) => `id-${n}`)
  queue.put('1', { hints: ids.map((principal) => ({ delivery: principal, principal })) })
  for (const id of ['id-0', 'id-1200']) {
    await world.agent(id, {}, ['north'])
  }
  await world.settleAll()
  for (const id of ['id-0', 'id-1200']) world.north.set(id, false)
  await drain().step(signal)
  assert.deepEqual(queue.removed, ['1'])
  await world.work()
  for (const id of ['id-0', 'id-1200']) assert.equal((await world.account('north', id)).observed, 'disabled')
})

test('its loop asks again and again, outlives failures of ours, and ends when it is told to', async () => {
  await using rig = await rigOf()
  const { queue, world, drain } = rig
  const stop = new AbortController()
  const ran = drain().run(stop.signal)
  const until = async (is: () => boolean) => {
    for (let n = 0; n < 1_000 && !is(); n++) await world.clock.advance(500)
    assert.ok(is())
  }
  await until(() => queue.looks > 2)
  world.dead = true
  queue.put('1', bell('a'))
  const looks = queue.looks
  await until(() => queue.looks > looks + 2)
  assert.deepEqual(queue.removed, [])
  world.dead = false
  await until(() => queue.removed.length === 1)
  stop.abort()
  await ran
})

test('a directory without a queue has none in its status', async () => {
  await using world = await World.open({ clock: manualClock() })
  const { adapters } = await world.bridge.status()
  assert.ok(adapters.every(({ queue }) => queue === undefined))
})
