import { type Context, driving, isOff, isTheirs, moreSevere, provesAfter, rebased, unmarked } from './account.ts'
import type { LogEntry } from './adapter.ts'
import { contestedUntil, type Outcome } from './mirror.ts'
import type { Account } from './types.ts'

/**
 * What a worker does for one principal now. It compares what is wanted with what is known; it replays no events.
 *
 * | a hold drives | own hold | mark                     | step                                          |
 * |---------------|----------|--------------------------|-----------------------------------------------|
 * | yes           | none     | none, lifted             | claim                                         |
 * | yes           | none     | claimed, unanswered      | disable (after a read, if one may be in flight)|
 * | yes           | none     | ours; claimed, answered  | rest                                          |
 * | any           | open     | none                     | rest: it is somebody else's                   |
 * | yes           | waits¹   | any                      | as with none                                  |
 * | no hold open  | none     | claimed, unsent          | unclaim                                       |
 * | no hold open  | none     | claimed, ours            | attribute, then enable                        |
 * | no hold open  | none     | lifted                   | read until it says enabled                    |
 *
 * ¹ releasable: it was confirmed on, and only people keep the hold open.
 */
export type Step =
  | { readonly do: 'claim' | 'unclaim' | 'disable' | 'enable' | 'attribute' | 'read' | 'check-lift' | 'check-override' }
  | { readonly do: 'rest'; readonly until?: number }

const accepted = (account: Account, context: Context): boolean => {
  const since = account.driftAcceptedAt
  return (
    since !== undefined &&
    !driving(context).some((hold) => hold.placedAt > since || moreSevere(hold.severity, 'suspend'))
  )
}

export const next = (stored: Account, context: Context): Step => {
  const account = rebased(stored, context)
  const readDue = account.readDueAt !== undefined && account.readDueAt <= context.now
  if (!context.writes) return readDue ? { do: 'read' } : sooner(closing(account, context), account)
  if (account.inFlightUntil !== undefined) {
    if (readDue || context.now > account.inFlightUntil) return { do: 'read' }
    return sooner({ do: 'rest', until: account.inFlightUntil + 1 }, account)
  }
  if (account.putBack) return { do: 'disable' }
  const step: Step = isTheirs(context) ? closing(account, context) : wanted(account, context)
  if (step.do === 'claim' || step.do === 'disable') return step
  if (readDue) return { do: 'read' }
  if (step.do !== 'rest') return sooner(step, account)
  // Overridden for one DID of a shared account, it is watched for that one though another's own hold is open.
  if (context.own !== undefined && context.ownMissing !== true) return sooner(step, account)
  if (context.own === undefined && account.liftedFrom !== undefined && account.mark !== 'lifted') {
    return { do: 'check-lift' }
  }
  return account.overriddenAt !== undefined && context.hasLog ? { do: 'check-override' } : sooner(step, account)
}

/** A rest ends no later than the next wanted read. */
const sooner = (step: Step, account: Account): Step => {
  const due = account.readDueAt
  if (step.do !== 'rest' || due === undefined) return step
  return { do: 'rest', until: Math.min(due, step.until ?? due) }
}

const wanted = (account: Account, context: Context): Step => {
  if (driving(context).length > 0) return suspend(account, context)
  const held = context.others.length > 0 || context.own !== undefined
  return held ? closing(account, context) : resume(account, context)
}

const suspend = (account: Account, context: Context): Step => {
  if (account.contested && context.now < contestedUntil(account)) return { do: 'rest', until: contestedUntil(account) }
  if (account.mark === 'none' || account.mark === 'lifted') {
    // Off already, and no own hold may say so (overridden, or not mirrored inward): nothing to write.
    if (account.mark === 'none' && isOff(account)) return closing(account, context)
    return accepted(account, context) ? { do: 'rest' } : { do: 'claim' }
  }
  if (account.mark === 'claimed' && account.disabledAckAt === undefined) return { do: 'disable' }
  if (account.contested) return { do: 'read' }
  return verified(account, context)
}

/**
 * One read by id past settle shows that it is off, whoever switched it off: it closes the leg of every hold placed before.
 * The earliest that still lacks one counts, for a stream of new holds must not put it off.
 */
const verified = (account: Account, context: Context): Step => {
  const open = context.own === undefined ? context.others : [context.own, ...context.others]
  const lacking = open
    .map(({ placedAt }) => provesAfter(account, placedAt, context.settleMs))
    .filter((after) => account.offReadAt === undefined || account.offReadAt <= after)
  if (lacking.length === 0) return { do: 'rest' }
  const after = Math.min(...lacking)
  return context.now > after ? { do: 'read' } : { do: 'rest', until: after + 1 }
}

/** What is off already and not ours to write is read once more all the same. */
const closing = (account: Account, context: Context): Step => {
  const held = context.own !== undefined || context.others.length > 0
  return held && isOff(account) ? verified(account, context) : { do: 'rest' }
}

const resume = (account: Account, context: Context): Step => {
  switch (account.mark) {
    case 'none':
      return { do: 'rest' }
    case 'lifted':
      return context.now > (account.enabledAckAt ?? 0) + context.settleMs ? { do: 'read' } : liftRest(account, context)
    case 'claimed':
      if (account.sentAt === undefined) return { do: 'unclaim' }
      return { do: account.liftedFrom === undefined ? 'attribute' : 'check-lift' }
    case 'ours':
      return { do: account.liftedFrom === undefined ? 'attribute' : 'check-lift' }
  }
}

const liftRest = (account: Account, context: Context): Step => ({
  do: 'rest',
  until: (account.enabledAckAt ?? context.now) + context.settleMs + 1,
})

/** What the directory's log says of one principal; undefined entries: the directory keeps no log. */
export interface LogReading {
  readonly entries: readonly LogEntry[]
  readonly completeUntil: number
}

export type Attribution =
  | { readonly verdict: 'enable'; readonly account: Account }
  | { readonly verdict: 'wait' }
  | { readonly verdict: 'theirs'; readonly outcome: Outcome; readonly entry?: LogEntry }

const latest = (entries: readonly LogEntry[], wanted: (entry: LogEntry) => boolean): LogEntry | undefined =>
  entries
    .filter(wanted)
    .reduce<LogEntry | undefined>(
      (last, entry) => (last === undefined || entry.at >= last.at ? entry : last),
      undefined,
    )

/** The latest disable since then; one of somebody else's that somebody else took back does not count. */
const latestDisable = (entries: readonly LogEntry[], from: number): LogEntry | undefined => {
  const on = latest(entries, (entry) => entry.action === 'enable' && !entry.ours)?.at ?? Number.NEGATIVE_INFINITY
  return latest(entries, ({ action, at, ours }) => action === 'disable' && at >= from && (ours || at >= on))
}

/** Clocks of directory and bridge may differ by this much. */
export const logSkewMs = 300_000

/** Somebody else's from now on; until the directory has settled, a read that says on may be older than our disable. */
const yielded = (account: Account): Account => ({
  ...unmarked(account),
  foreignSeenAt: Math.max(account.foreignSeenAt ?? 0, account.disabledAckAt ?? 0, account.sentAt ?? 0),
})

const theirs = (account: Account, reason: 'disabled' | 'unproven', entry?: LogEntry): Attribution => ({
  verdict: 'theirs',
  outcome: { account: yielded(account), own: 'place', reason },
  ...(entry && { entry }),
})

/**
 * The last hold is released and the mark is `claimed` or `ours`: whose disable is the latest? Only a proof that it is
 * ours lets us enable. A log that does not reach past our write yet makes us wait. A claim that came back with a restore
 * proves nothing, whoever the log names: a later hold that the store forgot may be what our disable stood for.
 */
export const attribute = (account: Account, log: LogReading | undefined, restoredAt?: number): Attribution => {
  if (restoredAt !== undefined && (account.claimedAt ?? 0) <= restoredAt) return theirs(account, 'unproven')
  if (log === undefined) {
    return account.mark === 'ours' ? { verdict: 'enable', account } : theirs(account, 'unproven')
  }
  const since = account.disabledAckAt ?? account.sentAt ?? account.claimedAt ?? 0
  const last = latestDisable(log.entries, (account.claimedAt ?? since) - logSkewMs)
  // One from before our disable says nothing while ours may be missing yet.
  const known = log.completeUntil > since
  if (last !== undefined && !last.ours && (known || last.at > since)) return theirs(account, 'disabled', last)
  if (!known) return { verdict: 'wait' }
  if (last?.ours) return { verdict: 'enable', account: { ...account, mark: 'ours' } }
  return theirs(account, 'unproven')
}

/** After our enable: a foreign disable between our disable and our enable was switched on by mistake. */
export const checkLift = (account: Account, log: LogReading): 'clean' | 'wait' | LogEntry => {
  const from = (account.liftedFrom ?? 0) - logSkewMs
  const until = account.enabledAckAt ?? 0
  const last = latestDisable(log.entries, from)
  if (last !== undefined && !last.ours && last.at <= until + logSkewMs) return last
  return log.completeUntil <= until ? 'wait' : 'clean'
}

/** A hold was overridden while the account stayed off: a newer disable by somebody else counts again. */
export const checkOverride = (account: Account, log: LogReading): LogEntry | undefined => {
  const last = latestDisable(log.entries, (account.overriddenAt ?? 0) + 1)
  return last !== undefined && !last.ours ? last : undefined
}

/** The foreign disable found after our enable: put it back, without a claim of ours. */
export const puttingBack = (account: Account): Outcome => ({
  account: { ...yielded(account), liftedFrom: undefined, putBack: true },
  own: 'place',
  reason: 'disabled',
})
