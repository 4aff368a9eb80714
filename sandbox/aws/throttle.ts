import { hits, type Match, type Target } from '../faults.ts'
import { refusalOf } from './errors.ts'
import { isQuery, type Service } from './wire.ts'

export interface ThrottleLimits {
  /** Calls per second, with as many again at once, by account and `service:Action` or `service`; the defaults below when absent. */
  readonly perSecond?: Readonly<Record<string, number>>
}

/**
 * Published: the identity store, provisioning and the event history (2026-11). IAM publishes none: these are what it is
 * seen to bear.
 */
const usual: Readonly<Record<string, number>> = {
  'iam:read': 20,
  'iam:write': 5,
  'identitystore:*': 20,
  'cloudtrail:LookupEvents': 2,
  'sts:*': 50,
  'scim:read': 40,
  'scim:write': 25,
}

interface Bucket {
  tokens: number
  at: number
}

interface Order {
  left: number
  readonly match: Match
}

/** Token buckets by account: of every action by itself, or of all reads or writes of a service. */
export class Throttle {
  readonly #now: () => number
  readonly #limits: ThrottleLimits | false
  readonly #buckets = new Map<string, Bucket>()
  #orders: Order[] = []

  constructor(now: () => number, limits: ThrottleLimits | false) {
    this.#now = now
    this.#limits = limits
  }

  /** The next `count` matching calls are refused, whatever was used. */
  refuseNext(count: number, match: Match = '/'): void {
    this.#orders.push({ left: count, match })
  }

  /** Whether one more call is too many. */
  isExceeded(target: Target, caller: string, action: { service: string; name: string; readOnly: boolean }): boolean {
    const order = this.#orders.find(({ match }) => hits(match, target))
    if (order !== undefined) {
      order.left -= 1
      if (order.left <= 0) this.#orders = this.#orders.filter((each) => each !== order)
      return true
    }
    if (this.#limits === false) return false
    const { name, readOnly, service } = action
    const limits = { ...usual, ...this.#limits.perSecond }
    const sort = readOnly ? 'read' : 'write'
    const exact = limits[`${service}:${name}`]
    const each = limits[`${service}:*`]
    const together = limits[`${service}:${sort}`]
    const perSecond = exact ?? each ?? together
    if (perSecond === undefined) return false
    const bucket = exact === undefined && each === undefined ? `${service}:${sort}` : `${service}:${name}`
    return !this.#take(`${caller} ${bucket}`, perSecond)
  }

  #take(name: string, perSecond: number): boolean {
    const now = this.#now()
    const most = perSecond * 2
    const bucket = this.#buckets.get(name) ?? { tokens: most, at: now }
    const tokens = Math.min(most, bucket.tokens + (Math.max(0, now - bucket.at) * perSecond) / 1000)
    const isTaken = tokens >= 1
    this.#buckets.set(name, { tokens: isTaken ? tokens - 1 : tokens, at: now })
    return isTaken
  }
}

/** How each protocol says it; there is no `Retry-After`. */
export function throttled(service: Service) {
  return refusalOf('throttled', isQuery(service), 'Rate exceeded')
}
