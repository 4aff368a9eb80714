import type { HeldDid, StoreReads } from '../core/store.ts'
import type { Did, Hold, Labels, Signal } from '../core/types.ts'
import type { Caller } from './agentapi.ts'
import type { SignalFrame } from './api.ts'
import { topics } from './bus.ts'
import type { Deps } from './deps.ts'
import { named } from './naming.ts'
import { within } from './views.ts'

export const generationKey = 'signals:generation'
const page = 500
const snapshotPage = 1_000

/** `<generation>-<seq>`: a restored store starts a new generation, so that an old position is never taken for a new one. */
export const idOf = (generation: string, seq: number): string => `${generation}-${seq}`

export const positionOf = (generation: string, lastEventId: string | undefined): number | undefined => {
  const match = lastEventId === undefined ? null : /^([A-Za-z0-9]+)-(\d{1,15})$/.exec(lastEventId)
  return match?.[1] === generation ? Number(match[2]) : undefined
}

/** What a stream and a push have of a signal. */
export const dataOf = (signal: Signal) => ({
  seq: signal.seq,
  type: signal.type,
  did: signal.did,
  ...(signal.aliases.length > 0 && { aliases: signal.aliases }),
  at: new Date(signal.at).toISOString(),
  ...(signal.holdId !== undefined && { holdId: signal.holdId }),
  ...(signal.severity !== undefined && { severity: signal.severity }),
  ...(signal.origin !== undefined && { origin: signal.origin }),
  ...(signal.reason !== undefined && { reason: signal.reason }),
  ...(signal.capabilities !== undefined && { capabilities: signal.capabilities }),
})

const frameOf = (generation: string, signal: Signal): SignalFrame => ({
  id: idOf(generation, signal.seq),
  event: signal.type,
  data: dataOf(signal),
})

/**
 * The stream of one runtime. It reads the store page by page at the consumer's pace, so that a slow one costs no memory,
 * and sleeps on the bus in between. Without a usable position it starts with a snapshot of every held DID (I11); one that
 * resumed is told once, by `current`, when it has read everything there was.
 */
export async function* signalStream(
  deps: Deps,
  caller: Caller,
  lastEventId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<SignalFrame> {
  const generation = (await deps.store.meta(generationKey)) ?? '0'
  let position = positionOf(generation, lastEventId)
  let isCurrent = false
  while (!signal.aborted) {
    const woken = deps.bus.count(topics.signals)
    const { oldest, head } = await deps.store.signalRange()
    // No position, none of ours, or one that retention overtook: what was missed is in a snapshot.
    if (position === undefined || position > head || (position + 1 < oldest && position < head)) {
      position = head
      yield await snapshot(deps.store, generation, position, caller.labels)
      isCurrent = true
      continue
    }
    const signals: readonly Signal[] = await deps.store.signalsAfter(position, page)
    if (signals[0] !== undefined && signals[0].seq > position + 1) {
      position = undefined
      continue
    }
    for (const one of signals) {
      position = one.seq
      if (await isFor(deps.store, one.did, caller.labels)) yield frameOf(generation, one)
      if (signal.aborted) return
    }
    if (signals.length === 0 && !isCurrent) {
      isCurrent = true
      yield { id: idOf(generation, position), event: 'current', data: { seq: position, type: 'current' } }
    } else if (signals.length === 0) await deps.bus.wait(topics.signals, woken, 5_000, signal)
  }
}

/** Whether a runtime with these bounds is told about the DID. */
export const isFor = async (store: StoreReads, did: Did, bounds: Labels | undefined): Promise<boolean> => {
  if (bounds === undefined) return true
  const { agent } = await named(store, did)
  return agent === undefined || within(agent.labels, bounds)
}

/** The holds that a runtime with these bounds is told of: not those that the guard keeps back. */
export const toldHolds = ({ labels, holds }: HeldDid, bounds: Labels | undefined): readonly Hold[] =>
  labels !== undefined && !within(labels, bounds) ? [] : holds.filter((hold) => !hold.guarded)

/** What a snapshot has of one DID. */
export const heldData = ({ did, aliases }: HeldDid, told: readonly Hold[]) => ({
  did,
  ...(aliases.length > 0 && { aliases }),
  holds: told.map(({ id, severity, origin, reason }) => ({ holdId: id, severity, origin, reason })),
})

/** Every DID a runtime must hold, as of a position at or after `seq`: later signals repeat nothing that matters. */
const snapshot = async (
  store: StoreReads,
  generation: string,
  seq: number,
  bounds: Labels | undefined,
): Promise<SignalFrame> => {
  const held: unknown[] = []
  let after: Did | undefined
  for (;;) {
    const some = await store.heldDids(after, snapshotPage)
    for (const one of some) {
      const told = toldHolds(one, bounds)
      if (told.length > 0) held.push(heldData(one, told))
    }
    after = some.at(-1)?.did
    if (some.length < snapshotPage) break
  }
  return { id: idOf(generation, seq), event: 'snapshot', data: { seq, type: 'snapshot', held } }
}
