import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bucketOf, ceilingsOf, Limits } from '../../adapters/okta/limits.ts'
import { linksOf, pinnedLink } from '../../adapters/okta/links.ts'
import type { Lane } from '../../adapters/slots.ts'
import { type ManualClock, manualClock } from '../../src/lib/clock.ts'

const signal = new AbortController().signal
const USER = '/api/v1/users/00u00000000000000001'

const answer = (clock: ManualClock, limit: number, remaining: number, resetInMs = 60_000) =>
  new Headers({
    date: new Date(clock.now()).toUTCString(),
    'x-rate-limit-limit': String(limit),
    'x-rate-limit-remaining': String(remaining),
    'x-rate-limit-reset': String(Math.floor((clock.now() + resetInMs) / 1000)),
  })

function bench(share = 0.5) {
  const clock = manualClock()
  const limits = new Limits(clock, share)
  const enter = (lane: Lane, method = 'GET', path = USER) =>
    limits.enter({ method, path, lane, what: 'reading users' }, signal)
  /** Sends one, which is answered that so many are left. */
  const sent = async (limit: number, remaining: number, lane: Lane = 'suspend') =>
    (await enter(lane)).answered(200, answer(clock, limit, remaining))
  return { clock, limits, enter, sent }
}

/** Whether it goes at once, is waited for, or is turned away. */
async function fate(promise: Promise<unknown>): Promise<'now' | 'waits' | 'later'> {
  let result: 'now' | 'waits' | 'later' = 'waits'
  promise.then(
    () => {
      result = 'now'
    },
    () => {
      result = 'later'
    },
  )
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  return result
}

describe('okta rate limits', () => {
  it('one request goes ahead and finds out how many there may be', async () => {
    const { clock, enter } = bench()
    const first = await enter('read')
    const second = enter('read')
    assert.equal(await fate(second), 'waits')
    assert.equal(await fate(enter('suspend')), 'now')
    first.answered(200, answer(clock, 100, 99))
    assert.equal(await fate(second), 'now')
  })

  it('a first request that fails lets the next one find out', async () => {
    const { enter } = bench()
    const first = await enter('read')
    const second = enter('read')
    first.dropped()
    assert.equal(await fate(second), 'now')
  })

  it('where nothing is said of limits, nothing waits', async () => {
    const { enter } = bench()
    ;(await enter('read')).answered(200, new Headers())
    for (let count = 0; count < 300; count++) assert.equal(await fate(enter('sync')), 'now')
  })

  it('stays below its share of a limit in any minute, though more is left for others', async () => {
    const { clock, enter, sent } = bench()
    for (let count = 0; count < 35; count++) await sent(100, 99 - count, 'read')
    assert.deepEqual([await fate(enter('write')), await fate(enter('read'))], ['now', 'later'])
    assert.equal(await fate(enter('suspend')), 'now')
    await clock.advance(60_000)
    assert.equal(await fate(enter('read')), 'now')
  })

  it('lower lanes stop earlier, so that a suspension finds room to the last', async () => {
    for (const [lane, most] of [
      ['sync', 30],
      ['read', 35],
      ['write', 40],
      ['bulk', 48],
      ['suspend', 100],
    ] as const) {
      const { sent, enter } = bench()
      for (let count = 0; count < most; count++) await sent(100, 99 - count, lane)
      assert.notEqual(await fate(enter(lane)), 'now', `${lane} after ${most}`)
    }
  })

  it('a write below suspensions never waits, a read waits when it is not long, one without patience does not', async () => {
    const { clock, limits, enter, sent } = bench()
    await sent(100, 0)
    await clock.advance(40_000)
    assert.deepEqual([await fate(enter('write')), await fate(enter('read'))], ['later', 'waits'])
    await clock.advance(15_000)
    const hasty = { method: 'GET', path: USER, lane: 'suspend', what: 'reading users', patienceMs: 1000 } as const
    assert.deepEqual([await fate(enter('suspend')), await fate(limits.enter(hasty, signal))], ['waits', 'later'])
  })

  it('what was sent and not answered counts, what was not sent does not', async () => {
    const { enter, sent } = bench(1)
    await sent(3, 2)
    ;(await enter('suspend')).dropped()
    ;(await enter('suspend')).lost()
    assert.equal(await fate(enter('suspend')), 'now')
    assert.notEqual(await fate(enter('suspend')), 'now')
  })

  it('what others used counts: nothing is sent into a window that is used up', async () => {
    const { clock, enter, sent } = bench()
    await sent(100, 0)
    const error = await enter('suspend').catch((thrown) => thrown)
    assert.equal(error.code, 'E_DIRECTORY_THROTTLED')
    assert.ok(error.retryAfterMs > 59_000 && error.retryAfterMs <= 62_000, String(error.retryAfterMs))
    await clock.advance(55_000)
    const waiting = enter('suspend')
    assert.equal(await fate(waiting), 'waits')
    await clock.advance(7_000)
    await waiting
  })

  it('answers that overtake each other do not give back what is used', async () => {
    const { clock, enter, sent } = bench(1)
    await sent(5, 4)
    const tickets = await Promise.all([enter('suspend'), enter('suspend'), enter('suspend')])
    tickets[2]?.answered(200, answer(clock, 5, 1))
    tickets[0]?.answered(200, answer(clock, 5, 3))
    tickets[1]?.answered(200, answer(clock, 5, 2))
    assert.equal(await fate(enter('suspend')), 'now')
    assert.notEqual(await fate(enter('suspend')), 'now')
  })

  it('429 of a limit silences its bucket until the reset by the clock of the org, and no other', async () => {
    const { clock, enter } = bench()
    const headers = answer(clock, 600, 0, 30_000)
    // The clocks differ by an hour: only the distance between the two headers counts.
    headers.set('date', new Date(clock.now() + 3_600_000).toUTCString())
    headers.set('x-rate-limit-reset', String(Math.floor((clock.now() + 3_600_000 + 30_000) / 1000)))
    ;(await enter('suspend', 'POST', `${USER}/lifecycle/suspend`)).answered(429, headers)
    assert.equal(await fate(enter('suspend', 'POST', `${USER}/lifecycle/suspend`)), 'later')
    assert.equal(await fate(enter('suspend')), 'now')
    await clock.advance(32_000)
    assert.equal(await fate(enter('bulk', 'POST', `${USER}/lifecycle/suspend`)), 'now')
  })

  it('429 with zeros is the concurrency limit: a suspension is tried, the rest waits a second', async () => {
    const { clock, enter } = bench()
    ;(await enter('read')).answered(429, answer(clock, 0, 0, 60_000))
    assert.equal(await fate(enter('suspend')), 'now')
    const read = enter('read')
    const elsewhere = enter('sync', 'GET', '/api/v1/logs')
    assert.deepEqual([await fate(read), await fate(elsewhere)], ['waits', 'waits'])
    await clock.advance(1000)
    assert.deepEqual([await fate(read), await fate(elsewhere)], ['now', 'now'])
  })

  it('an aborted wait ends', async () => {
    const { clock, limits, enter } = bench()
    ;(await enter('suspend')).answered(200, answer(clock, 10, 0, 20_000))
    const stop = new AbortController()
    const waiting = limits.enter({ method: 'GET', path: USER, lane: 'read', what: 'reading users' }, stop.signal)
    stop.abort()
    await assert.rejects(waiting, { code: 'E_ABORTED' })
  })

  it('keeps reads of one, reads of all and writes apart', () => {
    assert.equal(bucketOf('GET', '/api/v1/users?limit=200'), 'read api/v1/users')
    assert.equal(bucketOf('GET', USER), 'read api/v1/users/*')
    assert.equal(bucketOf('POST', `${USER}/lifecycle/suspend`), 'write api/v1/users/*')
    assert.equal(bucketOf('DELETE', `${USER}/sessions?oauthTokens=true`), 'write api/v1/users/*')
    assert.equal(
      bucketOf('GET', '/workload-principals/api/v1/ai-agents/x'),
      'read workload-principals/api/v1/ai-agents/*',
    )
  })

  it('leaves slots to the lanes above, however few there are', () => {
    assert.deepEqual(ceilingsOf(15), { suspend: 15, bulk: 11, write: 11, read: 9, sync: 6 })
    assert.deepEqual(ceilingsOf(2), { suspend: 2, bulk: 1, write: 1, read: 1, sync: 1 })
  })
})

describe('okta links', () => {
  const origin = 'https://contoso.okta.com'

  it('reads relations whatever their order, quotes and commas', () => {
    const header = `<${origin}/api/v1/logs?after=1,2>; rel="self", <${origin}/api/v1/logs?after=3%3B,4>; title="a, b"; rel=next`
    assert.deepEqual(linksOf(header, 'next'), [`${origin}/api/v1/logs?after=3%3B,4`])
    assert.deepEqual(linksOf(header, 'self'), [`${origin}/api/v1/logs?after=1,2`])
    assert.deepEqual(linksOf('<https://x/>; rel="prev next"', 'next'), ['https://x/'])
    assert.deepEqual(linksOf(null, 'next'), [])
    assert.deepEqual(linksOf('<https://x/>; rel="nextish"', 'next'), [])
  })

  it('follows only what leads back to the API of the org', () => {
    assert.equal(pinnedLink(`${origin}/api/v1/users?after=x`, origin), `${origin}/api/v1/users?after=x`)
    for (const link of [
      'https://contoso.okta.com.evil.example/api/v1/users',
      'https://user:secret@contoso.okta.com/api/v1/users',
      'http://contoso.okta.com/api/v1/users',
      `${origin}/oauth2/v1/token`,
      `${origin}/api/v1/../../oauth2/v1/token`,
      '/api/v1/users',
    ])
      assert.throws(() => pinnedLink(link, origin), { code: 'E_OUTBOUND_ORIGIN' }, link)
  })
})
