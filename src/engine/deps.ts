import type { Adapter, AdapterSettings } from '../core/adapter.ts'
import type { GuardSettings } from '../core/guard.ts'
import type { Store } from '../core/store.ts'
import type { TrustLimits } from '../core/trust.ts'
import type { Labels } from '../core/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Tracing } from '../lib/tracing.ts'
import type { Bus } from './bus.ts'

/** A configured directory with what the core must know of its configuration. */
export interface Mount {
  readonly adapter: Adapter
  readonly settings: AdapterSettings
}

/** The policy in force, in ms; a reload replaces it whole. */
export interface Policy {
  readonly confirmReleaseAfterMs: number
  readonly resume: 'approval' | 'automatic'
  readonly drift: 'reassert' | 'accept'
  readonly maxStaleness: { readonly warnMs: number; readonly denyMs: number }
  /** Whether an actor in a token's `act` chain that nobody knows denies. */
  readonly unknownActors: 'deny' | 'allow'
  readonly guard: GuardSettings
  readonly capabilitiesMaxAgeMs: number
  readonly killBudget: { readonly max: number; readonly perMs: number }
  /** Undefined: no score holds or lifts anything. */
  readonly trust?: TrustLimits | undefined
}

/** A client with the role runtime. `labels` bounds it to agents that carry all of them. */
export interface Runtime {
  readonly name: string
  readonly labels: Labels | undefined
}

export interface Alert {
  readonly at: number
  readonly code: string
  readonly text: string
}

/** Everything the use cases are given; nothing in `engine` reaches for the process, the clock or the network itself. */
export interface Deps {
  readonly store: Store
  readonly mounts: () => ReadonlyMap<string, Mount>
  readonly policy: () => Policy
  /** Who must acknowledge holds, as configured now. */
  readonly runtimes: () => readonly Runtime[]
  readonly clock: Clock
  /** After a jump, until the directories were read anew: nothing is ended for good by what the wall clock says. */
  readonly isClockDoubted: () => boolean
  readonly log: Logger
  readonly metrics: Metrics
  readonly bus: Bus
  /** Unique, unguessable, sortable by time is not promised. */
  readonly newId: () => string
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly alert: (code: string, text: string) => void
  /** A failure after which the process must end (lost lease, failed fsync): recovery makes that safe. */
  readonly isFatal: (error: unknown) => boolean
  readonly fatal: (error: unknown) => void
  /** Left out when traces are not recorded. */
  readonly trace?: Tracing
  /** Called at named places between a record and its act; crash tests end the process there. */
  readonly probe?: (point: string) => void
}
