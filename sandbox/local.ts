import { type Fault, type Faults, hits, type Match } from './faults.ts'
import type { Listener } from './listener.ts'
import type { RequestLog, SeenRequest } from './requests.ts'

/** What a test switches at run time in the local tenant of any directory. */
export interface CommonSwitches {
  jwksDown: boolean
  tokenEndpointDown: boolean
  /** How wrong the tenant's clock is. */
  clockOffsetMs: number
}

interface Parts<Surface extends string> {
  readonly listener: Listener
  readonly requests: RequestLog<Surface>
  readonly faults: Faults
  readonly switches: CommonSwitches
}

/** What the local tenant of any directory shows and suffers: requests, faults, outages. */
export class LocalTenant<Surface extends string = string> {
  readonly #parts: Parts<Surface>

  constructor(parts: Parts<Surface>) {
    this.#parts = parts
  }

  /** What was asked so far, oldest first; bounded. */
  get requests(): readonly SeenRequest<Surface>[] {
    return this.#parts.requests.entries
  }

  clearRequests(): void {
    this.#parts.requests.clear()
  }

  /** The first request, past or to come, that matches; looked at when it arrives and when it is answered. */
  waitForRequest(
    matches: (request: SeenRequest<Surface>) => boolean,
    timeoutMs = 60_000,
  ): Promise<SeenRequest<Surface>> {
    return this.#parts.requests.wait(matches, timeoutMs)
  }

  /** Arms a fault; returns what lifts it. Paths are matched as the tenant's request log has them. */
  fail(match: Match, fault: Fault): () => void {
    return this.#parts.faults.add(match, fault)
  }

  /** Holds matching requests back until released, so that a test can act in between; `reached` waits for the first. */
  hold(match: Match): { reached: (timeoutMs?: number) => Promise<SeenRequest<Surface>>; release: () => void } {
    const { promise: until, resolve } = Promise.withResolvers<void>()
    const last = this.requests.at(-1)?.seq ?? 0
    const lift = this.fail(match, { mode: 'wait', until, times: Number.POSITIVE_INFINITY })
    const isHeld = (request: SeenRequest<Surface>) =>
      request.seq > last && hits(match, { ...request, header: (name) => request.headers[name] })
    return {
      reached: (timeoutMs) => this.waitForRequest(isHeld, timeoutMs),
      release: () => {
        lift()
        resolve()
      },
    }
  }

  clearFaults(): void {
    this.#parts.faults.clear()
  }

  setJwksDown(down: boolean): void {
    this.#parts.switches.jwksDown = down
  }

  setTokenEndpointDown(down: boolean): void {
    this.#parts.switches.tokenEndpointDown = down
  }

  /** The tenant's clock is that much off, in tokens, records, events and the `Date` of its answers; 0 sets it right. */
  setClockOff(ms: number): void {
    this.#parts.switches.clockOffsetMs = ms
  }

  /** Connections are refused until `comeBack`. */
  goAway(): Promise<void> {
    return this.#parts.listener.down()
  }

  comeBack(): Promise<void> {
    return this.#parts.listener.up()
  }
}
