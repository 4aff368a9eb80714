import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { alice, bob, caller, soc, World } from '../engine/harness.ts'

/**
 * The policy on trust scores against a second writing of its rule: random reports of three runtimes on either scale,
 * between restarts, reloads, overrides and holds of others.
 */

const clients = ['agt-1', 'agt-2', 'agt-3'] as const
const dids = ['a', 'b'] as const

type Step =
  | { do: 'report'; client: number; did: number; points: number; scale: '0-1000' | '0-1'; ageMs: number | undefined }
  | { do: 'reload'; limits: readonly [number, number] | undefined }
  | { do: 'restart' }
  | { do: 'override'; did: number }
  | { do: 'suspend' | 'lift'; did: number }
  | { do: 'wait'; ms: number }

const limits = fc
  .tuple(fc.integer({ min: 1, max: 999 }), fc.integer({ min: 2, max: 1000 }))
  .filter(([low, high]) => low < high)
const did = fc.constantFrom(0, 0, 0, 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      // Not evenly, or all three would seldom be above the second threshold.
      client: fc.constantFrom(0, 0, 0, 1, 1, 2),
      did,
      // Around the usual thresholds more often than elsewhere.
      points: fc.oneof(
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 1000 }) },
        { weight: 3, arbitrary: fc.constantFrom(0, 299, 300, 499, 500, 501, 800, 1000) },
      ),
      scale: fc.constantFrom('0-1000' as const, '0-1' as const),
      ageMs: fc.option(fc.nat(5_000), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reload' as const),
      limits: fc.option(fc.oneof(limits, fc.constant([300, 500] as const)), { nil: undefined, freq: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('override' as const), did }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('suspend' as const, 'lift' as const), did }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(4_000) }) },
)

/** What the rule makes of it, in whole thousandths, without a look at the code: who is held, and by whose last word. */
const createExpected = () => {
  const held = new Map<string, boolean>()
  const said = new Map<string, Map<string, { points: number; at: number; counts: boolean }>>()
  return {
    isHeld: (of: string) => held.get(of) === true,
    /** True when the report counts. */
    report: (
      of: string,
      client: string,
      points: number,
      at: number | undefined,
      now: number,
      on?: readonly number[],
    ) => {
      const words = said.get(of) ?? new Map()
      said.set(of, words)
      const before = words.get(client)
      if (at !== undefined && before !== undefined && at < before.at) return false
      words.set(client, { points, at: at ?? now, counts: true })
      const [low, high] = on ?? []
      if (low === undefined || high === undefined) return true
      if (!held.get(of) && points < low) held.set(of, true)
      else if (held.get(of) && [...words.values()].every((word) => !word.counts || word.points >= high))
        held.set(of, false)
      return true
    },
    override: (of: string) => {
      held.set(of, false)
      for (const word of said.get(of)?.values() ?? []) word.counts = false
    },
  }
}

const play = async (steps: readonly Step[]): Promise<void> => {
  const first = { suspendBelow: 300, liftAbove: 500 }
  await using world = await World.open({ policy: { trust: first, killBudget: { max: 10_000, perMs: 1000 } } })
  const agents = await Promise.all(dids.map((id) => world.agent(id, {}, [])))
  const child = await world.agent('child', { parentDid: agents[0] ?? '' }, [])
  const expected = createExpected()
  const others = new Map<string, string[]>(agents.map((agent) => [agent, []]))
  const changes = { placed: 0, released: 0 }
  let on: readonly number[] | undefined = [300, 500]

  const trustHold = async (of: string) => (await world.open(of)).filter(({ origin }) => origin === 'policy:trust')
  for (const one of steps) {
    const agent = 'did' in one ? (agents[one.did] ?? '') : ''
    const before = expected.isHeld(agent)
    if (one.do === 'report') {
      const client = clients[one.client] ?? clients[0]
      const now = world.clock.now()
      const at = one.ageMs === undefined ? undefined : now - one.ageMs
      const counts = expected.report(agent, client, one.points, at, now, on)
      const score = one.scale === '0-1000' ? one.points : Number(`${one.points}e-3`)
      const [answer] = await world.bridge.reportTrust(
        [{ did: agent, score, scale: one.scale, at }],
        caller(client, 'runtime'),
      )
      assert.equal(answer?.status, counts ? 'ok' : 'stale')
      assert.equal(answer?.hold !== undefined, expected.isHeld(agent))
    } else if (one.do === 'reload') {
      on = one.limits
      const policy = { ...world.policy }
      delete policy.trust
      const [suspendBelow, liftAbove] = one.limits ?? []
      const set = suspendBelow !== undefined && liftAbove !== undefined
      world.policy = set ? { ...policy, trust: { suspendBelow, liftAbove } } : policy
    } else if (one.do === 'restart') await world.restart()
    else if (one.do === 'wait') await world.clock.advance(one.ms)
    else if (one.do === 'override') {
      const [hold] = await trustHold(agent)
      if (hold === undefined) continue
      await world.releaseByTwo(agent, hold.id, alice, bob)
      expected.override(agent)
    } else if (one.do === 'suspend') {
      others.get(agent)?.push((await world.bridge.place(agent, { severity: 'suspend', reason: 'r' }, soc)).id)
    } else {
      const id = others.get(agent)?.pop()
      if (id !== undefined) await world.bridge.release(agent, id, 'r', soc)
    }
    if (!before && expected.isHeld(agent)) changes.placed += 1
    if (before && !expected.isHeld(agent)) changes.released += 1

    for (const of of agents) {
      assert.equal((await trustHold(of)).length, expected.isHeld(of) ? 1 : 0, `${of} after ${JSON.stringify(one)}`)
      const rest = (await world.open(of)).filter(({ origin }) => origin !== 'policy:trust').map(({ id }) => id)
      assert.deepEqual(rest.toSorted(), others.get(of)?.toSorted(), 'nothing else is released')
    }
    const [parent = ''] = agents
    assert.equal((await world.open(child)).length > 0, (await world.open(parent)).length > 0, 'descendants follow')
  }
  await onceEach(world, agents, changes)
}

/** Every placing and every release of the policy's holds: one entry of the chain, and one signal of the placing. */
const onceEach = async (
  world: World,
  agents: readonly string[],
  changes: { placed: number; released: number },
): Promise<void> => {
  const holds = (await Promise.all(agents.map((of) => world.store.holdsOf(of, 1_000)))).flat()
  const ours = holds.filter(({ origin }) => origin === 'policy:trust')
  const signals = await world.store.signalsAfter(0, 10_000)
  let released = 0
  for (const hold of ours) {
    const types = (await world.store.audit({ hold: hold.id, limit: 100 })).map(({ type }) => type)
    const ended = hold.releasedAt !== undefined
    if (ended) released += 1
    const told = types.filter((type) => type !== 'release.requested')
    assert.deepEqual(told, ended ? ['hold.placed', 'hold.released'] : ['hold.placed'])
    const about = signals.filter(({ holdId }) => holdId === hold.id).map(({ type }) => type)
    assert.deepEqual(about.slice(0, 1), ['suspended'])
    assert.ok(about.length === 1 || (ended && about.length === 2 && about[1] === 'resumed'))
  }
  assert.deepEqual({ placed: ours.length, released }, changes)
  for (const of of agents) {
    // Told as free exactly as often as its last hold went.
    const own = holds.filter((hold) => hold.did === of)
    const edges = own
      .flatMap(({ id }) => [id])
      .flatMap((id) => signals.filter((signal) => signal.holdId === id))
      .toSorted((a, b) => a.seq - b.seq)
    const last = edges.at(-1)
    const free = (await world.open(of)).length === 0
    if (last !== undefined) assert.equal(last.type === 'resumed', free)
  }
}

test('a trust hold is open exactly when the rule says so, whatever comes between, and releases nothing else', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), play), {
    numRuns: 25,
  })
})
