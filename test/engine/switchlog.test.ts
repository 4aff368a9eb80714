import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freshAccount } from '../../src/core/account.ts'
import type { LogEntry } from '../../src/core/adapter.ts'
import { logSkewMs } from '../../src/core/switchlog.ts'
import { createCachedLog } from '../../src/engine/switchlog.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { agent, principal } from '../store/fixture.ts'
import { minute, second, World } from './harness.ts'

const day = 24 * 60 * minute
const { signal } = new AbortController()

/** A log that shows what happened `lagMs` late, and forgets it after `retentionMs`. */
const createLog = ({ maxEntries = 1_000, trusted = [] as string[] } = {}) => {
  const clock = manualClock()
  const happened: LogEntry[] = []
  const reads: { from: number; to: number }[] = []
  const log = {
    retentionMs: 7 * day,
    lagMs: minute,
    fail: undefined as Error | undefined,
    away: undefined as ((id: string) => boolean) | undefined,
    gate: undefined as Promise<void> | undefined,
    async read({ from, to }: { from: number; to: number }) {
      reads.push({ from, to })
      const shown = Math.min(to, clock.now() - log.lagMs)
      const entries = happened.filter(({ at }) => at >= from && at <= shown && at >= clock.now() - log.retentionMs)
      await log.gate
      if (log.fail !== undefined) throw log.fail
      const { away } = log
      if (away === undefined) return { entries, completeUntil: shown }
      return { entries: entries.filter(({ id }) => !away(id)), completeUntil: shown, unread: away }
    },
  }
  const happen = (id: string, action: LogEntry['action'] = 'disable', actor = 'admin') => {
    happened.push({ id, at: clock.now(), action, ours: actor === 'bridge', actor, actorIds: [actor] })
  }
  const cached = createCachedLog({ log, clock, trustedWriters: () => trusted, maxEntries })
  return { cached, clock, happen, log, reads }
}

const actions = (read: { entries: readonly LogEntry[] }) => read.entries.map(({ action }) => action)

test('a second look reads only what may be new, and every entry is there once', async () => {
  const { cached, clock, happen, reads } = createLog()
  const start = clock.now()
  await clock.advance(minute)
  happen('a')
  await clock.advance(20 * minute)
  happen('a', 'enable')
  await clock.advance(10 * minute)
  const first = (await cached.read(start, signal))('a')
  assert.deepEqual([actions(first), first.completeUntil], [['disable', 'enable'], clock.now() - minute])
  await clock.advance(30 * second)
  happen('a', 'disable')
  await clock.advance(2 * minute)
  const second_ = (await cached.read(start, signal))('a')
  assert.deepEqual(actions(second_), ['disable', 'enable', 'disable'])
  assert.equal(reads.length, 2)
  assert.deepEqual(reads[1], { from: first.completeUntil - logSkewMs, to: clock.now() })
})

test('off, on and off again within a millisecond stays three changes, however often it is read', async () => {
  const { cached, clock, happen } = createLog()
  const start = clock.now()
  happen('a')
  happen('a', 'enable')
  happen('a')
  for (let n = 0; n < 3; n++) {
    await clock.advance(2 * minute)
    assert.deepEqual(actions((await cached.read(start, signal))('a')), ['disable', 'enable', 'disable'])
  }
})

test('a part that is away leaves only its own accounts unknown, and is read whole when it is back', async () => {
  const { cached, clock, happen, log } = createLog()
  const start = clock.now()
  await clock.advance(minute)
  happen('a1')
  happen('b1')
  log.away = (id) => id.startsWith('b')
  await clock.advance(20 * minute)
  const look = async (from = start) => {
    const read = await cached.read(from, signal)
    return ['a1', 'b1'].map((id) => [actions(read(id)), read(id).completeUntil > start])
  }
  assert.deepEqual(await look(), [
    [['disable'], true],
    [[], false],
  ])
  // Asked for what is older, and later again: still nothing of the part counts.
  await clock.advance(minute)
  assert.deepEqual((await look(start - 10 * minute))[1], [[], false])
  happen('b1', 'enable')
  await clock.advance(30 * minute)
  assert.deepEqual((await look())[1], [[], false])
  log.away = undefined
  await clock.advance(minute)
  assert.deepEqual(await look(start - 10 * minute), [
    [['disable'], true],
    [['disable', 'enable'], true],
  ])
})

test('what a part that was away knows of an older window is read again, too', async () => {
  const { cached, clock, happen, log } = createLog()
  happen('b1')
  await clock.advance(60 * minute)
  const middle = clock.now()
  await clock.advance(60 * minute)
  await cached.read(middle, signal)
  log.away = (id) => id.startsWith('b')
  assert.equal((await cached.read(middle - 60 * minute, signal))('b1').completeUntil, 0)
  log.away = undefined
  await clock.advance(minute)
  const read = (await cached.read(middle - 60 * minute, signal))('b1')
  assert.deepEqual([actions(read), read.completeUntil > middle], [['disable'], true])
})

test('an entry that comes late, within the skew of the clocks, is still found', async () => {
  const { cached, clock, happen, log } = createLog()
  const start = clock.now()
  await clock.advance(10 * minute)
  happen('a')
  await clock.advance(minute)
  log.lagMs = 0
  const { read } = log
  log.read = async (window) => ({ ...(await read(window)), entries: [] })
  assert.deepEqual(actions((await cached.read(start, signal))('a')), [])
  log.read = read
  await clock.advance(logSkewMs - 2 * minute)
  assert.deepEqual(actions((await cached.read(start, signal))('a')), ['disable'])
})

test('a log that falls behind takes nothing back', async () => {
  const { cached, clock, happen, log } = createLog()
  const start = clock.now()
  await clock.advance(minute)
  happen('a')
  await clock.advance(2 * minute)
  const { completeUntil } = (await cached.read(start, signal))('a')
  log.lagMs = 60 * minute
  await clock.advance(minute)
  const behind = (await cached.read(start, signal))('a')
  assert.deepEqual([actions(behind), behind.completeUntil], [['disable'], completeUntil])
})

test('backwards only when something older is asked, and then only the part that is missing', async () => {
  const { cached, clock, happen, reads } = createLog()
  const start = clock.now()
  await clock.advance(second)
  happen('a')
  await clock.advance(60 * minute)
  const recent = clock.now() - 10 * minute
  assert.deepEqual(actions((await cached.read(recent, signal))('a')), [])
  const whole = (await cached.read(start, signal))('a')
  assert.deepEqual([actions(whole), whole.from], [['disable'], start])
  assert.deepEqual(reads, [
    { from: recent, to: clock.now() },
    { from: start, to: recent },
  ])
  await cached.read(recent, signal)
  assert.equal(reads.length, 2)
})

test('callers at the same time share one reading; one that needs more reads only the rest', async () => {
  const { cached, clock, log, reads } = createLog()
  await clock.advance(60 * minute)
  const { promise, resolve } = Promise.withResolvers<void>()
  log.gate = promise
  const from = clock.now() - 5 * minute
  const all = [cached.read(from, signal), cached.read(from + 1, signal), cached.read(from - minute, signal)]
  resolve()
  await Promise.all(all)
  assert.deepEqual(
    reads.map((read) => read.to - read.from),
    [5 * minute, minute],
  )
})

test('a failed reading concludes nothing and is tried again by the next who asks', async () => {
  const { cached, clock, happen, log } = createLog()
  const from = clock.now()
  happen('a')
  await clock.advance(2 * minute)
  log.fail = new Error('down')
  await assert.rejects(cached.read(from, signal), /down/)
  assert.equal(cached.state.readAt, undefined)
  log.fail = undefined
  assert.deepEqual(actions((await cached.read(from, signal))('a')), ['disable'])
})

test('what is older than the log reaches back is said to be missing', async () => {
  const { cached, clock } = createLog()
  await clock.advance(10 * day)
  const { from } = (await cached.read(0, signal))('a')
  assert.equal(from, clock.now() - 7 * day + logSkewMs)
})

test('beyond the bound the oldest are let go, and read again when they are asked for', async () => {
  const { cached, clock, happen, reads } = createLog({ maxEntries: 10 })
  const start = clock.now()
  for (let n = 0; n < 25; n++) {
    happen(`a${n}`)
    await clock.advance(minute)
  }
  await clock.advance(10 * minute)
  assert.deepEqual(actions((await cached.read(start, signal))('a0')), ['disable'])
  const late = clock.now() - 12 * minute
  await cached.read(late, signal)
  assert.equal(reads.length, 1)
  assert.deepEqual(actions((await cached.read(start, signal))('a0')), ['disable'])
  assert.equal(reads.length, 2)
})

test('nothing that was read on a doubtful clock is kept', async () => {
  const { cached, clock, happen, log } = createLog()
  const start = clock.now()
  log.lagMs = 0
  clock.jump(60 * minute)
  assert.equal((await cached.read(start, signal))('a').completeUntil, clock.now())
  clock.jump(-60 * minute)
  await clock.advance(minute)
  happen('a')
  await clock.advance(10 * minute)
  const after = (await cached.read(start, signal))('a')
  assert.deepEqual([after.completeUntil, actions(after)], [clock.now(), ['disable']])
  cached.clear()
  assert.equal((await cached.read(clock.now(), signal))('a').from, clock.now())
})

test('services of trustedWriters are told apart, whatever the case; our own entries never are', async () => {
  const { cached, clock, happen } = createLog({ trusted: ['provisioning', 'bridge'] })
  const start = clock.now()
  happen('a', 'disable', 'Provisioning')
  happen('a', 'enable', 'bridge')
  happen('a', 'disable', 'mallory')
  await clock.advance(2 * minute)
  const { entries } = (await cached.read(start, signal))('a')
  assert.deepEqual(
    entries.map(({ trusted }) => trusted === true),
    [true, false, false],
  )
})

/** Agents that the bridge switched off and that were all released just now, put into the store by the hundred. */
const released = async (world: World, count: number): Promise<string[]> => {
  const fleet = Array.from({ length: count }, (_, n) => `f${n}`)
  const at = world.clock.now()
  for (const id of fleet) {
    world.north.add({ id })
    world.north.write(id, 'disable', 'bridge', 'done')
  }
  await world.clock.advance(10 * minute)
  const claim = { claimedAt: at, sentAt: at, disabledAckAt: at, observed: 'disabled', observedAt: at + minute } as const
  const account = { ...freshAccount, ...claim, mark: 'ours' as const }
  const now = world.clock.now()
  for (let n = 0; n < count; n += 500) {
    await world.store.write(async (tx) => {
      for (const id of fleet.slice(n, n + 500)) {
        await tx.insertAgent(agent(`did:mesh:${id}`))
        const row = principal(`did:mesh:${id}`, id, { adapter: 'north', kind: 'account', account })
        await tx.insertPrincipal(row, { nextAt: now, lane: 3 })
      }
    })
  }
  return fleet
}

test('releasing 5,000 agents reads the log a handful of times, not once for each look', async () => {
  await using world = await World.open()
  world.north.logLagMs = minute
  const fleet = await released(world, 5_000)
  while (fleet.some((id) => !world.north.enabled(id))) await world.runner('north').mirror.workOnce(world.signal)
  const enabling = world.north.logReads.length
  // The look after the enable, for all of them.
  await world.clock.advance(10 * minute)
  while ((await world.runner('north').mirror.workOnce(world.signal)) === 'more');
  const total = world.north.logReads.length
  assert.deepEqual(world.violations, [])
  assert.equal((await world.account('north', 'f4999')).liftedFrom, undefined)
  assert.ok(enabling <= 2 && total <= 6, `the log was read ${enabling}, then ${total} times`)
})
