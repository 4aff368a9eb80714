import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Playable, wireFaults } from '../../sandbox/schedule.ts'
import type { Adapter, PrincipalRef } from '../../src/core/adapter.ts'
import { codeOf } from '../../src/core/errors.ts'
import { signal } from './tenant.ts'

/** Some accounts that are on, listed on several pages, in a directory that the tests may break. */
export interface Fleet extends AsyncDisposable {
  readonly adapter: Adapter
  readonly refs: readonly PrincipalRef[]
  readonly stage: Playable
  isOff(id: string): boolean
  /** Whatever limit was met is over. */
  recover(): Promise<void>
  /** How many requests the API of the directory has seen. */
  asked(): number
}

export interface Documented {
  /** How a whole pass ends: with every row, with fewer (of which nothing may be concluded), or with this error. */
  readonly pass: 'whole' | 'fewer' | string
  /** What a by-id read of an account says, which is on; an error when the read fails as a whole. */
  readonly read: 'enabled' | string
  readonly write: readonly string[]
}

export const down: Documented = { pass: 'E_DIRECTORY_DOWN', read: 'E_DIRECTORY_DOWN', write: ['lost'] }
export const throttled: Documented = {
  pass: 'E_DIRECTORY_THROTTLED',
  read: 'E_DIRECTORY_THROTTLED',
  write: ['refused', 'unsent'],
}
export const untouched: Documented = { pass: 'whole', read: 'enabled', write: ['done'] }

/** Take the whole timeout of a call; `aborted while on the wire` in the tests of writes is the same path. */
const tooSlow = new Set(['hang', 'hang-after'])

/** What the call came to: its answer, or the code it failed with. */
const tried = async <T>(work: Promise<T>): Promise<T | string> => {
  try {
    return await work
  } catch (error) {
    return codeOf(error)
  }
}

/** How many of the accounts a whole pass lists. */
const listed = async ({ adapter, refs }: Fleet): Promise<number> => {
  const ids = new Set<string>()
  for await (const page of adapter.changes(undefined, signal())) for (const { id } of page.sightings) ids.add(id)
  return refs.filter(({ id }) => ids.has(id)).length
}

/** Every fault of the wire, and what each leads to. */
export function faultsOfTheWire(documented: Readonly<Record<string, Documented>>, setup: () => Promise<Fleet>): void {
  describe('each fault of the wire, all the time: what is answered, what is never concluded, and that it passes', () => {
    for (const [name, { answer, match }] of Object.entries(wireFaults(500))) {
      if (tooSlow.has(name)) continue
      it(name, async () => {
        const expected = documented[name]
        assert.ok(expected !== undefined, `what ${name} leads to is not documented`)
        await using fleet = await setup()
        const { adapter, refs, stage } = fleet
        await adapter.lookup(refs, signal())
        // Byte by byte, once is slow enough.
        const times = name === 'drip' ? 1 : Number.POSITIVE_INFINITY
        const lift = stage.fail(stage.places[match], { ...answer, times })

        const pass = await tried(listed(fleet))
        if (expected.pass === 'whole') assert.equal(pass, refs.length)
        else if (expected.pass === 'fewer') assert.ok(typeof pass === 'number' && pass < refs.length)
        else assert.equal(pass, expected.pass)

        const read = await tried(adapter.lookup(refs, signal()))
        for (const { id } of refs) {
          const state = typeof read === 'string' ? read : read.get(id)?.state
          assert.ok(state === expected.read || (state === 'unknown' && expected.read !== 'enabled'), `read as ${state}`)
        }

        const [one = { id: '', kind: '' }] = refs
        const written = await adapter.accounts?.disable([one], signal())
        const outcome = written?.[0]?.outcome ?? 'none'
        assert.ok(expected.write.includes(outcome), `the write is ${outcome}`)
        if (outcome === 'done') assert.ok(fleet.isOff(one.id))
        if (outcome === 'refused' || outcome === 'unsent') assert.ok(!fleet.isOff(one.id))

        lift()
        await fleet.recover()
        assert.equal(await listed(fleet), refs.length, 'the next pass is whole again')
        const [done] = (await adapter.accounts?.disable([one], signal())) ?? []
        assert.ok(done?.outcome === 'done' || done?.before?.state === 'disabled')
        const after = await adapter.lookup([one], signal())
        assert.ok(['disabled', 'enabled'].includes(after.get(one.id)?.state ?? ''))
      })
    }

    it('connections are refused: unreadable, nothing was written, and all is well when it is back', async () => {
      await using fleet = await setup()
      const { adapter, refs, stage } = fleet
      await listed(fleet)
      const lift = await stage.disturb('refused')
      assert.equal(await tried(listed(fleet)), 'E_DIRECTORY_DOWN')
      assert.equal(await tried(adapter.lookup(refs, signal())), 'E_DIRECTORY_DOWN')
      const [result] = (await adapter.accounts?.disable(refs.slice(0, 1), signal())) ?? []
      // Nobody can tell a refused connection from one that broke after the request: never "refused".
      assert.equal(result?.outcome, 'lost')
      await lift()
      assert.equal(await listed(fleet), refs.length)
    })

    it('the token endpoint is down before there is a token: nothing is sent, nothing is concluded', async () => {
      await using fleet = await setup()
      const { adapter, refs, stage } = fleet
      const lift = await stage.disturb('token-endpoint-down')
      assert.equal(await tried(listed(fleet)), 'E_DIRECTORY_DOWN')
      const [result] = (await adapter.accounts?.disable(refs.slice(0, 1), signal())) ?? []
      assert.equal(result?.outcome, 'unsent')
      assert.equal(fleet.asked(), 0)
      await lift()
      assert.equal(await listed(fleet), refs.length, 'at once: not when a failure has been forgotten')
    })
  })
}
