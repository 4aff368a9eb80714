import { type Context, driving } from '../core/account.ts'
import { ownOrigin } from '../core/holds.ts'
import { isBulk } from '../core/masskill.ts'
import { next } from '../core/next.ts'
import type { Lane, Schedule, StoreReads } from '../core/store.ts'
import type { Account, Hold, Principal } from '../core/types.ts'
import type { Deps, Mount } from './deps.ts'
import { sharedHoldsOf } from './sharing.ts'

/** Set while an operator has stopped all writes. */
export const pausedKey = 'paused'

type Holds = Pick<Context, 'own' | 'others' | 'ownMissing'>

const contextWith = (
  deps: Deps,
  mount: Mount,
  { kind }: Pick<Principal, 'kind'>,
  holds: Holds,
  now: number,
): Context => {
  const { adapter, settings } = mount
  const { accounts } = adapter
  const switches = accounts !== undefined && accounts.unswitched?.(kind) === undefined
  return {
    now,
    settleMs: settings.settleMs,
    writeTimeoutMs: accounts?.writeTimeoutMs ?? 0,
    writes: switches && (settings.mirror === 'both' || settings.mirror === 'outbound'),
    inbound: settings.mirror === 'both' || settings.mirror === 'inbound',
    hasLog: accounts?.log !== undefined,
    logReachMs: accounts?.log?.retentionMs,
    copyLog:
      accounts?.log !== undefined && settings.follows !== undefined && (settings.trustedWriters ?? []).length > 0,
    drift: deps.policy().drift,
    ...holds,
  }
}

const holdsOf = (principal: Principal, open: readonly Hold[]): Holds => {
  const origin = ownOrigin(principal.adapter, principal.id)
  return {
    own: open.find((hold) => hold.origin === origin),
    others: open.filter((hold) => hold.origin !== origin),
  }
}

/** What the core needs to decide about one principal. `open`: the open holds of its DID, where they were read already. */
export const contextFor = async (
  deps: Deps,
  reads: StoreReads,
  mount: Mount,
  principal: Principal,
  now: number,
  open?: readonly Hold[],
): Promise<Context> => {
  const holds = principal.shared
    ? await sharedHoldsOf(reads, principal)
    : holdsOf(principal, open ?? (await reads.openHolds(principal.did)))
  return contextWith(deps, mount, principal, holds, now)
}

const retryBaseMs = 1_000
const retryCeilingMs = 300_000

/** Wait after `attempts` failures, in whole ms: exponential with jitter, from a second to five minutes. */
export const retryIn = (deps: Deps, attempts: number, floorMs = 0): number => {
  if (attempts === 0) return Math.ceil(floorMs)
  const ceiling = Math.min(retryCeilingMs, retryBaseMs * 2 ** Math.min(attempts - 1, 20))
  return Math.ceil(Math.max(floorMs, ceiling / 2 + (ceiling / 2) * deps.random()))
}

/** A suspension that was one too many is tried again within 8 s, or when the directory said: the throttling may be over. */
const throttledAttempts = 4

/** Steps that wait for the directory's log or switch something on: in a lane of their own, for nothing may wait for them. */
export const resumes: ReadonlySet<string> = new Set([
  'attribute',
  'prove',
  'check-lift',
  'check-override',
  'check-copy',
])

/**
 * The lane of a suspension. One that only holds of many ask for goes among the many, also when it failed before: a
 * single kill never waits behind them.
 */
const suspendLane = (account: Account, context: Context): Lane => {
  const drives = driving(context)
  if (drives.length > 0 && drives.every(isBulk)) return 4
  return account.attempts === 0 ? 0 : 2
}

/** When and in which lane a worker should look at the principal again. */
export const scheduleOf = (deps: Deps, account: Account, context: Context, floorMs = 0): Schedule => {
  const step = next(account, context)
  if (step.do === 'rest') return { nextAt: step.until, lane: 1 }
  // Claiming is local: failures before it delay nothing.
  if (step.do === 'claim') return { nextAt: context.now, lane: suspendLane({ ...account, attempts: 0 }, context) }
  const throttled = step.do === 'disable' && account.lastError === 'E_DIRECTORY_THROTTLED'
  const attempts = throttled ? Math.min(account.attempts, throttledAttempts) : account.attempts
  const nextAt = context.now + retryIn(deps, attempts, floorMs)
  if (resumes.has(step.do)) return { nextAt, lane: 3 }
  if (step.do !== 'disable') return { nextAt, lane: 1 }
  return { nextAt, lane: suspendLane(account, context) }
}

/**
 * The same where nothing was tried: an account that is read, or gets another hold, more often than its backoff is long
 * would otherwise be tried never again; and one that waits for the directory's log would ask it at every reading.
 */
export const keptSchedule = (
  deps: Deps,
  stored: Schedule,
  account: Account,
  context: Context,
  floorMs = 0,
): Schedule => {
  const fresh = scheduleOf(deps, account, context, floorMs)
  if (fresh.lane !== stored.lane || fresh.nextAt === undefined || stored.nextAt === undefined) return fresh
  if (fresh.lane === 3) return stored
  const isTriedAgain = fresh.lane === 2 || fresh.lane === 4
  return isTriedAgain ? { ...fresh, nextAt: Math.min(fresh.nextAt, stored.nextAt) } : fresh
}
