import type { LogEntry } from '../../src/core/adapter.ts'
import type { Account, Hold, Severity, Sighting } from '../../src/core/types.ts'
import type { Core } from './core.ts'
import { createForget, openAge } from './forget.ts'
import { holdOf } from './glue.ts'
import {
  type Agent,
  type Ask,
  type Call,
  type Cause,
  type Config,
  didOf,
  idOf,
  longAgo,
  type Off,
  readingOf,
  type Side,
  type State,
  settleMs,
  spendings,
  startMs,
  switchesOf,
  tickMs,
} from './state.ts'

/**
 * States as bytes, and only one for all states between which no rule can tell: times are ages, without what is forgotten
 * (`forget.ts`). Holds count as placed long ago; only which of them came after a drift that was accepted is kept.
 */
const none = 255
const zero = 64
const halfTickMs = tickMs / 2

const marks = ['none', 'claimed', 'ours', 'lifted'] as const
const observations = ['unknown', 'enabled', 'disabled', 'absent'] as const
const intents = [undefined, 'disable', 'enable'] as const
const causes: readonly Cause[] = ['disabled', 'deleted', 'unproven']
const severities: readonly Severity[] = ['suspend', 'kill', 'disable', 'decommission']
const offs = ['nobody', 'us', 'admin'] as const
const outcomes = ['done', 'refused', 'lost', 'unsent'] as const
const phases = ['recorded', 'answered'] as const

const bit = (value: boolean, at: number): number => (value ? 1 << at : 0)
const up = (at: number): number => Math.ceil(at / tickMs) * tickMs

/** @param isReduced whether two accounts of one DID may change places */
export const createCodec = (core: Core, config: Config, isReduced = true) => {
  const buffer = new Uint8Array(512)
  let at = 0
  const byte = (value: number): void => {
    buffer[at++] = value
  }

  const kept = createForget(config)
  const isDated = config.drift === 'accept'
  const { budget } = config
  /** So few changes that they never add up to a contested account. */
  const isContestable = config.drifts > 0 || budget.flips + budget.stale + budget.late >= 5
  const writeAge = (age: number | undefined): void => byte(age === undefined ? none : zero + 2 * age)

  const writeHold = (hold: Hold | undefined): void => {
    if (hold === undefined) {
      byte(0)
      return
    }
    const { severity, guarded, releasableAt } = hold
    byte(1 | (severities.indexOf(severity) << 1) | bit(guarded, 3) | bit(releasableAt !== undefined, 4))
    if (isDated) byte(datesBefore(hold.placedAt))
  }

  /** The times at which a drift was accepted, earliest first. */
  let dates: readonly number[] = []
  const datesBefore = (at: number): number => dates.filter((date) => date < at).length

  const writeEntries = (entries: readonly LogEntry[], ages: readonly number[], from: number): void => {
    byte(entries.length)
    for (const [n, entry] of entries.entries()) {
      writeAge(ages[from + n])
      byte(bit(entry.ours, 0) | bit(entry.action === 'disable', 1))
    }
  }

  const writeSide = (side: Side, { now, budget }: State, open: number): void => {
    const { account, call, ask, own } = side
    const age = (time: number) => (now - time) / tickMs
    const is = kept(side, now, budget.behind > 0, open)
    const near = (time: number | undefined, most: number) =>
      writeAge(time === undefined || age(time) > most ? undefined : age(time))
    const isWatched = account.liftedFrom !== undefined || account.putBack || account.overriddenAt !== undefined

    // Under an own hold nothing asks what was read last: it ends with a reading, or is overridden.
    const isTheirs = own !== undefined && own.releasableAt === undefined
    const isAsked = !isTheirs || isWatched || config.deletes || config.via || config.budget.overrides > 0
    byte(
      marks.indexOf(account.mark) |
        (intents.indexOf(account.intent) << 2) |
        bit(account.putBack, 4) |
        bit(account.contested, 5) |
        (observations.indexOf(isAsked ? account.observed : 'disabled') << 6),
    )
    // A reading's time counts while an older one is under way.
    const seenAt = account.observedAt
    const isNewer = seenAt !== undefined && open > 0 && age(seenAt) < 1
    // Of the read that closes legs only this counts: whether one came after our last answers.
    const { offReadAt } = account
    const isAfter = (at: number | undefined) => offReadAt !== undefined && offReadAt > (at ?? 0) + settleMs
    const isProof = (isWatched || config.budget.overrides > 0) && isAfter(account.enabledAckAt)
    byte(
      bit(seenAt !== undefined, 0) |
        bit(isNewer, 1) |
        bit(isProof, 2) |
        bit(isProof && isAfter(account.disabledAckAt), 3),
    )
    writeAge(is.claimedAt)
    writeAge(is.sentAt)
    writeAge(is.inFlightUntil)
    writeAge(is.disabledAckAt)
    writeAge(is.enabledAckAt)
    // Without an own hold it counts only against our own later write, when the log says that this was somebody else's.
    const { foreignSeenAt, sentAt, disabledAckAt } = account
    const isLast = sentAt !== undefined && (foreignSeenAt ?? 0) > Math.max(sentAt, disabledAckAt ?? 0)
    writeAge(own !== undefined || isWatched || isLast ? is.foreignSeenAt : undefined)
    writeAge(is.overriddenAt)
    writeAge(is.liftedFrom)
    writeAge(is.examinedUntil)
    byte(account.driftAcceptedAt === undefined ? none : datesBefore(account.driftAcceptedAt))
    // A second read asked for counts from when it is due, in place of the first.
    const again = account.readAgainAt === undefined ? undefined : up(account.readAgainAt)
    const isAgain = again !== undefined && again <= now
    const due = account.readDueAt === undefined ? undefined : up(account.readDueAt)
    const first = isAgain && due !== undefined && due <= now ? again : due
    writeAge(first === undefined ? undefined : Math.max(-8, Math.min(age(first), open)))
    writeAge(again === undefined || isAgain ? undefined : age(again))
    const drifts = isContestable ? account.drifts.filter((time) => age(time) < 3) : []
    byte(drifts.length)
    for (const time of drifts) writeAge(age(time))

    writeHold(own)
    // Who switched it on counts while a read may still say what was before.
    const isStale = budget.stale > 0
    const onByUs = side.on && side.onByUs && isStale && side.onChangedAt !== undefined && age(side.onChangedAt) <= 1
    byte((own === undefined ? 0 : causes.indexOf(side.cause)) | bit(onByUs, 2))
    byte(
      bit(side.on, 0) |
        bit(side.vendorOff, 1) |
        bit(side.gone, 2) |
        bit(side.dirty && config.deletes, 3) |
        bit(side.adminOff, 4) |
        bit(side.acked, 5) |
        (offs.indexOf(side.lastOff) << 6),
    )
    if (isStale) near(side.onChangedAt, 1 + open)
    else near(!side.on && (side.lastOff === 'admin' || !config.hasLog) ? side.onChangedAt : undefined, 0)
    near(isStale ? side.vendorChangedAt : undefined, 1 + open)
    writeEntries(is.log, is.ages, 0)
    near(side.late?.sentAt, 1)
    if (side.late !== undefined) byte(intents.indexOf(side.late.intent))
    if (call === undefined) byte(none)
    else {
      byte(
        (intents.indexOf(call.intent) - 1) |
          bit(call.first, 1) |
          (phases.indexOf(call.phase) << 2) |
          (outcomes.indexOf(call.outcome) << 3) |
          bit(call.before !== undefined, 5) |
          bit(call.behalf, 6),
      )
      writeAge(age(call.recordedAt))
      if (call.before !== undefined) {
        const { begunAt, state, switches } = call.before
        writeAge(age(begunAt))
        byte(state === 'absent' ? none : switches.reduce((all, one, n) => all | bit(one.state === 'off', n), 0))
      }
    }
    if (ask === undefined) byte(none)
    else {
      writeAge(age(ask.begunAt))
      byte(bit(ask.proven, 0))
      writeAge(is.completeUntil)
      writeEntries(is.asked, is.ages, is.log.length)
    }
    near(side.readBegunAt, 1)
    const confirming = own === undefined ? undefined : side.confirmation?.firstMono
    writeAge(confirming === undefined ? undefined : Math.min(age(confirming), open + config.confirmTicks))
  }

  let middle = 0
  const isSymmetric =
    isReduced && config.accounts.length === 2 && config.accounts[0] === config.accounts[1] && !config.via
  /** Two accounts of one DID are alike: which of them is which tells no states apart. */
  const order = (from: number): void => {
    const first = buffer.slice(from, middle)
    const second = buffer.slice(middle, at)
    if (Buffer.compare(first, second) <= 0) return
    buffer.set(second, from)
    buffer.set(first, from + second.length)
  }

  // What was decoded last: most steps change one side, and the bytes of the other are the same.
  let knownSides: readonly Side[] = []
  let knownBytes: readonly Uint8Array[] = []
  let [knownStale, knownBehind] = [false, false]

  /** The bytes of a state, in a buffer that the next call overwrites. */
  const encode = (state: State): Uint8Array => {
    at = 0
    for (const what of spendings) byte(state.budget[what])
    if (isDated) {
      const accepted = state.sides.flatMap(({ account }) => account.driftAcceptedAt ?? [])
      dates = [...new Set(accepted)].sort((a, b) => a - b)
    }
    for (const agent of state.agents) {
      byte(bit(agent.told, 0))
      writeHold(agent.kill)
      writeHold(agent.suspend)
      writeHold(agent.cascade)
    }
    const from = at
    const ages = state.sides.map((side) => openAge(side, state.now))
    const isKnown =
      state.now === startMs && knownStale === state.budget.stale > 0 && knownBehind === state.budget.behind > 0
    state.sides.forEach((side, n) => {
      const bytes = isKnown && side === knownSides[n] ? knownBytes[n] : undefined
      if (bytes !== undefined) {
        buffer.set(bytes, at)
        at += bytes.length
      } else writeSide(side, state, config.via ? Math.max(...ages) : (ages[n] ?? 0))
      if (n === 0) middle = at
    })
    if (isSymmetric) order(from)
    return buffer.subarray(0, at)
  }

  let bytes: Uint8Array = buffer
  const take = (): number => {
    const value = bytes[at++]
    if (value === undefined) throw new Error('a state was cut short')
    return value
  }
  const time = (): number | undefined => {
    const value = take()
    return value === none ? undefined : startMs - (value - zero) * halfTickMs
  }
  const timeOf = (): number => time() ?? startMs

  const readHold = (make: (severity: Severity) => Hold): Hold | undefined => {
    const flags = take()
    if (flags === 0) return undefined
    const hold = make(severities[(flags >> 1) & 3] ?? 'suspend')
    const guarded = (flags & 8) !== 0
    const releasableAt = (flags & 16) !== 0 ? startMs : undefined
    return { ...hold, guarded, releasableAt, placedAt: longAgo + (isDated ? 2 * take() : 0) }
  }

  const readEntries = (id: string): LogEntry[] => {
    const entries: LogEntry[] = []
    for (let left = take(); left > 0; left--) {
      const when = timeOf()
      const flags = take()
      const ours = (flags & 1) !== 0
      entries.push({
        id,
        at: when,
        action: (flags & 2) !== 0 ? 'disable' : 'enable',
        ours,
        actor: ours ? 'us' : 'admin',
      })
    }
    return entries
  }

  const readCall = (side: number): Call | undefined => {
    const flags = take()
    if (flags === none) return undefined
    const recordedAt = timeOf()
    let before: Sighting | undefined
    if ((flags & 32) !== 0) {
      const begunAt = timeOf()
      const states = take()
      const off = (n: number): Off => ((states & (1 << n)) !== 0 ? 'off' : 'on')
      const switches = states === none ? 'absent' : switchesOf(config, side, off(0), off(1), off(config.vendor ? 2 : 1))
      before = readingOf(idOf(side), switches, true, begunAt, core.conjunction)
    }
    return {
      intent: (flags & 1) !== 0 ? 'enable' : 'disable',
      first: (flags & 2) !== 0,
      behalf: (flags & 64) !== 0,
      phase: (flags & 4) !== 0 ? 'answered' : 'recorded',
      outcome: outcomes[(flags >> 3) & 3] ?? 'done',
      recordedAt,
      before,
    }
  }

  const readAsk = (side: number): Ask | undefined => {
    const begunAt = time()
    if (begunAt === undefined) return undefined
    const proven = take() !== 0
    const completeUntil = timeOf()
    return { begunAt, proven, completeUntil, entries: readEntries(idOf(side)) }
  }

  const readSide = (side: number): Side => {
    const flags = take()
    const seen = take()
    const claimedAt = time()
    const sentAt = time()
    const inFlightUntil = time()
    const disabledAckAt = time()
    const enabledAckAt = time()
    const foreignSeenAt = time()
    const overriddenAt = time()
    const liftedFrom = time()
    const examinedUntil = time()
    const accepted = take()
    const readDueAt = time()
    const readAgainAt = time()
    const drifts: number[] = []
    for (let left = take(); left > 0; left--) drifts.push(timeOf())
    const account: Account = {
      observed: observations[flags >> 6] ?? 'unknown',
      observedAt: (seen & 1) === 0 ? undefined : (seen & 2) !== 0 ? startMs : 0,
      offReadAt:
        (seen & 4) === 0 ? undefined : (seen & 8) === 0 ? Math.min(startMs, (disabledAckAt ?? 0) + settleMs) : startMs,
      switches: [],
      dependsOn: undefined,
      mark: marks[flags & 3] ?? 'none',
      claimedAt,
      sentAt,
      intent: intents[(flags >> 2) & 3],
      inFlightUntil,
      disabledAckAt,
      enabledAckAt,
      foreignSeenAt,
      drifts,
      contested: (flags & 32) !== 0,
      overriddenAt,
      liftedFrom,
      offUntil: undefined,
      examinedUntil,
      copiedAt: undefined,
      putBack: (flags & 16) !== 0,
      driftAcceptedAt: accepted === none ? undefined : longAgo + 2 * accepted + 1,
      readDueAt,
      readAgainAt,
      attempts: 0,
      lastError: undefined,
    }
    const agent = config.accounts[side] ?? 0
    const own = readHold((severity) => holdOf(agent, core.ownOrigin('north', idOf(side)), severity, startMs))
    const extra = take()
    const cause = causes[extra & 3] ?? 'disabled'
    const truth = take()
    const onChangedAt = time()
    const vendorChangedAt = time()
    const log = readEntries(idOf(side))
    const lateAt = time()
    const late = lateAt === undefined ? undefined : { intent: intents[take()] ?? 'disable', sentAt: lateAt }
    const call = readCall(side)
    const ask = readAsk(side)
    const readBegunAt = time()
    const first = time()
    return {
      account,
      own,
      cause,
      call,
      ask,
      readBegunAt,
      confirmation: first === undefined ? undefined : { firstMono: first },
      on: (truth & 1) !== 0,
      onChangedAt,
      onByUs: (extra & 4) !== 0,
      vendorOff: (truth & 2) !== 0,
      vendorChangedAt,
      gone: (truth & 4) !== 0,
      dirty: (truth & 8) !== 0,
      log,
      late,
      lastOff: offs[truth >> 6] ?? 'nobody',
      adminOff: (truth & 16) !== 0,
      acked: (truth & 32) !== 0,
    }
  }

  const decode = (from: Uint8Array): State => {
    bytes = from
    at = 0
    const budget = { ...config.budget }
    for (const what of spendings) budget[what] = take()
    const agents = Array.from({ length: Math.max(...config.accounts) + 1 }, (_, n): Agent => {
      const told = take() !== 0
      const kill = readHold((severity) => holdOf(n, 'runtime:agt-1', severity, startMs))
      const suspend = readHold((severity) => holdOf(n, 'operator:soc', severity, startMs))
      const cascade = readHold((severity) => holdOf(n, core.cascadeOrigin(didOf(0)), severity, startMs))
      return { told, kill, suspend, cascade }
    })
    const parts: Uint8Array[] = []
    const sides = config.accounts.map((_, n) => {
      const begin = at
      const side = readSide(n)
      parts.push(from.subarray(begin, at))
      return side
    })
    // Where one side's bytes depend on the other, they are not the same.
    if (!config.via && !isDated) {
      knownSides = sides
      knownBytes = parts
      knownStale = budget.stale > 0
      knownBehind = budget.behind > 0
    }
    return { now: startMs, budget, agents, sides }
  }

  return { encode, decode }
}

export type Codec = ReturnType<typeof createCodec>
