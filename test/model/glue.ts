import type { Context } from '../../src/core/account.ts'
import type { LogEntry, WriteResult } from '../../src/core/adapter.ts'
import type { Outcome } from '../../src/core/mirror.ts'
import type { LogReading } from '../../src/core/next.ts'
import type { Account, Hold, Origin, Severity, Sighting } from '../../src/core/types.ts'
import type { Core } from './core.ts'
import {
  type Agent,
  type Config,
  didOf,
  idOf,
  longAgo,
  type Side,
  type State,
  settleMs,
  tickMs,
  writeTimeoutMs,
} from './state.ts'

/** A rule that was broken, named as in DESIGN §3. */
export class Violation extends Error {}

export type Draft = {
  now: number
  budget: Record<string, number> & State['budget']
  agents: Agent[]
  sides: Side[]
}

export const draftOf = (state: State): Draft => ({
  now: state.now,
  budget: state.budget,
  agents: [...state.agents],
  sides: [...state.sides],
})

/** Chances that one transaction takes; `used` when it made a difference. */
export interface Chance {
  readonly guard: boolean
  used: boolean
}

type Slot =
  | { readonly of: 'kill' | 'suspend' | 'cascade'; readonly agent: number }
  | { readonly of: 'own'; side: number }

export interface Told {
  readonly sighting: Sighting | undefined
  readonly begunMono: number
}

export const holdOf = (agent: number, origin: Origin, severity: Severity, at: number, guarded = false): Hold => ({
  id: origin,
  did: didOf(agent),
  origin,
  severity,
  reason: '',
  publicReason: undefined,
  actor: origin.startsWith('runtime:') ? 'agt-1' : origin.startsWith('operator:') ? 'soc' : 'bridge',
  onBehalfOf: undefined,
  placedAt: at,
  releasedAt: undefined,
  releasableAt: undefined,
  guarded,
  evidence: {},
})

/**
 * The transactions of `src/engine` without their store, step by step and in the same order: `placing.ts` (placeHold,
 * claimAll, releaseHold, cascade, unguard), `seen.ts` (takeOne, settle, confirmOwn), `writes.ts` (begin, the second
 * look, the answers) and `asking.ts` (judge). Whatever decides is called in the core.
 */
export const createGlue = (core: Core, config: Config) => {
  const own = (side: number): Origin => core.ownOrigin('north', idOf(side))
  const sidesOf = (agent: number) => config.accounts.flatMap((of, side) => (of === agent ? [side] : []))
  const owners = config.accounts.map((of) => sidesOf(of))
  const writes = config.mode !== 'inbound'
  const confirmAfterMs = config.confirmTicks * tickMs
  const inbound = config.mode !== 'outbound'

  /** How long it has been open counts for the read that closes a leg, and for a drift that was accepted before. */
  const placedAt = ({ now }: Draft): number => (config.drift === 'accept' ? now : longAgo)

  const set = (draft: Draft, side: number, part: Partial<Side>): void => {
    const present = draft.sides[side]
    if (present !== undefined) draft.sides[side] = { ...present, ...part }
  }

  const sideOf = (draft: Draft, side: number): Side => {
    const found = draft.sides[side]
    if (found === undefined) throw new Error('no such side')
    return found
  }

  const agentAt = (draft: Draft, agent: number): Agent => {
    const found = draft.agents[agent]
    if (found === undefined) throw new Error('no such agent')
    return found
  }

  const save = (draft: Draft, side: number, account: Account): void => set(draft, side, { account })

  const openHolds = (draft: Draft, agent: number): Hold[] => {
    const { kill, suspend, cascade } = agentAt(draft, agent)
    const open: Hold[] = []
    if (kill !== undefined) open.push(kill)
    if (suspend !== undefined) open.push(suspend)
    if (cascade !== undefined) open.push(cascade)
    for (const side of sidesOf(agent)) {
      const hold = draft.sides[side]?.own
      if (hold !== undefined) open.push(hold)
    }
    return open
  }

  const contextOf = (draft: Draft, side: number): Context => {
    const mine = sideOf(draft, side).own
    const agent = config.accounts[side] ?? 0
    const { kill, suspend, cascade } = agentAt(draft, agent)
    const others: Hold[] = []
    if (kill !== undefined) others.push(kill)
    if (suspend !== undefined) others.push(suspend)
    if (cascade !== undefined) others.push(cascade)
    for (const other of owners[side] ?? []) {
      const hold = draft.sides[other]?.own
      if (other !== side && hold !== undefined) others.push(hold)
    }
    return {
      now: draft.now,
      settleMs,
      writeTimeoutMs,
      writes,
      inbound,
      hasLog: config.hasLog,
      drift: config.drift,
      own: mine,
      others,
    }
  }

  const put = (draft: Draft, slot: Slot, hold: Hold | undefined): void => {
    if (slot.of === 'own') set(draft, slot.side, { own: hold })
    else draft.agents[slot.agent] = { ...agentAt(draft, slot.agent), [slot.of]: hold }
  }

  const agentOf = (slot: Slot): number => (slot.of === 'own' ? (config.accounts[slot.side] ?? 0) : slot.agent)

  const signalHold = (draft: Draft, agent: number, hold: Hold): void => {
    if (!hold.guarded) draft.agents[agent] = { ...agentAt(draft, agent), told: true }
  }

  const placeHold = (draft: Draft, slot: Slot, hold: Hold): void => {
    const agent = agentOf(slot)
    put(draft, slot, hold)
    claimAll(draft, agent)
    signalHold(draft, agent, hold)
    if (core.isOwn(hold)) cascade(draft, agent)
  }

  const claimAll = (draft: Draft, agent: number): void => {
    for (const side of sidesOf(agent)) {
      const { account } = sideOf(draft, side)
      if (core.next(account, contextOf(draft, side)).do === 'claim') save(draft, side, core.claimed(account, draft.now))
    }
  }

  const releaseHold = (draft: Draft, slot: Slot, hold: Hold): void => {
    const agent = agentOf(slot)
    put(draft, slot, undefined)
    if (openHolds(draft, agent).length === 0) draft.agents[agent] = { ...agentAt(draft, agent), told: false }
    else claimAll(draft, agent)
    if (core.isOwn(hold)) cascade(draft, agent)
  }

  const cascade = (draft: Draft, ancestor: number): void => {
    if (ancestor !== 0) return
    const derived = core.derivedFrom(openHolds(draft, 0).filter(core.isOwn))
    for (let agent = 1; agent < draft.agents.length; agent++) {
      const slot = { of: 'cascade', agent } as const
      const present = agentAt(draft, agent).cascade
      if (derived === undefined) {
        if (present !== undefined) releaseHold(draft, slot, present)
        continue
      }
      const { severity, guarded } = derived
      if (present === undefined) {
        placeHold(draft, slot, holdOf(agent, core.cascadeOrigin(didOf(0)), severity, placedAt(draft), guarded))
      } else if (present.severity !== severity || present.guarded !== guarded) {
        const changed = { ...present, severity, guarded }
        put(draft, slot, changed)
        if (!guarded) claimAll(draft, agent)
        signalHold(draft, agent, changed)
      }
    }
  }

  const unguard = (draft: Draft, side: number, hold: Hold): void => {
    const agent = config.accounts[side] ?? 0
    const passed = { ...hold, guarded: false }
    set(draft, side, { own: passed })
    claimAll(draft, agent)
    signalHold(draft, agent, passed)
    cascade(draft, agent)
  }

  /** Without what is only our own doing, as `echoes.ts`. */
  const heard = (draft: Draft, sighting: Sighting): Sighting => {
    if (!config.via) return sighting
    const parent = sideOf(draft, 0).account
    const echo = core.echoes(parent, sighting.begunAt, settleMs)
    return echo ? core.withoutEchoes(sighting, (id) => id === idOf(0)) : sighting
  }

  const takeOne = (draft: Draft, side: number, read: Sighting, begunMono: number, chance: Chance): void => {
    const before = sideOf(draft, side).account
    const context = contextOf(draft, side)
    const sighting = heard(draft, read)
    const outcome = core.observe(before, sighting, context)
    if (sighting.state === 'unknown' && (outcome.account !== before || outcome.own !== 'keep'))
      throw new Violation('I8: an unknown reading changed something')
    const account = core.crossedOff(outcome.account, sighting, () => tickMs)
    settle(draft, side, { sighting, begunMono }, before, { ...outcome, account }, context, chance)
  }

  const settle = (
    draft: Draft,
    side: number,
    told: Told,
    before: Account,
    outcome: Outcome,
    context: Context,
    chance: Chance,
    entry?: LogEntry,
  ): void => {
    const { sighting } = told
    let { account } = outcome
    if (config.mode === 'outbound' && outcome.own === 'place' && outcome.reason !== 'unproven')
      throw new Violation('outbound: what happened in the directory became a hold')
    if ((sighting?.byId === true && outcome.own !== 'cleared') || outcome.own === 'place')
      set(draft, side, { confirmation: undefined })
    const readAt = outcome.readAt ?? (outcome.own === 'place' && sighting === undefined ? draft.now : undefined)
    if (readAt !== undefined) account = core.readWanted(account, readAt)
    save(draft, side, account)
    if (outcome.own === 'place' && context.own === undefined) {
      placeOwn(draft, side, before, outcome, sighting, chance, entry)
    } else if (outcome.own === 'place' && context.own?.releasableAt !== undefined) {
      set(draft, side, { own: { ...context.own, releasableAt: undefined } })
    } else if (outcome.own === 'cleared' && context.own !== undefined && sighting !== undefined) {
      const { readDueAt } = confirmOwn(draft, side, { ...told, sighting }, account, context.own, context, chance)
      save(draft, side, { ...sideOf(draft, side).account, readDueAt })
    }
  }

  const placeOwn = (
    draft: Draft,
    side: number,
    before: Account,
    outcome: Outcome,
    sighting: Sighting | undefined,
    chance: Chance,
    entry: LogEntry | undefined,
  ): void => {
    const cause = outcome.reason ?? 'disabled'
    justify(draft, side, cause, sighting, entry)
    let guarded = false
    if (config.guard && before.observedAt !== undefined) {
      guarded = chance.guard
      chance.used = true
    }
    set(draft, side, { cause })
    const agent = config.accounts[side] ?? 0
    placeHold(draft, { of: 'own', side }, holdOf(agent, own(side), 'suspend', placedAt(draft), guarded))
  }

  /** I4, I8: a hold of the directory needs somebody else who wants the account off. */
  const justify = (
    draft: Draft,
    side: number,
    cause: Side['cause'],
    sighting: Sighting | undefined,
    entry: LogEntry | undefined,
  ): void => {
    const { lastOff, gone } = sideOf(draft, side)
    if (sighting?.state === 'unknown') throw new Violation('I8: unknown became a hold')
    if (sighting?.state === 'enabled') throw new Violation('I8: enabled became a hold')
    if (entry !== undefined) {
      if (entry.ours || entry.action !== 'disable') throw new Violation('I4: our own write became a hold')
      return
    }
    if (!inbound && cause !== 'unproven') throw new Violation('mirror: a reading became a hold though it may not')
    if (sideOf(draft, side).account.overriddenAt !== undefined && cause === 'disabled' && sighting !== undefined)
      throw new Violation('rule 5: overridden, and held again from the same state')
    if (cause === 'deleted') {
      if (sighting?.byId !== true || sighting.state !== 'absent')
        throw new Violation('I8: not a read by id said that the account does not exist')
      return
    }
    if (cause === 'unproven') {
      const provable =
        config.hasLog || config.budget.lost + config.budget.unread + config.budget.late + config.budget.crashes === 0
      if (provable && lastOff === 'us' && !gone) throw new Violation('I9: ours by the log, yet unproven')
      // From now on it counts as somebody else's.
      set(draft, side, { lastOff: 'admin' })
      return
    }
    const others = sighting?.switches.some(
      (one) => one.state === 'off' && !one.ours && (one.via === undefined || sideOf(draft, 0).lastOff === 'admin'),
    )
    if (lastOff !== 'admin' && !others) throw new Violation('I4: an echo became a hold')
  }

  const confirmOwn = (
    draft: Draft,
    side: number,
    { sighting, begunMono }: Told & { sighting: Sighting },
    account: Account,
    hold: Hold,
    context: Context,
    chance: Chance,
  ): Account => {
    if (hold.releasableAt !== undefined) return account
    const step = core.confirm({
      before: sideOf(draft, side).confirmation,
      account,
      sighting,
      begunMono,
      settleMs,
      confirmAfterMs,
    })
    if (!step.confirmed) {
      set(draft, side, { confirmation: step.confirmation })
      const at = draft.now + step.readInMs
      return { ...account, readDueAt: Math.min(account.readDueAt ?? at, at) }
    }
    checkConfirmed(draft, side, sighting, begunMono)
    set(draft, side, { confirmation: undefined })
    confirmed(draft, side, hold, context, chance)
    return account
  }

  /** Rule 4. */
  const checkConfirmed = (draft: Draft, side: number, sighting: Sighting, begunMono: number): void => {
    const { confirmation, on, onChangedAt, lastOff } = sideOf(draft, side)
    if (!sighting.byId) throw new Violation('rule 4: a listing confirmed')
    if (confirmation === undefined) throw new Violation('rule 4: one read confirmed')
    if (begunMono - confirmation.firstMono < confirmAfterMs) throw new Violation('rule 4: confirmed too soon')
    if (
      sighting.switches[0]?.state === 'on' &&
      !on &&
      lastOff === 'admin' &&
      (onChangedAt === undefined || onChangedAt < confirmation.firstMono)
    )
      throw new Violation('rule 4: confirmed by what was before')
  }

  const confirmed = (draft: Draft, side: number, hold: Hold, context: Context, chance: Chance): void => {
    let waits = config.resume === 'approval'
    if (config.guard && !waits && context.others.length === 0) {
      waits = chance.guard
      chance.used = true
    }
    if (waits) set(draft, side, { own: { ...hold, releasableAt: draft.now } })
    else releaseHold(draft, { of: 'own', side }, hold)
  }

  /** Claims and unclaims, as `worker.ts` does. */
  const local = (draft: Draft, side: number): void => {
    const { account } = sideOf(draft, side)
    const step = core.next(account, contextOf(draft, side))
    if (step.do === 'claim') save(draft, side, core.claimed(account, draft.now))
    else if (step.do === 'unclaim') save(draft, side, core.unmarked(account))
  }

  /** Records a write; false when it may not be sent any more. */
  const begin = (draft: Draft, side: number, intent: 'disable' | 'enable'): boolean => {
    const { account } = sideOf(draft, side)
    const context = contextOf(draft, side)
    const behalf = account.putBack && intent === 'disable'
    if (!core.maySend(intent, account, context)) return false
    const first = account.sentAt === undefined
    save(draft, side, core.sending(account, intent, context))
    set(draft, side, {
      call: { intent, first, behalf, phase: 'recorded', recordedAt: draft.now, outcome: 'done', before: undefined },
    })
    return true
  }

  const stillEnables = (draft: Draft, side: number): boolean =>
    core.stillEnables(sideOf(draft, side).account, openHolds(draft, config.accounts[side] ?? 0).length > 0)

  /** The answer to a write arrives. */
  const answered = (draft: Draft, side: number, chance: Chance): void => {
    const { account, call } = sideOf(draft, side)
    if (call === undefined) return
    set(draft, side, { call: undefined })
    const context = contextOf(draft, side)
    const before = call.before && heard(draft, call.before)
    const result: WriteResult = { id: idOf(side), outcome: call.outcome, before }
    if (call.intent === 'enable') {
      const outcome = core.enabled(account, result, context)
      settle(draft, side, { sighting: undefined, begunMono: 0 }, account, outcome, context, chance)
      return
    }
    const outcome = core.disabled(account, result, call.first, context)
    // Overridden meanwhile: two operators ended the hold of the very disable that was put back.
    if (call.behalf && account.overriddenAt === undefined && outcome.account.mark !== 'none')
      throw new Violation('I2: what was put back for somebody else became our claim')
    settle(draft, side, { sighting: before, begunMono: call.recordedAt }, account, outcome, context, chance)
  }

  /** Only a disable that nobody else took back makes the account somebody else's, and then no claim of ours is left. */
  const checkTheirs = (outcome: Outcome, entry: LogEntry | undefined, reading: LogReading | undefined): void => {
    if (outcome.account.mark !== 'none') throw new Violation('table: somebody else turned it off, and the mark stays')
    if (entry === undefined || reading === undefined) return
    const since = reading.entries.slice(reading.entries.indexOf(entry) + 1)
    if (since.some(({ action, ours }) => action === 'enable' && !ours))
      throw new Violation('I4: a disable that was taken back became a hold')
  }

  /** Only what our enable undid is put back: by the order of the log, as far as it shows both. */
  const checkUndone = (entry: LogEntry, { entries }: LogReading): void => {
    const place = entries.indexOf(entry)
    const mine = entries.slice(0, place).findLast(({ ours }) => ours)
    const isUndone = entries.slice(place).some(({ action, ours }) => action === 'enable' && ours)
    if (mine?.action === 'enable' && mine.at < entry.at && !isUndone)
      throw new Violation('I4: a disable that came after our enable was put back')
  }

  /** What the log said is acted on. True: proven ours, to be switched on. */
  const judge = (draft: Draft, side: number, reading: LogReading | undefined, chance: Chance): boolean => {
    const { account } = sideOf(draft, side)
    const context = contextOf(draft, side)
    const told = { sighting: undefined, begunMono: 0 }
    const step = core.next(account, context)
    if (step.do === 'check-lift' && reading !== undefined) {
      const found = core.checkLift(account, reading)
      if (found === 'clean') save(draft, side, { ...account, liftedFrom: undefined })
      else if (found !== 'wait') {
        checkUndone(found, reading)
        settle(draft, side, told, account, core.puttingBack(account, context), context, chance, found)
      }
      return false
    }
    if (step.do === 'check-override' && reading !== undefined) {
      const found = core.checkOverride(account, reading)
      if (found === undefined) {
        const overriddenAt = Math.max(account.overriddenAt ?? 0, reading.completeUntil - core.logSkewMs)
        save(draft, side, { ...account, overriddenAt })
      } else {
        const again = core.offByOthers({ ...account, overriddenAt: undefined }, context)
        settle(draft, side, told, account, again, context, chance, found)
      }
      return false
    }
    if (step.do !== 'attribute') return false
    const verdict = core.attribute(account, reading, context)
    if (verdict.verdict === 'theirs') {
      checkTheirs(verdict.outcome, verdict.entry, reading)
      settle(draft, side, told, account, verdict.outcome, context, chance, verdict.entry)
    }
    if (verdict.verdict !== 'enable') return false
    save(draft, side, verdict.account)
    return true
  }

  /** Two operators end the own hold of an account that is still off. */
  const overridden = (draft: Draft, side: number, hold: Hold): void => {
    const { account } = sideOf(draft, side)
    save(draft, side, { ...account, overriddenAt: draft.now, putBack: false })
    releaseHold(draft, { of: 'own', side }, hold)
  }

  return {
    config,
    answered,
    begin,
    contextOf,
    heard,
    judge,
    local,
    openHolds,
    overridden,
    placedAt,
    placeHold,
    releaseHold,
    set,
    sideOf,
    stillEnables,
    takeOne,
    unguard,
    writes,
  }
}

export type Glue = ReturnType<typeof createGlue>
