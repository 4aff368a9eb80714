import assert from 'node:assert/strict'
import { test } from 'node:test'
import { minute, second, settleMs, soc, World } from './harness.ts'

const suspended = async (world: World, where: readonly ('north' | 'south')[] = ['north']) => {
  const did = await world.agent('a', {}, where)
  await world.clock.advance(minute)
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  const release = () => world.bridge.release(did, hold.id, 'r', soc)
  return { did, release }
}

test('drift: off again five times in ten minutes, then contested, then tried again', async () => {
  await using world = await World.open()
  const { did } = await suspended(world)
  await world.run(minute)
  for (let drift = 0; drift < 7; drift++) {
    world.north.set('a', true)
    await world.poll()
    await world.run(30 * second)
  }
  assert.equal(world.writes('north').length, 6)
  assert.equal((await world.account('north', 'a')).contested, true)
  assert.deepEqual([...new Set(world.alerts.map(({ code }) => code))], ['drift', 'contested'])
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  await world.run(11 * minute)
  assert.equal(world.north.enabled('a'), false)
  assert.equal((await world.account('north', 'a')).contested, false)
})

test('policy.drift accept leaves the account on and the agent held; never for a kill', async () => {
  await using world = await World.open({ policy: { drift: 'accept' } })
  const { did } = await suspended(world)
  await world.run(minute)
  world.north.set('a', true)
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), world.writes('north')], [true, ['disable']])
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  await world.kill(did)
  await world.settleAll()
  assert.equal(world.north.enabled('a'), false)
  world.north.set('a', true)
  await world.settleAll()
  assert.equal(world.north.enabled('a'), false)
})

test('held again while our enable is without an answer: its landing is no drift', async () => {
  await using world = await World.open({ policy: { drift: 'accept' } })
  const { did, release } = await suspended(world)
  await world.run(minute)
  world.north.writes.add({ mode: 'late', times: 1, afterMs: 20 * second })
  await release()
  await world.work()
  await world.bridge.place(did, { severity: 'suspend', reason: 'again' }, soc)
  await world.settleAll()
  assert.equal(world.north.enabled('a'), false)
  assert.deepEqual(world.alerts, [])
})

test('the log gives the latest disable to somebody else: its own hold, and the account stays off', async () => {
  await using world = await World.open()
  const { did, release } = await suspended(world)
  await world.run(minute)
  world.north.addLog({ id: 'a', at: world.clock.now(), action: 'disable', ours: false, actor: 'mallory' })
  await world.run(minute)
  await release()
  await world.settleAll()
  const [own] = await world.open(did)
  assert.deepEqual([own?.origin, own?.evidence['by']], ['adapter:north/a', 'mallory'])
  assert.deepEqual([world.north.enabled('a'), world.writes('north')], [false, ['disable']])
})

test('the log is late: wait for it, and take no old entry for a new one', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  world.north.set('a', false)
  world.north.set('a', true)
  await world.clock.advance(2 * minute)
  world.north.logLagMs = 4 * minute
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  await world.run(minute)
  await world.bridge.release(did, hold.id, 'r', soc)
  await world.run(minute)
  assert.equal(world.north.enabled('a'), false)
  await world.run(5 * minute)
  assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [true, []])
})

test('a foreign disable in the window of our enable is found afterwards, and put back without a claim', async () => {
  await using world = await World.open()
  const { did, release } = await suspended(world)
  await world.run(minute)
  world.north.logLagMs = 0
  await release()
  const at = world.clock.now()
  await world.work()
  assert.equal(world.north.enabled('a'), true)
  world.north.addLog({ id: 'a', at: at - 1, action: 'disable', ours: false, actor: 'mallory' })
  await world.settleAll()
  assert.deepEqual(await world.origins(did), ['adapter:north/a'])
  assert.equal(world.north.enabled('a'), false)
  assert.deepEqual(world.writes('north'), ['disable', 'enable', 'disable'])
  assert.equal((await world.account('north', 'a')).mark, 'none')
})

test('what the log tells of, while the account has its own hold for another reason, is told by that hold', async () => {
  await using world = await World.open()
  const { did, release } = await suspended(world)
  await world.run(minute)
  world.north.logLagMs = 0
  await release()
  const at = world.clock.now()
  await world.work()
  world.north.setVendor('a', 'off')
  await world.poll()
  const [own] = await world.open(did)
  assert.deepEqual([own?.evidence['byOthers'], own?.evidence['by']], [['vendor'], undefined])
  world.north.addLog({ id: 'a', at: at - 1, action: 'disable', ours: false, actor: 'mallory' })
  await world.settleAll()
  world.north.setVendor('a', 'on')
  await world.settleAll()
  const [stays] = await world.open(did)
  assert.deepEqual([stays?.id, stays?.evidence['by'], stays?.evidence['at']], [own?.id, 'mallory', at - 1])
  assert.deepEqual([world.north.enabled('a'), (await world.account('north', 'a')).mark], [false, 'none'])
})

test('what cannot be proven is left to an operator', async () => {
  await using world = await World.open({ adapters: { north: { logless: true } } })
  world.north.writes.add({ mode: 'lost', times: 1 })
  const { did, release } = await suspended(world)
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), (await world.account('north', 'a')).mark], [false, 'claimed'])
  await release()
  await world.settleAll()
  const [own] = await world.open(did)
  assert.deepEqual([own?.evidence['cause'], world.writes('north')], ['unproven', ['disable']])
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
})

for (const mode of ['lost', 'dropped', 'late'] as const) {
  test(`the answer to a disable is lost (${mode}): nothing else is sent before it could have landed, then it is read`, async () => {
    await using world = await World.open()
    world.north.writes.add({ mode, times: 1, afterMs: 20 * second })
    const { did, release } = await suspended(world)
    await world.run(30 * second)
    assert.deepEqual(world.writes('north'), ['disable'])
    await world.settleAll()
    assert.equal(world.north.enabled('a'), false)
    assert.deepEqual(await world.origins(did), ['operator:soc'])
    assert.deepEqual(world.writes('north'), mode === 'dropped' ? ['disable', 'disable'] : ['disable'])
    await release()
    await world.settleAll()
    assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [true, []])
  })

  test(`the answer to an enable is lost (${mode})`, async () => {
    await using world = await World.open()
    const { did, release } = await suspended(world)
    await world.settleAll()
    world.north.writes.add({ mode, times: 1, afterMs: 20 * second })
    await release()
    await world.settleAll()
    assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [true, []])
    assert.equal((await world.account('north', 'a')).mark, 'none')
  })
}

for (const point of [
  'disable.recorded',
  'disable.answered',
  'disable.settled',
  'enable.recorded',
  'enable.answered',
  'enable.settled',
]) {
  test(`the process dies at ${point}: after the restart everything ends where it should`, async () => {
    await using world = await World.open()
    const { did, release } = await suspended(world, ['north', 'south'])
    if (point.startsWith('enable')) {
      await world.settleAll()
      await release()
    }
    world.dieAt = point
    await world.work()
    assert.equal(world.dead, true)
    await world.restart()
    const on = point.startsWith('enable')
    assert.deepEqual(await world.codes(did), on ? [] : ['R_SUSPENDED'])
    await world.settleAll()
    assert.deepEqual([world.north.enabled('a'), world.south.enabled('a')], [on, on])
    assert.deepEqual(await world.origins(did), on ? [] : ['operator:soc'])
    assert.equal(world.writes('north').length <= 3, true)
  })
}

test('a write that fails for ever waits longer and longer, and delays no other agent', async () => {
  await using world = await World.open()
  for (let n = 0; n < 260; n++) world.north.add({ id: `bad${n}` })
  const bad: string[] = []
  for (let n = 0; n < 260; n++) bad.push(await world.agent(`bad${n}`, {}, ['north']))
  const good = await world.agent('good', {}, ['north'])
  for (let n = 0; n < 260; n++) world.north.writes.add({ mode: 'forbidden', id: `bad${n}` })
  for (const did of bad) await world.kill(did, soc)
  await world.run(2 * minute)
  assert.equal((await world.bridge.status()).adapters[0]?.writesFailing, 260)
  const tried = world.writes('north', 'bad0').length
  assert.ok(tried >= 4 && tried <= 12, `tried ${tried} times`)
  // All of them are due again at once; the fresh one goes first.
  await world.clock.advance(10 * minute)
  await world.kill(good, soc)
  await world.runner('north').mirror.suspendOnce()
  await world.runner('north').mirror.drained()
  assert.equal(world.north.enabled('good'), false)
})

test('a directory that throttles is said so, and not asked before its time', async () => {
  await using world = await World.open()
  world.north.writes.add({ mode: 'throttled', times: 1, retryAfterMs: 90_000.5 })
  await suspended(world)
  await world.run(second)
  const [status] = (await world.bridge.status()).adapters
  assert.ok(status?.throttledUntil !== undefined && status.throttledUntil > world.clock.now() + 80 * second)
  assert.equal(world.writes('north').length, 1)
  await world.run(80 * second)
  assert.equal(world.writes('north').length, 1)
  await world.run(30 * second)
  assert.equal(world.writes('north').length, 2)
  assert.equal((await world.bridge.status()).adapters[0]?.throttledUntil, undefined)
})

test('a suspension overtakes a full sync that is still running', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  for (let n = 0; n < 300; n++) world.north.add({ id: `row${n}` })
  const { promise, resolve } = Promise.withResolvers<void>()
  const { adapter } = world.runner('north').mount
  const changes = adapter.changes.bind(adapter)
  Object.assign(adapter, {
    async *changes(since: string | undefined, signal: AbortSignal) {
      for await (const page of changes(since, signal)) {
        yield page
        await promise
      }
    },
  })
  const full = world.runner('north').sync.full(world.signal)
  await world.kill(did)
  await world.runner('north').mirror.suspendOnce()
  await world.runner('north').mirror.drained()
  assert.equal(world.north.enabled('a'), false)
  resolve()
  await full
  await world.run(settleMs)
})

test('a jump of the wall clock resumes nothing before a full pass, and keeps no suspension waiting', async () => {
  await using world = await World.open()
  const { did, release } = await suspended(world)
  await world.run(minute)
  await release()
  world.clock.jump(3 * 60 * minute)
  await world.work()
  assert.equal(world.north.enabled('a'), false)
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['clock-jumped', 'clock-jumped'],
  )
  await world.full()
  await world.run(2 * minute)
  assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [true, []])
  world.north.writes.add({ mode: 'refused', times: 3 })
  await world.kill(did)
  await world.work()
  world.clock.jump(-24 * 60 * minute)
  await world.run(minute)
  assert.equal(world.north.enabled('a'), false)
})
