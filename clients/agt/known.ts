import { AgtClientError } from './errors.ts'
import type { Frame, HeldFrame, HoldFrame, Position } from './frames.ts'
import { Names } from './names.ts'

export interface KnownHold extends HoldFrame {
  /** Of the signal that told of it; a snapshot's holds have none. */
  readonly seq: number | undefined
  /** Whether the bridge knows that this process acted on it. */
  readonly acked: boolean
}

/** A kill of this process whose hold the stream has not told of: from then on the stream says when it ends. */
interface Latch {
  readonly holdId: string | undefined
  /** The connection during which the bridge answered. */
  readonly answeredIn: number
}

/** One latch for all kills of a DID that the bridge will not take. */
const unrecorded = 'unrecorded'

export interface KnownState {
  readonly position: Position | undefined
  readonly held: readonly (readonly [did: string, holds: readonly KnownHold[]])[]
  readonly names: readonly (readonly [did: string, aliases: readonly string[]])[]
}

/**
 * Whom this process must not let act: what the stream told, and its own kills. Events come at least once and in order;
 * what came before is dropped by its position. The bridge names an agent by one DID and tells the other spellings of it:
 * whatever is asked or told here under any of them is the agent's.
 *
 * | event     | held by the bridge      | own kills that it has not told of                                             |
 * |-----------|-------------------------|-------------------------------------------------------------------------------|
 * | snapshot  | these, and only these   | told of when among these; gone when recorded before this connection and not   |
 * | suspended | one hold more, or other | told of when it is this hold                                                  |
 * | resumed   | none of this DID        | stay: their holds are still to come                                           |
 */
export class Known {
  #position: Position | undefined
  #held: Map<string, Map<string, KnownHold>>
  readonly #names = new Names()
  readonly #latches = new Map<string, Map<string, Latch>>()
  /** Counts connections. */
  #epoch = 0

  constructor(state?: KnownState) {
    this.#position = state?.position
    this.#held = new Map(
      (state?.held ?? []).map(([did, holds]) => [did, new Map(holds.map((hold) => [hold.holdId, hold]))]),
    )
    for (const [did, aliases] of state?.names ?? []) this.#names.set(did, aliases)
  }

  get position(): Position | undefined {
    return this.#position
  }

  get state(): KnownState {
    return {
      position: this.#position,
      held: [...this.#held].map(([did, holds]) => [did, [...holds.values()]]),
      names: [...this.#held.keys()].map((did) => [did, this.#names.aliasesOf(did)]),
    }
  }

  get epoch(): number {
    return this.#epoch
  }

  /** A connection begins; gives the position it resumes from. */
  connecting(): Position | undefined {
    this.#epoch += 1
    return this.#position
  }

  /** The DID by which the bridge names the agent; the given one when it told nothing else. */
  didOf(did: string): string {
    return this.#names.didOf(did)
  }

  /** That DID and every other one that the bridge told of. */
  spellingsOf(did: string): readonly string[] {
    const own = this.didOf(did)
    return [own, ...this.#names.aliasesOf(own)]
  }

  isHeld(did: string): boolean {
    return this.#held.has(this.didOf(did))
  }

  isKilled(did: string): boolean {
    return this.#latches.has(this.didOf(did))
  }

  isClosed(did: string): boolean {
    return this.isHeld(did) || this.isKilled(did)
  }

  holdsOf(did: string): readonly KnownHold[] {
    return [...(this.#held.get(this.didOf(did))?.values() ?? [])]
  }

  /** Everyone who is held or was killed here. */
  closedDids(): string[] {
    return [...new Set([...this.#held.keys(), ...this.#latches.keys()])]
  }

  /**
   * Takes one event in and gives the DIDs that it may have changed; none when it came before.
   * @throws AgtClientError E_FRAME another generation without a snapshot: the position is forgotten
   */
  take(frame: Frame): readonly string[] {
    const { generation, seq } = frame.position
    if (frame.type === 'snapshot') {
      const isSame = this.#position?.generation === generation
      this.#position = frame.position
      return this.#replace(frame.held, isSame)
    }
    if (this.#position?.generation !== generation) {
      this.#position = undefined
      throw new AgtClientError('E_FRAME', 'The stream began in the middle; it is opened anew for a snapshot.')
    }
    if (seq <= this.#position.seq) return []
    this.#position = frame.position
    if (frame.type !== 'suspended' && frame.type !== 'resumed') return []
    const renamed = this.#rename(frame.did, frame.aliases)
    if (frame.type === 'suspended') this.#suspended(frame.did, frame.hold, seq)
    else this.#held.delete(frame.did)
    return [...renamed, frame.did, ...this.#forget(frame.did)]
  }

  /** A kill of this process begins. */
  latch(id: string, killId: string): void {
    const did = this.didOf(id)
    const latches = this.#latches.get(did) ?? new Map<string, Latch>()
    latches.set(killId, { holdId: undefined, answeredIn: 0 })
    this.#latches.set(did, latches)
  }

  /** The bridge recorded it under this hold. The signal may have come before the answer. */
  answered(id: string, killId: string, holdId: string): void {
    const did = this.didOf(id)
    const latches = this.#latches.get(did)
    if (this.#held.get(did)?.has(holdId)) this.unlatch(did, killId)
    else if (latches?.has(killId)) latches.set(killId, { holdId, answeredIn: this.#epoch })
  }

  /** The bridge will never take it: it holds as long as this process, and as many of its kind hold as one. */
  keep(did: string, killId: string): void {
    const latches = this.#latches.get(this.didOf(did))
    if (latches?.get(killId)?.holdId === undefined && latches?.delete(killId)) this.latch(did, unrecorded)
  }

  /** It is over, or the stream tells of it from now on. */
  unlatch(id: string, killId: string): void {
    const did = this.didOf(id)
    const latches = this.#latches.get(did)
    latches?.delete(killId)
    if (latches?.size === 0) this.#latches.delete(did)
  }

  acked(did: string, { holdId, severity, seq }: KnownHold): void {
    const holds = this.#held.get(this.didOf(did))
    const hold = holds?.get(holdId)
    // It may have become graver while the acknowledgement was under way.
    if (hold?.severity === severity && hold.seq === seq) holds?.set(holdId, { ...hold, acked: true })
  }

  #replace(held: ReadonlyMap<string, HeldFrame>, isSameGeneration: boolean): string[] {
    const before = this.#held
    const wasClosed = this.closedDids()
    this.#held = new Map()
    const renamed = [...held].flatMap(([did, { aliases }]) => this.#rename(did, aliases))
    for (const [did, { holds }] of held) {
      const known = holds.map((hold): [string, KnownHold] => {
        const old = before.get(did)?.get(hold.holdId)
        if (old?.severity !== hold.severity) return [hold.holdId, { ...hold, seq: undefined, acked: false }]
        // A number of another generation names another signal.
        return [hold.holdId, isSameGeneration ? old : { ...old, seq: undefined }]
      })
      this.#held.set(did, new Map(known))
    }
    const latched = [...this.#latches.keys()]
    for (const [did, latches] of this.#latches) {
      for (const [killId, { holdId, answeredIn }] of latches) {
        if (holdId === undefined) continue
        if (this.#held.get(did)?.has(holdId) || answeredIn < this.#epoch) this.unlatch(did, killId)
      }
    }
    const closed = [...new Set([...wasClosed, ...held.keys(), ...latched])]
    return [...new Set([...closed, ...renamed, ...closed.flatMap((did) => this.#forget(did))])]
  }

  /** While an agent is free nothing is told of its names, and they may become another's. Gives those it had. */
  #forget(did: string): readonly string[] {
    return this.isClosed(did) ? [] : this.#names.set(did, []).gone
  }

  /**
   * These are the other spellings of the DID: what is known of one of them is the agent's. Gives those that are new, and
   * those that are none any more.
   */
  #rename(did: string, aliases: readonly string[]): readonly string[] {
    const { fresh, gone } = this.#names.set(did, aliases)
    for (const alias of fresh) {
      const holds = this.#held.get(alias)
      this.#held.delete(alias)
      if (holds !== undefined) this.#held.set(did, new Map([...holds, ...(this.#held.get(did) ?? [])]))
      const latches = this.#latches.get(alias)
      this.#latches.delete(alias)
      if (latches !== undefined) this.#latches.set(did, new Map([...latches, ...(this.#latches.get(did) ?? [])]))
    }
    return [...fresh, ...gone]
  }

  #suspended(did: string, hold: HoldFrame, seq: number): void {
    const holds = this.#held.get(did) ?? new Map<string, KnownHold>()
    holds.set(hold.holdId, { ...hold, seq, acked: false })
    this.#held.set(did, holds)
    for (const [killId, { holdId }] of this.#latches.get(did) ?? []) {
      if (holdId === hold.holdId) this.unlatch(did, killId)
    }
  }
}
