import type { Hold } from '../../src/core/types.ts'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { Bridge, KillInput, SignalFrame } from '../../src/engine/api.ts'
import type { MassKillInput } from '../../src/engine/killapi.ts'
import type { PassportInput } from '../../src/engine/publishingapi.ts'
import type { TrustInput } from '../../src/engine/trustapi.ts'

/** What the double remembers of the calls it got. */
export interface Calls {
  readonly callers: Caller[]
  readonly kills: KillInput[]
  readonly hooks: { adapter: string; method: string; body: string; headers: Record<string, string | undefined> }[]
  readonly dids: string[]
  readonly acks: number[]
  readonly lastEventIds: (string | undefined)[]
  readonly filters: unknown[]
  readonly decisions: unknown[]
  readonly scores: TrustInput[]
}

export interface Double extends Bridge {
  readonly passports: readonly PassportInput[]
  readonly masses: readonly MassKillInput[]
  readonly calls: Calls
  readonly holdsById: Map<string, Hold>
  readonly stored: Map<string, { bodyHash: string; status: number; ref: string }>
  /** What the signal stream gives; by default nothing, until it is ended. */
  frames: (signal: AbortSignal) => AsyncIterable<SignalFrame>
  /** Awaited before a hold is placed. */
  gate: () => Promise<void>
  isReady: boolean
  /** Thrown by `status`. */
  failure: unknown
  closeHold(id: string): void
}
