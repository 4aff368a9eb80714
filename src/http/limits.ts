import { isIPv6 } from 'node:net'
import { BridgeError } from '../core/errors.ts'
import { Bucket } from '../lib/bucket.ts'
import type { Clock } from '../lib/clock.ts'

export interface Rate {
  readonly perSecond: number
  /** At once, after a pause. */
  readonly burst: number
}

/** What a request is charged to: those that stop an agent, or hear of one to be stopped, never wait for the others. */
export type Lane = 'questions' | 'stops'

export interface Rates extends Readonly<Record<Lane, Rate>> {
  readonly unauthenticated: Rate
}

/** The rates of a client that has its own. */
export type OwnRates = Readonly<Partial<Record<Lane, Rate | undefined>>>

/** What a request was charged to a rate of its client's own. */
export interface Charge {
  /** What the client is told of it: draft-ietf-httpapi-ratelimit-headers-11, May 2026. */
  readonly headers: Readonly<Record<'ratelimit' | 'ratelimit-policy', string>>
  /** E_RATE when there was none left. */
  readonly refused: BridgeError | undefined
}

export interface Limits {
  /**
   * @param own counts in place of what all clients have; another object begins anew
   * @returns undefined for a client without a rate of its own in that lane
   * @throws BridgeError E_RATE when such a client has none left
   */
  client(name: string, lane: Lane, own?: OwnRates): Charge | undefined
  /** One without a client. @throws BridgeError E_RATE when its address has none left */
  stranger(address: string): void
}

const MOST = 10_000

/** Of an IPv6 address the network, which is what one party is given (RFC 6177); in one spelling. */
export const networkOf = (address: string): string => {
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [head = '', tail] = address.replace(/%.*$/, '').toLowerCase().split('::')
  const [before, after] = [head, tail ?? ''].map((part) => (part === '' ? [] : part.split(':')))
  const missing = tail === undefined ? 0 : Math.max(0, 8 - (before?.length ?? 0) - (after?.length ?? 0))
  const groups = [...(before ?? []), ...Array.from({ length: missing }, () => '0'), ...(after ?? [])]
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}

const spent = (hint: string, retryAfterMs: number): BridgeError =>
  new BridgeError('E_RATE', 'Too many requests.', { hint, retryAfterMs })

/** Buckets by name, a bounded number of them. Who was pushed out begins anew, with a full one. */
class Buckets {
  readonly #kept = new Map<string, Bucket>()
  readonly #clock: Pick<Clock, 'mono'>
  readonly #rate: Rate

  constructor(clock: Pick<Clock, 'mono'>, rate: Rate) {
    this.#clock = clock
    this.#rate = rate
  }

  take(name: string): number | undefined {
    const known = this.#kept.get(name)
    if (known !== undefined) return known.take()
    if (this.#kept.size >= MOST) for (const oldest of this.#kept.keys()) if (this.#kept.delete(oldest)) break
    const made = new Bucket(this.#clock, this.#rate.perSecond, this.#rate.burst)
    this.#kept.set(name, made)
    return made.take()
  }
}

/** Of a bucket the burst is what there is of it, and how long that takes to come back the window. */
const charged = (lane: Lane, { perSecond, burst }: Rate, bucket: Bucket): Charge => {
  const waitMs = bucket.take()
  const headers = {
    'ratelimit-policy': `"${lane}";q=${burst};w=${Math.ceil(burst / perSecond)}`,
    ratelimit: `"${lane}";r=${bucket.left};t=${Math.ceil(bucket.fullMs / 1000)}`,
  }
  const hint = `Raise rateLimit.${lane} of the client if it may ask more.`
  return { headers, refused: waitMs === undefined ? undefined : spent(hint, waitMs) }
}

/** @param rates as configured now: others begin anew, with full buckets */
export const createLimits = (rates: () => Rates, clock: Pick<Clock, 'mono'>): Limits => {
  const bucketsOf = ({ questions, stops, unauthenticated }: Rates) => ({
    questions: new Buckets(clock, questions),
    stops: new Buckets(clock, stops),
    strangers: new Buckets(clock, unauthenticated),
  })
  let inForce = rates()
  let buckets = bucketsOf(inForce)
  const present = () => {
    const now = rates()
    if (now !== inForce) {
      inForce = now
      buckets = bucketsOf(now)
    }
    return buckets
  }
  /** By the rate as configured: gone with the configuration. */
  const ofOne = new WeakMap<Rate, Bucket>()
  const ownBucket = (rate: Rate): Bucket => {
    const known = ofOne.get(rate)
    if (known !== undefined) return known
    const made = new Bucket(clock, rate.perSecond, rate.burst)
    ofOne.set(rate, made)
    return made
  }
  return {
    client: (name, lane, own) => {
      const rate = own?.[lane]
      if (rate !== undefined) return charged(lane, rate, ownBucket(rate))
      const waitMs = present()[lane].take(name)
      if (waitMs !== undefined) throw spent(`Raise auth.rateLimit.${lane} if this client may ask more.`, waitMs)
      return undefined
    },
    stranger: (address) => {
      const waitMs = present().strangers.take(networkOf(address))
      if (waitMs !== undefined)
        throw spent('Send a credential; a proxy in front belongs into server.trustProxy.', waitMs)
    },
  }
}
