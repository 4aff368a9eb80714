import type { Hold } from '../../src/core/types.ts'
import type { Actions } from './actions.ts'
import type { Codec } from './encode.ts'
import { type Draft, draftOf, Violation } from './glue.ts'
import { createVisited, hashOf } from './hash.ts'
import { idOf, type Side, type State, spendings, tickMs } from './state.ts'

const restTicks = 6
const refreshTicks = 3
const mostTicks = 60

/**
 * What must hold in every state, and what must come of every state once the environment is quiet and everybody answers:
 * all sides agree (I5), no hold is dead (I9), and what an administrator turned off last stays off (I2).
 */
export const createInvariants = (actions: Actions, codec: Codec) => {
  const { core, config, glue, readings, touch, waysOf, land } = actions
  const { set, sideOf } = glue
  const inbound = config.mode !== 'outbound'
  const never = { guard: false, used: false }
  const calm = createVisited()
  const broke = Object.fromEntries(spendings.map((what) => [what, 0])) as State['budget']

  const isGuarded = (hold: Hold) => hold.guarded

  /** In every state. */
  const always = (state: State): void => {
    const draft = draftOf(state)
    for (const { account } of state.sides)
      if (account.drifts.filter((at) => at > state.now - 3 * tickMs).length > 5)
        throw new Violation('drift: more than five in ten minutes')
    for (const [n, { told }] of state.agents.entries()) {
      const open = glue.openHolds(draft, n)
      if (open.some((hold) => !isGuarded(hold)) && !told)
        throw new Violation('I11: held, and the stream does not say so')
      if (open.length === 0 && told) throw new Violation('I11: resumed, and the stream does not say so')
      const { kill, suspend, cascade } = state.agents[n] ?? {}
      const above = n > 0 && glue.openHolds(draft, 0).some(core.isOwn)
      if (above !== (cascade !== undefined) && n > 0) throw new Violation('rule 10: the cascade does not follow')
      for (const hold of [kill, suspend, cascade]) if (hold !== undefined) waysOf(hold)
    }
  }

  /** Nothing on the directory's side keeps this account off. */
  const isFree = (state: State, side: Side, n: number): boolean =>
    side.on && !side.vendorOff && !side.gone && (!config.via || n !== 1 || (state.sides[0]?.on ?? true))

  const atRest = (state: State): void => {
    for (const [n, side] of state.sides.entries()) {
      const { account, own, on, gone } = side
      const { others } = glue.contextOf(draftOf(state), n)
      const say = (what: string) => new Violation(`${what} (${idOf(n)} at rest)`)
      if (account.inFlightUntil !== undefined) throw say('I5: in flight for ever')
      if (account.mark === 'lifted') throw say('I5: an enable that is never seen')
      if (glue.writes && account.putBack && !gone) throw say('I5: put back for ever')
      const theirs = own !== undefined && own.releasableAt === undefined
      const driven = others.some((hold) => !hold.guarded)
      const left = config.drift === 'accept' && account.driftAcceptedAt !== undefined
      if (glue.writes && driven && !theirs && isFree(state, side, n) && !left) throw say('I5: held, but on')
      if (left && !theirs && others.some(({ severity }) => severity !== 'suspend')) throw say('I5: a kill was left on')
      const since = account.driftAcceptedAt ?? 0
      if (left && !theirs && others.some(({ guarded, placedAt }) => !guarded && placedAt > since))
        throw say('I5: a later hold was left on')
      const parent = config.via && n === 1 ? state.sides[0] : undefined
      if (own === undefined && others.length === 0) {
        if (account.mark !== 'none') throw say('I5: a mark without a hold')
        const may = account.overriddenAt !== undefined || !inbound || parent?.on === false
        if (!isFree(state, side, n) && !may) throw say('I5: off without a hold')
        if (!on && side.lastOff === 'us' && config.hasLog && glue.writes && !gone && !may)
          throw say('I5: left off by us')
      }
      if (own !== undefined && isFree(state, side, n)) {
        if (theirs) throw say('I9: a dead own hold')
        if (config.resume === 'automatic' && !config.guard) throw say('I9: waits for nobody')
      }
      if (theirs && inbound && !isFree(state, side, n)) {
        const wanted =
          side.vendorOff || gone || side.adminOff || (!on && side.lastOff === 'admin') || parent?.on === false
        // Deleted while a write of ours was under way: what is left of it cannot be told from somebody else's.
        if (!wanted && side.cause === 'disabled') throw say('I9: an own hold that nobody wants')
      }
      const overridden = account.overriddenAt !== undefined && !config.hasLog
      if (side.adminOff && on && !gone && glue.writes) throw say('I2: an administrator turned it off, and we on')
      if (side.adminOff && !gone && inbound && !overridden && own === undefined && others.length === 0)
        throw say('I5: an administrator turned it off, and nothing holds the agent')
      if (side.vendorOff && !gone && inbound && account.overriddenAt === undefined && own === undefined)
        throw say('I5: the vendor turned it off, and nothing holds the agent')
    }
  }

  type Done = { read: boolean; asked: boolean; written: boolean }

  /** One step of everything that is due, for one account; false when nothing is. */
  const serve = (draft: Draft, n: number, done: Done): boolean => {
    const side = sideOf(draft, n)
    const fresh = (byId: boolean, begunAt: number) => {
      const still = { ...side, onChangedAt: undefined, vendorChangedAt: undefined }
      const sides = draft.sides.map((one, at) => (at === n ? still : { ...one, onChangedAt: undefined }))
      const [reading] = readings({ ...draft, sides }, n, byId, begunAt, true)
      if (reading === undefined) throw new Error('no reading')
      return reading
    }
    const { late, call, ask, readBegunAt } = side
    if (late !== undefined) {
      set(draft, n, { late: undefined })
      land(draft, n, late.intent)
    } else if (call?.phase === 'recorded') {
      const held = call.intent === 'enable' && !glue.stillEnables(draft, n)
      const before = call.intent === 'disable' ? fresh(true, draft.now) : undefined
      const unsent = held || before?.state === 'absent' || before?.switches[0]?.state === 'off'
      if (!unsent) land(draft, n, call.intent)
      const gone = call.intent === 'enable' && side.gone
      set(draft, n, {
        call: { ...call, phase: 'answered', outcome: gone ? 'refused' : unsent ? 'unsent' : 'done', before },
      })
    } else if (call !== undefined) glue.answered(draft, n, never)
    else if (ask !== undefined && !ask.proven) {
      const proven = glue.judge(draft, n, config.hasLog ? ask : undefined, never)
      set(draft, n, { ask: proven ? { ...ask, proven } : undefined })
    } else if (ask !== undefined) {
      set(draft, n, { ask: undefined })
      glue.begin(draft, n, 'enable')
    } else if (readBegunAt !== undefined) {
      set(draft, n, { readBegunAt: undefined })
      glue.takeOne(draft, n, fresh(true, readBegunAt), readBegunAt, never)
    } else if (side.dirty) {
      set(draft, n, { dirty: false })
      glue.takeOne(draft, n, fresh(false, draft.now), draft.now, never)
      if (config.via && n === 0) touch(draft)
    } else return todo(draft, n, done)
    return true
  }

  const todo = (draft: Draft, n: number, done: Done): boolean => {
    const { account, log } = sideOf(draft, n)
    const step = core.next(account, glue.contextOf(draft, n))
    switch (step.do) {
      case 'claim':
      case 'unclaim':
        glue.local(draft, n)
        return true
      case 'disable':
        // What failed waits before it is tried again.
        if (done.written) return false
        done.written = true
        return glue.begin(draft, n, 'disable')
      case 'read':
        if (done.read) return false
        done.read = true
        set(draft, n, { readBegunAt: draft.now })
        return true
      case 'attribute':
      case 'check-lift':
      case 'check-override': {
        if (done.asked) return false
        done.asked = true
        const completeUntil = draft.now - (config.skew === 0 ? 0 : 2 * tickMs)
        if (step.do !== 'check-override') {
          set(draft, n, { ask: { begunAt: draft.now, proven: false, entries: log, completeUntil } })
          return true
        }
        glue.judge(draft, n, { entries: log, completeUntil }, never)
        return sideOf(draft, n).account.overriddenAt === undefined
      }
      default:
        return false
    }
  }

  const refresh = (draft: Draft, n: number): void => {
    const { account } = sideOf(draft, n)
    set(draft, n, { account: { ...account, readDueAt: Math.min(account.readDueAt ?? draft.now, draft.now) } })
  }

  /** Plays on, deterministically, until nothing moves any more. True: from here on it is known how it ends. */
  const settle = (draft: Draft, known?: (draft: Draft) => boolean): boolean => {
    let still = 0
    for (let ticks = 0; still < restTicks; ticks++) {
      if (ticks > mostTicks) throw new Violation('I5: it never comes to rest')
      if (known?.(draft)) return true
      let moved = false
      const calmly = still === refreshTicks
      const done = draft.sides.map(() => ({ read: false, asked: false, written: false }))
      for (let steps = 0, more = true; more; steps++) {
        if (steps > 60) throw new Violation('I5: a hot loop')
        more = false
        for (const [n, did] of done.entries()) if (serve(draft, n, did)) more = true
        moved ||= more && !calmly
      }
      still = moved ? 0 : still + 1
      // As `sync.refresh`: what was not read for long is read again.
      if (still === refreshTicks) for (const n of draft.sides.keys()) refresh(draft, n)
      draft.now += tickMs
    }
    return false
  }

  /** How a state ends is known when an earlier one came through it; this one may come through it again, at rest. */
  const seenBefore =
    (size: number) =>
    (draft: Draft): boolean => {
      const bytes = codec.encode({ ...draft, budget: broke })
      const [hi, lo] = [hashOf(bytes, 1), hashOf(bytes, 2)]
      const index = calm.indexOf(hi, lo)
      if (index < 0) calm.add(hi, lo)
      return index >= 0 && index < size
    }

  const people = (draft: Draft): void => {
    for (const n of draft.sides.keys()) {
      const { own } = sideOf(draft, n)
      if (own?.guarded) glue.unguard(draft, n, own)
    }
    for (const n of draft.agents.keys()) {
      for (const kind of ['kill', 'suspend'] as const) {
        const hold = draft.agents[n]?.[kind]
        if (hold === undefined) continue
        if (waysOf(hold).length === 0) throw new Violation(`I9: nobody can release the ${kind}`)
        glue.releaseHold(draft, { of: kind, agent: n }, hold)
      }
    }
  }

  /** What was deleted while it was on against an administrator must not stay so once it is back. */
  const restorers = (draft: Draft): void => {
    for (const n of draft.sides.keys()) {
      const { gone, on, adminOff } = sideOf(draft, n)
      if (gone && on && adminOff) set(draft, n, { gone: false, dirty: true })
    }
  }

  const administrators = (draft: Draft): void => {
    for (const n of draft.sides.keys()) {
      const side = sideOf(draft, n)
      const entry = {
        id: idOf(n),
        at: draft.now + config.skew * tickMs,
        action: 'enable',
        ours: false,
        actor: 'admin',
      } as const
      set(draft, n, {
        on: true,
        vendorOff: false,
        gone: false,
        dirty: true,
        adminOff: false,
        log: side.on ? side.log : [...side.log, entry],
      })
    }
  }

  const approvers = (draft: Draft): void => {
    for (const n of draft.sides.keys()) {
      const { own } = sideOf(draft, n)
      if (own?.releasableAt === undefined) continue
      if (!waysOf(own).includes('approve')) throw new Violation('I9: nobody can approve it')
      glue.releaseHold(draft, { of: 'own', side: n }, own)
    }
  }

  /** Quiet from here: at rest; at rest after every hold was released; and free when the directories agree, too. */
  const quiet = (state: State): void => {
    const draft = draftOf(state)
    if (settle(draft, seenBefore(calm.size))) return
    atRest(draft)
    people(draft)
    settle(draft)
    atRest(draft)
    if (config.deletes) {
      restorers(draft)
      settle(draft)
      atRest(draft)
    }
    administrators(draft)
    settle(draft)
    atRest(draft)
    approvers(draft)
    settle(draft)
    atRest(draft)
    for (const n of draft.agents.keys())
      if (glue.openHolds(draft, n).length > 0) throw new Violation('I9: held though nobody wants it')
  }

  return { always, quiet }
}

export type Invariants = ReturnType<typeof createInvariants>
