import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ceilings, WriteBudget } from '../../adapters/entra/budget.ts'
import { Owed } from '../../adapters/owed.ts'
import { Slots } from '../../adapters/slots.ts'
import { manualClock } from '../../src/lib/clock.ts'

const signal = new AbortController().signal
const limits = { writes: 100, windowMs: 10_000 }

describe('entra write budget', () => {
  it('keeps a reserve that only suspensions may spend', async () => {
    const budget = new WriteBudget(manualClock(), limits)
    assert.equal(await budget.take(80, 'write', signal), 0)
    assert.ok((await budget.take(1, 'write', signal)) >= 1000)
    assert.equal(await budget.take(20, 'suspend', signal), 0)
  })

  it('lets suspensions run ahead and wait, and turns other writes away at once', async () => {
    const clock = manualClock()
    const budget = new WriteBudget(clock, limits)
    assert.equal(await budget.take(100, 'suspend', signal), 0)
    let granted = false
    const waiting = budget.take(10, 'suspend', signal).then((ms) => {
      granted = ms === 0
    })
    assert.ok((await budget.take(1, 'write', signal)) > 0)
    await clock.advance(999)
    assert.equal(granted, false)
    await clock.advance(2)
    await waiting
    assert.equal(granted, true)
    assert.ok((await budget.take(1, 'write', signal)) > 0)
  })

  it('tells a suspension when to come back rather than hold it for long', async () => {
    const budget = new WriteBudget(manualClock(), limits)
    await budget.take(100, 'suspend', signal)
    assert.ok((await budget.take(101, 'suspend', signal)) > 10_000)
  })

  it('gives back what an aborted wait had taken; when told to pause, only a single suspension goes on', async () => {
    const clock = manualClock()
    const budget = new WriteBudget(clock, limits)
    await budget.take(100, 'suspend', signal)
    const stop = new AbortController()
    const waiting = budget.take(50, 'suspend', stop.signal)
    stop.abort()
    await assert.rejects(waiting, { code: 'E_ABORTED' })
    await clock.advance(1000)
    assert.equal(await budget.take(10, 'suspend', signal), 0)
    await clock.advance(60_000)
    budget.pause(20_000)
    assert.equal(await budget.take(1, 'write', signal), 20_000)
    assert.equal(await budget.take(1, 'bulk', signal), 20_000)
    assert.equal(await budget.take(1, 'suspend', signal), 0)
    await clock.advance(20_000)
    assert.equal(await budget.take(1, 'bulk', signal), 0)
  })

  it('suspensions of many go one behind the other and leave a reserve that a single one finds untouched', async () => {
    const clock = manualClock()
    const budget = new WriteBudget(clock, limits)
    assert.equal(await budget.take(95, 'bulk', signal), 0)
    const granted: string[] = []
    const waiting = ['first', 'second'].map(async (name) => {
      assert.equal(await budget.take(20, 'bulk', signal), 0)
      granted.push(name)
    })
    assert.equal(await budget.take(5, 'suspend', signal), 0)
    await clock.advance(1999)
    assert.deepEqual(granted, [])
    await clock.advance(1)
    assert.deepEqual(granted, ['first'])
    await clock.advance(2000)
    await Promise.all(waiting)
    assert.deepEqual(granted, ['first', 'second'])
    assert.ok((await budget.take(200, 'bulk', signal)) > 15_000, 'too far away to be waited for')
  })

  it('slows down below the limit that the directory reports, suspensions aside', async () => {
    const budget = new WriteBudget(manualClock(), limits)
    budget.heed('1.3')
    assert.equal(budget.delayMs('suspend'), 0)
    assert.ok(budget.delayMs('sync') > budget.delayMs('read'))
    assert.ok((await budget.take(1, 'write', signal)) > 0)
    assert.equal(await budget.take(1, 'suspend', signal), 0)
    budget.heed(null)
    assert.equal(budget.delayMs('sync'), 0)
  })
})

describe('entra request slots', () => {
  it('a suspension overtakes everything that waits, and has slots that nothing else may take', async () => {
    const slots = new Slots(ceilings)
    const open = await Promise.all(Array.from({ length: 10 }, () => slots.enter('read', signal)))
    const order: string[] = []
    const queued = (['sync', 'read', 'write'] as const).map((lane) =>
      slots.enter(lane, signal).then((leave) => {
        order.push(lane)
        return leave
      }),
    )
    await (await slots.enter('suspend', signal))()
    for (const leave of open) leave()
    for (const each of queued) (await each)()
    assert.deepEqual(order, ['write', 'read', 'sync'])
  })

  it('an aborted wait leaves no trace', async () => {
    const slots = new Slots(ceilings)
    const open = await Promise.all(Array.from({ length: 6 }, () => slots.enter('sync', signal)))
    const stop = new AbortController()
    const waiting = slots.enter('sync', stop.signal)
    stop.abort()
    await assert.rejects(waiting, { code: 'E_ABORTED' })
    for (const leave of open) leave()
    await slots.enter('sync', signal)
  })
})

describe('suspensions that the directory turned away', () => {
  it('hold back what is below them until they were answered', async () => {
    const owed = new Owed(manualClock())
    await owed.clear(signal)
    owed.owe('a', 5_000)
    owed.owe('b', 5_000)
    let through = false
    const waiting = owed.clear(signal).then(() => {
      through = true
    })
    owed.paid('a')
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(through, false)
    owed.paid('b')
    await waiting
  })

  it('one that is not tried again holds nothing back for long, and neither do refusals without end', async () => {
    const clock = manualClock()
    const owed = new Owed(clock)
    const done = new Set<string>()
    owed.owe('a', 5_000)
    const first = owed.clear(signal).then(() => done.add('first'))
    await clock.advance(14_999)
    assert.equal(done.size, 0)
    await clock.advance(1)
    await first
    const second = owed.clear(signal).then(() => done.add('second'))
    await second
    owed.owe('a', 50_000)
    const third = owed.clear(signal).then(() => done.add('third'))
    for (let at = 0; at < 5; at += 1) {
      await clock.advance(10_000)
      owed.owe('a', 50_000)
    }
    assert.equal(done.size, 2)
    await clock.advance(10_000)
    await third
  })

  it('while it turns requests away, one about to be sent goes alone; otherwise it holds nobody back', async () => {
    const clock = manualClock()
    const owed = new Owed(clock)
    owed.begun('a')
    await owed.clear(signal)
    owed.refused()
    owed.begun('a')
    const stop = new AbortController()
    const waiting = owed.clear(stop.signal)
    stop.abort()
    await assert.rejects(waiting, { code: 'E_ABORTED' })
  })
})
