import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '../../src/lib/clock.ts'
import { AgtClientError } from './errors.ts'
import type { Settings } from './options.ts'
import type { KillContextLike, KillResultLike, KillSwitchLike } from './sdk.ts'

/** A kill that answers a hold of the bridge. What its handlers kill in turn answers it too. */
export interface Answering {
  readonly holdId: string
  /** False once the handlers are through: what they left running kills for reasons of its own. */
  active: boolean
}

/** What a later SDK may take beside these is passed on. */
export type Kill = (agentId: string, context: KillContextLike, ...rest: unknown[]) => Promise<KillResultLike>

const label = 'idp-bridge.hold'

/** Fires the kill switches of this process for the bridge, each once for an agent until it is released. */
export class Firing {
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #ids: (did: string) => readonly string[]
  readonly #context = new AsyncLocalStorage<Answering>()
  readonly #originals = new Map<KillSwitchLike, Kill>()
  readonly #fired = new Map<string, Map<KillSwitchLike, Set<string>>>()

  constructor(settings: Settings, clock: Clock, ids: (did: string) => readonly string[]) {
    this.#settings = settings
    this.#clock = clock
    this.#ids = ids
  }

  /** The bridge's hold that the running code answers; undefined when it runs for another reason. */
  get answering(): Answering | undefined {
    const answering = this.#context.getStore()
    return answering?.active === true ? answering : undefined
  }

  /** How the kill switch kills without us. */
  use(killSwitch: KillSwitchLike, original: Kill): void {
    this.#originals.set(killSwitch, original)
  }

  /** Fired, by whomever: once is enough. */
  note(did: string, killSwitch: KillSwitchLike, id: string): void {
    const switches = this.#fired.get(did) ?? new Map<KillSwitchLike, Set<string>>()
    const ids = switches.get(killSwitch) ?? new Set<string>()
    ids.add(id)
    switches.set(killSwitch, ids)
    this.#fired.set(did, switches)
  }

  /** It failed, and may be fired again. */
  unnote(did: string, killSwitch: KillSwitchLike, id: string): void {
    this.#fired.get(did)?.get(killSwitch)?.delete(id)
  }

  /** Two spellings are one agent: what was fired under either was. */
  rename(alias: string, did: string): void {
    const switches = this.#fired.get(alias)
    this.#fired.delete(alias)
    for (const [killSwitch, ids] of switches ?? []) for (const id of ids) this.note(did, killSwitch, id)
  }

  /** The agent was released: the next hold fires anew. */
  forget(did: string): void {
    this.#fired.delete(did)
  }

  /**
   * Resolves when every handler has run.
   * @throws AgtClientError E_HANDLER one of them threw; those that did not are not run again
   */
  async fire(did: string, holdId: string): Promise<void> {
    const runs: Promise<void>[] = []
    for (const [killSwitch, original] of this.#originals) {
      for (const id of this.#ids(did)) {
        if (this.#fired.get(did)?.get(killSwitch)?.has(id)) continue
        this.note(did, killSwitch, id)
        runs.push(this.#run(did, holdId, killSwitch, id, original))
      }
    }
    const settled = await Promise.allSettled(runs)
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed !== undefined) {
      const text = 'A handler of the kill switch failed; it is run again.'
      throw new AgtClientError('E_HANDLER', text, { cause: failed.reason, did })
    }
  }

  async #run(did: string, holdId: string, killSwitch: KillSwitchLike, id: string, original: Kill): Promise<void> {
    const answering: Answering = { holdId, active: true }
    const watch = new AbortController()
    this.#watch(did, watch.signal).catch(() => undefined)
    try {
      // The operators' words stay out of the agent's process: its history can be read by the agent.
      const context = { action: label, reason: `held by the identity bridge (hold ${holdId})`, inResponseTo: holdId }
      await this.#context.run(answering, () => original(id, context))
    } catch (error) {
      this.unnote(did, killSwitch, id)
      throw error
    } finally {
      answering.active = false
      watch.abort()
    }
  }

  async #watch(did: string, signal: AbortSignal): Promise<void> {
    const { handlerTimeoutMs, report } = this.#settings
    await this.#clock.sleep(handlerTimeoutMs, signal)
    const text = `Handlers of the kill switch have not settled in ${handlerTimeoutMs} ms; the hold stays unacknowledged.`
    report(new AgtClientError('E_HANDLER_SLOW', text, { did }))
  }
}
