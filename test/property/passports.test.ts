import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { issuedAfter } from '../../src/core/decide.ts'
import { passportMostMs, skewSeconds } from '../../src/core/passport.ts'
import type { IssuedPassport } from '../../src/engine/publishingapi.ts'
import { alice, bob, minute, registrar, soc, World } from '../engine/harness.ts'
import { published, signingKey } from '../engine/published.ts'

const who = fc.nat(2)
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('issue' as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('hold' as const, 'kill' as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('end' as const, 'restart' as const, 'key' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 400, 1_000, 9_000, 5 * minute) }),
  },
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/**
 * Agents in one chain, so that holds cascade. At each step every passport ever issued is checked with the list of that
 * moment: it holds exactly while the bridge would say yes to the agent, and not to one released since, within its time.
 */
test('a passport holds offline exactly while the bridge would say yes', async () => {
  const run = async (steps: readonly Step[]) => {
    await using world = await World.open()
    const key = signingKey()
    const { check, issue } = published(world, key)
    const dids: string[] = []
    for (const id of ['a', 'b', 'c']) dids.push(await world.agent(id, { parentDid: dids.at(-1) ?? null }, ['north']))
    const passports: IssuedPassport[] = []
    const play = async (one: Step): Promise<void> => {
      if (one.do === 'wait') return world.clock.advance(one.ms)
      if (one.do === 'restart') return world.restart()
      if (one.do === 'key') {
        world.keys = [key, signingKey()]
        return
      }
      const did = dids[one.who] ?? ''
      if (one.do === 'issue') passports.push(await issue(did))
      else if (one.do === 'kill') await world.kill(did)
      else if (one.do === 'hold') await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
      else if (one.do === 'end') await world.bridge.decommission(did, 'gone', registrar)
      else {
        const own = (await world.open(did)).find(({ origin }) => !origin.startsWith('cascade:'))
        if (own?.severity === 'suspend') await world.bridge.release(did, own.id, 'clear', soc)
        else if (own !== undefined) await world.releaseByTwo(did, own.id, alice, bob)
      }
    }
    for (const one of steps) {
      const allowed = one.do === 'issue' && (await world.codes(dids[one.who] ?? '')).length === 0
      const refused = await play(one).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      )
      // What may not be done is refused; only of a passport is it known here when.
      if (one.do === 'issue') assert.equal(refused === undefined, allowed, String(refused))
      for (const { did, issuedAt, expiresAt, passport, status } of passports) {
        const now = world.clock.now()
        const agent = await world.store.agent(did)
        const isAllowed = (await world.codes(did)).length === 0
        const isAfter = issuedAfter(issuedAt, agent?.resumedAt ?? 0)
        const isInTime = now < expiresAt + skewSeconds * 1000
        // Of older ones it need not be known any more whether they were released.
        const wanted = isAllowed && isAfter && isInTime
        assert.ok(expiresAt - issuedAt <= passportMostMs)
        const { failed } = await check(passport, status.uri)
        assert.equal(failed.length === 0, wanted, `${did} ${failed} after ${JSON.stringify(one)}`)
        const kids = await world.bridge.revokedFor(status.uri.split('/').at(-1) ?? '', status.idx, issuedAt / 1000)
        if (isInTime) assert.equal(kids.length === 0, wanted, `${did}, as AGT reads it`)
      }
    }
  }
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), run), { numRuns: 20 })
})
