import { hits, type Match, type Target } from '../faults.ts'

export interface RateLimits {
  /** Requests per minute by bucket name (see `buckets`); what the vendor published for workforce orgs when absent. */
  readonly perMinute?: Readonly<Record<string, number>>
  /** The part of a bucket that one API token or app may use. */
  readonly share?: number
  /** Requests at the same time, all callers together; half of it for one of them. */
  readonly concurrency?: number
}

interface Bucket {
  readonly name: string
  readonly matches: (method: string, path: string) => boolean
  readonly limit: number
}

const get = (method: string) => method === 'GET'
const at = (pattern: RegExp, of?: (method: string) => boolean) => (method: string, path: string) =>
  pattern.test(path) && (of === undefined || of(method))

/** The first that matches counts: exact paths before prefixes, the longer prefix first. */
const buckets: readonly Bucket[] = [
  { name: 'logs', matches: at(/^\/api\/v1\/logs$/), limit: 120 },
  { name: 'users', matches: at(/^\/api\/v1\/users$/, get), limit: 600 },
  { name: 'user', matches: at(/^\/api\/v1\/users\//, get), limit: 2000 },
  { name: 'user writes', matches: at(/^\/api\/v1\/users/), limit: 600 },
  { name: 'groups', matches: at(/^\/api\/v1\/groups$/), limit: 500 },
  { name: 'group', matches: at(/^\/api\/v1\/groups\//), limit: 1000 },
  { name: 'apps', matches: at(/^\/api\/v1\/apps$/), limit: 100 },
  { name: 'app', matches: at(/^\/api\/v1\/apps\//), limit: 500 },
  { name: 'api', matches: at(/^\/(api\/v1|workload-principals)\//), limit: 1200 },
  { name: 'oauth', matches: at(/^\/oauth2\//), limit: 1200 },
]

const windowMs = 60_000

interface Window {
  readonly endsAt: number
  used: number
  warned: boolean
  violated: boolean
  readonly byPrincipal: Map<string, number>
}

interface Verdict {
  readonly headers: Readonly<Record<string, string>>
  readonly exceeded: boolean
}

interface Order {
  left: number
  readonly match: Match
  readonly concurrent: boolean
}

/** Quotas per bucket and minute, and how many requests may be under way at once. */
export class Limiter {
  readonly #now: () => number
  readonly #limits: RateLimits | false
  readonly #tell: (what: 'warning' | 'violation' | 'concurrency', bucket: string) => void
  readonly #windows = new Map<string, Window>()
  readonly #running = new Map<string, number>()
  #runningInAll = 0
  #orders: Order[] = []

  constructor(options: {
    now: () => number
    limits: RateLimits | false
    tell: (what: 'warning' | 'violation' | 'concurrency', bucket: string) => void
  }) {
    this.#now = options.now
    this.#limits = options.limits
    this.#tell = options.tell
  }

  /** The next `count` matching requests are refused, whatever was used; `concurrent` as if too many ran at once. */
  refuseNext(count: number, { match = '/', concurrent = false }: { match?: Match; concurrent?: boolean }): void {
    this.#orders.push({ left: count, match, concurrent })
  }

  /** A request begins; undefined when too many are under way. What is returned ends it. */
  enter(principal: string): (() => void) | undefined {
    const most = this.#limits === false ? Number.POSITIVE_INFINITY : (this.#limits.concurrency ?? 75)
    const own = this.#running.get(principal) ?? 0
    if (this.#runningInAll >= most || own >= Math.max(1, Math.floor(most / 2))) {
      this.#tell('concurrency', 'all')
      return undefined
    }
    this.#runningInAll += 1
    this.#running.set(principal, own + 1)
    return () => {
      this.#runningInAll -= 1
      this.#running.set(principal, (this.#running.get(principal) ?? 1) - 1)
    }
  }

  /** Counts one request of that caller, refused ones too; undefined where nothing is counted. */
  take(target: Target, principal: string): Verdict | undefined {
    const path = target.path.split('?', 1)[0] ?? ''
    if (/\/v1\/keys$|\/\.well-known\//.test(path)) return undefined
    const bucket = buckets.find(({ matches }) => matches(target.method, path))
    if (bucket === undefined) return undefined
    const ordered = this.#ordered(target)
    if (ordered?.concurrent === true) return { exceeded: true, headers: this.concurrencyHeaders() }
    const limits = this.#limits
    const most = limits === false ? 1_000_000 : (limits.perMinute?.[bucket.name] ?? bucket.limit)
    const ownMost = limits === false ? most : Math.max(1, Math.floor(most * (limits.share ?? 0.5)))
    const window = this.#window(bucket.name)
    const own = (window.byPrincipal.get(principal) ?? 0) + 1
    window.byPrincipal.set(principal, own)
    window.used += 1
    const left = Math.min(ownMost - own, most - window.used)
    if (left < ownMost * 0.1 && !window.warned) {
      window.warned = true
      this.#tell('warning', bucket.name)
    }
    const exceeded = left < 0 || ordered !== undefined
    if (exceeded && !window.violated) {
      window.violated = true
      this.#tell('violation', bucket.name)
    }
    return { exceeded, headers: headersOf(ownMost, ordered === undefined ? Math.max(0, left) : 0, window.endsAt) }
  }

  /** Zeros, and a moment that is a suggestion. */
  concurrencyHeaders(): Record<string, string> {
    return headersOf(0, 0, this.#now() + windowMs)
  }

  #ordered(target: Target): Order | undefined {
    const order = this.#orders.find(({ match }) => hits(match, target))
    if (order === undefined) return undefined
    order.left -= 1
    if (order.left <= 0) this.#orders = this.#orders.filter((each) => each !== order)
    return order
  }

  /** Begins with its first request, wherever the clock's minute is. */
  #window(name: string): Window {
    const now = this.#now()
    const open = this.#windows.get(name)
    if (open !== undefined && now < open.endsAt) return open
    const window = { endsAt: now + windowMs, used: 0, warned: false, violated: false, byPrincipal: new Map() }
    this.#windows.set(name, window)
    return window
  }
}

function headersOf(limit: number, remaining: number, endsAt: number): Record<string, string> {
  return {
    'X-Rate-Limit-Limit': String(limit),
    'X-Rate-Limit-Remaining': String(remaining),
    'X-Rate-Limit-Reset': String(Math.ceil(endsAt / 1000)),
  }
}
