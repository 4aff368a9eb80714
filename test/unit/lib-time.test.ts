import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { backoffMs, parseRetryAfter } from '../../src/lib/backoff.ts'
import { manualClock, systemClock } from '../../src/lib/clock.ts'
import { schedule } from '../../src/lib/schedule.ts'

describe('the clock', () => {
  it('of the system sleeps, and stops sleeping when aborted', async () => {
    const begun = systemClock.mono()
    await systemClock.sleep(5)
    assert.ok(systemClock.mono() - begun >= 4)
    const abort = new AbortController()
    const long = systemClock.sleep(2 ** 40, abort.signal)
    abort.abort(new Error('enough'))
    await assert.rejects(long, /enough/)
    await assert.rejects(systemClock.sleep(1, abort.signal), /enough/)
  })

  it('by hand wakes sleepers in their order, those that sleep again too', async () => {
    const clock = manualClock(1000)
    const woken: string[] = []
    const sleeper = async (name: string, ...waits: number[]) => {
      for (const ms of waits) {
        await clock.sleep(ms)
        woken.push(`${name}@${clock.now()}`)
      }
    }
    void sleeper('b', 20)
    void sleeper('a', 10, 15)
    await clock.advance(30)
    assert.deepEqual(woken, ['a@1010', 'b@1020', 'a@1025'])
    assert.equal(clock.mono(), 30)
    clock.jump(60_000)
    assert.equal(clock.mono(), 30)
    assert.equal(clock.now(), 61_030)
    assert.equal(clock.sleeping, 0)
  })
})

describe('backoff', () => {
  const bounds = { baseMs: 100, ceilingMs: 1000 }

  it('doubles its bound up to the ceiling, jittered over all of it', () => {
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5000].map((attempt) => backoffMs(attempt, bounds, 0.5)),
      [50, 100, 200, 400, 500, 500],
    )
    assert.equal(backoffMs(3, bounds, 0), 0)
  })

  it('never comes back before the server said, nor waits for more than an hour', () => {
    assert.equal(backoffMs(0, bounds, 0, 5000), 5000)
    assert.equal(backoffMs(0, bounds, 0.5, 5000), 5050)
    assert.equal(backoffMs(9, bounds, 0.9, 10), 900)
    assert.equal(backoffMs(0, bounds, 0, 1e12), 3_600_000)
  })

  it('reads both forms of Retry-After', () => {
    const now = Date.parse('2026-11-21T10:00:00Z')
    assert.equal(parseRetryAfter('7', now), 7000)
    assert.equal(parseRetryAfter('Sat, 21 Nov 2026 10:00:09 GMT', now), 9000)
    assert.equal(parseRetryAfter('Sat, 21 Nov 2026 09:00:00 GMT', now), 0)
    for (const nothing of [null, undefined, '', 'soon', '-1', '1e9'])
      assert.equal(parseRetryAfter(nothing, now), undefined)
  })
})

describe('a schedule', () => {
  const yearly = {
    expression: '0 0 1 1 *',
    timeZone: 'UTC',
    random: () => 0.5,
    jitterMs: 0,
    onError: (error: unknown) => assert.fail(String(error)),
  }

  it('runs at its time, after its jitter', { timeout: 60_000 }, async (t) => {
    const clock = manualClock()
    const first = Promise.withResolvers<void>()
    let jittered = 0
    const running = schedule({
      ...yearly,
      expression: '* * * * * *',
      jitterMs: 800,
      clock: {
        sleep: (ms, signal) => {
          jittered = ms
          return clock.sleep(ms, signal)
        },
      },
      task: () => first.resolve(),
    })
    t.after(() => running.stop())
    while (clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(jittered, 400)
    await clock.advance(400)
    await first.promise
  })

  it('knows its next time in its zone', async () => {
    const tokyo = schedule({
      ...yearly,
      expression: '0 3 * * *',
      timeZone: 'Asia/Tokyo',
      clock: systemClock,
      task: () => {},
    })
    const next = new Date(tokyo.nextAt() ?? 0)
    assert.equal(next.getUTCHours(), 18)
    await tokyo.stop()
    assert.equal(tokyo.nextAt(), undefined)
  })

  it('goes on when the wall clock is set back, and does not wait for it to catch up', {
    timeout: 60_000,
  }, async (t) => {
    const [wall, mono] = [Date.now(), performance.now()]
    let offMs = 600_000
    let runs = 0
    const tell = () => t.mock.timers.setTime(wall + performance.now() - mono + offMs)
    t.mock.timers.enable({ apis: ['Date'], now: wall + offMs })
    const ticking = setInterval(tell, 20)
    const running = schedule({ ...yearly, expression: '* * * * * *', clock: systemClock, task: () => void runs++ })
    t.after(async () => {
      clearInterval(ticking)
      await running.stop()
    })
    const again = async () => {
      const before = runs
      while (runs < before + 2) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await again()
    offMs = 0
    await again()
    offMs = 600_000
    await again()
  })

  it('runs one at a time', async () => {
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const task = async () => {
      runs++
      await gate.promise
    }
    const running = schedule({ ...yearly, clock: systemClock, task })
    const both = [running.run(), running.run()]
    assert.equal(runs, 1)
    gate.resolve()
    await Promise.all(both)
    await running.run()
    assert.equal(runs, 2)
    await running.stop()
    await running.run()
    assert.equal(runs, 2)
  })

  it('hands errors over, even when the handler fails', async () => {
    const errors: unknown[] = []
    const onError = (error: unknown) => {
      errors.push(error)
      throw new Error('the handler too')
    }
    const failing = schedule({ ...yearly, clock: systemClock, onError, task: () => Promise.reject(new Error('task')) })
    await failing.run()
    assert.equal(errors.length, 1)
    await failing.stop()
  })

  it('aborts the present run on stop and waits until it is over', async () => {
    const steps: string[] = []
    const task = async (signal: AbortSignal) => {
      await systemClock.sleep(2 ** 30, signal).catch(() => undefined)
      await new Promise((resolve) => setImmediate(resolve))
      steps.push('tidied')
      throw new Error('not reported: it was stopping')
    }
    const running = schedule({ ...yearly, clock: systemClock, task })
    const run = running.run()
    await running.stop()
    steps.push('stopped')
    await run
    assert.deepEqual(steps, ['tidied', 'stopped'])
  })
})
