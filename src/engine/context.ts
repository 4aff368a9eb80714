import type { Context } from '../core/account.ts'
import { ownOrigin } from '../core/holds.ts'
import { next } from '../core/next.ts'
import type { Schedule, StoreReads } from '../core/store.ts'
import type { Account, Hold, Principal } from '../core/types.ts'
import type { Deps, Mount } from './deps.ts'
import { sharedHoldsOf } from './sharing.ts'

/** Set while an operator has stopped all writes. */
export const pausedKey = 'paused'

type Holds = Pick<Context, 'own' | 'others' | 'ownMissing'>

const contextWith = (deps: Deps, mount: Mount, holds: Holds, now: number): Context => {
  const { adapter, settings } = mount
  return {
    now,
    settleMs: settings.settleMs,
    writeTimeoutMs: adapter.accounts?.writeTimeoutMs ?? 0,
    writes: adapter.accounts !== undefined && (settings.mirror === 'both' || settings.mirror === 'outbound'),
    inbound: settings.mirror === 'both' || settings.mirror === 'inbound',
    hasLog: adapter.accounts?.log !== undefined,
    logReachMs: adapter.accounts?.log?.retentionMs,
    copyLog:
      adapter.accounts?.log !== undefined &&
      settings.follows !== undefined &&
      (settings.trustedWriters ?? []).length > 0,
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
  return contextWith(deps, mount, holds, now)
}

const retryBaseMs = 1_000
const retryCeilingMs = 300_000

/** Wait after `attempts` failures, in whole ms: exponential with jitter, from a second to five minutes. */
export const retryIn = (deps: Deps, attempts: number, floorMs = 0): number => {
  if (attempts === 0) return Math.ceil(floorMs)
  const ceiling = Math.min(retryCeilingMs, retryBaseMs * 2 ** Math.min(attempts - 1, 20))
  return Math.ceil(Math.max(floorMs, ceiling / 2 + (ceiling / 2) * deps.random()))
}

/** Steps that wait for the directory's log or switch something on: in a lane of their own, for nothing may wait for them. */
export const resumes: ReadonlySet<string> = new Set([
  'attribute',
  'prove',
  'check-lift',
  'check-override',
  'check-copy',
])

/** When and in which lane a worker should look at the principal again. */
export const scheduleOf = (deps: Deps, account: Account, context: Context, floorMs = 0): Schedule => {
  const step = next(account, context)
  if (step.do === 'rest') return { nextAt: step.until, lane: 1 }
  // Claiming is local: failures before it delay nothing.
  if (step.do === 'claim') return { nextAt: context.now, lane: 0 }
  const nextAt = context.now + retryIn(deps, account.attempts, floorMs)
  if (resumes.has(step.do)) return { nextAt, lane: 3 }
  if (step.do !== 'disable') return { nextAt, lane: 1 }
  return { nextAt, lane: account.attempts === 0 ? 0 : 2 }
}
