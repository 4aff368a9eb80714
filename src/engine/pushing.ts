import { canonical } from '../core/canonical.ts'
import {
  askSnapshot,
  freshOutlet,
  type Outlet,
  type OutletState,
  type Push,
  type PushLane,
  type SetAside,
} from '../core/outlet.ts'
import type { HeldDid, StoreReads } from '../core/store.ts'
import type { Did, Hold, Labels, Signal } from '../core/types.ts'
import { bridge, change } from './change.ts'
import type { Deps } from './deps.ts'
import { effectiveOf } from './granting.ts'
import { dataOf, generationKey, heldData, idOf, isFor, toldHolds } from './signals.ts'

/** What an outlet is to be told next; the lanes that tell it are in `pushlane.ts`. */

/** Signals that one look takes. */
export const lookAt = 500
const heldAt = 200
/** What an envelope may add to an event. */
const envelopeBytes = 300
/** Of a page of a snapshot: many receivers take no larger body. */
const pageBytes = 64 * 1024

/** The runtime as whom an outlet reads. `known` false: it is not configured any more, and nothing may be sent. */
export interface Bounds {
  readonly known: boolean
  readonly labels: Labels | undefined
}

export const boundsOf = (deps: Deps, { client }: Outlet): Bounds => {
  if (client === undefined) return { known: true, labels: undefined }
  const runtime = deps.runtimes().find(({ name }) => name === client)
  return { known: runtime !== undefined, labels: runtime?.labels }
}

/** Where the outlet is. One that is new, elsewhere, or reads as somebody else begins with all that is held (I11). */
export const begun = async (deps: Deps, outlet: Outlet, { labels }: Bounds): Promise<OutletState> => {
  const identity = canonical({ outlet: outlet.identity, labels: labels ?? null })
  const generation = (await deps.store.meta(generationKey)) ?? '0'
  const fits = (state: OutletState | undefined): state is OutletState =>
    state?.identity === identity && state.generation === generation
  const known = await deps.store.outlet(outlet.name)
  if (fits(known)) return known
  return change(deps, bridge, async ({ tx }) => {
    const last = await tx.outlet(outlet.name)
    if (fits(last)) return last
    const { head } = await tx.signalRange()
    const state = freshOutlet(outlet, identity, generation, head, last)
    await tx.dropWaiting(outlet.name)
    await tx.saveOutlet(state)
    return state
  })
}

/** Retention took signals that were not told yet: all that is held is told instead. */
export const overtaken = async (deps: Deps, outlet: Outlet): Promise<void> => {
  const { head } = await deps.store.signalRange()
  await change(deps, bridge, async ({ tx }) => {
    const state = await tx.outlet(outlet.name)
    if (state === undefined) return
    const next = outlet.types.includes('suspended') ? askSnapshot(state, head) : state
    await tx.saveOutlet({ ...next, urgentSeq: head, restSeq: head })
  })
  deps.alert('push-overtaken', `${outlet.name} missed signals that are past retention: it gets all that is held`)
}

/** A push and what of ours it is about. */
export interface Job {
  readonly push: Push
  readonly signal: Signal
}

export const pushOf = (generation: string, signal: Signal): Push => ({
  id: idOf(generation, signal.seq),
  type: signal.type,
  did: signal.did,
  at: signal.at,
  data: dataOf(signal),
})

const isHeld = async (store: StoreReads, did: Did): Promise<boolean> =>
  (await store.openHolds(did)).some(({ guarded }) => !guarded)

/**
 * Whether telling it now would tell what is not so any more. A suspension overtakes, so that of a DID that is held again
 * the end of its earlier holds must not follow; what was set aside comes after what followed it.
 */
export const isOutdated = async (
  store: StoreReads,
  item: Pick<Signal, 'seq' | 'holdId'> & { readonly type: Push['type']; readonly did: Did | undefined },
  wasSetAside: boolean,
): Promise<boolean> => {
  const { type, did, seq, holdId } = item
  if (did === undefined) return false
  if (type === 'resumed') return isHeld(store, did)
  if (!wasSetAside) return false
  if (type === 'capabilities') return store.capabilitiesSince(did, seq)
  const hold = holdId === undefined ? undefined : await store.hold(holdId)
  return hold === undefined ? !(await isHeld(store, did)) : hold.releasedAt !== undefined
}

/**
 * The same for what was set aside, which may have waited for long: not for what a snapshot of a restored store has told, nor
 * for what is not the receiver's any more.
 */
export const isPast = async (
  { store, clock }: Deps,
  outlet: Outlet,
  { generation }: OutletState,
  { labels }: Bounds,
  item: SetAside,
): Promise<boolean> => {
  const { body, did, seq, type } = item
  const { data, id }: Push = JSON.parse(body)
  if (!id.startsWith(`${generation}-`) || !outlet.types.some((one) => one === type)) return true
  if (did !== undefined && !(await isFor(store, did, labels))) return true
  if (await isOutdated(store, item, true)) return true
  const { oldest } = await store.signalRange()
  if (type !== 'capabilities' || did === undefined || seq + 1 >= oldest) return false
  // Retention took what may have followed it.
  return canonical(data.capabilities ?? []) !== canonical(await effectiveOf(store, did, clock.now()))
}

export interface Batch {
  readonly jobs: readonly Job[]
  /** What the lane has behind it once the jobs are done. */
  readonly through: number
  /** There may be more right behind it. */
  readonly more: boolean
}

export interface Look {
  readonly outlet: Outlet
  readonly lane: PushLane
  readonly labels: Labels | undefined
  readonly generation: string
  readonly after: number
  /** Not past this. */
  readonly until: number
  /** Events and bytes. */
  readonly most: number
  readonly mostBytes: number
}

/** The next signals of one lane, as many as one push takes. Undefined: retention took some. */
export const nextBatch = async (deps: Deps, look: Look): Promise<Batch | undefined> => {
  const { store } = deps
  const { outlet, lane, labels, generation, after, until, most, mostBytes } = look
  const { oldest, head } = await store.signalRange()
  if (after + 1 < oldest && after < head) return undefined
  const signals = await store.signalsAfter(after, lookAt)
  if (signals[0] !== undefined && signals[0].seq > after + 1) return undefined
  const jobs: Job[] = []
  let through = after
  let bytes = 0
  for (const signal of signals) {
    if (signal.seq > until) return { jobs, through, more: false }
    const isOurs = (signal.type === 'suspended') === (lane === 'urgent') && outlet.types.includes(signal.type)
    if (isOurs && (await isFor(store, signal.did, labels)) && !(await isOutdated(store, signal, false))) {
      const push = pushOf(generation, signal)
      bytes += Buffer.byteLength(JSON.stringify(push)) + envelopeBytes
      if (jobs.length > 0 && (jobs.length >= most || bytes > mostBytes)) return { jobs, through, more: true }
      jobs.push({ push, signal })
    }
    through = signal.seq
  }
  return { jobs, through, more: signals.length === lookAt }
}

/** A page of a snapshot. */
export interface Page {
  readonly push: Push
  readonly holds: readonly Hold[]
  /** Up to here it was told; undefined: it was the last page. */
  readonly after: Did | undefined
}

/** The next page of a snapshot, as what is held is now. */
export const nextPage = async (
  deps: Deps,
  state: OutletState,
  labels: Labels | undefined,
): Promise<Page | undefined> => {
  const { snapshot, generation, round } = state
  if (snapshot === undefined) return undefined
  const held: unknown[] = []
  const holds: Hold[] = []
  let bytes = 0
  let after = snapshot.after
  let last = false
  while (!last && bytes < pageBytes) {
    const some: readonly HeldDid[] = await deps.store.heldDids(after, heldAt)
    last = some.length < heldAt
    for (const one of some) {
      if (bytes >= pageBytes) {
        last = false
        break
      }
      after = one.did
      const told = toldHolds(one, labels)
      if (told.length === 0) continue
      const data = heldData(one, told)
      held.push(data)
      holds.push(...told)
      bytes += JSON.stringify(data).length
    }
  }
  const { seq, page } = snapshot
  return {
    push: {
      id: `${idOf(generation, seq)}-${round}-${page}`,
      type: 'snapshot',
      did: undefined,
      at: deps.clock.now(),
      data: { seq, type: 'snapshot', page, last, held },
    },
    holds,
    after: last ? undefined : after,
  }
}
