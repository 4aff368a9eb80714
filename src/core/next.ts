import { type Context, driving, isOff, isTheirs, moreSevere, provesAfter, rebased, unmarked } from './account.ts'
import { contestedUntil, type Outcome } from './mirror.ts'
import { type JudgedEntry, type LogReading, latest, logSkewMs } from './switchlog.ts'
import type { Account } from './types.ts'

export { type LogReading, logSkewMs } from './switchlog.ts'

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
 * | any           | any      | claimed, ours, answered  | prove, before the log forgets our disable     |
 * | none          | any      | none, claimed, ours      | check-lift, after an enable of ours           |
 * | none²         | none     | none, off as a copy      | check-copy: a person's? still a copy?         |
 *
 * ¹ releasable: it was confirmed on, and only people keep the hold open.
 * ² with holds open too where a log can tell: then what it says is not lost by the time they are released.
 */
export type Step =
  | { readonly do: 'claim' | 'unclaim' | 'disable' | 'enable' | 'attribute' | 'read' }
  | { readonly do: 'prove' | 'check-lift' | 'check-override' | 'check-copy' }
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
  if (!context.writes) {
    const step = earlier(closing(account, context), copyStep(account, context))
    return readDue ? { do: 'read' } : sooner(step, account)
  }
  if (account.inFlightUntil !== undefined && !mayDisable(account))
    return landing(account, account.inFlightUntil, context)
  if (account.putBack) return { do: 'disable' }
  const step: Step = isTheirs(context)
    ? earlier(closing(account, context), proof(account, context))
    : wanted(account, context)
  if (step.do === 'claim' || step.do === 'disable') return step
  if (account.inFlightUntil !== undefined) return landing(account, account.inFlightUntil, context)
  if (readDue) return { do: 'read' }
  if (step.do !== 'rest') return sooner(step, account)
  // Under an own hold too: it may be there for another reason than the disable that our enable undid.
  if (account.liftedFrom !== undefined && account.mark !== 'lifted' && account.observed !== 'absent') {
    return { do: 'check-lift' }
  }
  // Overridden for one DID of a shared account, it is watched for that one though another's own hold is open.
  if (context.own !== undefined && context.ownMissing !== true) return sooner(step, account)
  if (account.overriddenAt !== undefined && context.hasLog) return { do: 'check-override' }
  return sooner(earlier(step, copyStep(account, context)), account)
}

/**
 * An enable was seen to have landed, if what was seen was it: a new hold does not wait for the rest of its time. The
 * log does, for it may land yet.
 */
const mayDisable = ({ intent, mark, putBack }: Account): boolean => intent === 'enable' && mark !== 'ours' && !putBack

const landing = (account: Account, until: number, context: Context): Step => {
  const { readDueAt } = account
  if (context.now > until || (readDueAt !== undefined && readDueAt <= context.now)) return { do: 'read' }
  return sooner({ do: 'rest', until: until + 1 }, account)
}

/** What is to be done first: something now before a rest, the shorter rest before the longer. */
const earlier = (first: Step, second: Step): Step => {
  if (first.do !== 'rest') return first
  if (second.do !== 'rest' || first.until === undefined) return second
  return second.until === undefined || first.until <= second.until ? first : second
}

/** A log is looked through again when half of what it reaches back has passed since: a gap can never be proven. */
const examineAt = (since: number, reachMs: number): number => since + Math.floor(reachMs / 2)

/** What nobody looked through while the log had it is `unproven` for ever: so our claims are proven in time. */
const proof = (account: Account, context: Context): Step => {
  const since = account.examinedUntil ?? account.disabledAckAt
  const reachMs = context.logReachMs
  if (!context.hasLog || reachMs === undefined || since === undefined || account.disabledAckAt === undefined)
    return { do: 'rest' }
  if ((account.mark !== 'ours' && account.mark !== 'claimed') || since + reachMs <= context.now) return { do: 'rest' }
  const at = examineAt(since, reachMs)
  return context.now >= at ? { do: 'prove' } : { do: 'rest', until: at }
}

/** Off as a copy of the account it follows, with no claim of ours. */
const copyStep = (account: Account, context: Context): Step => {
  const { copiedAt, examinedUntil, mark } = account
  if (copiedAt === undefined || mark !== 'none' || context.own !== undefined) return { do: 'rest' }
  if (context.others.length === 0) return { do: 'check-copy' }
  if (!context.copyLog || context.logReachMs === undefined) return { do: 'rest' }
  if (examinedUntil === undefined || examinedUntil <= copiedAt) return { do: 'check-copy' }
  const at = examineAt(examinedUntil, context.logReachMs)
  return context.now >= at ? { do: 'check-copy' } : { do: 'rest', until: at }
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
  return held ? earlier(closing(account, context), proof(account, context)) : resume(account, context)
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
  if (lacking.length === 0) return proof(account, context)
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

export type Attribution =
  | { readonly verdict: 'enable'; readonly account: Account }
  | { readonly verdict: 'wait' }
  | { readonly verdict: 'theirs'; readonly outcome: Outcome; readonly entry?: JudgedEntry }

/**
 * The latest disable since then; one of somebody else's that somebody else took back does not count. A trusted writer
 * copies what others decided: its changes veto nothing and take nothing back.
 */
const latestDisable = (all: readonly JudgedEntry[], from: number): JudgedEntry | undefined => {
  const entries = all.filter(({ trusted }) => !trusted)
  const on = latest(entries, (entry) => entry.action === 'enable' && !entry.ours)?.at ?? Number.NEGATIVE_INFINITY
  return latest(entries, ({ action, at, ours }) => action === 'disable' && at >= from && (ours || at >= on))
}

/** Somebody else's from now on; until the directory has settled, a read that says on may be older than our disable. */
export const yielded = (account: Account): Account => ({
  ...unmarked(account),
  foreignSeenAt: Math.max(account.foreignSeenAt ?? 0, account.disabledAckAt ?? 0, account.sentAt ?? 0),
})

/** The log names somebody else's disable: an own hold, unless what happens in this directory holds nobody (`outbound`). */
export const offByOthers = (account: Account, { inbound }: Pick<Context, 'inbound'>): Outcome =>
  inbound ? { account, own: 'place', reason: 'disabled' } : { account, own: 'keep' }

/** `why`: the directory keeps no log, it begins after our disable, it has nothing of ours, or the claim was restored. */
const unproven = (
  account: Account,
  why: 'no-log' | 'before-log' | 'not-in-log' | 'restored',
  logFrom?: number,
): Attribution => {
  const { sentAt } = account
  const evidence = { why, ...(sentAt !== undefined && { sentAt }), ...(logFrom !== undefined && { logFrom }) }
  return { verdict: 'theirs', outcome: { account: yielded(account), own: 'place', reason: 'unproven', evidence } }
}

/** The earliest that a log must tell of for our claim to be proven by it. */
export const examineFrom = ({ examinedUntil, claimedAt, disabledAckAt, sentAt }: Account): number =>
  examinedUntil ?? (claimedAt ?? disabledAckAt ?? sentAt ?? 0) - logSkewMs

/** Our disable is older than the log, and was not proven while it was there: reading it would prove nothing. */
export const beforeLog = (account: Account, logFrom: number): boolean => {
  const { disabledAckAt, examinedUntil, sentAt } = account
  const last = Math.max(disabledAckAt ?? 0, sentAt ?? 0) + logSkewMs
  return last < logFrom && (examinedUntil ?? 0) < logFrom
}

/**
 * The mark is `claimed` or `ours`: whose disable is the latest? Only a proof that it is ours lets us enable, once the
 * last hold is released. A log that does not reach past our write yet makes us wait. What was looked through before
 * (`examinedUntil`) stays proven as long as the log still reaches back to there. `copied`: it follows an account that
 * is off or was until lately; switched off by a trusted writer and not by us, it is that one's copy. A claim that came back with a
 * restore proves nothing, whoever the log names: a later hold that the store forgot may be what our disable stood for.
 */
export const attribute = (
  account: Account,
  log: LogReading | undefined,
  context: Pick<Context, 'inbound'>,
  { copied = false, restoredAt }: { readonly copied?: boolean; readonly restoredAt?: number | undefined } = {},
): Attribution => {
  if (restoredAt !== undefined && (account.claimedAt ?? 0) <= restoredAt) return unproven(account, 'restored')
  if (log === undefined) {
    return account.mark === 'ours' ? { verdict: 'enable', account } : unproven(account, 'no-log')
  }
  const since = account.disabledAckAt ?? account.sentAt ?? account.claimedAt ?? 0
  const start = examineFrom(account)
  const last = latestDisable(log.entries, start)
  // One from before our disable says nothing while ours may be missing yet.
  const known = log.completeUntil > since
  if (last !== undefined && !last.ours && (known || last.at > since)) {
    return { verdict: 'theirs', outcome: offByOthers(yielded(account), context), entry: last }
  }
  if (!known) return { verdict: 'wait' }
  // An entry of ours is a change of the switch: it was on before, whoever had done what. So nothing earlier matters.
  const whole = log.from === undefined || log.from <= start
  if (last?.ours || (account.examinedUntil !== undefined && whole)) {
    const examinedUntil = Math.max(account.examinedUntil ?? 0, log.completeUntil - logSkewMs)
    return { verdict: 'enable', account: { ...account, mark: 'ours', examinedUntil } }
  }
  if (copied && log.entries.some(({ action, at, trusted }) => trusted && action === 'disable' && at >= start)) {
    const copy = { ...unmarked(account), copiedAt: account.observedAt ?? since, examinedUntil: start }
    return { verdict: 'theirs', outcome: { account: copy, own: 'keep', echo: true } }
  }
  return unproven(account, whole ? 'not-in-log' : 'before-log', log.from)
}

/** A hold was overridden while the account stayed off: a newer disable by somebody else counts again. */
export const checkOverride = (account: Account, log: LogReading): JudgedEntry | undefined => {
  const last = latestDisable(log.entries, (account.overriddenAt ?? 0) + 1)
  return last !== undefined && !last.ours ? last : undefined
}
