import assert from 'node:assert/strict'
import { Provisioning } from '../../sandbox/provisioning.ts'
import type { Policy } from '../../src/engine/deps.ts'
import { type AdapterOptions, minute, type Name, World } from './harness.ts'

export const service = 'scim'
export const withinMs = 60 * minute

/** A follower with a log of who changed what, as Okta keeps one, and one without, as Identity Center. */
export const followers = { okta: false, 'identity-center': true } as const
export type Follower = keyof typeof followers

export interface LinkOptions {
  readonly follower?: Follower
  readonly resume?: Policy['resume']
  /** East follows south. */
  readonly chain?: boolean
  readonly agents?: readonly string[]
}

/** North provisions south, and south provisions east where there is a chain: cycles are run by hand. */
export class Linked implements AsyncDisposable {
  readonly world: World
  readonly scim: Provisioning
  readonly second: Provisioning | undefined
  readonly agents: readonly string[]
  readonly where: readonly Name[]

  private constructor(world: World, agents: readonly string[], chain: boolean) {
    this.world = world
    this.agents = agents
    this.where = chain ? ['north', 'south', 'east'] : ['north', 'south']
    const { north, south, east } = world.directories
    const accounts = new Map(agents.map((id) => [id, id]))
    this.scim = new Provisioning({
      source: directorySide(north),
      target: directorySide(south),
      accounts,
      actor: service,
    })
    if (chain) {
      this.second = new Provisioning({
        source: directorySide(south),
        target: directorySide(east),
        accounts,
        actor: service,
      })
    }
  }

  static async open({ follower = 'okta', resume = 'automatic', chain = false, agents = ['a'] }: LinkOptions = {}) {
    const follows = (leader: string): AdapterOptions => ({
      logless: followers[follower],
      settings: { follows: leader, followWithinMs: withinMs, trustedWriters: [service] },
    })
    const world = await World.open({
      policy: { resume },
      adapters: { south: follows('north'), ...(chain && { east: follows('south') }) },
    })
    const where: Name[] = chain ? ['north', 'south', 'east'] : ['north', 'south']
    for (const id of agents) await world.agent(id, {}, where)
    await world.clock.advance(minute)
    return new Linked(world, agents, chain)
  }

  /** One cycle of each service, the later one last. */
  provision(): void {
    this.scim.run()
    this.second?.run()
  }

  /** Everybody reads, works and provisions until long after nothing moves. */
  async rest(): Promise<void> {
    for (let cycle = 0; cycle < 4; cycle++) {
      await this.world.settleAll(10 * minute)
      this.provision()
      await this.world.settleAll(20 * minute)
    }
    await this.world.settleAll(3 * withinMs)
  }

  on(id = 'a'): boolean[] {
    return this.where.map((name) => this.world.directories[name].enabled(id))
  }

  async origins(id = 'a'): Promise<string[]> {
    return this.world.origins(`did:mesh:${id}`)
  }

  /** All on, nothing held, nothing claimed: as if nothing had happened. */
  async assertFree(id = 'a'): Promise<void> {
    assert.deepEqual(await this.origins(id), [])
    assert.ok(
      this.on(id).every((on) => on),
      `off: ${JSON.stringify(this.on(id))}`,
    )
    for (const name of this.where) assert.equal((await this.world.account(name, id)).mark, 'none')
    assert.deepEqual(this.world.violations, [])
  }

  /** Every own hold there ever was, by origin. */
  async ownHolds(id = 'a'): Promise<string[]> {
    const all = await this.world.store.holdsOf(`did:mesh:${id}`, 1_000)
    return all.filter(({ origin }) => origin.startsWith('adapter:')).map(({ origin }) => origin)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

const directorySide = (directory: World['north']) => ({
  enabled: (id: string) => directory.enabled(id),
  set: (id: string, enabled: boolean, actor: string) => directory.set(id, enabled, actor),
})
