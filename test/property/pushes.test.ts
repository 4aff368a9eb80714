import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { alice, bob, minute, runtime } from '../engine/harness.ts'
import { PushRig } from '../engine/pushrig.ts'
import type { Received, Reply } from '../engine/receiver.ts'
import { receiverOfDocs } from '../outlets/shown.ts'

const agents = ['a', 'b', 'c'] as const
const ends = ['push.answered', 'push.kept', 'kill.committed'] as const

type Step =
  | { readonly do: 'kill' | 'release'; readonly agent: (typeof agents)[number] }
  | { readonly do: 'push'; readonly steps: number }
  | { readonly do: 'answer'; readonly replies: readonly Reply[] }
  | { readonly do: 'die'; readonly at: (typeof ends)[number] }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'forget' }

const agent = fc.constantFrom(...agents)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('kill' as const), agent }),
  fc.record({ do: fc.constant('release' as const), agent }),
  fc.record({ do: fc.constant('push' as const), steps: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    do: fc.constant('answer' as const),
    replies: fc.array(fc.constantFrom<Reply>(204, 400, 500, 503, 'cut'), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ do: fc.constant('die' as const), at: fc.constantFrom(...ends) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1000, minute, 90 * minute) }),
  fc.record({ do: fc.constant('forget' as const) }),
)

const act = async (rig: PushRig, one: Step): Promise<void> => {
  const { world, receiver } = rig
  switch (one.do) {
    case 'kill':
      await world.kill(`did:mesh:${one.agent}`).catch((error: unknown) => {
        if (!world.dead) throw error
      })
      return
    case 'release':
      for (const { id, did } of await world.open(`did:mesh:${one.agent}`)) {
        await world.releaseByTwo(did, id, alice, bob).catch((error: unknown) => {
          if (!world.dead) throw error
        })
      }
      return
    case 'push':
      await rig.some(one.steps)
      return
    case 'answer': {
      let n = 0
      receiver.reply = () => one.replies[n++ % one.replies.length] ?? 204
      return
    }
    case 'die':
      world.dieAt = one.at
      return
    case 'wait':
      await world.clock.advance(one.ms)
      return
    case 'forget':
      await world.store.write((tx) =>
        tx.prune({ signals: world.clock.now() + 1, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }),
      )
  }
}

test('killed at any point, whatever the receiver answers: in the end it has stopped whom the bridge holds, and nobody else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async (steps) => {
      await using rig = await PushRig.open({ config: { giveUpAfter: '1h' } })
      const { world, receiver } = rig
      for (const id of agents) await world.agent(id, {}, ['north'])
      const stopped = new Set<string>()
      const take = await receiverOfDocs({
        secrets: receiver.secrets,
        stop: (did) => void stopped.add(did),
        resume: (did) => void stopped.delete(did),
      })
      receiver.handle = (event: Received) => take(event.id, event)
      for (const one of steps) {
        await act(rig, one)
        if (world.dead) await rig.restart()
      }
      world.dieAt = undefined
      receiver.reply = () => 204
      await rig.run(3 * minute)
      // What was refused waits for its next try, an hour at most.
      await world.clock.advance(60 * minute)
      await rig.run(3 * minute)
      // What died of refusals waits for an operator.
      if ((await rig.view()).dead > 0) {
        await rig.pushes.redeliver('payments', undefined, alice)
        await rig.run(3 * minute)
      }
      const held: string[] = []
      for (const id of agents) if ((await world.open(`did:mesh:${id}`)).length > 0) held.push(`did:mesh:${id}`)
      assert.deepEqual([...stopped].sort(), held)
      assert.partialDeepStrictEqual(await rig.view(), { status: 'ok', waiting: 0, dead: 0 })
      assert.equal(receiver.unsigned.length, 0)
      const holds = (await Promise.all(held.map((did) => world.open(did)))).flat()
      const acked = await world.store.acksOf(holds.map(({ id }) => id))
      assert.deepEqual(
        acked.map(({ client }) => client),
        holds.map(() => runtime.name),
      )
    }),
    { numRuns: 25 },
  )
})
