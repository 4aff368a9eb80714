import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { alice, registrar, soc, World } from '../engine/harness.ts'

/** One agent of a family, by number, under one of its spellings: 0 is the DID it is registered under. */
const whom = fc.record({ agent: fc.nat(2), spelling: fc.nat(2) })
const step = fc.oneof(
  fc.record({ do: fc.constant('kill' as const), whom }),
  fc.record({ do: fc.constant('suspend' as const), whom }),
  fc.record({ do: fc.constant('release' as const), whom }),
  fc.record({ do: fc.constant('killMany' as const), all: fc.array(whom, { minLength: 1, maxLength: 4 }) }),
  fc.record({ do: fc.constant('declare' as const), whom }),
  fc.record({ do: fc.constant('forget' as const), whom }),
)
type Whom = { readonly agent: number; readonly spelling: number }

/**
 * Two families with the same parents: of one every call takes some spelling, of the other the registered DID. What comes
 * for a spelling before it is declared is told to the other family when it is.
 */
class Families {
  readonly #world: World
  readonly #run: number
  readonly #parents: readonly (number | undefined)[]
  readonly #declared = new Map<number, Set<number>>()
  #pending: { whom: Whom; severity: 'kill' | 'suspend' }[] = []

  constructor(world: World, run: number, parents: readonly (number | undefined)[]) {
    this.#world = world
    this.#run = run
    this.#parents = parents
  }

  spelled({ agent, spelling }: Whom): string {
    const name = `x${this.#run}-${agent}`
    return [`did:mesh:${name}`, `did:agentmesh:${name}`, `did:agentmesh:org:${name}`][spelling] ?? ''
  }

  plain(agent: number): string {
    return `did:mesh:y${this.#run}-${agent}`
  }

  #isDeclared({ agent, spelling }: Whom): boolean {
    return spelling === 0 || this.#declared.get(agent)?.has(spelling) === true
  }

  async register(): Promise<void> {
    for (const [agent, parent] of this.#parents.entries()) {
      const [x, y] = [this.spelled({ agent, spelling: 0 }), this.plain(agent)]
      const xs = parent === undefined ? undefined : this.spelled({ agent: parent, spelling: 0 })
      const ys = parent === undefined ? undefined : this.plain(parent)
      await this.#world.bridge.register({ did: x, name: 'n', parentDid: xs }, registrar)
      await this.#world.bridge.register({ did: y, name: 'n', parentDid: ys }, registrar)
    }
  }

  async #hold(did: string, severity: 'kill' | 'suspend'): Promise<void> {
    if (severity === 'kill') await this.#world.bridge.kill({ did, reason: 'r' }, soc)
    else await this.#world.bridge.place(did, { severity, reason: 'r' }, soc)
  }

  async hold(one: Whom, severity: 'kill' | 'suspend'): Promise<void> {
    if (this.#isDeclared(one)) {
      await this.#hold(this.spelled(one), severity)
      await this.#hold(this.plain(one.agent), severity)
    } else if (severity === 'kill') {
      await this.#hold(this.spelled(one), severity)
      this.#pending.push({ whom: one, severity })
    } else await assert.rejects(this.#hold(this.spelled(one), severity), { code: 'E_AGENT_UNKNOWN' })
  }

  async killMany(all: readonly Whom[]): Promise<void> {
    const kill = (dids: string[]) => this.#world.bridge.killMany({ targets: { dids }, reason: 'r' }, 10, soc)
    await kill(all.map((one) => this.spelled(one)))
    const known = [...new Set(all.filter((one) => this.#isDeclared(one)).map(({ agent }) => this.plain(agent)))]
    if (known.length > 0) await kill(known)
    const seen = new Set<string>()
    for (const one of all) {
      if (this.#isDeclared(one) || seen.has(this.spelled(one))) continue
      seen.add(this.spelled(one))
      this.#pending.push({ whom: one, severity: 'kill' })
    }
  }

  /** The oldest suspension of the agent, by its origin. */
  async release(one: Whom): Promise<void> {
    if (!this.#isDeclared(one)) return
    for (const did of [this.spelled(one), this.plain(one.agent)]) {
      const holds = (await this.#world.bridge.holds(did, 100, soc)).items
      const open = holds.filter(({ releasedAt, origin }) => releasedAt === undefined && origin === 'operator:soc')
      const last = open.findLast(({ severity }) => severity === 'suspend')
      if (last !== undefined) assert.ok((await this.#world.bridge.release(did, last.id, 'r', soc)).done)
    }
  }

  async #setAliases(agent: number, declared: ReadonlySet<number>, by: Whom): Promise<void> {
    const aliases = [...declared].map((spelling) => this.spelled({ agent, spelling }))
    await this.#world.bridge.patch(this.spelled(by), { aliases }, alice, undefined)
    this.#declared.set(agent, new Set(declared))
  }

  async declare({ agent, spelling }: Whom): Promise<void> {
    if (spelling === 0 || this.#isDeclared({ agent, spelling })) return
    await this.#setAliases(agent, new Set([...(this.#declared.get(agent) ?? []), spelling]), { agent, spelling: 0 })
    const of = ({ whom: one }: { whom: Whom }) => one.agent === agent && one.spelling === spelling
    for (const { severity } of this.#pending.filter(of)) await this.#hold(this.plain(agent), severity)
    this.#pending = this.#pending.filter((one) => !of(one))
  }

  async forget({ agent, spelling }: Whom): Promise<void> {
    if (spelling === 0 || !this.#isDeclared({ agent, spelling })) return
    const left = new Set([...(this.#declared.get(agent) ?? [])].filter((one) => one !== spelling))
    const held = (await this.#world.open(this.spelled({ agent, spelling: 0 }))).length > 0
    const forgetting = this.#setAliases(agent, left, { agent, spelling })
    if (held) await assert.rejects(forgetting, { code: 'E_HELD' })
    else await forgetting
  }

  async check(): Promise<void> {
    for (const agent of this.#parents.keys()) {
      const mine = this.spelled({ agent, spelling: 0 })
      const wanted = await this.#world.codes(this.plain(agent))
      const open = await this.#told(mine)
      assert.deepEqual(open, await this.#told(this.plain(agent)))
      for (const spelling of [0, 1, 2]) {
        const did = this.spelled({ agent, spelling })
        const { allow, codes, did: named } = await this.#world.bridge.decide({ did })
        if (!this.#isDeclared({ agent, spelling })) {
          assert.equal(allow, false)
          continue
        }
        assert.deepEqual([named, codes], [mine, wanted])
        if (open.length > 0) assert.equal(allow, false)
      }
    }
  }

  async #told(did: string): Promise<string[]> {
    const open = await this.#world.open(did)
    return open.map(({ origin, severity }) => `${origin.replace(/:x(\d+-)/, ':y$1')} ${severity}`).sort()
  }
}

test('whatever spelling is used, it ends as by the DID; none is allowed while another is held', async () => {
  await using world = await World.open()
  let run = 0
  const parent = fc.option(fc.nat(2), { nil: undefined })
  const property = fc.asyncProperty(
    fc.tuple(parent, parent),
    fc.array(step, { minLength: 1, maxLength: 14 }),
    async (parents, steps) => {
      run += 1
      const below = parents.map((one, at) => (one === undefined ? undefined : Math.min(one, at)))
      const families = new Families(world, run, [undefined, ...below])
      await families.register()
      for (const one of steps) {
        if (one.do === 'kill' || one.do === 'suspend') await families.hold(one.whom, one.do)
        else if (one.do === 'release') await families.release(one.whom)
        else if (one.do === 'killMany') await families.killMany(one.all)
        else if (one.do === 'declare') await families.declare(one.whom)
        else await families.forget(one.whom)
        await families.check()
      }
    },
  )
  await fc.assert(property, { numRuns: 30 })
  assert.ok((await world.bridge.verifyAudit()).ok)
})
