import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import fc from 'fast-check'
import { covers } from '../../src/core/covers.ts'
import { mostHops } from '../../src/core/delegation.ts'
import { tellDelegations } from '../../src/engine/expiring.ts'
import { registrar, second, World } from '../engine/harness.ts'

/** All that is granted or asked for. Between any two of them one covers the other or they have nothing in common. */
const universe = ['*', 'read:*', 'read:x', 'read:x:*', 'read:x:eu', 'read:y', 'write:*', 'write:z']
const ofGroup = ['read:*', 'write:z']
const some = fc.subarray(universe, { maxLength: 4 })
const until = fc.option(
  fc.integer({ min: 1, max: 40 }).map((seconds) => seconds * second),
  { nil: undefined },
)
const grant = fc.record({ capabilities: some, expiresInMs: until })
/** Counted from the newest agent on, so that chains grow long. */
const which = fc.oneof({ weight: 2, arbitrary: fc.nat(2) }, fc.nat(20))

type Grant = { capabilities: string[]; expiresInMs: number | undefined }
type Step =
  | { do: 'register'; under: number | undefined; manual: string[]; grant: Grant | undefined }
  | { do: 'manual'; of: number; names: string[] }
  | { do: 'grant'; of: number; grant: Grant | undefined }
  | { do: 'move'; of: number; under: number | undefined }
  | { do: 'group'; members: number[] }
  | { do: 'advance'; ms: number }
  | { do: 'tell' }
  | { do: 'restart' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('register'),
      under: fc.option(which, { nil: undefined, freq: 8 }),
      manual: some,
      grant: fc.option(grant, { nil: undefined, freq: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('manual'), of: which, names: some }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('grant'), of: which, grant: fc.option(grant, { nil: undefined }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('move'), of: which, under: fc.option(which, { nil: undefined }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('group'), members: fc.array(fc.nat(20), { maxLength: 4 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.integer({ min: 1, max: 30_000 }) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'tell' }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' }) },
)

interface Modelled {
  readonly did: string
  parent: Modelled | undefined
  manual: readonly string[]
  grouped: boolean
  grant: { capabilities: readonly string[]; expiresAt: number | undefined } | undefined
}

/** The definition, straight from the contract: has it itself, and so has everyone above; and nothing on the way is over. */
const has = (agent: Modelled, name: string, now: number): boolean => {
  const { grant, grouped, manual, parent } = agent
  if (grant?.expiresAt !== undefined && grant.expiresAt <= now) return false
  const own = [...manual, ...(grouped ? ofGroup : []), ...(grant?.capabilities ?? [])]
  return own.some((one) => covers(one, name)) && (parent === undefined || has(parent, name, now))
}
const depthOf = (agent: Modelled): number => (agent.parent === undefined ? 0 : 1 + depthOf(agent.parent))
const isUnder = (agent: Modelled, above: Modelled): boolean =>
  agent === above || (agent.parent !== undefined && isUnder(agent.parent, above))

/** One world beside its model. */
class Run {
  readonly world: World
  readonly agents: Modelled[] = []
  /** The list that runtimes were told last, by DID. */
  readonly told = new Map<string, readonly string[]>()
  #signals = 0
  #entries = 0
  constructor(world: World) {
    this.world = world
  }

  pick(n: number | undefined): Modelled | undefined {
    return n === undefined ? undefined : this.agents[this.agents.length - 1 - (n % Math.max(1, this.agents.length))]
  }

  get now(): number {
    return this.world.clock.now()
  }

  /** What must come of a grant by this parent; undefined: accepted. */
  #refusal(parent: Modelled | undefined, given: Grant | undefined): string | undefined {
    if (given === undefined) return undefined
    if (parent === undefined) return 'E_VALIDATION'
    return given.capabilities.every((name) => has(parent, name, this.now)) ? undefined : 'E_WIDENING'
  }

  #body(given: Grant | undefined) {
    if (given === undefined) return null
    const { capabilities, expiresInMs } = given
    return { capabilities, ...(expiresInMs && { expiresAt: new Date(this.now + expiresInMs).toISOString() }) }
  }

  #granted(given: Grant | undefined): Modelled['grant'] {
    if (given === undefined) return undefined
    const { capabilities, expiresInMs } = given
    return { capabilities, expiresAt: expiresInMs === undefined ? undefined : this.now + expiresInMs }
  }

  /** True when it was done; a refusal must be the expected one. */
  async #attempt(wanted: string | undefined, work: Promise<unknown>): Promise<boolean> {
    if (wanted === undefined) {
      await work
      return true
    }
    await assert.rejects(work, { code: wanted })
    return false
  }

  async play(one: Step): Promise<void> {
    const { world } = this
    const patch = (did: string, what: Readonly<Record<string, unknown>>) =>
      world.bridge.patch(did, what, registrar, undefined)
    if (one.do === 'register') {
      const parent = this.pick(one.under)
      const id = `a${this.agents.length}`
      const input = { parentDid: parent?.did ?? null, capabilities: one.manual, delegation: this.#body(one.grant) }
      const tooDeep = parent !== undefined && depthOf(parent) + 1 > mostHops ? 'E_DEPTH' : undefined
      // Without a parent nobody can have granted anything: found before all else.
      const wanted = (parent === undefined ? undefined : tooDeep) ?? this.#refusal(parent, one.grant)
      const grant = this.#granted(one.grant)
      if (!(await this.#attempt(wanted, world.agent(id, input, ['north'])))) return
      this.agents.push({ did: `did:mesh:${id}`, parent, manual: one.manual, grouped: false, grant })
    } else if (one.do === 'manual') {
      const agent = this.pick(one.of)
      if (agent === undefined) return
      await patch(agent.did, { capabilities: one.names })
      agent.manual = one.names
    } else if (one.do === 'grant') {
      const agent = this.pick(one.of)
      if (agent === undefined) return
      const grant = this.#granted(one.grant)
      const wanted = this.#refusal(agent.parent, one.grant)
      const same = grant !== undefined && JSON.stringify(normal(grant)) === JSON.stringify(normal(agent.grant))
      if (!(await this.#attempt(same ? undefined : wanted, patch(agent.did, { delegation: this.#body(one.grant) }))))
        return
      agent.grant = grant
    } else if (one.do === 'move') {
      const agent = this.pick(one.of)
      const parent = this.pick(one.under)
      if (agent === undefined || agent.parent === parent) return
      const below = this.agents.filter((other) => isUnder(other, agent))
      const height = Math.max(...below.map(depthOf)) - depthOf(agent)
      const cycle = parent !== undefined && isUnder(parent, agent) ? 'E_CYCLE' : undefined
      const deep = parent !== undefined && depthOf(parent) + 1 + height > mostHops ? 'E_DEPTH' : undefined
      if (!(await this.#attempt(cycle ?? deep, patch(agent.did, { parentDid: parent?.did ?? null })))) return
      agent.parent = parent
      agent.grant = undefined
    } else if (one.do === 'group') {
      const members = new Set(one.members.map((n) => this.pick(n)))
      world.north.setGroup(
        'g',
        [...members].flatMap((agent) => (agent ? [agent.did.slice('did:mesh:'.length)] : [])),
      )
      // Twice past settle: a group of three or more that turns empty is believed at the second look.
      await world.runner('north').groups.sync(world.signal)
      await world.clock.advance(20 * second)
      await world.runner('north').groups.sync(world.signal)
      for (const agent of this.agents) agent.grouped = members.has(agent)
    } else if (one.do === 'advance') await world.clock.advance(one.ms)
    else if (one.do === 'tell') await tellDelegations(world.deps)
    else await world.restart()
  }

  async check(one: Step): Promise<void> {
    const { world } = this
    const say = () => JSON.stringify({ after: one, agents: this.agents.map((a) => ({ ...a, parent: a.parent?.did })) })
    const signals = (await world.store.signalsAfter(this.#signals, 9_999)).filter(({ type }) => type === 'capabilities')
    const entries = (await world.store.audit({ after: this.#entries, limit: 9_999 })).filter(
      ({ type }) => type === 'capabilities.changed',
    )
    assert.deepEqual(
      entries.map(({ did, capabilities }) => [did, capabilities]).sort(),
      signals.map(({ did, capabilities }) => [did, capabilities]).sort(),
      `one entry for each signal: ${say()}`,
    )
    this.#signals = (await world.store.signalRange()).head
    this.#entries = (await world.store.auditHead()).seq
    for (const { did, capabilities } of signals) {
      assert.notDeepEqual(this.told.get(did) ?? [], capabilities, `${did} was told what it was told before: ${say()}`)
      this.told.set(did, capabilities ?? [])
    }
    const lists = new Map<string, readonly string[]>()
    for (const agent of this.agents) {
      const { effective, depth } = await world.bridge.agent(agent.did, registrar)
      lists.set(agent.did, effective)
      assert.equal(depth, depthOf(agent), say())
      for (const name of universe) {
        const given = effective.some((held) => covers(held, name))
        assert.equal(given, has(agent, name, this.now), `${agent.did} ${name}: ${say()}`)
      }
      const over = (of: Modelled): boolean =>
        (of.grant?.expiresAt !== undefined && of.grant.expiresAt <= this.now) ||
        (of.parent !== undefined && over(of.parent))
      const { codes } = await world.bridge.decide({ did: agent.did })
      assert.deepEqual(codes, over(agent) ? ['R_DELEGATION'] : [], `${agent.did}: ${say()}`)
      // An end that was not told yet leaves an empty list; any other list was told.
      if (effective.length > 0 || one.do === 'tell') {
        assert.deepEqual(this.told.get(agent.did) ?? [], effective, `${agent.did} was told something else: ${say()}`)
      }
    }
    for (const { did, parent } of this.agents) {
      if (parent === undefined) continue
      const above = lists.get(parent.did) ?? []
      const wider = lists.get(did)?.filter((name) => !above.some((held) => covers(held, name)))
      assert.deepEqual(wider, [], `${did} has more than its parent: ${say()}`)
    }
  }
}

const normal = (grant: Modelled['grant']) => grant && [[...new Set(grant.capabilities)].sort(), grant.expiresAt ?? null]

test('I6, rule 10: nobody has more than its parent at any moment, and every change is told once', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 40 }), async (steps) => {
    await using world = await World.open({ adapters: { north: { settings: { groups: { g: ofGroup } } } } })
    world.north.setGroup('g', [])
    const run = new Run(world)
    for (const one of steps) {
      await run.play(one)
      await run.check(one)
    }
    const last: Step = { do: 'tell' }
    await run.play(last)
    await run.check(last)
    assert.equal((await world.bridge.verifyAudit()).ok, true)
  })
  await fc.assert(property, { numRuns: Number(env['FC_RUNS'] ?? 40) })
})
