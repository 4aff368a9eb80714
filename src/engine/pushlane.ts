import {
  failuresInFront,
  type Outlet,
  type OutletState,
  type Push,
  type PushLane,
  type PushOutcome,
} from '../core/outlet.ts'
import type { Did } from '../core/types.ts'
import { backoffMs } from '../lib/backoff.ts'
import { topics } from './bus.ts'
import type { Deps } from './deps.ts'
import {
  type Batch,
  type Bounds,
  begun,
  boundsOf,
  isOutdated,
  isPast,
  lookAt,
  nextBatch,
  nextPage,
  overtaken,
  type Page,
} from './pushing.ts'
import {
  disable,
  keepPage,
  keepTaken,
  killFront,
  noteFailure,
  refuse,
  refusedPage,
  skipTo,
  takeSetAside,
  triedSetAside,
} from './pushkeeping.ts'

/** What both lanes of an outlet know of each other. */
export interface Target {
  readonly outlet: Outlet
  /** Suspensions up to here are told or set aside; the rest never overtakes them. */
  passed: number
  /** What the rest has on the wire. */
  sending: { readonly dids: ReadonlySet<Did>; abort(): void; readonly done: Promise<unknown> } | undefined
}

export interface Lane {
  /**
   * One look, and at most one push. Says in how many ms to look again; `wakes`: earlier when there is something new.
   * Resolves once what it sent is recorded.
   */
  step(signal: AbortSignal): Promise<{ readonly inMs: number; readonly wakes: boolean }>
  /** What it has behind it. */
  position(): number
}

const ceilings: Readonly<Record<PushLane, number>> = { urgent: 30_000, rest: 120_000 }
const baseMs = 500
const snapshotBackoff = { baseMs: 5_000, ceilingMs: 600_000 }
const idleMs = 30_000
/** Failures in a row of one lane that an operator is told of. */
const tellAt = 5

const now = { inMs: 0, wakes: false }

/** One lane of one outlet: in order, one push at a time. */
export const createLane = (deps: Deps, target: Target, lane: PushLane): Lane => {
  const { outlet } = target
  let position = 0
  let failures = 0
  let inFront = 0
  /** So many signals go one by one, to find the one of a push that is refused. */
  let single = 0
  let pageRefusals = 0
  let pageFrom = 0

  /**
   * Undefined: it was aborted, by the other lane or because the bridge stops, or is not so any more. That is looked at once
   * the other lane can see what is about to be sent: a hold placed later finds it there, and cuts it off.
   */
  const send = async (
    pushes: readonly Push[],
    cut: AbortSignal,
    past: () => Promise<boolean>,
  ): Promise<PushOutcome | undefined> => {
    const dids = new Set(pushes.map(({ did }) => did).filter((did) => did !== undefined))
    if (lane === 'urgent') {
      const { sending } = target
      if (sending !== undefined && [...dids].some((did) => sending.dids.has(did))) {
        sending.abort()
        await sending.done
      }
    }
    const own = new AbortController()
    const done = Promise.withResolvers<void>()
    const signal = AbortSignal.any([cut, own.signal])
    if (lane === 'rest') target.sending = { dids, abort: () => own.abort(), done: done.promise }
    try {
      if (lane === 'rest' && (await past())) return undefined
      const outcome = signal.aborted ? undefined : await outlet.push(pushes, signal)
      if (outcome === undefined) return undefined
      deps.metrics.inc('pushes_total', { outlet: outlet.name, outcome: outcome.kind }, pushes.length)
      return outcome
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    } finally {
      if (lane === 'rest') target.sending = undefined
      done.resolve()
    }
  }

  const passedTo = (seq: number): void => {
    position = seq
    inFront = 0
    if (lane !== 'urgent' || seq <= target.passed) return
    target.passed = seq
    deps.bus.wake(topics.pushes(outlet.name))
  }

  const well = (): void => {
    if (failures >= tellAt) deps.log.info({ outlet: outlet.name }, 'an outlet takes pushes again')
    failures = 0
  }

  /** The target as a whole, or what is in front: the lane waits. */
  const fail = async (outcome: PushOutcome & { kind: 'failed' }) => {
    failures += 1
    await noteFailure(deps, outlet, outcome.error)
    if (failures === tellAt) {
      deps.alert('push-failing', `${outlet.name} takes no pushes (${outcome.error}): they wait and are tried again`)
    }
    const backoff = { baseMs, ceilingMs: ceilings[lane] }
    return { inMs: backoffMs(failures - 1, backoff, deps.random(), outcome.retryAfterMs), wakes: false }
  }

  const from = ({ generation }: OutletState, { labels }: Bounds) => ({
    outlet,
    lane,
    labels,
    generation,
    after: position,
    until: lane === 'urgent' ? Number.MAX_SAFE_INTEGER : target.passed,
    mostBytes: outlet.mostBytes,
  })

  /** What is in front is dead when nothing was taken for so long. Says up to where. */
  const giveUp = async (state: OutletState, bounds: Bounds): Promise<number | undefined> => {
    const front = await nextBatch(deps, { ...from(state, bounds), most: lookAt, mostBytes: Number.POSITIVE_INFINITY })
    return front && killFront(deps, outlet, lane, front)
  }

  const tell = async (batch: Batch, state: OutletState, bounds: Bounds, cut: AbortSignal) => {
    const { jobs, through } = batch
    const [first] = jobs
    if (first === undefined) return now
    const outcome = await send(
      jobs.map(({ push }) => push),
      cut,
      async () => {
        for (const { signal } of jobs) if (await isOutdated(deps.store, signal, false)) return true
        return false
      },
    )
    if (outcome === undefined) return now
    deps.probe?.('push.answered')
    if (single > 0) single -= 1
    switch (outcome.kind) {
      case 'taken':
        await keepTaken(deps, outlet, lane, jobs, through)
        well()
        passedTo(through)
        return now
      case 'gone':
        await disable(deps, outlet, outcome.error)
        return now
      case 'refused':
        if (jobs.length > 1) {
          single = jobs.length
          return now
        }
        await refuse(deps, outlet, lane, first, through, { error: outcome.error, attempts: 1 })
        passedTo(through)
        return now
      case 'failed': {
        const waits = await fail(outcome)
        const dead = await giveUp(state, bounds)
        if (dead !== undefined) passedTo(dead)
        else if (outcome.mayBeOwn) {
          inFront += 1
          if (inFront >= failuresInFront && jobs.length > 1) single = jobs.length
          else if (inFront >= failuresInFront) {
            await refuse(deps, outlet, lane, first, through, { error: outcome.error, attempts: inFront })
            passedTo(through)
          }
        }
        return waits
      }
    }
  }

  const tellPage = async (page: Page, state: OutletState, cut: AbortSignal) => {
    const outcome = await send([page.push], cut, async () => false)
    if (outcome === undefined) return now
    deps.probe?.('push.answered')
    switch (outcome.kind) {
      case 'taken':
        await keepPage(deps, outlet, state, page)
        pageRefusals = 0
        well()
        deps.bus.wake(topics.pushes(outlet.name))
        return now
      case 'gone':
        await disable(deps, outlet, outcome.error)
        return now
      case 'refused':
        pageRefusals += 1
        pageFrom = deps.clock.mono() + backoffMs(pageRefusals - 1, snapshotBackoff, deps.random())
        if (await refusedPage(deps, outlet, state, page, { error: outcome.error, attempts: pageRefusals })) {
          pageRefusals = 0
        }
        return now
      case 'failed':
        return fail(outcome)
    }
  }

  /** What was set aside and is due. Undefined: nothing is. */
  const again = async (state: OutletState, bounds: Bounds, cut: AbortSignal) => {
    const [item] = await deps.store.setAsideDue(outlet.name, lane, deps.clock.now(), 1)
    if (item === undefined) return undefined
    const past = () => isPast(deps, outlet, state, bounds, item)
    if (await past()) {
      deps.metrics.inc('pushes_total', { outlet: outlet.name, outcome: 'outdated' })
      await takeSetAside(deps, outlet, item, false)
      return now
    }
    const push: Push = JSON.parse(item.body)
    const outcome = await send([push], cut, past)
    if (outcome === undefined) return now
    deps.probe?.('push.answered')
    if (outcome.kind === 'taken') {
      await takeSetAside(deps, outlet, item, true)
      well()
      return now
    }
    if (outcome.kind === 'gone') {
      await disable(deps, outlet, outcome.error)
      return now
    }
    await triedSetAside(deps, outlet, item, outcome)
    // One that always fails keeps no other waiting.
    return outcome.kind === 'failed' && !outcome.mayBeOwn ? fail(outcome) : now
  }

  const idle = async () => {
    const next = await deps.store.nextSetAside(outlet.name, lane)
    const inMs = Math.min(idleMs, next === undefined ? idleMs : Math.max(1, next - deps.clock.now()))
    const pageInMs = pageRefusals > 0 ? Math.max(1, pageFrom - deps.clock.mono()) : idleMs
    return { inMs: Math.min(inMs, pageInMs), wakes: true }
  }

  const look = async (state: OutletState, bounds: Bounds, cut: AbortSignal) => {
    const { labels } = bounds
    const isUrgent = lane === 'urgent'
    if (!isUrgent && state.snapshot !== undefined) return idle()
    const batch = await nextBatch(deps, { ...from(state, bounds), most: single > 0 ? 1 : outlet.most })
    if (batch === undefined) {
      // Only one lane mends it: the other finds both further.
      if (isUrgent) await overtaken(deps, outlet)
      return isUrgent ? now : idle()
    }
    if (batch.jobs.length > 0) return tell(batch, state, bounds, cut)
    if (batch.through > position) {
      await skipTo(deps, outlet, lane, state, batch.through)
      passedTo(batch.through)
    }
    if (batch.more) return now
    if (isUrgent && state.snapshot !== undefined && (pageRefusals === 0 || deps.clock.mono() >= pageFrom)) {
      const page = await nextPage(deps, state, labels)
      if (page !== undefined) return tellPage(page, state, cut)
    }
    return (await again(state, bounds, cut)) ?? idle()
  }

  return {
    position: () => position,
    step: async (cut) => {
      const bounds = boundsOf(deps, outlet)
      if (!bounds.known) return { inMs: idleMs, wakes: true }
      const state = await begun(deps, outlet, bounds)
      if (state.disabledAt !== undefined) return { inMs: idleMs, wakes: true }
      position = Math.max(position, lane === 'urgent' ? state.urgentSeq : state.restSeq)
      if (lane === 'urgent' && position > target.passed) passedTo(position)
      return look(state, bounds, cut)
    },
  }
}
