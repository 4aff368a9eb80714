import type { LogEntry } from '../../src/core/adapter.ts'
import type { Person } from '../../src/core/holds.ts'
import type { Hold, Sighting, Switch } from '../../src/core/types.ts'
import type { Core } from './core.ts'
import { type Chance, createGlue, type Draft, draftOf, holdOf, Violation } from './glue.ts'
import {
  type Ask,
  type Call,
  type Config,
  didOf,
  idOf,
  type Off,
  readingOf,
  type Side,
  type Spending,
  type State,
  settleMs,
  switchesOf,
  tickMs,
} from './state.ts'

/** Takes one successor: what happened, and the state after it. */
export type Emit = (what: string, state: State) => void

/** The runtime and the people of the model, with every role they could hold. */
const people: readonly Person[] = [
  { name: 'agt-1', roles: ['runtime', 'approver', 'operator'] },
  { name: 'soc', roles: ['responder', 'approver'] },
  { name: 'alice', roles: ['operator'] },
  { name: 'bob', roles: ['operator'] },
  { name: 'carol', roles: ['approver'] },
  { name: 'dave', roles: ['approver'] },
  { name: 'eve', roles: ['reader'] },
]

const flipped = (one: Off): Off => (one === 'on' ? 'off' : 'on')

export const createActions = (core: Core, config: Config) => {
  const glue = createGlue(core, config)
  const { set, sideOf } = glue

  const spend = (draft: Draft, what: Spending): boolean => {
    if (draft.budget[what] <= 0) return false
    draft.budget = { ...draft.budget, [what]: draft.budget[what] - 1 }
    return true
  }

  /**
   * A read that is wanted comes before the log is asked. With nothing to ask it only says how soon there is a read; here
   * there may be one at any time.
   */
  const unwanted = (side: Side): Side => {
    const { account } = side
    const { mark, liftedFrom, putBack, overriddenAt, readDueAt, readAgainAt } = account
    if (mark !== 'none' || liftedFrom !== undefined || putBack || overriddenAt !== undefined) return side
    if (readDueAt === undefined && readAgainAt === undefined) return side
    return { ...side, account: { ...account, readDueAt: undefined, readAgainAt: undefined } }
  }

  /** One step, and one more for each way that chance could have it. */
  const step = (state: State, emit: Emit, what: string, run: (draft: Draft, chance: Chance) => boolean | undefined) => {
    for (const guard of [false, true]) {
      const draft = draftOf(state)
      const chance = { guard, used: false }
      if (run(draft, chance) === false) return
      if (guard && !chance.used) return
      for (const [n, side] of draft.sides.entries()) if (side !== state.sides[n]) draft.sides[n] = unwanted(side)
      emit(guard ? `${what} (held back by the guard)` : what, draft)
      if (!chance.used || !config.guard) return
    }
  }

  /** Who may end this hold, and how: by the rule, and checked against what DESIGN says of it. */
  const ways = new Map<string, readonly ('now' | 'release' | 'override' | 'approve')[]>()
  const waysOf = (hold: Hold): readonly string[] => {
    const shape = `${hold.origin.split(':')[0]} ${hold.severity} ${hold.releasableAt !== undefined}`
    const known = ways.get(shape)
    if (known !== undefined) return known
    const found = new Set<'now' | 'release' | 'override' | 'approve'>()
    const allowed = people.flatMap((person) => {
      try {
        return [{ person, rule: core.releaseRule(hold, person) }]
      } catch {
        return []
      }
    })
    for (const { person, rule } of allowed) {
      const isOrigin = hold.origin === `runtime:${person.name}` || hold.origin === `operator:${person.name}`
      const says = `I3: ${person.name} ${rule.how} a ${hold.severity} of ${hold.origin}`
      if (hold.origin.startsWith('cascade:') || hold.severity === 'decommission') throw new Violation(says)
      if (rule.how === 'now') {
        if (!isOrigin || hold.severity !== 'suspend') throw new Violation(says)
        found.add('now')
        continue
      }
      const needs = rule.kind === 'override' ? ['operator'] : ['operator', 'approver']
      if (person.name === hold.actor || !needs.some((role) => person.roles.includes(role))) throw new Violation(says)
      if (rule.kind === 'approve' && hold.releasableAt === undefined) throw new Violation(says)
      if (allowed.some((other) => other.person !== person && other.rule.how === 'two')) found.add(rule.kind)
    }
    const list = [...found]
    ways.set(shape, list)
    return list
  }

  /** Every hold there can be, and what DESIGN says of who ends it. */
  const checkRules = (): void => {
    const origins = [
      'runtime:agt-1',
      'operator:soc',
      core.ownOrigin('north', 'a'),
      core.cascadeOrigin('did:mesh:0'),
      'policy:trust',
    ] as const
    for (const origin of origins) {
      for (const severity of ['suspend', 'kill', 'disable', 'decommission'] as const) {
        for (const releasableAt of [undefined, 1]) {
          const found = waysOf({ ...holdOf(0, origin, severity, 0), releasableAt })
          const ended = severity !== 'decommission' && !origin.startsWith('cascade:')
          if (ended !== found.length > 0) throw new Violation(`I3: who ends a ${severity} of ${origin}`)
        }
      }
    }
    const made = core.derivedFrom([
      holdOf(0, 'runtime:agt-1', 'decommission', 0),
      holdOf(0, 'operator:soc', 'kill', 0, true),
    ])
    if (made?.severity !== 'disable' || made.guarded) throw new Violation('rule 10: the derived hold')
    if (!core.derivedFrom([holdOf(0, 'runtime:agt-1', 'kill', 0, true)])?.guarded)
      throw new Violation('rule 8: the derived hold')
  }

  /** What a read of one switch may say: the present, or, until the directory has settled, what was before. */
  const values = (now: Off, changedAt: number | undefined, begunAt: number): Off[] =>
    changedAt !== undefined && begunAt <= changedAt + settleMs ? [now, flipped(now)] : [now]

  const own = (side: Side): Off => (side.on ? 'on' : 'off')

  const readings = (state: State, n: number, byId: boolean, begunAt: number, fresh: boolean): Sighting[] => {
    const side = state.sides[n]
    if (side === undefined) return []
    const of = (switches: readonly Switch[] | 'absent') => readingOf(idOf(n), switches, byId, begunAt, core.conjunction)
    if (side.gone) return [of('absent')]
    const parent = config.via && n === 1 ? state.sides[0] : undefined
    const list: Sighting[] = []
    for (const ours of fresh ? [own(side)] : values(own(side), side.onChangedAt, begunAt)) {
      for (const vendor of values(side.vendorOff ? 'off' : 'on', side.vendorChangedAt, begunAt)) {
        for (const via of parent === undefined ? (['on'] as const) : values(own(parent), parent.onChangedAt, begunAt))
          list.push(of(switchesOf(config, n, ours, vendor, via)))
      }
    }
    return list
  }

  /** Pays for a reading that does not say what is. */
  const pay = (draft: Draft, n: number, one: Sighting): boolean => {
    const side = sideOf(draft, n)
    const [ours, ...more] = one.switches
    const parent = draft.sides[0]
    const isTrue = (name: string, state: string) =>
      name === 'vendor' ? (state === 'off') === side.vendorOff : (state === 'on') === parent?.on
    if (ours === undefined || (ours.state === own(side) && more.every(({ name, state }) => isTrue(name, state))))
      return true
    return spend(draft, 'stale')
  }

  const say = (one: Sighting): string =>
    one.switches.length === 0 ? one.state : one.switches.map(({ name, state }) => `${name} ${state}`).join(', ')

  const entryOf = (state: { now: number }, n: number, action: LogEntry['action'], ours: boolean): LogEntry => ({
    id: idOf(n),
    at: state.now + config.skew * tickMs,
    action,
    ours,
    actor: ours ? 'us' : 'admin',
  })

  /** A write of ours reaches the directory. */
  const land = (draft: Draft, n: number, intent: 'disable' | 'enable'): void => {
    const side = sideOf(draft, n)
    if (side.gone || side.on === (intent === 'enable')) return
    set(draft, n, {
      on: intent === 'enable',
      onChangedAt: draft.now,
      dirty: true,
      log: [...side.log, entryOf(draft, n, intent, true)],
      // On somebody else's behalf it counts as theirs.
      ...(intent === 'disable' && { lastOff: side.account.putBack ? ('admin' as const) : ('us' as const) }),
      ...(intent === 'enable' && { acked: false, onByUs: true }),
    })
  }

  const flip = (draft: Draft, n: number): void => {
    const side = sideOf(draft, n)
    set(draft, n, {
      on: !side.on,
      onChangedAt: draft.now,
      dirty: true,
      log: [...side.log, entryOf(draft, n, side.on ? 'disable' : 'enable', false)],
      adminOff: side.on,
      acked: false,
      ...(side.on && { lastOff: 'admin' as const }),
      onByUs: false,
    })
  }

  /**
   * Left out, as named in docs/mirror.md: what happens twice within the grain of one clock (an administrator switching
   * off and on again, or on and off right after an override), and, where the directory keeps no log, an administrator's
   * switching on and off again of what we hold off.
   */
  const mayFlip = (side: Side, now: number): boolean => {
    const { mark, overriddenAt } = side.account
    if (!side.on) return side.lastOff !== 'admin' || side.onChangedAt === undefined || side.onChangedAt < now
    if (overriddenAt !== undefined && now + (config.skew - 1) * tickMs <= overriddenAt) return false
    if (config.hasLog) return true
    return side.late === undefined && side.call === undefined && mark !== 'claimed' && mark !== 'ours'
  }

  const environment = (state: State, n: number, side: Side, emit: Emit): void => {
    if (!side.gone && mayFlip(side, state.now)) {
      step(state, emit, `an administrator switches ${idOf(n)} ${side.on ? 'off' : 'on'}`, (draft) => {
        if (!spend(draft, 'flips')) return false
        flip(draft, n)
        return true
      })
    }
    if (config.vendor && !side.gone) {
      step(state, emit, `the vendor switches ${idOf(n)} ${side.vendorOff ? 'on' : 'off'}`, (draft) => {
        if (!spend(draft, 'flips')) return false
        set(draft, n, { vendorOff: !side.vendorOff, vendorChangedAt: draft.now, dirty: true, acked: false })
        return true
      })
    }
    if (config.deletes) {
      step(state, emit, `an administrator ${side.gone ? 'restores' : 'deletes'} ${idOf(n)}`, (draft) => {
        if (!spend(draft, 'flips')) return false
        set(draft, n, { gone: !side.gone, dirty: true, acked: false })
        return true
      })
    }
    const { late } = side
    if (late !== undefined) {
      step(state, emit, `the ${late.intent} of ${idOf(n)} that nobody answered lands`, (draft) => {
        set(draft, n, { late: undefined })
        land(draft, n, late.intent)
        return true
      })
    }
  }

  const inFlight = (state: State): number =>
    state.sides.reduce(
      (sum, { call, ask, readBegunAt }) => sum + (call ? 1 : 0) + (ask ? 1 : 0) + (readBegunAt === undefined ? 0 : 1),
      0,
    )

  const write = (state: State, n: number, call: Call, emit: Emit): void => {
    const name = `the ${call.intent} of ${idOf(n)}`
    const answer = (draft: Draft, outcome: Call['outcome'], before: Sighting | undefined) =>
      set(draft, n, { call: { ...call, phase: 'answered', outcome, before } })
    if (call.intent === 'enable') {
      if (!glue.stillEnables(draftOf(state), n)) {
        step(state, emit, `${name} is kept back by the second look`, (draft) => {
          answer(draft, 'unsent', undefined)
          return true
        })
        return
      }
    }
    if (call.intent === 'enable' && state.sides[n]?.gone) {
      step(state, emit, `${name} finds no account`, (draft) => {
        answer(draft, 'refused', undefined)
        return true
      })
      return
    }
    const send = (draft: Draft) => {
      const side = sideOf(draft, n)
      const { account, acked } = side
      if (call.intent === 'enable') {
        const { others, own: mine } = glue.contextOf(draft, n)
        if (account.mark !== 'ours' || mine !== undefined || others.length > 0)
          throw new Violation('I2: an enable was sent')
        return
      }
      if (acked && !call.first && account.mark !== 'none' && !account.putBack)
        throw new Violation('I4: the same write twice for one change')
    }
    const read = call.intent === 'disable' ? readings(state, n, true, state.now, !config.hasLog) : [undefined]
    for (const before of read) {
      // Left out: a proving read that is older than an administrator's switching on.
      const isOn = state.sides[n]?.on === true && !state.sides[n].onByUs
      if (before !== undefined && before.switches[0]?.state === 'off' && isOn) continue
      const proof = before === undefined ? '' : ` after reading "${say(before)}"`
      if (before?.state === 'absent') {
        step(state, emit, `${name} finds no account`, (draft) => {
          answer(draft, 'unsent', before)
          return true
        })
        continue
      }
      step(state, emit, `${name} is sent${proof} and carried out`, (draft) => {
        if (before !== undefined && !pay(draft, n, before)) return false
        send(draft)
        land(draft, n, call.intent)
        answer(draft, 'done', before)
        return true
      })
      if (before !== undefined && before.switches[0]?.state === 'off') {
        step(state, emit, `${name} is not sent${proof}`, (draft) => {
          if (!pay(draft, n, before)) return false
          answer(draft, 'unsent', before)
          return true
        })
      }
    }
    if (call.intent === 'disable') {
      step(state, emit, `${name} is carried out without a proving read`, (draft) => {
        if (!spend(draft, 'unread')) return false
        send(draft)
        land(draft, n, call.intent)
        answer(draft, 'done', undefined)
        return true
      })
    }
    step(state, emit, `${name} is refused`, (draft) => {
      if (!spend(draft, 'refused')) return false
      send(draft)
      answer(draft, 'refused', undefined)
      return true
    })
    step(state, emit, `${name} is lost on its way`, (draft) => {
      if (!spend(draft, 'dropped')) return false
      send(draft)
      answer(draft, 'lost', undefined)
      return true
    })
    step(state, emit, `${name} is carried out, its answer lost`, (draft) => {
      if (!spend(draft, 'lost')) return false
      send(draft)
      land(draft, n, call.intent)
      answer(draft, 'lost', undefined)
      return true
    })
    step(state, emit, `${name} is under way for long, its answer lost`, (draft) => {
      if (sideOf(draft, n).late !== undefined || !spend(draft, 'late')) return false
      send(draft)
      set(draft, n, { late: { intent: call.intent, sentAt: draft.now } })
      answer(draft, 'lost', undefined)
      return true
    })
  }

  /** What the log may answer now: all, or all but the latest tick, or all without promising so. */
  const logs = (state: State, side: Side): { entries: readonly LogEntry[]; completeUntil: number }[] => {
    const shown = state.now - tickMs
    const old = side.log.filter(({ at }) => at <= shown)
    const full = { entries: side.log, completeUntil: config.skew === 0 ? state.now : shown }
    const list = [full, { entries: old, completeUntil: shown + Math.min(0, config.skew) * tickMs }]
    if (config.skew === 0 && old.length < side.log.length) list.push({ entries: side.log, completeUntil: shown })
    return list
  }

  /**
   * The log says that somebody else turned it off after us, and they want it so still: nothing may enable it. (What an
   * earlier look judged is judged, though this one does not reach as far and lacks what took it back.)
   */
  const checkProof = (entries: readonly LogEntry[]): void => {
    const last = entries.findLast(({ action }) => action === 'disable')
    const on = entries.findLastIndex(({ action }) => action === 'enable')
    const at = last === undefined ? -1 : entries.lastIndexOf(last)
    if (last !== undefined && !last.ours && at > on) throw new Violation("I2: proven ours against the directory's log")
  }

  /** Only a hold of somebody other than the account's own directory, let pass by the guard, switches it off. */
  const checkWanted = (draft: Draft, n: number): void => {
    const { own: mine, others } = glue.contextOf(draft, n)
    const { account } = sideOf(draft, n)
    if (account.intent === 'disable') throw new Violation('I4: written again while the first may be under way')
    if (account.putBack) return
    if (mine !== undefined && mine.releasableAt === undefined)
      throw new Violation("table: the account is somebody else's")
    if (others.every(({ guarded }) => guarded)) throw new Violation('rule 8: a write that the guard keeps back')
  }

  /** What the log said is acted on: nothing may be proven ours against it. */
  const judge = (draft: Draft, n: number, ask: Ask, chance: Chance): void => {
    const { examinedUntil = Number.NEGATIVE_INFINITY } = sideOf(draft, n).account
    const proven = glue.judge(draft, n, config.hasLog ? ask : undefined, chance)
    const unexamined = ask.entries.filter(({ at }) => at >= examinedUntil)
    if (proven && config.hasLog && sideOf(draft, n).adminOff) checkProof(unexamined)
    set(draft, n, { ask: proven ? { ...ask, proven, entries: [], completeUntil: ask.begunAt } : undefined })
  }

  const worker = (state: State, n: number, side: Side, emit: Emit): void => {
    const { call, ask } = side
    const busy = inFlight(state) >= config.inFlight
    if (call?.phase === 'recorded') write(state, n, call, emit)
    if (call?.phase === 'answered') {
      step(state, emit, `the answer to the ${call.intent} of ${idOf(n)} comes in: ${call.outcome}`, (draft, chance) => {
        glue.answered(draft, n, chance)
        const { account, on } = sideOf(draft, n)
        if (call.outcome === 'done' && call.intent === 'disable')
          set(draft, n, { acked: !on && account.mark !== 'none' })
        return true
      })
    }
    if (ask !== undefined && !ask.proven) {
      step(state, emit, `what the log said of ${idOf(n)} is acted on`, (draft, chance) => {
        judge(draft, n, ask, chance)
        return true
      })
    }
    if (ask?.proven && call === undefined) {
      step(state, emit, `the enable of ${idOf(n)} is recorded`, (draft) => {
        set(draft, n, { ask: undefined })
        glue.begin(draft, n, 'enable')
        return true
      })
    }
    // Whatever is to be done by now: it may have been taken up long before.
    if (call === undefined && !busy) {
      step(state, emit, `the disable of ${idOf(n)} is recorded`, (draft) => {
        if (!glue.begin(draft, n, 'disable')) return false
        checkWanted(draftOf(state), n)
        return true
      })
    }
    const todo = core.next(side.account, glue.contextOf(draftOf(state), n))
    switch (todo.do) {
      case 'claim':
      case 'unclaim':
        step(state, emit, `${idOf(n)}: ${todo.do}`, (draft) => {
          glue.local(draft, n)
          return true
        })
        break
      case 'attribute':
      case 'check-lift':
      case 'check-override':
        if (ask !== undefined || busy || call?.intent === 'enable') break
        for (const { entries, completeUntil } of config.hasLog
          ? logs(state, side)
          : [{ entries: [], completeUntil: state.now }]) {
          const until = (completeUntil - state.now) / tickMs
          const says = `${entries.length} entries, complete until ${until}`
          const isBehind = until < 0 && config.skew === 0
          step(state, emit, `the log is asked of ${idOf(n)} (${todo.do}): ${says}`, (draft, chance) => {
            if (isBehind && !spend(draft, 'behind')) return false
            judge(draft, n, { begunAt: draft.now, proven: false, entries, completeUntil }, chance)
            return true
          })
          step(state, emit, `the log is asked of ${idOf(n)} (${todo.do}), slowly: ${says}`, (draft) => {
            if (isBehind && !spend(draft, 'behind')) return false
            set(draft, n, { ask: { begunAt: draft.now, proven: false, entries, completeUntil } })
            return spend(draft, 'slow')
          })
        }
    }
  }

  const reads = (state: State, n: number, side: Side, emit: Emit): void => {
    if (side.readBegunAt === undefined && inFlight(state) < config.inFlight) {
      step(state, emit, `a slow read of ${idOf(n)} by id is begun`, (draft) => {
        set(draft, n, { readBegunAt: draft.now })
        return spend(draft, 'slow')
      })
    }
    // Answered within the tick it might as well have been begun right before.
    const begunAt = side.readBegunAt ?? state.now
    const unknown = readingOf(idOf(n), 'unknown', true, begunAt, core.conjunction)
    for (const one of [...readings(state, n, true, begunAt, false), unknown]) {
      step(state, emit, `a read of ${idOf(n)} by id says "${say(one)}"`, (draft, chance) => {
        if (!pay(draft, n, one)) return false
        set(draft, n, { readBegunAt: undefined })
        glue.takeOne(draft, n, one, begunAt, chance)
        return true
      })
    }
    for (const one of readings(state, n, false, state.now, false)) {
      const news = one.state !== side.account.observed
      step(state, emit, `a listing says of ${idOf(n)} "${say(one)}"`, (draft, chance) => {
        if (!pay(draft, n, one)) return false
        if (one.switches[0]?.state === own(side) || one.state === 'absent') set(draft, n, { dirty: false })
        glue.takeOne(draft, n, one, draft.now, chance)
        if (config.via && n === 0 && news) touch(draft)
        return true
      })
    }
  }

  /** The account that hangs on this one is read, now and after settle. */
  const touch = (draft: Draft): void => {
    const { account } = sideOf(draft, 1)
    const readDueAt = Math.min(account.readDueAt ?? draft.now, draft.now)
    set(draft, 1, { account: { ...account, readDueAt, readAgainAt: draft.now + settleMs } })
  }

  const humans = (state: State, emit: Emit): void => {
    state.agents.forEach((agent, n) => {
      if (agent.kill === undefined) {
        step(state, emit, `the runtime kills ${didOf(n)}`, (draft) => {
          if (!spend(draft, 'kills')) return false
          glue.placeHold(draft, { of: 'kill', agent: n }, holdOf(n, 'runtime:agt-1', 'kill', glue.placedAt(draft)))
          return true
        })
      }
      if (agent.suspend === undefined) {
        step(state, emit, `an operator suspends ${didOf(n)}`, (draft) => {
          if (!spend(draft, 'suspends')) return false
          glue.placeHold(draft, { of: 'suspend', agent: n }, holdOf(n, 'operator:soc', 'suspend', glue.placedAt(draft)))
          return true
        })
      }
      for (const kind of ['kill', 'suspend', 'cascade'] as const) {
        const hold = agent[kind]
        if (hold === undefined || waysOf(hold).length === 0) continue
        step(state, emit, `the ${kind} of ${didOf(n)} is released`, (draft) => {
          glue.releaseHold(draft, { of: kind, agent: n }, hold)
          return true
        })
      }
    })
    state.sides.forEach((side, n) => {
      const hold = side.own
      if (hold === undefined) return
      for (const way of waysOf(hold)) {
        if (way === 'override') {
          step(state, emit, `two operators override the own hold of ${idOf(n)}`, (draft) => {
            if (!spend(draft, 'overrides')) return false
            set(draft, n, { adminOff: false })
            glue.overridden(draft, n, hold)
            return true
          })
        } else if (way === 'approve') {
          for (const one of readings(state, n, true, state.now, false)) {
            if (core.freeState(side.account, glue.heard(draftOf(state), one)) !== 'enabled') continue
            step(state, emit, `two people release the own hold of ${idOf(n)}, which reads "${say(one)}"`, (draft) => {
              if (!pay(draft, n, one)) return false
              glue.releaseHold(draft, { of: 'own', side: n }, hold)
              return true
            })
          }
        }
      }
      if (hold.guarded) {
        step(state, emit, `two people let the own hold of ${idOf(n)} pass the guard`, (draft) => {
          glue.unguard(draft, n, hold)
          return true
        })
      }
    })
  }

  const crash = (state: State, emit: Emit): void => {
    const lost = ({ call, ask, readBegunAt, confirmation, own }: Side) =>
      call || ask || readBegunAt !== undefined || (confirmation && own)
    if (!state.sides.some(lost)) return
    // Left out: the death of a process that took a write timeout from recording a write to sending it.
    if (state.sides.some(({ late, call }) => late !== undefined && call !== undefined && late.sentAt > call.recordedAt))
      return
    step(state, emit, 'the process dies and starts again', (draft) => {
      if (!spend(draft, 'crashes')) return false
      draft.sides = draft.sides.map((side) => ({
        ...side,
        call: undefined,
        ask: undefined,
        readBegunAt: undefined,
        confirmation: undefined,
      }))
      return true
    })
  }

  /** Every call is bounded by a tick, and so is what nobody answered; what takes as long is a fault. */
  const tick = (state: State, emit: Emit): void => {
    const begun = state.sides.flatMap(({ call, ask, readBegunAt }) => [call?.recordedAt, ask?.begunAt, readBegunAt])
    const old = [...begun, ...state.sides.map(({ late }) => late?.sentAt)].some(
      (at) => at !== undefined && at < state.now,
    )
    if (old) return
    const slow = state.sides.some(({ call, ask }) => call !== undefined || ask?.proven)
    step(state, emit, slow ? 'a tick passes over what is under way' : 'a tick passes', (draft) => {
      if (slow && !spend(draft, 'slow')) return false
      draft.now += tickMs
      return true
    })
  }

  /** Every state that can follow. */
  const successors = (state: State, emit: Emit): void => {
    tick(state, emit)
    humans(state, emit)
    state.sides.forEach((side, n) => {
      environment(state, n, side, emit)
      worker(state, n, side, emit)
      reads(state, n, side, emit)
    })
    crash(state, emit)
  }

  return { checkRules, core, config, glue, land, readings, successors, touch, waysOf }
}

export type Actions = ReturnType<typeof createActions>
