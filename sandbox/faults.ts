import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** Faults on the wire, for the local tenant of any directory: decided by method and path, done to the HTTP answer. */

/** Which requests a fault is for: text the path starts with, a pattern of `METHOD /path?query`, or a function. */
export type Match = string | RegExp | ((request: Target) => boolean)

export interface Target {
  readonly method: string
  /** With query, as the tenant matches it (Graph: below `/v1.0`). */
  readonly path: string
  readonly header: (name: string) => string | undefined
  /** As the tenant's log of requests has it, where one address serves many calls. */
  readonly body?: unknown
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON, text as it is; no body when undefined. */
  readonly body?: unknown
}

export interface StatusFault {
  readonly status: number
  readonly code?: string
  readonly message?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Replaces the error document; a string is sent as it is. */
  readonly body?: unknown
  /** The request is carried out first and only its answer is lost. */
  readonly applied?: boolean
  /** The request is carried out so much later, long after it was answered. */
  readonly appliedAfterMs?: number
}

/**
 * A success that misleads; what it looks like is known to the tenant alone. `empty`: no rows, as if there were none.
 * `repeated`: the same page comes once more before the next. `looping`: the page names itself as the next one.
 * `stale`: what was true so many ms ago.
 */
export type Alteration =
  | { readonly altered: 'empty' | 'repeated' | 'looping' }
  | { readonly altered: 'stale'; readonly byMs: number }

/**
 * What happens instead of, or to, the answer, besides the above.
 * - `reset`: the connection is cut before anything happens. `reset-after-body`: the request is carried out, then cut.
 * - `hang`: never answered. `hang-after-body`: carried out, never answered.
 * - `drip`: answered one byte at a time. `truncate`: half of the answer, then cut.
 * - `wait`: goes on as usual once `until` resolves.
 */
export type ConnectionFault =
  | { readonly mode: 'reset' | 'reset-after-body' | 'hang' | 'hang-after-body' | 'truncate' }
  | { readonly mode: 'drip'; readonly everyMs?: number }
  | { readonly mode: 'wait'; readonly until: Promise<unknown> }

export type Fault = (StatusFault | Alteration | ConnectionFault) & {
  /** How many requests it takes; one when absent. */
  readonly times?: number
  /** Which part of the matching requests it takes, 0 to 1; each when absent. */
  readonly share?: number
}

interface Armed {
  readonly match: Match
  readonly fault: Fault
  left: number
}

/** Faults in the order they were asked for; each request takes at most one. */
export class Faults {
  #armed: Armed[] = []
  readonly #random: () => number

  /** `random` decides which requests a fault with a share takes. */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** Returns what lifts it before its time. */
  add(match: Match, fault: Fault): () => void {
    const armed = { match, fault, left: fault.times ?? 1 }
    this.#armed.push(armed)
    return () => {
      this.#armed = this.#armed.filter((each) => each !== armed)
    }
  }

  clear(): void {
    this.#armed = []
  }

  /** An item of a batch has no connection of its own: only faults of the answer apply to it. */
  take(target: Target, isBatchItem = false): Fault | undefined {
    const armed = this.#armed.find(
      ({ fault, match }) =>
        (!isBatchItem || !('mode' in fault)) &&
        hits(match, target) &&
        (fault.share === undefined || this.#random() < fault.share),
    )
    if (armed === undefined) return undefined
    armed.left -= 1
    if (armed.left <= 0) this.#armed = this.#armed.filter((each) => each !== armed)
    return armed.fault
  }
}

export function hits(match: Match, target: Target): boolean {
  if (typeof match === 'string') return target.path.startsWith(match)
  if (typeof match === 'function') return match(target)
  return match.test(`${target.method} ${target.path}`)
}

/** How a tenant carries one request out, and what of a fault only it can do. */
export interface Stage<T> {
  readonly run: () => T
  /** The error document of the directory. */
  readonly refused: (fault: StatusFault) => T
  readonly altered: (how: Alteration, run: () => T) => T
}

/** What is answered under a fault; undefined when the request is not even carried out. */
export function staged<T>(fault: Fault | undefined, stage: Stage<T>): T | undefined {
  if (fault === undefined) return stage.run()
  if ('altered' in fault) return stage.altered(fault, stage.run)
  if ('mode' in fault) return fault.mode === 'reset' || fault.mode === 'hang' ? undefined : stage.run()
  if (fault.appliedAfterMs !== undefined) setTimeout(stage.run, fault.appliedAfterMs).unref()
  else if (fault.applied === true) stage.run()
  return stage.refused(fault)
}

const jsonType = { 'Content-Type': 'application/json; charset=utf-8' }

/** Puts the answer on the wire, or does to the connection what the fault says. True when it was answered whole. */
export async function deliver(
  response: ServerResponse,
  answer: Answer | undefined,
  fault: Fault | undefined,
): Promise<boolean> {
  const broken = fault !== undefined && 'mode' in fault ? fault : undefined
  if (answer === undefined || broken?.mode === 'reset-after-body' || broken?.mode === 'hang-after-body') {
    if (broken?.mode.startsWith('reset')) response.destroy()
    return false
  }
  const { body, headers, status } = answer
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  if (broken?.mode === 'truncate') {
    const whole = text ?? '{}'
    response.writeHead(status, { ...jsonType, ...headers, 'Content-Length': Buffer.byteLength(whole) })
    response.write(whole.slice(0, whole.length / 2), () => response.destroy())
    return false
  }
  if (broken?.mode === 'drip') {
    response.writeHead(status, { ...jsonType, ...headers })
    for (const character of text ?? '') {
      if (response.destroyed) return true
      response.write(character)
      await delay(broken.everyMs ?? 20, undefined, { ref: false })
    }
    response.end()
    return true
  }
  if (text === undefined) response.writeHead(status, { ...headers })
  else response.writeHead(status, { ...jsonType, ...headers, 'Content-Length': String(Buffer.byteLength(text)) })
  response.end(text)
  return true
}
