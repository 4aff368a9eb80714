import { isOff, offByUs } from './account.ts'
import { type JudgedEntry, type LogReading, logSkewMs } from './switchlog.ts'
import type { Account, Hold } from './types.ts'

/**
 * Linked directories (rule 15): one directory provisions another, so that an account of the follower is switched off
 * because the account it follows, of the same agent, was.
 *
 * | the account it follows                                     | the follower reads off, no claim of ours  |
 * |------------------------------------------------------------|-------------------------------------------|
 * | carries our mark, or `lifted`                              | a copy: no hold                           |
 * | was last read off or absent, whoever did it                | a copy: its own hold covers the agent     |
 * | on again for less than `followWithin`                      | a copy: provisioning is on its way        |
 * | on for longer, never off, never read, none                 | own hold, as for any account              |
 * | turns out to have been off before the follower was held    | the follower's own hold ends; that of the |
 * |                                                            | account it follows takes its place        |
 *
 * While it is a copy, the follower's log (where it tells provisioning from people) is looked through for a person who
 * switched it off: own hold. What is still off when the time is over is held all the same.
 */

/** Until when (ms) a follower that reads off shows a copy of this account; undefined: it does not. */
export const copiesUntil = (leader: Account, withinMs: number, now: number): number | undefined => {
  if (offByUs(leader) || leader.mark === 'lifted' || isOff(leader)) return Number.POSITIVE_INFINITY
  const last = [leader.offUntil, leader.enabledAckAt].filter((at) => at !== undefined)
  if (last.length === 0) return undefined
  const until = Math.min(now, Math.max(...last)) + withinMs
  return until >= now ? until : undefined
}

/** Looked back so far for who switched off a copy that was never seen on. */
const lookBackMs = 3_600_000

/** Marks a reading that says off as a copy: from the last time that it was on, the log may show a person. */
export const copyOf = (stored: Account, begunAt: number): Pick<Account, 'copiedAt' | 'examinedUntil'> => {
  const { copiedAt, examinedUntil, observed, observedAt, enabledAckAt } = stored
  if (copiedAt !== undefined) return { copiedAt, examinedUntil }
  const on = observed === 'enabled' ? observedAt : enabledAckAt
  return { copiedAt: begunAt, examinedUntil: (on ?? begunAt - lookBackMs) - logSkewMs }
}

/** The person's switch-off of a copy that nobody took back, if the log shows one since it was last looked through. */
export const checkCopy = (account: Account, log: LogReading): JudgedEntry | undefined => {
  const since = log.entries.filter(({ at }) => at >= (account.examinedUntil ?? 0))
  // By the log's own order: changes of one millisecond are told apart by it.
  const on = since.findLastIndex(({ action }) => action === 'enable')
  return since.slice(on + 1).findLast(({ action, ours, trusted }) => action === 'disable' && !ours && !trusted)
}

/**
 * The account that a follower hangs on was just found off by somebody else: was it so already when the follower was
 * held? Then that hold was an echo. `since`: when the log says that it was switched off, or undefined where only a
 * reading tells, and then its last reading before must not have said on after the follower was held.
 */
export const heldAsCopy = (
  held: Hold,
  leader: { readonly before: Account; readonly since: number | undefined; readonly settleMs: number },
): boolean => {
  if (held.evidence['cause'] !== 'disabled' || held.evidence['byOthers'] !== undefined) return false
  if (held.releasableAt !== undefined) return false
  if (leader.since !== undefined) return leader.since <= held.placedAt
  const { before } = leader
  // It was on when we switched it off for the follower's sake. (Sent alone says nothing: it is recorded before sending.)
  if (before.mark === 'ours' || before.disabledAckAt !== undefined) return false
  return before.observed !== 'enabled' || (before.observedAt ?? 0) <= held.placedAt + leader.settleMs
}
