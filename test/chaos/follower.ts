import { setTimeout as pause } from 'node:timers/promises'
import { at, listAt, textAt } from '../e2e/json.ts'
import { openStream, type Stream } from '../e2e/stream.ts'
import { type Supervisor, tokenOf } from './daemon.ts'
import type { Journal } from './journal.ts'
import { crowd } from './kills.ts'

/** A runtime with nothing but the stream: it knows whom to hold, through every cut of the connection (I11). */
export class Follower {
  readonly held = new Set<string>()
  readonly #daemon: Supervisor
  readonly #journal: Journal
  readonly #remembers: boolean
  readonly #name: string
  #position: string | undefined
  #stream: Stream | undefined
  cuts = 0
  /** When each DID was last told to be suspended. */
  readonly toldAt = new Map<string, number>()
  connected = false
  /** Holds whose signal this runtime acknowledged, and was told so. */
  readonly acked = new Set<string>()

  /** `remembers`: it resumes from the last event it read; otherwise every connection begins with a snapshot. */
  constructor(name: string, daemon: Supervisor, journal: Journal, remembers: boolean) {
    this.#name = name
    this.#daemon = daemon
    this.#journal = journal
    this.#remembers = remembers
  }

  cut(): void {
    this.cuts += 1
    void this.#stream?.[Symbol.asyncDispose]()
  }

  get position(): number {
    return Number(this.#position?.split('-')[1] ?? -1)
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#follow(signal)
      this.connected = false
      await pause(200, undefined, { signal }).catch(() => undefined)
    }
    await this.#stream?.[Symbol.asyncDispose]()
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { origin } = this.#daemon
    if (origin === undefined) return
    const stream = await openStream(origin, tokenOf('runtime'), this.#remembers ? this.#position : undefined).catch(
      () => undefined,
    )
    if (stream === undefined) return
    this.#stream = stream
    this.connected = true
    for (let read = 0; !signal.aborted; ) {
      for (; read < stream.frames.length; read++) {
        const frame = stream.frames[read]
        if (frame === undefined) continue
        this.#position = frame.id
        this.#take(frame.event, frame.data)
        if (frame.event === 'suspended' && this.#remembers && !crowd.includes(textAt(frame.data, 'did')))
          void this.#ack(textAt(frame.data, 'holdId'), this.position)
      }
      if (stream.isOver) return
      await pause(10)
    }
  }

  async #ack(hold: string, seq: number): Promise<void> {
    const answer = await this.#daemon.post('runtime', `/v1/signals/${seq}/ack`, undefined)
    if (answer?.status !== 204) return
    this.acked.add(hold)
    this.#journal.count('acks')
  }

  #take(event: string, data: unknown): void {
    if (event === 'snapshot') {
      this.held.clear()
      for (const one of listAt(data, 'held')) this.held.add(textAt(one, 'did'))
      this.#journal.note('stream', [], `${this.#name}: a snapshot of ${this.held.size}`)
      for (const did of this.held) this.toldAt.set(did, Date.now())
      return
    }
    if (event === 'current') return
    const did = textAt(data, 'did')
    if (event === 'suspended') {
      this.held.add(did)
      this.toldAt.set(did, Date.now())
    } else if (event === 'resumed') this.held.delete(did)
    if (event !== 'capabilities')
      this.#journal.note('stream', [did], `${this.#name}: ${event} ${String(at(data, 'holdId'))}`)
  }
}
