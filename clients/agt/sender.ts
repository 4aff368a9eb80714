import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { AgtClientError, type Report } from './errors.ts'
import { isMembers } from './frames.ts'
import type { Answer, Http } from './http.ts'
import type { Known } from './known.ts'
import type { KillQueue, KillRecord } from './queue.ts'

export interface SenderParts {
  readonly http: Http
  readonly queue: KillQueue
  readonly known: Known
  readonly clock: Clock
  readonly random: () => number
  readonly report: Report
  /** What the bridge said of a kill may open or close a gate. */
  readonly align: (did: string) => void
}

/**
 * Only these say that the bridge itself will never take this kill. Anything else, such as a 404 of a proxy in front of a
 * bridge that is being replaced, is waited out.
 */
const final = new Set(['E_DID', 'E_VALIDATION', 'E_JSON', 'E_TOO_LARGE', 'E_IDEMPOTENCY_BODY'])
/** The bridge takes none now, whichever kill it is. */
const forAll = new Set([401, 429, 502, 503, 504])

const backoff = { baseMs: 500, ceilingMs: 30_000 }
const backgroundTimeoutMs = 15_000
const idleMs = 3_600_000

type Outcome =
  | { readonly how: 'recorded' | 'refused' }
  | { readonly how: 'later'; readonly retryAfterMs: number; readonly alone: boolean }

/** Brings kills to the bridge: each until it is acknowledged, or refused for ever. */
export class Sender {
  readonly #parts: SenderParts
  readonly #inFlight = new Map<string, Promise<Outcome>>()
  /** Kills that the bridge answered with something else: they wait alone, and delay no other. */
  readonly #put = new Map<string, { readonly failures: number; readonly notBefore: number }>()
  readonly #told = new Set<string>()
  #wake: AbortController | undefined

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** One attempt now, while the caller waits. Never rejects; what fails is tried again in the background. */
  async first(kill: KillRecord, timeoutMs: number): Promise<void> {
    await this.#attempt(kill, timeoutMs, true)
    this.wake()
  }

  /** It waits nowhere: nothing is left of it here. */
  forget({ id }: KillRecord): void {
    this.#told.delete(id)
  }

  /** The bridge was heard of: what waits is tried now. */
  wake(): void {
    this.#wake?.abort()
  }

  /** Sends what waits, oldest first, until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { queue, clock, random } = this.#parts
    for (let failures = 0; !signal.aborted; ) {
      this.#wake = new AbortController()
      const now = clock.mono()
      const from = (kill: KillRecord) => this.#put.get(kill.id)?.notBefore ?? 0
      const { waiting } = queue
      const due = waiting.find((kill) => from(kill) <= now)
      if (due === undefined) {
        const next = waiting.reduce((soonest, kill) => Math.min(soonest, from(kill)), now + idleMs)
        await this.#pause(next - now, signal)
        continue
      }
      const outcome = await this.#attempt(due, backgroundTimeoutMs, false, signal)
      if (outcome.how !== 'later') failures = 0
      else if (outcome.alone) {
        const before = this.#put.get(due.id)?.failures ?? 0
        const notBefore = clock.mono() + backoffMs(before, backoff, random(), outcome.retryAfterMs)
        this.#put.set(due.id, { failures: before + 1, notBefore })
      } else {
        // What was asked for by Retry-After holds even when the bridge is heard of meanwhile.
        const waitMs = backoffMs(failures, backoff, random(), outcome.retryAfterMs)
        if (outcome.retryAfterMs > 0) await clock.sleep(waitMs, signal).catch(() => undefined)
        else await this.#pause(waitMs, signal)
        failures += 1
      }
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const wake = this.#wake?.signal
    const all = wake === undefined ? signal : AbortSignal.any([signal, wake])
    await this.#parts.clock.sleep(ms, all).catch(() => undefined)
  }

  #attempt(kill: KillRecord, timeoutMs: number, foreground: boolean, signal?: AbortSignal): Promise<Outcome> {
    const under = this.#inFlight.get(kill.id)
    if (under !== undefined) return under
    const attempt = this.#send(kill, timeoutMs, foreground, signal).finally(() => this.#inFlight.delete(kill.id))
    this.#inFlight.set(kill.id, attempt)
    return attempt
  }

  async #send(kill: KillRecord, timeoutMs: number, foreground: boolean, signal?: AbortSignal): Promise<Outcome> {
    const { http, report } = this.#parts
    const headers = { 'idempotency-key': kill.id }
    const options = { headers, timeoutMs, foreground, ...(signal !== undefined && { signal }) }
    let answer: Answer
    try {
      answer = await http.post('v1/kill', kill.body, options)
    } catch (cause) {
      if (signal?.aborted !== true) this.#unsent(kill, 'the bridge did not answer', { cause })
      return { how: 'later', retryAfterMs: 0, alone: false }
    }
    const { status, problem, body } = answer
    if (status === 202 && isMembers(body) && typeof body.holdId === 'string') {
      this.#parts.known.answered(kill.did, kill.id, body.holdId)
      return this.#settle(kill, 'recorded')
    }
    if (problem === 'E_IDEMPOTENCY_RELEASED') {
      this.#parts.known.unlatch(kill.did, kill.id)
      this.#parts.align(kill.did)
      return this.#settle(kill, 'recorded')
    }
    const details = { did: kill.did, status, bridgeCode: problem }
    if (problem !== undefined && final.has(problem)) {
      const text = `The bridge refuses a kill for good (${problem}); it acts in this process only.`
      report(new AgtClientError('E_KILL_REFUSED', text, details))
      this.#parts.known.keep(kill.did, kill.id)
      return this.#settle(kill, 'refused')
    }
    this.#unsent(kill, `the bridge answered ${problem ?? status}`, details)
    return { how: 'later', retryAfterMs: answer.retryAfterMs ?? 0, alone: !forAll.has(status) }
  }

  /** Reported once a kill: how long it takes shows in `pending`. */
  #unsent(
    kill: KillRecord,
    why: string,
    details: { cause?: unknown; status?: number; bridgeCode?: string | undefined },
  ) {
    if (this.#told.has(kill.id)) return
    this.#told.add(kill.id)
    const text = `A kill is not recorded at the bridge yet: ${why}. It is tried again.`
    this.#parts.report(new AgtClientError('E_KILL_UNSENT', text, { did: kill.did, ...details }))
  }

  async #settle(kill: KillRecord, how: 'recorded' | 'refused'): Promise<Outcome> {
    const { queue, report } = this.#parts
    this.#told.delete(kill.id)
    this.#put.delete(kill.id)
    try {
      await (how === 'recorded' ? queue.remove(kill) : queue.refuse(kill))
    } catch (cause) {
      report(new AgtClientError('E_QUEUE', 'The file of a settled kill cannot be removed.', { cause, did: kill.did }))
    }
    return { how }
  }
}
