import type { LogEntry } from '../../src/core/adapter.ts'
import type { Account, Hold, Severity, Sighting } from '../../src/core/types.ts'
import type { Core } from './core.ts'
import { holdOf } from './glue.ts'
import {
  type Agent,
  type Ask,
  type Call,
  type Cause,
  type Config,
  didOf,
  idOf,
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
 * States as bytes, and only one for all states between which no rule can tell: times are ages in ticks, and what is
 * older than anything compares with is left out. Order among what the log decides by is kept by closing gaps longer than
 * any constant it is compared with (`gap`), never by cutting single times off.
 */
const none = 255
const zero = 64
/** Longer, in ticks, than any constant that times of one account are compared with. */
const gap = 3
const acceptedAt = startMs - 10 * tickMs

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
const down = (at: number): number => Math.floor(at / tickMs) * tickMs

/** Entries that no present or coming question can tell from their absence are dropped. */
export const pruned = (side: Side, now: number, hasLog: boolean): readonly LogEntry[] => {
  if (!hasLog || side.log.length === 0) return []
  const { claimedAt, sentAt, disabledAckAt, overriddenAt, putBack } = side.account
  // Deleted before it was put back, it is looked for in the log from the beginning.
  const liftedFrom = putBack ? 0 : side.account.liftedFrom
  const skew = tickMs * 1.5
  const from = Math.min(now, claimedAt ?? now, sentAt ?? now, disabledAckAt ?? now, liftedFrom ?? now) - skew
  const least = Math.min(from, overriddenAt === undefined ? now : overriddenAt + 1)
  let lastOurs: LogEntry | undefined
  let lastTheirs: LogEntry | undefined
  let lastOn: LogEntry | undefined
  // From here on back every question sees all.
  const shown = now - 2 * tickMs
  for (const entry of side.log) {
    if (entry.at > shown) break
    if (entry.action === 'enable') lastOn = entry.ours ? lastOn : entry
    else if (entry.ours) lastOurs = entry
    else lastTheirs = entry
  }
  const kept = side.log.filter((entry) => {
    if (entry.action === 'enable' && entry.ours) return false
    if (entry.at > shown) return entry.action === 'enable' || entry.at >= least
    return entry === lastOn || (entry.at >= least && (entry === lastOurs || entry === lastTheirs))
  })
  return kept.filter(
    (entry) =>
      entry.action === 'disable' || kept.some((one) => one.action === 'disable' && !one.ours && one.at < entry.at),
  )
}

/** Where a list of times lies when gaps that no rule can see are closed; sorted by age. */
const squeezed = (ages: readonly number[]): Map<number, number> => {
  const sorted = [...new Set([0, ...ages])].sort((a, b) => a - b)
  const places = new Map<number, number>()
  let last = sorted[0] ?? 0
  let place = last
  for (const age of sorted) {
    place += Math.min(gap, age - last)
    last = age
    places.set(age, place)
  }
  return places
}

export const createCodec = (core: Core, config: Config) => {
  const buffer = new Uint8Array(512)
  let at = 0
  const byte = (value: number): void => {
    buffer[at++] = value
  }

  const writeHold = (hold: Hold | undefined): void => {
    if (hold === undefined) {
      byte(0)
      return
    }
    const { severity, guarded, releasableAt } = hold
    byte(1 | (severities.indexOf(severity) << 1) | bit(guarded, 3) | bit(releasableAt !== undefined, 4))
  }

  const writeEntries = (entries: readonly LogEntry[], time: (at: number) => number): void => {
    byte(entries.length)
    for (const entry of entries) {
      byte(time(entry.at))
      byte(bit(entry.ours, 0) | bit(entry.action === 'disable', 1))
    }
  }

  const writeSide = (side: Side, agent: Agent | undefined, now: number, isStale: boolean): void => {
    const { account, call, ask, own } = side
    const age = (time: number) => (now - time) / tickMs
    const log = pruned(side, now, config.hasLog)
    const switchedOff = [...log, ...(ask?.entries ?? [])].filter(({ action }) => action === 'disable')
    /** The latest begin of a window that holds the same entries. */
    const opened = (from: number | undefined) => {
      if (from === undefined) return undefined
      const least = Math.min(
        now,
        ...switchedOff.flatMap((entry) => (entry.at >= from - 1.5 * tickMs ? [entry.at + tickMs] : [])),
      )
      return Math.max(from, least)
    }
    // What was looked through ends half a tick off the others, for the skew of clocks.
    const isHalf = (time: number | undefined) => time !== undefined && !Number.isInteger(age(time))
    const whole = (time: number | undefined) => (time !== undefined && isHalf(time) ? time + tickMs / 2 : time)
    const liftedFrom = opened(account.liftedFrom)
    const { examinedUntil } = account
    const claimedAt = account.sentAt === undefined ? account.claimedAt : opened(account.claimedAt)
    const lifting = account.liftedFrom !== undefined || account.putBack
    const acked = account.disabledAckAt
    const overridden = account.overriddenAt === undefined ? undefined : down(account.overriddenAt)
    const sent = acked !== undefined && account.sentAt !== undefined && acked >= account.sentAt ? acked : account.sentAt
    const group: number[] = []
    const join = (time: number | undefined) => {
      if (time !== undefined) group.push(age(time))
    }
    for (const time of [claimedAt, sent, acked, whole(liftedFrom), overridden, whole(examinedUntil)]) join(time)
    if (lifting) join(account.enabledAckAt)
    if (ask !== undefined) join(ask.completeUntil)
    for (const entry of log) join(entry.at)
    for (const entry of ask?.entries ?? []) join(entry.at)
    const places = squeezed(group)
    const close = (time: number | undefined) =>
      time === undefined ? none : zero + (places.get(age(time)) ?? age(time))
    const near = (time: number | undefined, most: number) =>
      time === undefined || age(time) > most ? none : zero + age(time)

    byte(
      marks.indexOf(account.mark) |
        (intents.indexOf(account.intent) << 2) |
        bit(account.putBack, 4) |
        bit(account.contested, 5) |
        (observations.indexOf(account.observed) << 6),
    )
    // A reading's time counts while an older one is under way, and against our last acknowledged disable.
    const oldest = Math.min(side.readBegunAt ?? now, call?.before?.begunAt ?? now)
    const seenAt = account.observedAt
    const reach = 1 + age(oldest)
    const verified = seenAt !== undefined && acked !== undefined && seenAt > acked + settleMs
    if (seenAt === undefined) byte(none)
    else if (seenAt > oldest) byte(zero + age(seenAt))
    else byte(verified ? 1 : 0)
    // Of the read that closes legs only this counts: whether one came after our last answers.
    const answeredAt = Math.max(acked ?? 0, account.enabledAckAt ?? 0) + settleMs
    byte(bit(account.offReadAt !== undefined && account.offReadAt > answeredAt, 0))
    byte(close(claimedAt))
    byte(close(sent))
    byte(account.inFlightUntil === undefined ? none : zero + Math.min(3, age(account.inFlightUntil)))
    byte(close(acked))
    byte(lifting ? close(account.enabledAckAt) : near(account.enabledAckAt, reach))
    byte(near(account.foreignSeenAt, reach))
    byte(close(overridden))
    byte(bit(isHalf(liftedFrom), 0) | bit(isHalf(examinedUntil), 1))
    byte(close(whole(liftedFrom)))
    byte(close(whole(examinedUntil)))
    // Of a drift that was accepted only this counts: which holds are newer.
    const accepted = account.driftAcceptedAt
    const isNewer = (hold: Hold | undefined) => hold !== undefined && accepted !== undefined && hold.placedAt > accepted
    byte(
      bit(accepted !== undefined, 0) |
        bit(isNewer(agent?.kill), 1) |
        bit(isNewer(agent?.suspend), 2) |
        bit(isNewer(agent?.cascade), 3),
    )
    const due = account.readDueAt === undefined ? undefined : up(account.readDueAt)
    byte(due === undefined ? none : zero + Math.max(-8, Math.min(age(due), now > oldest ? 1 : 0)))
    const again = account.readAgainAt === undefined ? undefined : up(account.readAgainAt)
    byte(again === undefined || age(again) >= 1 ? none : zero + age(again))
    const drifts = account.drifts.filter((time) => age(time) < 3)
    byte(drifts.length)
    for (const time of drifts) byte(zero + age(time))

    writeHold(own)
    // Who switched it on counts while a read may still say what was before.
    const onByUs = side.on && side.onByUs && isStale && side.onChangedAt !== undefined && age(side.onChangedAt) <= 1
    byte((own === undefined ? 0 : causes.indexOf(side.cause)) | bit(onByUs, 2))
    byte(
      bit(side.on, 0) |
        bit(side.vendorOff, 1) |
        bit(side.gone, 2) |
        bit(side.dirty, 3) |
        bit(side.adminOff, 4) |
        bit(side.acked, 5) |
        (offs.indexOf(side.lastOff) << 6),
    )
    byte(near(side.onChangedAt, isStale ? reach : 0))
    byte(near(side.vendorChangedAt, isStale ? reach : 0))
    writeEntries(log, close)
    byte(side.late === undefined ? none : zero + age(side.late.sentAt))
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
      byte(zero + age(call.recordedAt))
      if (call.before !== undefined) {
        const { begunAt, state, switches } = call.before
        byte(zero + age(begunAt))
        byte(state === 'absent' ? none : switches.reduce((all, one, n) => all | bit(one.state === 'off', n), 0))
      }
    }
    if (ask === undefined) byte(none)
    else {
      byte(zero + age(ask.begunAt))
      byte(bit(ask.proven, 0))
      byte(close(ask.completeUntil))
      writeEntries(ask.entries, close)
    }
    byte(side.readBegunAt === undefined ? none : zero + age(side.readBegunAt))
    byte(side.confirmation === undefined ? none : zero + Math.min(2, age(side.confirmation.firstMono)))
  }

  let middle = 0
  const isSymmetric = config.accounts.length === 2 && config.accounts[0] === config.accounts[1] && !config.via
  /** Two accounts of one DID are alike: which of them is which tells no states apart. */
  const order = (from: number): void => {
    const first = buffer.slice(from, middle)
    const second = buffer.slice(middle, at)
    if (Buffer.compare(first, second) <= 0) return
    buffer.set(second, from)
    buffer.set(first, from + second.length)
  }

  /** The bytes of a state, in a buffer that the next call overwrites. */
  const encode = (state: State): Uint8Array => {
    at = 0
    for (const what of spendings) byte(state.budget[what])
    for (const agent of state.agents) {
      byte(bit(agent.told, 0))
      writeHold(agent.kill)
      writeHold(agent.suspend)
      writeHold(agent.cascade)
    }
    const from = at
    state.sides.forEach((side, n) => {
      writeSide(side, state.agents[config.accounts[n] ?? 0], state.now, state.budget.stale > 0)
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
    return value === none ? undefined : startMs - (value - zero) * tickMs
  }
  const timeOf = (): number => time() ?? startMs

  const readHold = (make: (severity: Severity) => Hold): Hold | undefined => {
    const flags = take()
    if (flags === 0) return undefined
    const hold = make(severities[(flags >> 1) & 3] ?? 'suspend')
    const guarded = (flags & 8) !== 0
    const releasableAt = (flags & 16) !== 0 ? startMs : undefined
    return { ...hold, guarded, releasableAt, placedAt: acceptedAt }
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

  const readSide = (side: number, agents: Agent[]): Side => {
    const flags = take()
    const seen = take()
    const isProven = take() !== 0
    const claimedAt = time()
    const sentAt = time()
    const inFlightUntil = time()
    const disabledAckAt = time()
    const enabledAckAt = time()
    const foreignSeenAt = time()
    const overriddenAt = time()
    const halves = take()
    const half = (whole: number | undefined, n: number) =>
      whole === undefined ? undefined : whole - ((halves & (1 << n)) !== 0 ? tickMs / 2 : 0)
    const liftedFrom = half(time(), 0)
    const examinedUntil = half(time(), 1)
    const accepted = take()
    const readDueAt = time()
    const readAgainAt = time()
    const drifts: number[] = []
    for (let left = take(); left > 0; left--) drifts.push(timeOf())
    const verifiedAt = (disabledAckAt ?? 0) + settleMs + tickMs
    const observedAt =
      seen === none ? undefined : seen === 1 ? verifiedAt : seen === 0 ? 0 : startMs - (seen - zero) * tickMs
    const account: Account = {
      observed: observations[flags >> 6] ?? 'unknown',
      observedAt,
      offReadAt: isProven ? Math.max(disabledAckAt ?? 0, enabledAckAt ?? 0, acceptedAt) + settleMs + tickMs : undefined,
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
      driftAcceptedAt: (accepted & 1) !== 0 ? acceptedAt : undefined,
      readDueAt,
      readAgainAt,
      attempts: 0,
      lastError: undefined,
    }
    const agent = config.accounts[side] ?? 0
    const own = readHold((severity) => holdOf(agent, core.ownOrigin('north', idOf(side)), severity, startMs))
    const holder = agents[agent]
    if ((accepted & 1) !== 0 && holder !== undefined) {
      const dated = (hold: Hold | undefined, n: number) =>
        hold && (accepted & (1 << n)) !== 0 ? { ...hold, placedAt: acceptedAt + tickMs } : hold
      const { told, kill, suspend, cascade } = holder
      agents[agent] = { told, kill: dated(kill, 1), suspend: dated(suspend, 2), cascade: dated(cascade, 3) }
    }
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
    const sides = config.accounts.map((_, n) => readSide(n, agents))
    return { now: startMs, budget, agents, sides }
  }

  return { encode, decode }
}

export type Codec = ReturnType<typeof createCodec>
