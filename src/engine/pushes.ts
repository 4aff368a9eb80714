import { BridgeError } from '../core/errors.ts'
import { askSnapshot, type Outlet } from '../core/outlet.ts'
import { topics } from './bus.ts'
import { change } from './change.ts'
import type { Deps } from './deps.ts'
import type { OutletView, Pushes } from './pushapi.ts'
import { boundsOf } from './pushing.ts'
import { createLane, type Lane, type Target } from './pushlane.ts'

export interface Pusher extends Pushes {
  start(): void
  /** Lets what is on the wire be answered for a moment, then cuts it: it is sent again after the next start. */
  stop(): Promise<void>
}

const afterFaultMs = 5_000
const graceMs = 3_000
const gaugeMs = 15_000

/** The lanes of one outlet, for tests that take their steps one by one. */
export const lanesOf = (deps: Deps, outlet: Outlet): { readonly urgent: Lane; readonly rest: Lane } => {
  const target: Target = { outlet, passed: 0, sending: undefined }
  return { urgent: createLane(deps, target, 'urgent'), rest: createLane(deps, target, 'rest') }
}

/** Pushes signals to every outlet, each in lanes of its own: one that is slow or dead keeps no other waiting. */
export const createPushes = (deps: Deps, outlets: readonly Outlet[]): Pusher => {
  const stopping = new AbortController()
  const cutting = new AbortController()
  const running: Promise<void>[] = []
  const lanes = new Map(outlets.map((outlet) => [outlet.name, lanesOf(deps, outlet)]))

  const run = async (outlet: Outlet, lane: Lane, topic: string): Promise<void> => {
    const { signal } = stopping
    while (!signal.aborted) {
      const woken = deps.bus.count(topic)
      try {
        const { inMs, wakes } = await lane.step(cutting.signal)
        if (inMs <= 0) continue
        if (wakes) await deps.bus.wait(topic, woken, inMs, signal)
        else await deps.clock.sleep(inMs, signal)
      } catch (error) {
        if (signal.aborted) return
        if (deps.isFatal(error)) {
          deps.fatal(error)
          return
        }
        deps.log.error({ outlet: outlet.name, err: error }, 'pushing failed; it is tried again')
        await deps.clock.sleep(afterFaultMs, signal).catch(() => undefined)
      }
    }
  }

  const named = (name: string): Outlet => {
    const outlet = outlets.find((one) => one.name === name)
    if (outlet !== undefined) return outlet
    throw new BridgeError('E_NOT_FOUND', 'There is no such outlet.', { hint: 'List them with GET /v1/webhooks.' })
  }
  const wake = (name: string) => {
    deps.bus.wake(topics.signals)
    deps.bus.wake(topics.pushes(name))
  }

  const view = async (outlet: Outlet): Promise<OutletView> => {
    const { name, kind, origin, client } = outlet
    const state = await deps.store.outlet(name)
    const { head } = await deps.store.signalRange()
    const { known } = boundsOf(deps, outlet)
    // What a lane passed over without telling it is recorded now and then only.
    const behind = (seq = head, lane: Lane | undefined) => Math.max(0, head - Math.max(seq, lane?.position() ?? 0))
    const { urgent, rest } = lanes.get(name) ?? {}
    const status = (): OutletView['status'] => {
      if (!known) return 'unbounded'
      if (state?.disabledAt !== undefined) return 'disabled'
      if (state?.failingSince !== undefined) return 'failing'
      return state?.snapshot === undefined ? 'ok' : 'snapshot'
    }
    return {
      name,
      kind,
      origin,
      client,
      status: status(),
      behind: { urgent: behind(state?.urgentSeq, urgent), rest: behind(state?.restSeq, rest) },
      ...(await deps.store.countSetAside(name)),
      takenAt: state?.takenAt,
      failingSince: state?.failingSince,
      disabledAt: state?.disabledAt,
      lastError: state?.lastError,
    }
  }

  const gauge = async (): Promise<void> => {
    const { metrics } = deps
    for (const { name, behind, waiting, dead, disabledAt } of await Promise.all(outlets.map(view))) {
      metrics.set('push_behind', { outlet: name, lane: 'urgent' }, behind.urgent)
      metrics.set('push_behind', { outlet: name, lane: 'rest' }, behind.rest)
      metrics.set('push_set_aside', { outlet: name, state: 'waiting' }, waiting)
      metrics.set('push_set_aside', { outlet: name, state: 'dead' }, dead)
      metrics.set('push_disabled', { outlet: name }, disabledAt === undefined ? 0 : 1)
    }
  }
  const gaugeNow = async (): Promise<void> => {
    const { signal } = stopping
    while (!signal.aborted) {
      await gauge().catch((err) => deps.log.error({ err }, 'the state of pushes could not be counted'))
      await deps.clock.sleep(gaugeMs, signal).catch(() => undefined)
    }
  }

  return {
    start: () => {
      if (outlets.length > 0) running.push(gaugeNow())
      for (const outlet of outlets) {
        const { urgent, rest } = lanes.get(outlet.name) ?? lanesOf(deps, outlet)
        running.push(run(outlet, urgent, topics.signals), run(outlet, rest, topics.pushes(outlet.name)))
      }
    },
    stop: async () => {
      stopping.abort()
      const all = Promise.all(running)
      const timer = new AbortController()
      const late = deps.clock.sleep(graceMs, timer.signal).catch(() => undefined)
      await Promise.race([all, late])
      timer.abort()
      cutting.abort()
      await all
      for (const outlet of outlets) outlet.close?.()
    },
    outlets: () => Promise.all(outlets.map(view)),
    deadLetters: async (name, { after = -1, limit }) => {
      const found = await deps.store.deadLetters(named(name).name, after, limit + 1)
      const items = found.slice(0, limit)
      return { items, nextCursor: found.length > limit ? String(items.at(-1)?.seq) : null }
    },
    redeliver: async (name, seqs, caller, keep) => {
      named(name)
      const who = { actor: caller.name, requestId: caller.requestId }
      const revived = await change(
        deps,
        who,
        async ({ tx, now, actor, requestId }) => {
          const { head } = await tx.signalRange()
          const [first] = await tx.deadLetters(name, -1, 1)
          const isSnapshot = first?.type === 'snapshot' && (seqs === undefined || seqs.includes(first.seq))
          const state = await tx.outlet(name)
          // A snapshot is of what is held then, not of what was.
          if (isSnapshot) await tx.dropSetAside(name, first.seq)
          if (isSnapshot && state !== undefined) await tx.saveOutlet(askSnapshot(state, head))
          const count = (await tx.revive(name, seqs, now)) + (isSnapshot ? 1 : 0)
          const details = { outlet: name, count }
          if (count > 0) await tx.appendAudit({ time: now, type: 'outlet.redelivered', actor, requestId, details })
          return count
        },
        keep,
      )
      wake(name)
      return revived
    },
    enableOutlet: async (name, caller, keep) => {
      const outlet = named(name)
      await change(
        deps,
        { actor: caller.name, requestId: caller.requestId },
        async ({ tx, now, actor, requestId }) => {
          const state = await tx.outlet(name)
          if (state?.disabledAt === undefined) return
          const { head } = await tx.signalRange()
          const next = outlet.types.includes('suspended') ? askSnapshot(state, head) : state
          // What was told while it was disabled is in the snapshot.
          await tx.saveOutlet({ ...next, disabledAt: undefined, lastError: undefined, urgentSeq: head, restSeq: head })
          await tx.appendAudit({ time: now, type: 'outlet.enabled', actor, requestId, details: { outlet: name } })
        },
        keep,
      )
      wake(name)
      return view(outlet)
    },
  }
}
