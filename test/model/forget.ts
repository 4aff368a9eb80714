import type { LogEntry } from '../../src/core/adapter.ts'
import { type Config, type Side, tickMs } from './state.ts'

/**
 * What no rule can ask about any more is forgotten, so that states between which nothing can tell are one: each time
 * becomes the latest one that answers every coming question alike. `walk.ts` checks that nothing else is forgotten.
 *
 * Ages are in ticks. All that is under way began at most one tick ago, and what begins later begins now or later, so
 * that a time is compared only with begins of that age (`open`), and with how far a log may be complete (`behind`).
 */
export interface Kept {
  readonly log: readonly LogEntry[]
  readonly asked: readonly LogEntry[]
  /** Ages of the entries, in the order of `log` and then `asked`. */
  readonly ages: readonly number[]
  readonly claimedAt: number | undefined
  readonly sentAt: number | undefined
  readonly inFlightUntil: number | undefined
  readonly disabledAckAt: number | undefined
  readonly enabledAckAt: number | undefined
  readonly foreignSeenAt: number | undefined
  readonly overriddenAt: number | undefined
  readonly liftedFrom: number | undefined
  readonly examinedUntil: number | undefined
  readonly completeUntil: number | undefined
}

/** Clocks may differ by so many ticks (`logSkewMs`). */
const skew = 1.5

const none: readonly LogEntry[] = []

/** The ages of reads and calls under way, at most one tick: what they say may be as old. */
export const openAge = (side: Side, now: number): number =>
  (side.readBegunAt !== undefined && side.readBegunAt < now) ||
  (side.call?.before !== undefined && side.call.before.begunAt < now)
    ? 1
    : 0

/** From where on disables of ours and of somebody else's are looked for, now or later. */
interface From {
  readonly ours: number
  readonly theirs: number
}

/**
 * Entries that no present or coming question can tell from their absence are dropped: of those that every answer shows
 * (`shown`) only the latest of each kind counts, and a disable that was taken back is as if it had not been. An enable
 * of ours counts until its lift was checked, for what it undid, and for what comes after it.
 */
const pruned = (log: readonly LogEntry[], shown: number, from: From, isLifting: boolean): readonly LogEntry[] => {
  let ours: LogEntry | undefined
  let theirs: LogEntry | undefined
  let on: LogEntry | undefined
  let lift: LogEntry | undefined
  for (const entry of log) {
    if (entry.at > shown) break
    if (entry.action === 'enable') [on, lift] = entry.ours ? [on, entry] : [entry, lift]
    else if (entry.ours) ours = entry
    else theirs = entry
  }
  if (theirs !== undefined && on !== undefined && on.at > theirs.at) theirs = undefined
  let [isOff, isLifted] = [false, false]
  return log.filter((entry, n) => {
    const isLast = entry.at > shown || entry === ours || entry === theirs || entry === on || entry === lift
    if (entry.action === 'enable' && !entry.ours) return isOff && isLast
    if (entry.action === 'enable') {
      const next = log.slice(n + 1).find(({ action, ours }) => ours || action === 'disable')
      const isKept = isLifting && isLast && entry.at >= from.theirs && (isOff || !next?.ours)
      isLifted ||= isKept
      return isKept
    }
    const isKept = isLast && entry.at >= (entry.ours && !isLifted ? from.ours : from.theirs)
    if (isKept && !entry.ours) isOff = true
    return isKept
  })
}

export const createForget = (config: Config) => {
  const least = Math.min(0, config.skew)
  const kept = (side: Side, now: number, isBehind: boolean, open: number): Kept => {
    const { account, ask } = side
    const age = (at: number) => (now - at) / tickMs
    const aged = (at: number | undefined) => (at === undefined ? undefined : age(at))
    const isMarked = account.mark === 'claimed' || account.mark === 'ours'
    const isLifting = account.liftedFrom !== undefined || account.putBack
    const isLifted = account.liftedFrom !== undefined || account.intent === 'enable' || side.late?.intent === 'enable'
    const pending = ask !== undefined && !ask.proven ? ask : undefined

    /** How far from now the end of an answer of the log may be, one under way included. */
    const behind = Math.max(config.skew === 0 ? (isBehind ? 1 : 0) : 2, pending ? age(pending.completeUntil) : 0)
    const reach = 1 + open
    const recent = Math.max(reach, behind)

    // The begins of the windows in which the log is looked through, now or later: our own `enable` opens one from here.
    const examined = aged(account.examinedUntil)
    const claimed =
      examined === undefined ? aged(account.claimedAt ?? account.disabledAckAt ?? account.sentAt) : undefined
    const lifted = account.putBack ? Number.POSITIVE_INFINITY : aged(account.liftedFrom)
    const overridden = account.overriddenAt === undefined ? undefined : Math.ceil(age(account.overriddenAt))
    const newer = overridden === undefined ? 0 : overridden - 1
    const from = {
      ours: now - Math.max(skew, examined ?? (claimed ?? 0) + skew, newer) * tickMs,
      theirs: now - Math.max((examined ?? claimed ?? 0) + skew, (lifted ?? 0) + skew, newer) * tickMs,
    }

    let [log, asked] = [none, none]
    if (config.hasLog) {
      if (side.log.length > 0) log = pruned(side.log, now - tickMs, from, isLifted)
      if (pending !== undefined && pending.entries.length > 0)
        asked = pruned(pending.entries, now + tickMs, from, isLifted)
    }

    const whole = log.length === 0 ? asked : asked.length === 0 ? log : [...log, ...asked]
    const before = [...advanced(log, age, config.skew), ...advanced(asked, age, config.skew)]
    /** Longer ago, only the order of entries counts, and on which side of the windows they lie. */
    const exact = behind + 3
    const ages = squeezed(before, exact, examined === undefined ? 1 : 3)
    const isOff = (at: number) => whole[at]?.action === 'disable'
    const isTheirs = (at: number) => isOff(at) && whole[at]?.ours === false
    const isLift = (at: number) => !isOff(at) && whole[at]?.ours === true

    /** The latest begin of a window with the same entries in it. */
    const opened = (from: number | undefined, counts: (at: number) => boolean): number | undefined => {
      if (from === undefined) return undefined
      let place = 0
      for (const [at, old] of before.entries())
        if (counts(at) && old <= from + skew) place = Math.max(place, (ages[at] ?? 0) - 1)
      return place
    }

    const close = (from: number | undefined, most: number) =>
      from === undefined ? undefined : Math.min(from, most + 1)
    const near = (from: number | undefined, most: number) => (from === undefined || from > most ? undefined : from)

    const acked = close(aged(account.disabledAckAt), recent)
    const isAcked =
      account.disabledAckAt !== undefined && account.sentAt !== undefined && account.disabledAckAt >= account.sentAt

    return {
      log,
      asked,
      ages,
      claimedAt: isMarked && config.hasLog ? (examined === undefined ? opened(claimed, isOff) : 0) : undefined,
      sentAt: isAcked ? acked : close(aged(account.sentAt), recent),
      inFlightUntil: account.inFlightUntil === undefined ? undefined : Math.min(open + 1, age(account.inFlightUntil)),
      disabledAckAt: acked,
      enabledAckAt: isLifting ? undone(aged(account.enabledAckAt), recent) : near(aged(account.enabledAckAt), reach),
      foreignSeenAt: near(aged(account.foreignSeenAt), reach),
      overriddenAt: undoing(overridden),
      liftedFrom:
        account.liftedFrom === undefined
          ? undefined
          : opened(aged(account.liftedFrom), (at) => isTheirs(at) || isLift(at)),
      examinedUntil: looked(examined, behind),
      completeUntil: pending && age(pending.completeUntil),
    }

    /** An enable of ours: on which side of it, with the skew, the entries lie. */
    function undone(at: number | undefined, close: number): number | undefined {
      const most = Math.max(close, 1 - least) + 1
      if (at === undefined || at <= most) return at
      let place = most + 1
      for (const [n, old] of before.entries())
        if (isTheirs(n) && old < at - skew) place = Math.max(place, (ages[n] ?? 0) + 2)
      return place
    }

    /** An override: which entries are newer. */
    function undoing(at: number | undefined): number | undefined {
      if (at === undefined || at <= 1 - config.skew) return at
      let place = 2 - config.skew
      for (const [n, old] of before.entries()) if (isOff(n) && old < at) place = Math.max(place, (ages[n] ?? 0) + 1)
      return place
    }

    /** Looked through up to here: which entries are newer, with the skew and without. */
    function looked(at: number | undefined, behind: number): number | undefined {
      if (at === undefined || at <= behind + skew) return at
      const answers = (from: number, entries: readonly number[]) =>
        entries.map((old, n) => Number(isOff(n) && old <= from) + Number(isTheirs(n) && old <= from + skew)).join('')
      const wanted = answers(at, before)
      for (let place = Math.ceil(behind) + 1.5 + skew; place < 100; place++)
        if (answers(place - 0.5, ages) === wanted) return place - 0.5
      throw new Error('no time answers like it')
    }
  }

  return kept
}

/**
 * The ages of entries. Of an enable of ours only this counts: whether it has come at all, whether it is of the same time as
 * what comes next (or may), and if not, that it is older.
 */
const advanced = (log: readonly LogEntry[], age: (at: number) => number, skew: number): readonly number[] => {
  const ages = log.map(({ at }) => age(at))
  for (let n = log.length - 1; n >= 0; n--) {
    const [entry, old, next] = [log[n], ages[n] ?? 0, ages[n + 1] ?? Number.NEGATIVE_INFINITY]
    const isSame = log[n + 1]?.at === entry?.at
    if (entry?.ours && entry.action === 'enable')
      ages[n] = isSame ? next : Math.min(old, Math.max(1, 1 - skew, next + 1))
  }
  return ages
}

/** Gaps between what is older than `exact` are closed to `gap`. */
const squeezed = (before: readonly number[], exact: number, gap: number): readonly number[] => {
  if (!before.some((age) => age > exact)) return before
  const places = new Map<number, number>()
  let [last, place] = [exact, exact]
  for (const age of [...new Set(before)].sort((a, b) => a - b)) {
    place = age <= exact ? age : Math.max(place, exact) + Math.min(gap, age - last)
    last = Math.max(age, exact)
    places.set(age, place)
  }
  return before.map((age) => places.get(age) ?? age)
}
