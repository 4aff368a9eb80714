import type { Did, Signal } from './types.ts'

/**
 * Outlets: where the bridge pushes its signals, for those that cannot hold a stream.
 *
 * Suspensions have a lane of their own for each outlet and overtake everything else (DESIGN §3 rule 9). Within a lane the
 * order is that of the stream, but one that its receiver refuses is set aside, and those behind it go on.
 *
 * | answer          | the signal                                      | the lane                       |
 * |-----------------|-------------------------------------------------|--------------------------------|
 * | taken           | done; acknowledges the runtime's leg            | goes on                        |
 * | refused         | set aside, tried again for a while, then dead   | goes on                        |
 * | failed          | stays in front; set aside at the third failure  | waits, longer at each failure  |
 * |                 | that may be its own                             |                                |
 * | gone            | stays                                           | ends until an operator enables |
 */
export type PushOutcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly error: string }
  | {
      readonly kind: 'failed'
      readonly error: string
      readonly retryAfterMs: number | undefined
      /** Another event might fare better: the receiver answered, and did not say that it is not ready. */
      readonly mayBeOwn: boolean
    }
  | { readonly kind: 'gone'; readonly error: string }

/** One event as it is pushed. */
export interface Push {
  /** The same at every attempt; never that of another event. */
  readonly id: string
  readonly type: Signal['type'] | 'snapshot'
  /** Undefined: of a snapshot. */
  readonly did: Did | undefined
  readonly at: number
  /** What the stream has as `data`. */
  readonly data: Readonly<Record<string, unknown>>
}

/** A configured receiver of signals. */
export interface Outlet {
  readonly name: string
  readonly kind: string
  /** Where it sends, without path and query, which may hold a secret. */
  readonly origin: string
  /** Changes with everything that makes it another receiver: it then begins anew. Holds no secret. */
  readonly identity: string
  /** The runtime as whom it reads, whose leg an answer closes; undefined: everything, and it closes no leg. */
  readonly client: string | undefined
  readonly types: readonly Signal['type'][]
  readonly giveUpAfterMs: number
  /** Events and bytes of one push. */
  readonly most: number
  readonly mostBytes: number
  /** Never throws, but when the signal aborts. Bounded in time. */
  push(events: readonly Push[], signal: AbortSignal): Promise<PushOutcome>
  close?(): void
}

/** How far an outlet is. */
export interface OutletState {
  readonly name: string
  /** Of the receiver that its positions are about. */
  readonly identity: string
  readonly generation: string
  /** Suspensions up to here are told, or set aside. */
  readonly urgentSeq: number
  /** Everything else up to here. */
  readonly restSeq: number
  /** All that is held as of `seq` is to be told; up to `after` it was. */
  readonly snapshot: SnapshotState | undefined
  /** Counts the snapshots, so that no two events have one id. */
  readonly round: number
  readonly disabledAt: number | undefined
  readonly failingSince: number | undefined
  readonly lastError: string | undefined
  readonly takenAt: number | undefined
}

export interface SnapshotState {
  readonly seq: number
  readonly page: number
  readonly after: Did | undefined
}

/** A signal set aside, or dead. */
export interface SetAside {
  readonly outlet: string
  readonly seq: number
  readonly type: Push['type']
  readonly did: Did | undefined
  readonly holdId: string | undefined
  /** When the signal was told to the streams. */
  readonly at: number
  readonly attempts: number
  /** Undefined: dead, it is not tried any more. */
  readonly nextAt: number | undefined
  readonly deadAt: number | undefined
  readonly error: string
  /** JSON of the push. */
  readonly body: string
}

export type PushLane = 'urgent' | 'rest'

export const laneOf = (type: Push['type']): PushLane =>
  type === 'suspended' || type === 'snapshot' ? 'urgent' : 'rest'

/** Attempts of a signal that its receiver refuses, over some five hours, before it is dead. */
export const refusalsMost = 10
/** Failures of the signal in front, each of which may be its own, before those behind it are tried. */
export const failuresInFront = 3

export const freshOutlet = (
  outlet: Pick<Outlet, 'name' | 'types'>,
  identity: string,
  generation: string,
  head: number,
  last: OutletState | undefined,
): OutletState => ({
  name: outlet.name,
  identity,
  generation,
  urgentSeq: head,
  restSeq: head,
  snapshot: outlet.types.includes('suspended') ? { seq: head, page: 0, after: undefined } : undefined,
  round: (last?.round ?? 0) + 1,
  disabledAt: undefined,
  failingSince: undefined,
  lastError: undefined,
  takenAt: last?.takenAt,
})

/** All that is held is told anew, beside what the lanes do. */
export const askSnapshot = (state: OutletState, head: number): OutletState => ({
  ...state,
  snapshot: { seq: head, page: 0, after: undefined },
  round: state.round + 1,
})

export interface OutletReads {
  outlet(name: string): Promise<OutletState | undefined>
  /** Those of a lane that are due, the longest due first. */
  setAsideDue(outlet: string, lane: PushLane, now: number, limit: number): Promise<SetAside[]>
  nextSetAside(outlet: string, lane: PushLane): Promise<number | undefined>
  /** Past `after`, in order of their sequence. */
  deadLetters(outlet: string, after: number, limit: number): Promise<SetAside[]>
  countSetAside(outlet: string): Promise<{ waiting: number; dead: number }>
  /** Whether the DID's capabilities were told anew after this. */
  capabilitiesSince(did: Did, seq: number): Promise<boolean>
}

export interface OutletWrites {
  saveOutlet(state: OutletState): Promise<void>
  saveSetAside(item: SetAside): Promise<void>
  dropSetAside(outlet: string, seq: number): Promise<void>
  /** Those that are not dead: a receiver that begins anew gets a snapshot. */
  dropWaiting(outlet: string): Promise<void>
  /** Dead letters are tried again from `at` on, as if never tried: those named, or all. Returns how many. */
  revive(outlet: string, seqs: readonly number[] | undefined, at: number): Promise<number>
}
