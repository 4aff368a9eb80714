import type { BridgeError } from './errors.ts'

/** What a directory was asked to tell of by itself, as it stands. */
export interface Subscription {
  /** What it is told of, as the configuration names it. */
  readonly resource: string
  /** Undefined: there is none now. */
  readonly expiresAt: number | undefined
  /** Something was heard through it last. */
  readonly notifiedAt: number | undefined
  /** Why there is none, or why it is not renewed; its hint mends it. */
  readonly error: BridgeError | undefined
}

/** One thing that was done, or found: `lost` is one of ours that is gone, `failed` one that is not as it should be. */
export interface Tended {
  readonly resource: string
  readonly outcome: 'created' | 'renewed' | 'removed' | 'lost' | 'failed'
  readonly error?: BridgeError
}

export interface TendReport {
  readonly done: readonly Tended[]
  /** For a while nothing may have been told: everything is to be read again. */
  readonly missed: boolean
  /** When to look again at the latest, ms. */
  readonly againMs: number
}

/**
 * What an adapter does now and then so that its directory goes on telling of changes. Called by one process only, the
 * one that holds the store, and by one caller at a time. Hints are bells: whatever fails here, passes go on.
 */
export interface Tending {
  /** Looks at everything and does what is due. Throws only when the signal aborts. */
  tend(signal: AbortSignal): Promise<TendReport>
  /** One of each that is configured. */
  subscriptions(): readonly Subscription[]
}
