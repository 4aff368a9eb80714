import { BridgeError } from '../../src/core/errors.ts'
import type { Subscription, Tended, Tending, TendReport } from '../../src/core/tending.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { EntraConfig, WatchedResource } from './config.ts'
import type { Listed, SubscriptionCalls } from './subscriptioncalls.ts'
import { addressOf, planOf, tagOf } from './subscriptionplan.ts'

export type GraphHookConfig = NonNullable<EntraConfig['hooks']['graph']>
export type Lifecycle = 'reauthorizationRequired' | 'subscriptionRemoved' | 'missed'

export interface SubscriptionParts {
  readonly config: GraphHookConfig
  /** The address of the hook, without a query. */
  readonly hook: string
  readonly calls: SubscriptionCalls
  readonly clock: Pick<Clock, 'now' | 'mono'>
  readonly random: () => number
}

/** What the hook asks before it believes a request, and tells of what it heard. */
export interface Receiving {
  /** Whether one with that tag is being made or renewed right now, so that Graph may ask for its token back. */
  shake(tag: string): boolean
  /** The resource of one of ours; undefined: it is none. `unsure` while it may be one whose id is not known yet. */
  known(id: string): WatchedResource | 'unsure' | undefined
  heard(resource: WatchedResource): void
  /** Notes what Graph says of one of ours; `tend` acts on it. */
  note(event: Lifecycle, id: string): void
}

const HOUR_MS = 3_600_000
/** Graph allows 29 days. One that a bridge left behind should end sooner. */
const LIFETIME_MS = 7 * 24 * HOUR_MS
/** Renewed in the second half of its life, spread over a tenth of it. */
const RENEW_SHARE = 0.5
const RENEW_SPREAD = 0.1
const LOOK_MS = 300_000
/** One just made may be missing in a list for as long. */
const FRESH_MS = 300_000
const RETRY = { baseMs: 15_000, ceilingMs: 900_000 }
/** Graph asks twice for each: for the notifications and for the lifecycle. */
const HANDSHAKES = 16

/**
 * Keeps one subscription of each resource alive. Level, not edge: every look lists what Graph has, compares it with what
 * is wanted and mends the difference, so that one that was lost, in whatever way, is made again. Nothing is kept over a
 * restart: Graph's list is the truth, and the reading that every start begins with covers the time in between.
 */
export function openSubscriptions(parts: SubscriptionParts): Tending & Receiving {
  const { config, hook, calls, clock, random } = parts
  const { resources } = config
  const kept = new Map<WatchedResource, Listed>()
  const madeAt = new Map<string, number>()
  const errors = new Map<WatchedResource, BridgeError>()
  const notifiedAt = new Map<WatchedResource, number>()
  const due = new Set<string>()
  const gone = new Set<string>()
  /** Whether every subscription of ours is known by its id. */
  let settled = false
  /** Whether Graph was ever heard at the hook by this process. */
  let reached = false
  let flight: { readonly tag: string; left: number; shaken: boolean } | undefined
  let failures = 0

  const known: Receiving['known'] = (id) => {
    for (const [resource, one] of kept) if (one.id === id) return resource
    return settled ? undefined : 'unsure'
  }

  /** One call while Graph may ask for a token. */
  const flying = async <T>(tag: string, call: () => Promise<T>): Promise<T> => {
    flight = { tag, left: HANDSHAKES, shaken: false }
    try {
      return await call()
    } catch (error) {
      if (flight.shaken || reached || !(error instanceof BridgeError) || error.code !== 'E_DIRECTORY_REFUSED')
        throw error
      throw new BridgeError('E_HOOK_UNREACHABLE', 'Microsoft Graph refused a subscription without asking our hook', {
        cause: error,
        hint: `make ${hook} reachable from the internet with a certificate of a public authority (server.publicUrl)`,
      })
    } finally {
      flight = undefined
    }
  }

  const look = async (signal: AbortSignal, round: Round): Promise<void> => {
    const [first] = config.clientState
    const clientState = first?.read() ?? ''
    const tag = tagOf(clientState, hook)
    const listed = await calls.list(signal)
    const ids = new Set(listed.map(({ id }) => id))
    for (const [id, at] of madeAt) if (ids.has(id) || clock.mono() - at > FRESH_MS) madeAt.delete(id)
    for (const id of gone) if (!ids.has(id) && !madeAt.has(id)) gone.delete(id)
    const present = [...listed, ...[...kept.values()].filter(({ id }) => madeAt.has(id))]
    const wanted = { resources, hook, tag, now: clock.now(), renewBeforeMs: renewBeforeMs(), due, gone }
    const plan = planOf(present, wanted)
    for (const resource of plan.create) {
      const before = kept.get(resource)
      if (before === undefined) continue
      // With another secret it is replaced, and may have told us nothing for a while.
      round.missed = true
      const replaced = ids.has(before.id) && !gone.has(before.id) && before.expirationDateTime > clock.now()
      if (!replaced) round.done.push({ resource, outcome: 'lost' })
      kept.delete(resource)
    }
    for (const [resource, one] of plan.keep) kept.set(resource, one)
    settled = true
    const create = new Set(plan.create)
    for (const resource of plan.keep.keys()) {
      if (!plan.renew.includes(resource)) errors.delete(resource)
      else if (!(await renewed(resource, tag, signal, round))) create.add(resource)
    }
    for (const resource of create) await created(resource, { clientState, tag }, signal, round)
    for (const { id, resource } of plan.remove) {
      const named = resources.find((each) => each.toLowerCase() === resource)
      // One that still tells of something stays until there is another.
      if (named === undefined || kept.has(named)) await removed(id, named ?? 'other', signal, round)
    }
  }

  const renewBeforeMs = () => LIFETIME_MS * (RENEW_SHARE + RENEW_SPREAD * random())

  /** False: it is gone. */
  const renewed = async (resource: WatchedResource, tag: string, signal: AbortSignal, round: Round) => {
    const one = kept.get(resource)
    if (one === undefined) return false
    try {
      const answer = await flying(tag, () => calls.renew(one.id, resource, clock.now() + LIFETIME_MS, signal))
      if (answer === undefined) {
        kept.delete(resource)
        round.missed = true
        round.done.push({ resource, outcome: 'lost' })
        return false
      }
      // What the answer leaves out of the rest stays as listed.
      kept.set(resource, { ...one, expirationDateTime: answer.expirationDateTime })
      due.delete(one.id)
      errors.delete(resource)
      round.done.push({ resource, outcome: 'renewed' })
    } catch (error) {
      failed(resource, error, signal, round)
    }
    return true
  }

  const created = async (
    resource: WatchedResource,
    { clientState, tag }: { clientState: string; tag: string },
    signal: AbortSignal,
    round: Round,
  ) => {
    // Until its answer, something may come through it whose id is not known.
    settled = false
    try {
      const expiresAt = clock.now() + LIFETIME_MS
      const asked = { resource, url: addressOf(hook, tag), clientState, expiresAt }
      const one = await flying(tag, () => calls.create(asked, signal))
      kept.set(resource, { ...one, notificationUrl: asked.url, resource })
      madeAt.set(one.id, clock.mono())
      settled = true
      // After a failure nobody knows since when nothing was told.
      if (errors.delete(resource)) round.missed = true
      round.done.push({ resource, outcome: 'created' })
    } catch (error) {
      failed(resource, error, signal, round)
    }
  }

  const removed = async (id: string, resource: string, signal: AbortSignal, round: Round) => {
    try {
      await calls.remove(id, signal)
      gone.delete(id)
      round.done.push({ resource, outcome: 'removed' })
    } catch (error) {
      if (signal.aborted) throw error
      round.done.push({ resource, outcome: 'failed', error: asBridgeError(error) })
    }
  }

  const failed = (resource: WatchedResource, error: unknown, signal: AbortSignal, round: Round) => {
    if (signal.aborted) throw error
    const reason = asBridgeError(error)
    errors.set(resource, reason)
    round.done.push({ resource, outcome: 'failed', error: reason })
  }

  return {
    async tend(signal): Promise<TendReport> {
      const round: Round = { done: [], missed: false }
      try {
        await look(signal, round)
      } catch (error) {
        for (const resource of resources) failed(resource, error, signal, round)
      }
      failures = errors.size === 0 ? 0 : failures + 1
      const asked = Math.max(0, ...[...errors.values()].map(({ retryAfterMs }) => retryAfterMs ?? 0))
      const againMs =
        failures === 0
          ? LOOK_MS * (0.9 + 0.2 * random())
          : Math.max(1000, backoffMs(failures - 1, RETRY, random(), asked))
      return { ...round, againMs }
    },
    subscriptions: (): readonly Subscription[] =>
      resources.map((resource) => ({
        resource,
        expiresAt: kept.get(resource)?.expirationDateTime,
        notifiedAt: notifiedAt.get(resource),
        error: errors.get(resource),
      })),
    shake(tag) {
      if (flight === undefined || flight.tag !== tag || flight.left <= 0) return false
      flight.left -= 1
      flight.shaken = true
      reached = true
      return true
    },
    known,
    heard(resource) {
      reached = true
      notifiedAt.set(resource, clock.now())
    },
    note(event, id) {
      // Of one that is not ours (any more) nothing is remembered: a repeat of old news changes nothing.
      const resource = known(id)
      if (resource === undefined || resource === 'unsure') return
      if (event === 'reauthorizationRequired') due.add(id)
      else if (event === 'subscriptionRemoved') gone.add(id)
    },
  }
}

interface Round {
  readonly done: Tended[]
  missed: boolean
}

const asBridgeError = (error: unknown): BridgeError =>
  error instanceof BridgeError
    ? error
    : new BridgeError('E_BUG', 'looking after change notifications failed', { cause: error })
