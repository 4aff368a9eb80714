import type { KillSelector } from '../core/masskill.ts'
import type { Did } from '../core/types.ts'
import type { Caller } from './agentapi.ts'
import type { Keep } from './keeping.ts'

/** What a kill of many agents is for: a list of DIDs, known or not, or all agents that match. */
export type KillTargets = { readonly dids: readonly string[] } | { readonly selector: KillSelector }

export interface MassKillInput {
  readonly targets: KillTargets
  readonly reason: string
  readonly action?: string | undefined
  readonly killedAt?: string | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
}

/** Most targets of one kill. */
export const maxTargets = 10_000

export interface KillProgress {
  readonly id: string
  readonly at: number
  readonly actor: string
  readonly reason: string
  readonly selector: KillSelector | undefined
  readonly agents: number
  /** Targets that have their hold: all of them, unless the bridge is still at it after a crash. */
  readonly placed: number
  /** Holds of it that were released since. */
  readonly released: number
  /** Accounts of the targets that are still held by it. */
  readonly accounts: {
    readonly total: number
    readonly off: number
    readonly pending: number
    /** Still retried. */
    readonly failed: number
    /** Left on, for another of their DIDs is not held. */
    readonly shared: number
    /** In directories that are not written. */
    readonly unsupported: number
  }
}

export interface KilledAgent {
  readonly did: Did
  readonly holdId: string
  readonly known: boolean
  readonly released: boolean
}

export interface KillPage {
  readonly kill: KillProgress
  readonly items: readonly KilledAgent[]
  readonly nextCursor: string | null
}

export interface MassKills {
  /**
   * Holds all of them, or, refused, none: durable and denied when it resolves. `keep` is given the id of the kill.
   * @throws BridgeError E_VALIDATION, E_DID, E_FORBIDDEN, E_BUDGET, E_AGENT_UNKNOWN nothing matches, E_ADAPTER_UNKNOWN
   */
  killMany(input: MassKillInput, limit: number, caller: Caller, keep?: Keep<string>): Promise<KillPage>
  /** The kill of this id again: where a failure left it half done, it is held whole when it resolves. */
  killedAgain(id: string, limit: number, caller: Caller): Promise<KillPage>
  /** Whom it would hold; nothing is recorded. */
  previewKill(targets: KillTargets, caller: Caller): Promise<{ did: Did; known: boolean }[]>
  /** @throws BridgeError E_NOT_FOUND, also for a kill that is not a runtime's own */
  killed(id: string, cursor: string | undefined, limit: number, caller: Caller): Promise<KillPage>
}
