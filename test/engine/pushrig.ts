import { outletConfigs } from '../../outlets/index.ts'
import { openWebhook } from '../../outlets/webhook.ts'
import type { Outlet } from '../../src/core/outlet.ts'
import { createPushes, lanesOf, type Pusher } from '../../src/engine/pushes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createOutbound, type Outbound } from '../../src/lib/outbound.ts'
import { Death, runtime, World, type WorldOptions } from './harness.ts'
import { Receiver } from './receiver.ts'

export interface RigOptions {
  readonly world?: WorldOptions
  /** Over the configuration of the outlet. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** A world, a receiver and the lanes between them, which take their steps when they are told to. */
export class PushRig implements AsyncDisposable {
  readonly world: World
  readonly receiver: Receiver
  readonly #outbound: Outbound
  readonly #config: Readonly<Record<string, unknown>>
  outlet: Outlet
  lanes: ReturnType<typeof lanesOf>
  pushes: Pusher
  readonly #cut = new AbortController()
  readonly #until = { urgent: 0, rest: 0 }

  private constructor(world: World, receiver: Receiver, config: Readonly<Record<string, unknown>>) {
    this.world = world
    this.receiver = receiver
    this.#config = config
    this.#outbound = createOutbound({ userAgent: 'test', clock: systemClock })
    this.outlet = this.#open({})
    this.lanes = lanesOf(world.deps, this.outlet)
    this.pushes = createPushes(world.deps, [this.outlet])
  }

  static async open({ world: options, config = {} }: RigOptions = {}): Promise<PushRig> {
    const receiver = await Receiver.open()
    const world = await World.open(options)
    world.runtimes = [{ name: runtime.name, labels: undefined }]
    return new PushRig(world, receiver, config)
  }

  #open(more: Readonly<Record<string, unknown>>): Outlet {
    const { url, secrets } = this.receiver
    const base = { name: 'payments', url, secret: secrets, client: runtime.name }
    const config = outletConfigs.webhooks.parse({ ...base, ...this.#config, ...more })
    const log = createLogger({ level: 'silent' })
    return openWebhook(config, { outbound: this.#outbound, clock: systemClock, log, source: 'urn:test' })
  }

  /** As a restart with this configuration does. */
  reopen(more: Readonly<Record<string, unknown>> = {}): void {
    this.#until.urgent = 0
    this.#until.rest = 0
    this.outlet = this.#open(more)
    this.lanes = lanesOf(this.world.deps, this.outlet)
    this.pushes = createPushes(this.world.deps, [this.outlet])
  }

  async restart(): Promise<void> {
    await this.world.restart()
    this.reopen()
  }

  /** Every step of both lanes that can be taken now. The death of the process ends it. */
  async now(most = 500): Promise<number> {
    for (let steps = 0; steps < most; steps++) {
      try {
        const inMs = [await this.#step('urgent'), await this.#step('rest')]
        if (inMs.every((ms) => ms > 0)) return Math.min(...inMs)
      } catch (error) {
        if (!(error instanceof Death)) throw error
        return 0
      }
    }
    throw new Error('the lanes never come to rest')
  }

  /** So many looks of each lane, side by side as in the daemon. */
  async some(looks: number): Promise<void> {
    for (let n = 0; n < looks && !this.world.dead; n++) {
      const both = await Promise.allSettled([this.#step('urgent'), this.#step('rest')])
      for (const one of both) if (one.status === 'rejected' && !(one.reason instanceof Death)) throw one.reason
    }
  }

  /** Unless the lane waits: what wakes it does so at any time here. */
  async #step(name: 'urgent' | 'rest'): Promise<number> {
    const { clock } = this.world
    const waits = this.#until[name] - clock.mono()
    if (waits > 0) return waits
    const { inMs, wakes } = await this.lanes[name].step(this.#cut.signal)
    this.#until[name] = wakes ? 0 : clock.mono() + inMs
    return inMs
  }

  /** The same for so long, with the clock moved from one step to the next. */
  async run(forMs: number): Promise<void> {
    const end = this.world.clock.mono() + forMs
    for (;;) {
      const inMs = await this.now()
      const left = end - this.world.clock.mono()
      if (left <= 0 || this.world.dead) return
      await this.world.clock.advance(Math.max(1, Math.min(inMs, left)))
    }
  }

  state() {
    return this.world.store.outlet('payments')
  }

  async view() {
    const [view] = await this.pushes.outlets()
    if (view === undefined) throw new Error('there is no outlet')
    return view
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cut.abort()
    await this.#outbound.close()
    await this.receiver[Symbol.asyncDispose]()
    await this.world[Symbol.asyncDispose]()
  }
}
