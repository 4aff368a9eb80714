import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { playable } from '../../sandbox/okta/playable.ts'
import { wireFaults } from '../../sandbox/schedule.ts'
import { codeOf } from '../../src/core/errors.ts'
import { bench, type Org } from './org.ts'
import { leaping, signal } from './tenant.ts'

const count = 7

/** Seven users on pages of three, and the administrator. */
const fleet = async () => {
  const clock = leaping()
  const it = await bench({ pageSize: 3, clock, settings: { manage: { kinds: ['user'] } } })
  const refs = it.users(count)
  it.org.settle()
  return { it, refs, clock }
}

const listed = async ({ adapter, org }: Org): Promise<Set<string>> => {
  const ids = new Set<string>()
  for await (const page of adapter.changes(undefined, signal())) for (const { id } of page.sightings) ids.add(id)
  ids.delete(org.admin)
  return ids
}

/** What the call came to: its answer, or the code it failed with. */
const tried = async <T>(work: Promise<T>): Promise<T | string> => {
  try {
    return await work
  } catch (error) {
    return codeOf(error)
  }
}

interface Documented {
  /** How a whole pass ends: with every row, with fewer (of which nothing may be concluded), or with this error. */
  readonly pass: 'whole' | 'fewer' | string
  /** What a by-id read of an account says, which is on; an error when the read fails as a whole. */
  readonly read: 'enabled' | string
  readonly write: readonly string[]
}

const down: Documented = { pass: 'E_DIRECTORY_DOWN', read: 'E_DIRECTORY_DOWN', write: ['lost'] }
const untouched: Documented = { pass: 'whole', read: 'enabled', write: ['done'] }
const documented: Readonly<Record<string, Documented>> = {
  'reset-before': down,
  'reset-after': { pass: 'whole', read: 'enabled', write: ['lost'] },
  drip: untouched,
  'truncated-page': down,
  'throttled-with-retry-after': {
    pass: 'E_DIRECTORY_THROTTLED',
    read: 'E_DIRECTORY_THROTTLED',
    write: ['refused', 'unsent'],
  },
  'throttled-without': { pass: 'E_DIRECTORY_THROTTLED', read: 'E_DIRECTORY_THROTTLED', write: ['refused', 'unsent'] },
  'status-500': down,
  'status-502': down,
  // The org is in its read-only mode: nothing changed.
  'status-503': { ...down, write: ['refused'] },
  'status-504': down,
  'empty-list': { pass: 'fewer', read: 'enabled', write: ['done'] },
  'repeated-page': { ...untouched, pass: 'E_DIRECTORY_ANSWER' },
  'looping-link': { ...untouched, pass: 'E_DIRECTORY_ANSWER' },
  'stale-read': untouched,
  'applied-but-504': { pass: 'whole', read: 'enabled', write: ['lost'] },
  'late-write': { pass: 'whole', read: 'enabled', write: ['lost'] },
}
/** Take the whole timeout of a call; `aborted while on the wire` in the tests of writes is the same path. */
const tooSlow = new Set(['hang', 'hang-after'])

describe('each fault of the wire, all the time: what is answered, what is never concluded, and that it passes', () => {
  for (const [name, { answer, match }] of Object.entries(wireFaults(500))) {
    if (tooSlow.has(name)) continue
    it(name, async () => {
      const expected = documented[name]
      assert.ok(expected !== undefined, `what ${name} leads to is not documented`)
      const { it, refs, clock } = await fleet()
      await using _ = it
      await it.adapter.lookup(refs, signal())
      const stage = playable(it.org)
      // Byte by byte, once is slow enough.
      const times = name === 'drip' ? 1 : Number.POSITIVE_INFINITY
      const lift = stage.fail(stage.places[match], { ...answer, times })

      const pass = await tried(listed(it))
      if (expected.pass === 'whole') assert.deepEqual(typeof pass === 'string' ? pass : pass.size, count)
      else if (expected.pass === 'fewer') assert.ok(typeof pass !== 'string' && pass.size < count)
      else assert.equal(pass, expected.pass)

      const read = await tried(it.adapter.lookup(refs, signal()))
      for (const { id } of refs) {
        const state = typeof read === 'string' ? read : read.get(id)?.state
        assert.ok(state === expected.read || (state === 'unknown' && expected.read !== 'enabled'), `read as ${state}`)
      }

      const [one = { id: '', kind: '' }] = refs
      const written = await it.adapter.accounts?.disable([one], signal())
      const outcome = written?.[0]?.outcome ?? 'none'
      assert.ok(expected.write.includes(outcome), `the write is ${outcome}`)
      const isOff = it.org.get(one.id)?.enabled === false
      if (outcome === 'done') assert.ok(isOff)
      if (outcome === 'refused' || outcome === 'unsent') assert.ok(!isOff)

      lift()
      // Whatever limit was met is over.
      await clock.sleep(120_000)
      assert.equal((await listed(it)).size, count, 'the next pass is whole again')
      const [done] = (await it.adapter.accounts?.disable([one], signal())) ?? []
      assert.ok(done?.outcome === 'done' || done?.before?.state === 'disabled')
      const after = await it.adapter.lookup([one], signal())
      assert.equal(after.get(one.id)?.state, 'disabled')
    })
  }

  it('connections are refused: unreadable, nothing was written, and all is well when it is back', async () => {
    const { it, refs } = await fleet()
    await using _ = it
    await listed(it)
    const lift = await playable(it.org).disturb('refused')
    assert.equal(await tried(listed(it)), 'E_DIRECTORY_DOWN')
    assert.equal(await tried(it.adapter.lookup(refs, signal())), 'E_DIRECTORY_DOWN')
    const [result] = (await it.adapter.accounts?.disable(refs.slice(0, 1), signal())) ?? []
    // Nobody can tell a refused connection from one that broke after the request: never "refused".
    assert.equal(result?.outcome, 'lost')
    await lift()
    assert.equal((await listed(it)).size, count)
  })

  it('the token endpoint is down before there is a token: nothing is sent, nothing is concluded', async () => {
    const { it, refs } = await fleet()
    await using _ = it
    const lift = await playable(it.org).disturb('token-endpoint-down')
    assert.equal(await tried(listed(it)), 'E_DIRECTORY_DOWN')
    const [result] = (await it.adapter.accounts?.disable(refs.slice(0, 1), signal())) ?? []
    assert.equal(result?.outcome, 'unsent')
    assert.equal(it.org.requests.filter(({ surface }) => surface === 'api').length, 0)
    await lift()
    assert.equal((await listed(it)).size, count)
  })
})
