/** Which requests a fault is for: text the path starts with, a pattern of `METHOD /path?query`, or a function. */
export type Match = string | RegExp | ((request: Target) => boolean)

export interface Target {
  readonly method: string
  /** With query; for Graph below `/v1.0`, for the other surfaces as sent. */
  readonly path: string
  readonly header: (name: string) => string | undefined
}

/**
 * What happens instead of, or to, the answer.
 * - `status`: that status; with `applied` the request is carried out first and only its answer is lost.
 * - `reset`: the connection is cut before anything happens. `reset-after-body`: the request is carried out, then cut.
 * - `hang`: never answered. `hang-after-body`: carried out, never answered.
 * - `drip`: answered one byte at a time. `truncate`: half of the answer, then cut.
 * - `wait`: goes on as usual once `until` resolves.
 */
export type Fault = (
  | {
      readonly status: number
      readonly code?: string
      readonly message?: string
      readonly headers?: Readonly<Record<string, string>>
      /** Replaces the error document; a string is sent as it is. */
      readonly body?: unknown
      readonly applied?: boolean
    }
  | { readonly mode: 'reset' | 'reset-after-body' | 'hang' | 'hang-after-body' | 'truncate' }
  | { readonly mode: 'drip'; readonly everyMs?: number }
  | { readonly mode: 'wait'; readonly until: Promise<unknown> }
) & {
  /** How many requests it takes; one when absent. */
  readonly times?: number
}

interface Armed {
  readonly match: Match
  readonly fault: Fault
  left: number
}

/** Faults in the order they were asked for; each request takes at most one. */
export class Faults {
  #armed: Armed[] = []

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

  /** An item of a batch has no connection of its own: there only `status` faults apply. */
  take(target: Target, isBatchItem = false): Fault | undefined {
    const armed = this.#armed.find((each) => (!isBatchItem || 'status' in each.fault) && hits(each.match, target))
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
