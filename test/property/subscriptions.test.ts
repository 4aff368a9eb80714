import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { topics } from '../../src/engine/bus.ts'
import { watchWorld } from '../engine/watchworld.ts'

const intervalMs = 30_000

const steps = fc.oneof(
  { weight: 3, arbitrary: fc.constant('disable' as const) },
  { weight: 2, arbitrary: fc.constant('lose' as const) },
  { weight: 2, arbitrary: fc.constant('look' as const) },
  { weight: 1, arbitrary: fc.constant('removed' as const) },
  { weight: 1, arbitrary: fc.constant('runOut' as const) },
  { weight: 1, arbitrary: fc.constant('refuse' as const) },
  { weight: 2, arbitrary: fc.constant('interval' as const) },
)

test('whenever a subscription is lost, no disable stays unseen for longer than the interval of the passes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 4, maxLength: 9 }), async (script) => {
      await using it = await watchWorld()
      const { runner, tenant, signal, deps } = it.world
      const names = script.map((_, index) => `u${index}`)
      const dids: string[] = []
      for (const name of names) dids.push(await it.user(name))
      await runner.sync.changes(signal)
      await runner.tender.once(signal)
      const off: string[] = []
      let refusals = 0
      /** What Graph tells of now is heard, as long as there is a subscription to users. */
      const check = async (why: string) => {
        await it.delivered()
        await it.work()
        for (const did of off) assert.ok(await it.isHeld(did), `${did} is not held ${why}`)
        for (const did of dids) if (!off.includes(did)) assert.ok(!(await it.isHeld(did)), `${did} is held ${why}`)
      }
      const users = () => tenant.subscriptions.list.filter(({ resource }) => resource === 'users')
      for (const step of [...script, 'later' as const, 'look' as const, 'interval' as const]) {
        if (step === 'disable') {
          const did = dids[off.length] ?? ''
          const told = users().length > 0
          it.disable(did)
          off.push(did)
          await it.delivered()
          await it.work()
          if (told) assert.ok(await it.isHeld(did), `${did} is not held though Graph told of it`)
        } else if (step === 'lose') {
          for (const { id } of tenant.subscriptions.list) tenant.subscriptions.lose(id)
        } else if (step === 'removed') {
          for (const { id } of users()) tenant.subscriptions.tell(id, 'subscriptionRemoved')
          await it.delivered()
        } else if (step === 'runOut') {
          await it.clock.advance(8 * 24 * 3_600_000)
        } else if (step === 'later') {
          // One just made is believed to be there, listed or not.
          await it.clock.advance(600_000)
        } else if (step === 'refuse') {
          refusals += 1
          tenant.fail(/^POST \/subscriptions/, { status: 503, times: 2 })
        } else if (step === 'look') {
          const rung = deps.bus.count(topics.missed('contoso'))
          await runner.tender.once(signal)
          if (deps.bus.count(topics.missed('contoso')) === rung) continue
          await runner.tender.readAgain(signal)
          await check('after the gap was made up for')
        } else {
          await it.clock.advance(intervalMs)
          await runner.sync.changes(signal)
          await check('a pass later')
        }
      }
      if (refusals === 0) assert.equal(users().length, 1)
    }),
    { numRuns: 8 },
  )
})
