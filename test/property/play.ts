import assert from 'node:assert/strict'
import { BridgeError } from '../../src/core/errors.ts'
import type { Hold } from '../../src/core/types.ts'
import type { PrincipalInput } from '../../src/engine/agentapi.ts'
import type { SignalFrame } from '../../src/engine/api.ts'
import {
  alice,
  bob,
  caller,
  carol,
  Death,
  dave,
  minute,
  type Name,
  names,
  policyOf,
  registrar,
  runtime,
  second,
  soc,
  World,
} from '../engine/harness.ts'
import { type AgentName, accountOf, agents, type Command, homes, type Setting, sharedId } from './model.ts'

const didOf = (agent: string): string => `did:mesh:${agent}`
const followers = { name: 'consumer', held: new Set<string>() }

/** Plays commands against one world and keeps, beside it, what must be true of it. */
export class Play implements AsyncDisposable {
  readonly world: World
  readonly setting: Setting
  /** Holds of runtimes and operators that were acknowledged and not released by whoever may. */
  readonly acknowledged = new Set<string>()
  readonly released = new Set<string>()
  /** Times (monotonic) at which somebody else held an account off: [from, until). */
  readonly foreign = new Map<string, { from: number; until: number }[]>()
  readonly held = new Set<string>()
  position: string | undefined
  /** The wall clock jumped: times in the store and in the directories' logs do not compare any more. */
  jumped = false
  /** Calls that were started and are still under way, as the loops of the daemon run beside each other. */
  readonly #running = new Map<string, Promise<unknown>>()
  readonly #racing: boolean
  #deliveries = 0
  #patches = 0

  private constructor(world: World, setting: Setting, racing: boolean) {
    this.world = world
    this.#racing = racing
    this.setting = setting
  }

  static async open(setting: Setting, racing = false): Promise<Play> {
    const { resume, drift, guardMax } = setting
    const guard = {
      ...policyOf().guard,
      suspend: { max: guardMax, percent: 100 },
      resume: { max: guardMax, percent: 100 },
    }
    const world = await World.open({
      policy: { resume, drift, guard },
      adapters: { south: { logless: setting.logless, settings: { mirror: setting.south } } },
    })
    const play = new Play(world, setting, racing)
    if (setting.sharing.length > 0) world.north.add({ id: sharedId })
    for (const agent of agents) await play.#register(agent)
    for (const at of names) world.directories[at].latencyMs = racing ? 700 : 0
    return play
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }

  async play(command: Command): Promise<void> {
    const before = new Set(await this.#openIds())
    try {
      await this.#one(command)
    } catch (error) {
      if (!(error instanceof Death) && !(error instanceof BridgeError)) throw error
    }
    if (this.world.dead) {
      await this.#landed()
      await this.world.restart()
    }
    this.#note()
    await this.#always()
    if (command.do === 'repeat' || command.do === 'patch' || command.do === 'restart') {
      const after = new Set(await this.#openIds())
      for (const id of before) assert.ok(after.has(id), `I10: ${command.do} ended the hold ${id}`)
    }
  }

  async #one(command: Command): Promise<void> {
    const { world } = this
    switch (command.do) {
      case 'kill':
        this.acknowledged.add((await world.kill(didOf(command.agent))).holdId)
        return
      case 'suspend':
        this.acknowledged.add(
          (await world.bridge.place(didOf(command.agent), { severity: 'suspend', reason: 'r' }, soc)).id,
        )
        return
      case 'repeat':
        return this.#register(command.agent)
      case 'leave':
      case 'join':
        return this.#share(command.agent, command.do === 'join')
      case 'patch': {
        const did = didOf(command.agent)
        const engaged = (await world.open(did)).length > 0
        const labels = { n: String(++this.#patches) }
        // Unmapping what is held is refused whole (rule 12), and so shrinks nothing.
        await world.bridge.patch(did, engaged ? { labels, principals: [] } : { labels }, registrar, undefined)
        return
      }
      case 'release':
        return this.#release(command.agent, command.by)
      case 'guard':
        return this.#guard(command.at, command.what)
      case 'flip':
        world.directories[command.at].set(this.#id(command), command.on)
        return
      case 'vendor':
        world.directories[command.at].setVendor(this.#id(command), command.on ? 'on' : 'off')
        return
      case 'hint':
        await world.ring(command.at, { delivery: `d${this.#deliveries++ - command.n}`, principal: this.#id(command) })
        return
      case 'poll':
        return this.#start(`sync ${command.at}`, () => world.runner(command.at).sync.changes(world.signal))
      case 'full':
        return this.#start(`sync ${command.at}`, () => world.runner(command.at).sync.full(world.signal))
      case 'suspendOnce':
        return this.#start(`suspend ${command.at}`, async () => {
          await world.runner(command.at).mirror.suspendOnce(world.signal)
          if (!this.#racing) await world.runner(command.at).mirror.drained()
        })
      case 'workOnce':
        return this.#start(`work ${command.at}`, () => world.runner(command.at).mirror.workOnce(world.signal))
      case 'lag':
        world.directories[command.at].lagMs = command.ms
        return
      case 'logLag':
        world.directories[command.at].logLagMs = command.ms
        return
      case 'unreadable':
        world.directories[command.at].reads.add({ mode: 'unreadable', id: this.#id(command), times: 2 })
        return
      case 'down':
        world.directories[command.at].reads.add({ mode: 'down', times: 2 })
        return
      case 'logDown':
        world.directories[command.at].logFaults.add({ mode: 'down', times: 1 })
        return
      case 'write':
        world.directories[command.at].writes.add({
          mode: command.mode,
          id: this.#id(command),
          times: 1,
          afterMs: 20 * second,
          retryAfterMs: 5 * second,
        })
        return
      case 'advance':
        await world.clock.advance(command.ms)
        await turns()
        return
      case 'run':
        if (this.#racing) await this.#race(Math.min(command.ms, minute))
        else await world.run(command.ms)
        return
      case 'jump':
        this.jumped = true
        world.clock.jump(command.ms)
        return
      case 'restart':
        await this.#landed()
        await world.restart()
        return
      case 'die':
        world.dieAt = command.point
    }
  }

  #id({ agent, at }: { agent: AgentName; at: Name }): string {
    return accountOf(this.setting, at, agent)
  }

  #principals(agent: AgentName, shares: boolean): PrincipalInput[] {
    return homes[agent]
      .map((adapter) => ({ adapter, id: this.#id({ agent, at: adapter }), kind: 'account' }))
      .map((one) => (one.id === sharedId ? { ...one, shared: true } : one))
      .filter(({ id }) => shares || id !== sharedId)
  }

  async #register(agent: AgentName): Promise<void> {
    const parent = agent === 'c' ? { parentDid: didOf('p') } : {}
    await this.world.agent(agent, { ...parent, principals: this.#principals(agent, true) }, homes[agent])
  }

  async #share(agent: AgentName, joins: boolean): Promise<void> {
    if (!this.setting.sharing.includes(agent)) return
    await this.world.bridge.patch(didOf(agent), { principals: this.#principals(agent, joins) }, registrar, undefined)
  }

  /** One of each kind at a time, as in a loop. */
  async #start(kind: string, work: () => Promise<unknown>): Promise<void> {
    if (!this.#racing) {
      await work()
      return
    }
    if (this.#running.has(kind)) return
    const done = work()
      .catch((error: unknown) => {
        if (!(error instanceof Death) && !(error instanceof BridgeError)) throw error
      })
      .finally(() => this.#running.delete(kind))
    this.#running.set(kind, done)
    await turns()
  }

  /** All loops at once, while the clock moves in small steps. */
  async #race(forMs: number): Promise<void> {
    for (let at = 0; at < forMs && !this.world.dead; at += 400) {
      for (const name of names) {
        await this.#one({ do: 'suspendOnce', at: name })
        await this.#one({ do: 'workOnce', at: name })
      }
      await this.world.clock.advance(400)
      await turns()
    }
  }

  /** Lets everything that is under way come to its end. */
  async #landed(): Promise<void> {
    for (let steps = 0; this.#running.size > 0 || this.world.clock.sleeping > 0; steps++) {
      if (steps > 500) throw new Error('something never ends')
      await this.world.clock.advance(400)
      await turns()
    }
  }

  async #release(agent: AgentName, by: 'origin' | 'two' | 'approvers'): Promise<void> {
    const { world } = this
    const did = didOf(agent)
    for (const hold of await world.open(did)) {
      if (by === 'origin' && hold.severity === 'suspend' && hold.origin.startsWith('operator:')) {
        this.released.add(hold.id)
        await world.bridge.release(did, hold.id, 'r', caller(hold.origin.slice('operator:'.length), 'responder'))
      } else if (by === 'two' && hold.severity === 'kill' && hold.origin.startsWith('runtime:')) {
        this.released.add(hold.id)
        await world.releaseByTwo(did, hold.id, alice, bob)
      } else if (by === 'approvers' && hold.releasableAt !== undefined) {
        this.released.add(hold.id)
        await world.releaseByTwo(did, hold.id, carol, dave)
      } else if (by === 'two' && hold.origin.startsWith('adapter:') && hold.releasableAt === undefined) {
        this.released.add(hold.id)
        await world.releaseByTwo(did, hold.id, alice, bob)
      }
    }
  }

  /** `stale`: the second person comes with the hash that the first one left, whatever was seen since. */
  async #guard(at: Name, what: 'first' | 'both' | 'stale' | 'tend'): Promise<void> {
    const { world } = this
    if (what === 'tend') return world.runner(at).guard()
    const view = await world.bridge.guard(at)
    for (const { approval, plan } of [view.suspend, view.resume]) {
      const hash = what === 'stale' ? approval?.hash : plan?.hash
      if (hash === undefined) continue
      for (const { holdId } of plan?.rows ?? []) this.released.add(holdId)
      if (what !== 'stale') await world.bridge.approveGuard(at, hash, carol)
      if (what !== 'first') await world.bridge.approveGuard(at, hash, dave)
    }
  }

  async #openIds(): Promise<string[]> {
    const ids: string[] = []
    for (const agent of agents) for (const { id } of await this.world.open(didOf(agent))) ids.push(id)
    return ids
  }

  /** What somebody else holds off in truth, as it is now. */
  #note(): void {
    const { world } = this
    const now = world.clock.mono()
    for (const at of names) {
      for (const agent of agents) {
        if (!homes[agent].includes(at)) continue
        const id = this.#id({ agent, at })
        const key = `${at}/${id}`
        const list = this.foreign.get(key) ?? []
        this.foreign.set(key, list)
        const last = list.at(-1)
        const open = last !== undefined && last.until === Number.POSITIVE_INFINITY
        const off = this.foreignOff(at, id)
        if (off && !open) list.push({ from: now, until: Number.POSITIVE_INFINITY })
        if (!off && last !== undefined && open) last.until = now
      }
    }
  }

  /** Off, and not by the bridge: a vendor switch, or a switch-off that the log gives to somebody else. */
  foreignOff(at: Name, id: string): boolean {
    const directory = this.world.directories[at]
    const vendor = directory.current(id)?.vendor === 'off'
    if (vendor || directory.enabled(id)) return vendor
    const last = directory.history.findLast((entry) => entry.id === id)
    return last !== undefined && last.action === 'disable' && !last.ours
  }

  async #always(): Promise<void> {
    const { world } = this
    assert.deepEqual(world.violations, [])
    for (const agent of agents) {
      const did = didOf(agent)
      const open = await world.open(did)
      const codes = await world.codes(did)
      assert.equal(codes.includes('R_SUSPENDED'), open.length > 0, `decision of ${did}`)
      const ids = new Set(open.map(({ id }) => id))
      for (const hold of await world.store.holdsOf(did, 1_000)) {
        const ours = /^(runtime|operator):/.test(hold.origin)
        if (this.acknowledged.has(hold.id) && !this.released.has(hold.id)) {
          assert.ok(ids.has(hold.id), `I1: the hold ${hold.id} is gone`)
        }
        if (ours && hold.releasedAt !== undefined) assert.ok(this.released.has(hold.id), `I3: ${hold.id} was released`)
        if (hold.origin.startsWith('adapter:') && !(await this.#joined(hold))) {
          this.#checkOwn(hold.origin, hold.placedAt, hold.evidence['cause'])
        }
      }
    }
  }

  /** Who comes to share an account is held with those that are. */
  async #joined(hold: Hold): Promise<boolean> {
    if (hold.origin !== `adapter:north/${sharedId}`) return false
    for (const agent of agents) {
      for (const { id, origin, placedAt, releasedAt } of await this.world.store.holdsOf(didOf(agent), 1_000)) {
        const open = placedAt < hold.placedAt && (releasedAt ?? hold.placedAt) >= hold.placedAt
        if (id !== hold.id && origin === hold.origin && open) return true
      }
    }
    return false
  }

  /** I4, I8: an own hold needs somebody else to have switched the account off lately. */
  #checkOwn(origin: string, placedAt: number, cause: unknown): void {
    if (cause === 'unproven') return
    const key = origin.slice('adapter:'.length)
    assert.notEqual(cause, 'deleted', `${key} was never deleted`)
    const mono = placedAt - (this.world.clock.now() - this.world.clock.mono())
    const { foreign } = this
    const since = mono - 8 * minute
    const some = (foreign.get(key) ?? []).some(({ from, until }) => from <= mono && until >= since)
    if (!this.jumped) assert.ok(some, `I4: ${key} was held though nobody else had switched it off`)
  }

  /** Faults end; everybody answers; the clock runs. */
  async calm(): Promise<void> {
    const { world } = this
    world.dieAt = undefined
    await this.#landed()
    for (const at of names) {
      const directory = world.directories[at]
      directory.latencyMs = 0
      for (const faults of [directory.reads, directory.writes, directory.feed, directory.logFaults]) faults.clear()
      directory.lagMs = 0
      directory.logLagMs = 0
    }
    await this.#rest()
    for (let round = 0; round < 6 && (await this.#approveGuards()); round++) await this.#rest()
  }

  async #rest(): Promise<void> {
    await this.world.full()
    await this.world.settleAll(90 * minute)
    await this.world.full()
    await this.world.settleAll(30 * minute)
    this.#note()
  }

  async #approveGuards(): Promise<boolean> {
    let some = false
    for (const at of names) {
      const view = await this.world.bridge.guard(at)
      for (const { plan } of [view.suspend, view.resume]) {
        if (plan === undefined) continue
        some = true
        for (const { holdId } of plan.rows) this.released.add(holdId)
        await this.world.bridge.approveGuard(at, plan.hash, carol)
        await this.world.bridge.approveGuard(at, plan.hash, dave)
      }
    }
    return some
  }

  /** Reads the stream from where the consumer stood, or from the given position. */
  async consume(held: Set<string>, from: string | undefined): Promise<string | undefined> {
    const { world } = this
    const head = (await world.store.signalRange()).head
    let position = from
    if (position !== undefined && Number(position.split('-')[1]) >= head) return position
    const stop = new AbortController()
    for await (const frame of world.bridge.signals(caller(followers.name, 'runtime'), position, stop.signal)) {
      fold(held, frame)
      position = frame.id
      if (Number(frame.id.split('-')[1]) >= head) break
    }
    stop.abort()
    return position
  }
}

/** Lets what was woken run as far as it can without the clock. */
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 12; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

const fold = (held: Set<string>, frame: SignalFrame): void => {
  const data = frame.data
  if (typeof data !== 'object' || data === null) return
  if (frame.event === 'snapshot' && 'held' in data && Array.isArray(data.held)) {
    held.clear()
    for (const { did } of data.held) held.add(String(did))
  }
  if (!('did' in data)) return
  if (frame.event === 'suspended') held.add(String(data.did))
  if (frame.event === 'resumed') held.delete(String(data.did))
}

export { didOf, runtime }
