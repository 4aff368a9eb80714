import {
  askSnapshot,
  type Outlet,
  type OutletState,
  type Push,
  type PushLane,
  type PushOutcome,
  refusalsMost,
  type SetAside,
} from '../core/outlet.ts'
import type { StoreTx } from '../core/store.ts'
import { backoffMs } from '../lib/backoff.ts'
import { bridge, type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { type Batch, type Job, lookAt, type Page } from './pushing.ts'

/** What is recorded of pushes. Each function is one transaction, in which a lane's position and what became of a push go together. */

const asideBackoff = { baseMs: 15_000, ceilingMs: 3_600_000 }

const moved = (state: OutletState, lane: PushLane, seq: number): OutletState =>
  lane === 'urgent'
    ? { ...state, urgentSeq: Math.max(state.urgentSeq, seq) }
    : { ...state, restSeq: Math.max(state.restSeq, seq) }

const onState = async (deps: Deps, outlet: Outlet, work: (c: Change, state: OutletState) => Promise<OutletState>) => {
  await change(deps, bridge, async (c) => {
    const state = await c.tx.outlet(outlet.name)
    if (state === undefined) return
    const next = await work(c, state)
    if (next !== state) await c.tx.saveOutlet(next)
  })
  deps.probe?.('push.kept')
}

const well = (state: OutletState, now: number): OutletState => ({
  ...state,
  takenAt: now,
  failingSince: undefined,
  lastError: undefined,
})

/** The answer of a runtime's receiver acknowledges like the runtime itself. */
const acknowledge = async (
  tx: StoreTx,
  { client }: Outlet,
  told: { readonly type: Push['type']; readonly seq: number; readonly holdId: string | undefined },
  now: number,
): Promise<void> => {
  if (client === undefined) return
  if (await tx.ackSignal(told.seq, client, now)) return
  // Past retention.
  if (told.type === 'suspended' && told.holdId !== undefined) await tx.ackHold(told.holdId, client, now)
}

export const keepTaken = (deps: Deps, outlet: Outlet, lane: PushLane, jobs: readonly Job[], through: number) =>
  onState(deps, outlet, async ({ tx, now }, state) => {
    for (const { signal } of jobs) await acknowledge(tx, outlet, signal, now)
    return moved(well(state, now), lane, through)
  })

export const keepPage = (deps: Deps, outlet: Outlet, told: OutletState, { holds, after }: Page) =>
  onState(deps, outlet, async ({ tx, now }, state) => {
    if (outlet.client !== undefined) for (const { id } of holds) await tx.ackHold(id, outlet.client, now)
    const next = well(state, now)
    // Asked for anew meanwhile: it begins again.
    if (state.round !== told.round || state.snapshot === undefined) return next
    return {
      ...next,
      snapshot: after === undefined ? undefined : { ...state.snapshot, page: state.snapshot.page + 1, after },
    }
  })

/** Nothing for the outlet up to there. Recorded now and then: a restart looks through it once more. */
export const skipTo = async (deps: Deps, outlet: Outlet, lane: PushLane, state: OutletState, seq: number) => {
  if (seq - (lane === 'urgent' ? state.urgentSeq : state.restSeq) < lookAt) return
  await onState(deps, outlet, async (_, present) => moved(present, lane, seq))
}

/** The first failure of a row, and each other reason. */
export const noteFailure = async (deps: Deps, outlet: Outlet, error: string): Promise<void> => {
  const known = await deps.store.outlet(outlet.name)
  if (known?.failingSince !== undefined && known.lastError === error) return
  await onState(deps, outlet, async ({ now }, state) => ({
    ...state,
    failingSince: state.failingSince ?? now,
    lastError: error,
  }))
}

interface Tried {
  readonly error: string
  readonly attempts: number
}

const itemOf = (outlet: Outlet, { push, signal }: Job, { error, attempts }: Tried): SetAside => ({
  outlet: outlet.name,
  seq: signal.seq,
  type: signal.type,
  did: signal.did,
  holdId: signal.holdId,
  at: signal.at,
  attempts,
  nextAt: undefined,
  deadAt: undefined,
  error,
  body: JSON.stringify(push),
})

/** Told once, until an operator took care of what is there. */
const countDead = async (c: Change, outlet: Outlet, many: number, error: string): Promise<void> => {
  const { dead } = await c.tx.countSetAside(outlet.name)
  c.after(() => {
    c.deps.metrics.inc('pushes_total', { outlet: outlet.name, outcome: 'dead' }, many)
    if (dead === 0) c.deps.alert('push-dead', `${outlet.name} did not take signals (${error}): see its dead letters`)
  })
}

const nextTry = (deps: Deps, now: number, attempts: number, floorMs = 0): number =>
  now + Math.ceil(backoffMs(attempts - 1, asideBackoff, 0.5 + deps.random() / 2, floorMs))

/** Sets the one in front aside: those behind it go on. */
export const refuse = (deps: Deps, outlet: Outlet, lane: PushLane, job: Job, through: number, tried: Tried) =>
  onState(deps, outlet, async ({ tx, now }, state) => {
    await tx.saveSetAside({ ...itemOf(outlet, job, tried), nextAt: nextTry(deps, now, tried.attempts) })
    return moved({ ...state, lastError: tried.error }, lane, through)
  })

const isOld = (deps: Deps, outlet: Outlet, at: number, now: number): boolean =>
  !deps.isClockDoubted() && at < now - outlet.giveUpAfterMs

/**
 * When nothing was taken for as long as it takes to give up: what is in front is dead, if it is that old. Whoever was to be
 * told of a suspension among it is told of all that is held as soon as anything is taken again. Says up to where the lane
 * is then.
 */
export const killFront = async (deps: Deps, outlet: Outlet, lane: PushLane, { jobs, through }: Batch) => {
  const { failingSince, lastError: error = 'unreachable' } = (await deps.store.outlet(outlet.name)) ?? {}
  const now = deps.clock.now()
  if (failingSince === undefined || !isOld(deps, outlet, failingSince, now)) return undefined
  const young = jobs.findIndex(({ signal }) => !isOld(deps, outlet, signal.at, now))
  const dying = young === -1 ? jobs : jobs.slice(0, young)
  const last = dying.at(-1)
  if (last === undefined) return undefined
  const upTo = young === -1 ? through : last.signal.seq
  const { head } = await deps.store.signalRange()
  await onState(deps, outlet, async (c, state) => {
    await countDead(c, outlet, dying.length, error)
    for (const job of dying) await c.tx.saveSetAside({ ...itemOf(outlet, job, { error, attempts: 1 }), deadAt: c.now })
    const next = moved(state, lane, upTo)
    return lane === 'urgent' && state.snapshot === undefined ? askSnapshot(next, head) : next
  })
  return upTo
}

/** It was taken, or there is nothing to tell any more. */
export const takeSetAside = (deps: Deps, outlet: Outlet, item: SetAside, taken: boolean) =>
  onState(deps, outlet, async ({ tx, now }, state) => {
    await tx.dropSetAside(outlet.name, item.seq)
    if (!taken) return state
    await acknowledge(tx, outlet, item, now)
    return well(state, now)
  })

export const triedSetAside = async (
  deps: Deps,
  outlet: Outlet,
  item: SetAside,
  outcome: PushOutcome & { kind: 'refused' | 'failed' },
): Promise<void> => {
  const { error } = outcome
  const attempts = item.attempts + 1
  const floorMs = outcome.kind === 'failed' ? (outcome.retryAfterMs ?? 0) : 0
  const { head } = await deps.store.signalRange()
  await onState(deps, outlet, async (c, state) => {
    const { tx, now } = c
    const dies = outcome.kind === 'refused' ? attempts >= refusalsMost : isOld(deps, outlet, item.at, now)
    if (!dies) {
      await tx.saveSetAside({ ...item, attempts, error, nextAt: nextTry(deps, now, attempts, floorMs) })
      return state
    }
    await countDead(c, outlet, 1, error)
    await tx.saveSetAside({ ...item, attempts, error, nextAt: undefined, deadAt: now })
    // One that its receiver refuses would make it refuse the snapshot.
    const isMissed = outcome.kind === 'failed' && item.type === 'suspended' && state.snapshot === undefined
    return isMissed ? askSnapshot(state, head) : state
  })
}

/** A page of a snapshot that is refused for good is a dead letter too: of sequence 0. True: it is. */
export const refusedPage = async (deps: Deps, outlet: Outlet, told: OutletState, { push }: Page, tried: Tried) => {
  const dies = tried.attempts >= refusalsMost
  await onState(deps, outlet, async (c, state) => {
    const next = { ...state, lastError: tried.error }
    if (!dies || state.round !== told.round) return next
    await countDead(c, outlet, 1, tried.error)
    await c.tx.saveSetAside({
      outlet: outlet.name,
      seq: 0,
      type: 'snapshot',
      did: undefined,
      holdId: undefined,
      at: push.at,
      attempts: tried.attempts,
      nextAt: undefined,
      deadAt: c.now,
      error: tried.error,
      body: JSON.stringify(push),
    })
    return { ...next, snapshot: undefined }
  })
  return dies
}

/** 410: nothing is sent until an operator enables it, or it is configured elsewhere. */
export const disable = async (deps: Deps, outlet: Outlet, error: string): Promise<void> => {
  await onState(deps, outlet, async ({ tx, now }, state) => {
    if (state.disabledAt !== undefined) return state
    await tx.appendAudit({
      time: now,
      type: 'outlet.disabled',
      actor: 'bridge',
      details: { outlet: outlet.name, error },
    })
    return { ...state, disabledAt: now, lastError: error }
  })
  deps.alert('push-gone', `${outlet.name} answered that it is gone: it is told nothing until an operator enables it`)
}
