import {
  type Context,
  claimed,
  highestSeverity,
  isTheirs,
  offByUs,
  ourSwitch,
  rebased,
  saw,
  switchesOfOthers,
  unmarked,
  unsentDropped,
} from './account.ts'
import type { WriteResult } from './adapter.ts'
import { copyOf } from './follow.ts'
import type { Account, Sighting } from './types.ts'

/**
 * What a read or a write of one principal means (DESIGN §3). The table, as code; `next.ts` says what to do then.
 *
 * | what happened                                    | own hold | mark             | becomes                                     |
 * |--------------------------------------------------|----------|------------------|---------------------------------------------|
 * | read: disabled                                   | none     | none             | own hold                                    |
 * | read: disabled                                   | none     | claimed, unsent  | mark none, own hold                         |
 * | read: disabled                                   | none     | claimed, ours    | echo                                        |
 * | read: disabled, what it follows is or was (15)   | none     | none, lifted     | mark none; a copy, no hold (follow.ts)      |
 * | read: disabled, after settle                     | none     | lifted, none     | mark none, own hold                         |
 * | read by id: absent                               | any      | any              | mark none, own hold `deleted`               |
 * |   our enable in flight                           |          |                  |   and a lift to be checked                  |
 * | read: enabled                                    | open     | any, none driving| confirm, then release it (confirm.ts)       |
 * | read: enabled                                    | none     | lifted           | mark none                                   |
 * | read: enabled, no hold open                      | none     | claimed, ours    | mark none                                   |
 * | read: enabled, after settle, a hold open         | none     | claimed, ours    | drift: claim anew                           |
 * | read: contradicts our own write within settle    | any      | any              | unknown: nothing                            |
 * | read: enabled, our enable in flight, within      | none     | ours             | unknown: nothing                            |
 * |   settle of our disable                          |          |                  |                                             |
 * | read: enabled, then disabled within settle       | none     | claimed, ours    | unknown: nothing                            |
 * | our first disable refused, or never sent         | none     | claimed          | claimed, unsent: what read "off" is theirs  |
 * | our disable on somebody else's behalf            | open     | none             | mark none, whatever was read meanwhile      |
 * | read: someone else's switch off                  | none     | any              | own hold; mark none when our switch is on   |
 * | read failed                                      | any      | any              | unknown: nothing                            |
 */
export interface Outcome {
  readonly account: Account
  /** place: somebody else wants it off. cleared: nobody else does, as far as this read tells. */
  readonly own: 'place' | 'cleared' | 'keep'
  readonly reason?: 'disabled' | 'deleted' | 'unproven'
  readonly alert?: 'drift' | 'contested' | 'drift-accepted' | 'copy-overdue'
  /** Why, for the evidence of the own hold. */
  readonly evidence?: Readonly<Record<string, unknown>>
  /** An echo of our own write: counted, never a hold. */
  readonly echo?: boolean
  /** From then on a read by id is wanted: a listing said what only such a read may, or the directory is settling. */
  readonly readAt?: number
}

const driftWindowMs = 600_000
const driftMax = 5

const keep = (account: Account): Outcome => ({ account, own: 'keep' })

/** Our own last write and the read disagree, and the directory may still be settling. */
const contradicts = (account: Account, sighting: Sighting, context: Context, state: 'on' | 'off'): boolean => {
  const within = (at: number | undefined) => at !== undefined && sighting.begunAt <= at + context.settleMs
  const until = account.inFlightUntil
  if (until !== undefined && sighting.begunAt <= until) {
    // Begun before the disable was sent: the adapter's own read, right before the write, tells what was there.
    const before = sighting.begunAt < until - context.settleMs - context.writeTimeoutMs
    if (account.intent === 'disable') return state === 'on' || before
    // On: our enable has landed, unless the read may still show what was before our disable.
    return state === 'off' || within(account.disabledAckAt)
  }
  if (state === 'off') return !offByUs(account) && within(account.enabledAckAt)
  return (account.mark === 'claimed' || account.mark === 'ours') && within(account.disabledAckAt)
}

const place = (account: Account, context: Context, begunAt: number, reason: 'disabled' | 'deleted'): Outcome => {
  const seen = { ...account, foreignSeenAt: begunAt, copiedAt: undefined }
  if (!context.inbound || seen.overriddenAt !== undefined) return keep(seen)
  return { account: seen, own: 'place', reason }
}

/** No claim of ours. While a write on somebody else's behalf is under way its answer must not count as one either. */
const unclaimed = (account: Account): Account => ({
  ...unmarked(account),
  putBack: account.putBack && account.inFlightUntil !== undefined,
})

/**
 * Off though no claim of ours says so: somebody else's doing, unless it copies what the account follows. An own hold
 * that only waits for people is not taken back for a copy: the account it follows would never be freed.
 */
const foreign = (account: Account, stored: Account, context: Context, begunAt: number): Outcome => {
  const free = unclaimed(account)
  const isCopy = context.copied && context.inbound && !isTheirs(context) && account.overriddenAt === undefined
  if (isCopy) {
    return { account: { ...free, ...copyOf(stored, begunAt) }, own: 'keep', echo: true }
  }
  const outcome = place(free, context, begunAt, 'disabled')
  const overdue = stored.copiedAt !== undefined && outcome.own === 'place'
  return overdue ? { ...outcome, alert: 'copy-overdue' } : outcome
}

const unflown = { intent: undefined, inFlightUntil: undefined, putBack: false }

/** A reading arrived. Old news (begun before one already told) and unknowns change nothing. */
export const observe = (stored: Account, sighting: Sighting, context: Context): Outcome => {
  if (sighting.state === 'unknown' || isOld(stored, sighting, context)) return keep(stored)
  const account = rebased(stored, context)
  if (sighting.state === 'absent') {
    if (!sighting.byId) return { ...keep(account), readAt: context.now }
    // While the write on somebody else's behalf is under way its answer must not count as a claim of ours.
    const isFlying = account.putBack && sighting.begunAt <= (account.inFlightUntil ?? 0)
    const gone = { ...unmarked(saw(account, sighting)), ...(!isFlying && unflown) }
    const lifted = account.intent === 'enable' && account.mark === 'ours' ? lifting(account, context) : {}
    // What was to be put back, the log tells once more when it is restored.
    const back = account.putBack && context.hasLog ? { liftedFrom: 0 } : lifted
    return place({ ...gone, ...back }, context, sighting.begunAt, 'deleted')
  }
  const others = switchesOfOthers(sighting.switches)
  const ours = ourSwitch(sighting.switches)
  if (ours !== 'unknown' && contradicts(account, sighting, context, ours)) {
    const outcome = others.length > 0 ? place(account, context, sighting.begunAt, 'disabled') : keep(account)
    // A feed tells a change once: what may be somebody else's is looked at again when the directory has settled.
    return ours === 'on' ? outcome : { ...outcome, readAt: settledAt(account, context) }
  }
  const seen = settled(saw(account, sighting), sighting, context)
  if (ours === 'off') return off(seen, account, others, sighting, context)
  if (others.length > 0) {
    const freed = ours === 'on' ? unmarked(onAgain(seen, context)) : unsentDropped(seen)
    return place(freed, context, sighting.begunAt, 'disabled')
  }
  return ours === 'on' ? on(seen, sighting, context) : keep(seen)
}

/** Begun before a reading that already counted. A wall clock set back must not make every new reading old. */
const isOld = (account: Account, sighting: Sighting, context: Context): boolean =>
  account.observedAt !== undefined && account.observedAt <= context.now && sighting.begunAt < account.observedAt

const settledAt = (account: Account, context: Context): number =>
  Math.max(account.inFlightUntil ?? 0, (account.enabledAckAt ?? 0) + context.settleMs) + 1

/**
 * Nothing is in flight any more when the read came after it could have landed. A disable without answer stays in flight
 * though the account reads off, for it may land again after a later enable; and so does an enable though it reads on,
 * for somebody else may have switched it on, and off since.
 */
const settled = (account: Account, sighting: Sighting, context: Context): Account => {
  if (account.inFlightUntil === undefined) return account
  const lifted = account.intent === 'enable' && ourSwitch(account.switches) === 'on'
  const isPast = sighting.begunAt > account.inFlightUntil
  const present = isPast ? { ...account, intent: undefined, inFlightUntil: undefined } : account
  if (!lifted || account.mark !== 'ours') return present
  return { ...present, ...lifting(account, context), mark: 'lifted' }
}

/** Our enable landed, or may have: from where on the log must not show a disable that it undid. */
const lifting = (account: Account, { hasLog, now }: Context): Pick<Account, 'liftedFrom' | 'enabledAckAt'> => ({
  liftedFrom: hasLog ? (account.examinedUntil ?? account.claimedAt ?? account.sentAt) : account.liftedFrom,
  enabledAckAt: now,
})

const off = (
  account: Account,
  stored: Account,
  others: readonly string[],
  sighting: Sighting,
  context: Context,
): Outcome => {
  if (offByUs(account)) {
    const calm = { ...account, contested: false, disabledAckAt: account.disabledAckAt ?? sighting.begunAt }
    if (others.length > 0) return place(calm, context, sighting.begunAt, 'disabled')
    return { account: calm, own: context.own === undefined ? 'keep' : 'cleared', echo: true }
  }
  if (others.length === 0) return foreign(account, stored, context, sighting.begunAt)
  return place(unclaimed(account), context, sighting.begunAt, 'disabled')
}

/** Our switch is on after we had turned it off, or may have: reads of the old state may still come. */
const onAgain = (account: Account, context: Context): Account => ({
  ...account,
  // Not the begin of the read: it may have been switched on since.
  enabledAckAt: offByUs(account) || account.disabledAckAt !== undefined ? context.now : account.enabledAckAt,
})

const on = (account: Account, sighting: Sighting, context: Context): Outcome => {
  // We are about to switch it off on somebody else's behalf: that it is on says nothing about what they want.
  if (account.putBack && context.writes) return keep(account)
  const own = context.own ? 'cleared' : 'keep'
  const free = {
    ...onAgain(account, context),
    putBack: false,
    overriddenAt: undefined,
    copiedAt: undefined,
    foreignSeenAt: context.own ? account.foreignSeenAt : undefined,
  }
  if (context.others.length === 0) return { account: { ...unmarked(free), driftAcceptedAt: undefined }, own }
  if (free.mark === 'none' || (free.mark === 'claimed' && free.sentAt === undefined)) return { account: free, own }
  if (free.mark === 'lifted' || isTheirs(context)) return { account: unmarked(free), own }
  // Proven by the log, it had landed though no answer came: somebody switched it on since.
  if (free.mark === 'claimed' && free.disabledAckAt === undefined) return keep({ ...free, sentAt: undefined })
  return drifted(free, sighting, context)
}

const drifted = (account: Account, sighting: Sighting, context: Context): Outcome => {
  if (context.drift === 'accept' && highestSeverity(context.others) === 'suspend') {
    return { account: { ...unmarked(account), driftAcceptedAt: context.now }, own: 'keep', alert: 'drift-accepted' }
  }
  const recent = account.drifts.filter((at) => at > context.now - driftWindowMs)
  if (recent.length >= driftMax) {
    const first = !account.contested
    return {
      account: { ...account, drifts: recent, contested: true },
      own: 'keep',
      ...(first && { alert: 'contested' as const }),
    }
  }
  const again = { ...claimed(account, context.now), drifts: [...recent, sighting.begunAt] }
  return { account: again, own: 'keep', alert: 'drift' }
}

/** When a contested principal may be written again: never later than a window from now, whatever the clock did. */
export const contestedUntil = (account: Account): number => (account.drifts[0] ?? 0) + driftWindowMs

/** To be committed before a write is sent: what is not answered counts as in flight until timeout plus settle. */
export const sending = (account: Account, intent: 'disable' | 'enable', context: Context): Account => ({
  ...account,
  intent,
  sentAt: intent === 'disable' && account.mark === 'claimed' ? (account.sentAt ?? context.now) : account.sentAt,
  inFlightUntil: context.now + context.writeTimeoutMs + context.settleMs,
})

/** Sent some time between the record and now: how long it may still land counts from now. */
const unanswered = (account: Account, result: WriteResult, context: Context): Account => ({
  ...account,
  attempts: account.attempts + 1,
  lastError: result.error?.code,
  inFlightUntil: context.now + context.writeTimeoutMs + context.settleMs,
})

/**
 * The answer to our disable. `first`: nothing had been sent under this claim before it, so that a proving read that
 * says disabled is somebody else's doing.
 */
export const disabled = (account: Account, result: WriteResult, first: boolean, context: Context): Outcome => {
  const answered = { ...account, intent: undefined, inFlightUntil: undefined }
  if (result.outcome === 'lost') return keep(unanswered(account, result, context))
  if (result.outcome !== 'done') {
    const failed = {
      ...answered,
      // A reading of "off" meanwhile told of somebody else's doing, not of ours.
      ...(first && { sentAt: undefined, disabledAckAt: undefined }),
      attempts: account.attempts + 1,
      lastError: result.error?.code,
    }
    if (result.before === undefined) return keep(failed)
    const outcome = observe(failed, result.before, context)
    // Not sent because it was off already: nothing failed.
    if (result.error === undefined && outcome.account.disabledAckAt !== undefined) {
      return { ...outcome, account: { ...outcome.account, attempts: 0, lastError: undefined } }
    }
    return { ...outcome, account: { ...outcome.account, attempts: failed.attempts, lastError: failed.lastError } }
  }
  const acked = { ...answered, disabledAckAt: context.now, attempts: 0, lastError: undefined }
  if (account.putBack) return keep({ ...unmarked(acked), putBack: false, foreignSeenAt: context.now })
  const before = result.before
  if (before === undefined) return keep(acked)
  const others = switchesOfOthers(before.switches)
  const was = ourSwitch(before.switches)
  const seen = before.state === 'unknown' ? acked : saw(acked, before)
  if (was === 'on') {
    const ours = { ...seen, mark: 'ours' as const }
    return others.length > 0 ? place(ours, context, before.begunAt, 'disabled') : keep(ours)
  }
  const maybeOurs = account.enabledAckAt !== undefined && before.begunAt <= account.enabledAckAt + context.settleMs
  if (was === 'off' && first && !maybeOurs) {
    if (others.length === 0) return foreign(seen, account, context, before.begunAt)
    return place(unmarked(seen), context, before.begunAt, 'disabled')
  }
  return others.length > 0 ? place(seen, context, before.begunAt, 'disabled') : keep(seen)
}

/** The answer to our enable. */
export const enabled = (account: Account, result: WriteResult, context: Context): Outcome => {
  if (result.outcome === 'lost') return keep(unanswered(account, result, context))
  const answered = { ...account, intent: undefined, inFlightUntil: undefined }
  if (result.outcome !== 'done') {
    return keep({ ...answered, attempts: account.attempts + 1, lastError: result.error?.code })
  }
  // Kept when a read told of it before the answer came.
  const from = account.liftedFrom ?? account.examinedUntil ?? account.claimedAt ?? account.sentAt ?? context.now
  return keep({
    ...unmarked(answered),
    mark: 'lifted',
    enabledAckAt: context.now,
    lastError: undefined,
    liftedFrom: context.hasLog ? from : undefined,
  })
}
