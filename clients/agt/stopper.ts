import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Contact } from './contact.ts'
import { AgtClientError, type Report } from './errors.ts'
import type { Firing } from './firing.ts'
import type { Answer, Http } from './http.ts'
import type { Known, KnownHold } from './known.ts'
import type { Targets } from './targets.ts'

export interface StopperParts {
  readonly http: Http
  readonly known: Known
  readonly contact: Contact
  readonly targets: Targets
  readonly firing: Firing
  readonly clock: Clock
  readonly random: () => number
  readonly report: Report
  readonly killFrom: 'suspend' | 'kill'
  /** Acknowledged: worth remembering. */
  readonly acked: () => void
}

const backoff = { baseMs: 1_000, ceilingMs: 60_000 }
const ackTimeoutMs = 10_000
/** A snapshot may hold thousands: their acknowledgements take turns, the stops themselves do not. */
const acksAtOnce = 4

/**
 * Makes true in this process what is known: agents that are held are suspended, killed where their holds say so, and only
 * then acknowledged; agents that were released are reactivated. Compares, and replays nothing: it may be asked at any time.
 */
export class Stopper {
  readonly #parts: StopperParts
  readonly #stop: AbortSignal
  /** One task an agent, ended by its release. */
  readonly #tasks = new Map<string, AbortController>()
  #acking = 0
  readonly #turns: (() => void)[] = []

  constructor(parts: StopperParts, stop: AbortSignal) {
    this.#parts = parts
    this.#stop = stop
  }

  /** What belongs to the DID may have changed. */
  align(id: string): void {
    const { known, targets, firing } = this.#parts
    const did = known.didOf(id)
    if (did !== id) {
      // What was begun under the other spelling goes on under the agent's own.
      this.#tasks.get(id)?.abort()
      this.#tasks.delete(id)
      firing.rename(id, did)
    }
    targets.align(did)
    if (!known.isClosed(did)) {
      this.#tasks.get(did)?.abort()
      this.#tasks.delete(did)
      firing.forget(did)
    } else if (this.#isOpen(did) && !this.#tasks.has(did) && !this.#stop.aborted) this.#start(did)
  }

  #isOpen(did: string): boolean {
    return this.#parts.known.holdsOf(did).some(({ acked }) => !acked)
  }

  #start(did: string): void {
    const released = new AbortController()
    this.#tasks.set(did, released)
    const signal = AbortSignal.any([released.signal, this.#stop])
    void this.#run(did, signal)
      .catch((cause) =>
        this.#parts.report(new AgtClientError('E_TARGET', 'An agent could not be stopped.', { cause, did })),
      )
      .finally(() => {
        if (this.#tasks.get(did) === released) this.#tasks.delete(did)
        // A hold that came between the last look and now.
        if (this.#isOpen(did)) this.align(did)
      })
  }

  async #run(did: string, signal: AbortSignal): Promise<void> {
    const { clock, random, report } = this.#parts
    for (let failures = 0; !signal.aborted && this.#isOpen(did); ) {
      try {
        if (await this.#once(did, signal)) failures = 0
        else failures += 1
      } catch (error) {
        failures += 1
        if (!signal.aborted && error instanceof AgtClientError) report(error)
        else if (!signal.aborted) throw error
      }
      if (failures > 0) await clock.sleep(backoffMs(failures - 1, backoff, random()), signal).catch(() => undefined)
    }
  }

  /** Stops the agent and acknowledges one hold. False: what was refused is tried again. */
  async #once(did: string, signal: AbortSignal): Promise<boolean> {
    const { known, targets, firing, killFrom, contact } = this.#parts
    // A hold remembered from an earlier process may be gone; until the stream has said so every gate is closed anyway.
    if (contact.state === 'connecting') await contact.connected(signal)
    if (signal.aborted) return true
    const fires = known.holdsOf(did).find(({ severity }) => killFrom === 'suspend' || severity !== 'suspend')
    if (fires !== undefined) await firing.fire(did, fires.holdId)
    if (!targets.align(did)) return false
    const hold = known.holdsOf(did).find(({ acked }) => !acked)
    // A graver one that came meanwhile is fired first.
    if (hold === undefined || (fires === undefined && hold.severity !== 'suspend')) return true
    await contact.connected(signal)
    await this.#turn(signal)
    try {
      if (!signal.aborted && contact.isConnected) await this.#ack(did, hold, signal)
    } finally {
      this.#next()
    }
    return true
  }

  /**
   * By the signal where there is one; a hold of a snapshot, and a signal past retention, by a kill that names the hold.
   * Only ever sent while the stream is caught up: to a bridge restored from an older copy such a hold would be news.
   */
  async #ack(did: string, hold: KnownHold, signal: AbortSignal): Promise<void> {
    const { http, known, acked } = this.#parts
    const options = { timeoutMs: ackTimeoutMs, signal, foreground: false }
    let answer: Answer | undefined
    try {
      if (hold.seq !== undefined) answer = await http.post(`v1/signals/${hold.seq}/ack`, undefined, options)
      if (answer === undefined || answer.problem === 'E_NOT_FOUND') {
        const body = { agentId: did, reason: 'held by the bridge', inResponseTo: hold.holdId }
        answer = await http.post('v1/kill', body, options)
      }
    } catch (cause) {
      throw new AgtClientError('E_ACK', 'A hold could not be acknowledged; it is tried again.', { cause, did })
    }
    const { status, problem: bridgeCode } = answer
    if (status !== 204 && status !== 202) {
      const text = `The bridge refused an acknowledgement (${bridgeCode ?? status}); it is tried again.`
      throw new AgtClientError('E_ACK', text, { did, status, bridgeCode })
    }
    known.acked(did, hold)
    acked()
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#acking >= acksAtOnce && !signal.aborted) await new Promise<void>((resolve) => this.#turns.push(resolve))
    this.#acking += 1
  }

  #next(): void {
    this.#acking -= 1
    this.#turns.shift()?.()
  }
}
