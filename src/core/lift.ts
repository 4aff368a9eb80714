import { type Context, offByUs } from './account.ts'
import type { Outcome } from './mirror.ts'
import { offByOthers, yielded } from './next.ts'
import { type JudgedEntry, type LogReading, latest, logSkewMs } from './switchlog.ts'
import type { Account } from './types.ts'

/** Of two changes this close in the log nobody can tell which was made first. */
const momentMs = 1_000

/**
 * Whether our enable undid this disable of somebody else's. Both are in one log, where their order is the truth,
 * whatever the clocks: an enable of ours after it undid it; after an enable of ours, the last that we did, it stands by
 * itself. Only where the log does not show our enable (it is late, or somebody had switched the account on before us)
 * our own time decides.
 */
const isUndone = (account: Account, { at }: JudgedEntry, mine: readonly JudgedEntry[]): boolean => {
  if (mine.some((entry) => entry.action === 'enable' && entry.at >= at - momentMs)) return true
  if (latest(mine, (entry) => entry.at <= at)?.action === 'enable') return false
  return at <= (account.enabledAckAt ?? 0) + logSkewMs
}

/** What the log must be complete past to tell of a lift. Off by us anew nothing is urgent: it also tells what came before that. */
export const liftUntil = (account: Account): number =>
  Math.max(account.enabledAckAt ?? 0, offByUs(account) ? (account.disabledAckAt ?? account.sentAt ?? 0) : 0)

/**
 * After our enable: a foreign disable between our disable and our enable was switched on by mistake. One of ours since
 * then, for another hold, does not make up for it.
 */
export const checkLift = (account: Account, log: LogReading): 'clean' | 'wait' | JudgedEntry => {
  const isKnown = log.completeUntil > liftUntil(account)
  if (!isKnown && offByUs(account)) return 'wait'
  const from = (account.liftedFrom ?? 0) - logSkewMs
  const entries = log.entries.filter(({ at }) => at >= from)
  const last = latest(entries, ({ ours, trusted }) => !ours && !trusted)
  const mine = entries.filter(({ ours }) => ours)
  if (last?.action === 'disable' && isUndone(account, last, mine)) return last
  return isKnown ? 'clean' : 'wait'
}

/** The foreign disable found after our enable: put it back, without a claim of ours. */
export const puttingBack = (account: Account, context: Pick<Context, 'inbound'>): Outcome =>
  offByOthers({ ...yielded(account), liftedFrom: undefined, putBack: true }, context)
