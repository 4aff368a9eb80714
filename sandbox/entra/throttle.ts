import { hits, type Match, type Target } from '../faults.ts'
import { type Call, Refusal } from './wire.ts'

export interface ThrottleLimits {
  /** Resource units per 10 s and app; by tenant size when absent: 3,500 below 50 users, 5,000 up to 500, 8,000 above. */
  readonly unitsPer10s?: number
  /** Writes per 150 s and app. */
  readonly writesPer150s?: number
  /** Writes per 300 s, all apps together. */
  readonly tenantWritesPer300s?: number
  /** Requests to the audit log per 10 s and app. */
  readonly reportsPer10s?: number
  /** Requests to Conditional Access per second, all apps together. A 429 of it has no `Retry-After`. */
  readonly protectionPerSecond?: number
}

interface Bucket {
  tokens: number
  at: number
}

/** Costs and limits of Graph's directory service, as published 2026-11. One token bucket per app and limit. */
export class Throttle {
  readonly #now: () => number
  readonly #limits: ThrottleLimits | false
  readonly #userCount: () => number
  readonly #tenantId: string
  readonly #buckets = new Map<string, Bucket>()
  #ordered: { left: number; match: (target: Target) => boolean; retryAfter: string | undefined }[] = []

  constructor(options: {
    now: () => number
    limits: ThrottleLimits | false
    userCount: () => number
    tenantId: string
  }) {
    this.#now = options.now
    this.#limits = options.limits
    this.#userCount = options.userCount
    this.#tenantId = options.tenantId
  }

  /** The next `count` matching calls are refused, whatever was used; without `match` all but the outer `$batch`. */
  refuseNext(count: number, options: { retryAfter?: string | number | null; match?: Match }): void {
    const { match, retryAfter = 1 } = options
    this.#ordered.push({
      left: count,
      match: (target) => (match === undefined ? !target.path.startsWith('/$batch') : hits(match, target)),
      retryAfter: retryAfter === null ? undefined : String(retryAfter),
    })
  }

  /** Throws the refusal a test ordered for this request. */
  refuseOrdered(target: Target, appId: string): void {
    const order = this.#ordered.find((each) => each.match(target))
    if (order === undefined) return
    order.left -= 1
    if (order.left <= 0) this.#ordered = this.#ordered.filter((each) => each !== order)
    throw this.refusal(appId, order.retryAfter)
  }

  /** Takes the cost of one request, or refuses it with 429. Returns headers for the answer. */
  charge(call: Call): Record<string, string> {
    const { appId } = call.caller
    this.refuseOrdered(call, appId)
    if (this.#limits === false) return {}
    if (call.segments[0] === 'auditLogs') {
      this.#take(
        `reports ${appId}`,
        1,
        this.#limits.reportsPer10s ?? 5,
        10_000,
        'Read',
        'ResourceUnitLimitExceeded',
        appId,
      )
      return {}
    }
    if (call.segments[0] === 'identity') {
      const perSecond = this.#limits.protectionPerSecond ?? 1
      this.#take('protection', 1, perSecond, 1000, 'Tenant/Read', 'ResourceUnitLimitExceeded', appId)
      return {}
    }
    const units = unitsOf(call)
    if (isWrite(call)) {
      const writes = this.#limits.writesPer150s ?? 3000
      this.#take(`writes ${appId}`, 1, writes, 150_000, 'Write', 'WriteLimitExceeded', appId)
      const all = this.#limits.tenantWritesPer300s ?? 18_000
      this.#take('writes', 1, all, 300_000, 'Tenant/Write', 'WriteLimitExceeded', appId)
    }
    const capacity = this.#limits.unitsPer10s ?? unitsBySize(this.#userCount())
    const used = this.#take(`units ${appId}`, units, capacity, 10_000, 'ReadWrite', 'ResourceUnitLimitExceeded', appId)
    const headers: Record<string, string> = { 'x-ms-resource-unit': String(units) }
    if (used > 0.8) headers['x-ms-throttle-limit-percentage'] = used.toFixed(2)
    return headers
  }

  /** The refusal as the service words it. */
  refusal(
    appId: string,
    retryAfter: string | undefined,
    scope = 'ReadWrite',
    why = 'ResourceUnitLimitExceeded',
  ): Refusal {
    const kind = scope.startsWith('Tenant/') ? scope : `Tenant_Application/${scope}`
    return new Refusal(429, 'TooManyRequests', 'Too many requests.', {
      ...(retryAfter === undefined ? {} : { 'Retry-After': retryAfter }),
      'x-ms-throttle-scope': `${kind}/${appId}/${this.#tenantId}`,
      'x-ms-throttle-information': why,
    })
  }

  /** Returns the used share of the limit. A refused request still burns quota, so retrying early makes the wait longer. */
  #take(
    name: string,
    cost: number,
    capacity: number,
    windowMs: number,
    scope: string,
    why: string,
    appId: string,
  ): number {
    const now = this.#now()
    const bucket = this.#buckets.get(name) ?? { tokens: capacity, at: now }
    const refilled = bucket.tokens + (Math.max(0, now - bucket.at) * capacity) / windowMs
    const tokens = Math.max(Math.min(refilled, capacity) - cost, -capacity)
    this.#buckets.set(name, { tokens, at: now })
    if (tokens < 0) {
      const waitMs = ((cost - tokens) * windowMs) / capacity
      const retryAfter = name === 'protection' ? undefined : String(Math.ceil(waitMs / 1000))
      throw this.refusal(appId, retryAfter, scope, why)
    }
    return 1 - tokens / capacity
  }
}

function unitsBySize(users: number): number {
  if (users < 50) return 3500
  return users <= 500 ? 5000 : 8000
}

const reads = /^\/(getMemberGroups|getMemberObjects|checkMemberGroups)$/

function isWrite(call: Call): boolean {
  if (call.method === 'GET') return false
  return !reads.test(`/${call.segments.at(-1) ?? ''}`)
}

/** Resource units of one request: base cost, `$select` one less, `$top` below 20 one less, never below one. */
export function unitsOf(call: Pick<Call, 'method' | 'segments' | 'search'>): number {
  const top = Number(call.search.get('$top') ?? '20')
  const less = (call.search.has('$select') ? 1 : 0) + (top < 20 ? 1 : 0)
  return Math.max(1, base(call.method, call.segments) - less)
}

function base(method: string, segments: readonly string[]): number {
  const [collection, , action] = segments
  if (collection === 'groups' && method === 'GET') {
    if (action === 'members') return 3
    if (action === 'transitiveMembers') return 5
  }
  if (collection === 'users') {
    if (segments.length === 1 && method === 'GET') return 2
    if (action === 'memberOf' || action === 'transitiveMemberOf' || action === 'getMemberGroups') return 2
    if (action === 'checkMemberGroups') return 4
  }
  return 1
}
