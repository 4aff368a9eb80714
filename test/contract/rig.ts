import type { Adapter, HookRequest, PrincipalRef } from '../../src/core/adapter.ts'

/** One adapter on a directory that the suite may break. Everything in it is fresh for each test. */
export interface Rig extends AsyncDisposable {
  readonly adapter: Adapter
  /** Three accounts that exist, are switched on and may be managed. */
  readonly refs: readonly [PrincipalRef, PrincipalRef, PrincipalRef]
  /** Well-formed, of a managed kind, and nobody's. */
  readonly missing: PrincipalRef
  /** Strings that must never show in an error or a log line. */
  readonly secrets: readonly string[]
  logged(): string
  /** An administrator flips the account's own switch. */
  setEnabled(id: string, enabled: boolean): Promise<void>
  enabled(id: string): Promise<boolean>
  remove(id: string): Promise<void>
  /** This one account cannot be read from now on; its neighbours can. */
  unreadable(id: string): Promise<void>
  /** What a write sends is made of what was read: an account that cannot be read is left alone, and says so. */
  readonly readsToWrite?: true
  /** Every call fails this way until `heal`. */
  breakAll(how: 'throttled' | 'down' | 'forbidden' | 'auth'): Promise<void>
  heal(): Promise<void>
  /** The next pass of the change feed fails after its first page. */
  breakFeed(): Promise<void>
  /** Every checkpoint given out so far has expired. */
  expire(): Promise<void>
  /** Undefined: the directory has no groups. */
  readonly group?: {
    readonly id: string
    /** Its members through all nesting, the first of `refs` among them. */
    readonly members: readonly string[]
    readonly missing: string
    /** The next listing fails after its first page. */
    break(): Promise<void>
  }
  /** The next pass is pointed at another origin; answers how many requests that origin has received. */
  hostileFeed?(): Promise<() => number>
  readonly tokens?: {
    own(id: string): Promise<string>
    /** Signed well, for our audience, by or for another tenant. */
    neighbours(id: string): Promise<readonly string[]>
  }
  readonly hooks?: { genuine(id: string): Promise<HookRequest>; forged(id: string): Promise<readonly HookRequest[]> }
}
