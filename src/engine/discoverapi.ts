import type { Discovered } from '../core/discovery.ts'
import type { Did, PrincipalId } from '../core/types.ts'

/** Discovery as callers see it. */

export interface Place {
  readonly did: Did
  readonly id: PrincipalId
}

/** An account that no DID maps. */
export interface Unmapped extends Discovered {
  readonly finding: 'unmapped'
  /** Mapped accounts that are gone and whose name or application it has: another account all the same. */
  readonly replaces: readonly Place[]
}

/** A mapped account that is not there any more: a read by id just now said so. */
export interface Gone extends Place {
  readonly finding: 'gone'
  /** Of the agent. */
  readonly name: string
  readonly kind: string
  readonly appId: string | undefined
}

export type Wanted = 'unmapped' | 'gone'

export interface DiscoverFilter {
  /** Undefined: both. */
  readonly only?: Wanted | undefined
  /** Also accounts that nothing says to be an agent's. */
  readonly all?: boolean | undefined
  readonly cursor?: string | undefined
}

export interface DiscoverPage {
  readonly items: readonly (Unmapped | Gone)[]
  readonly nextCursor: string | null
  /** Accounts that were listed, or read by id, for this page. */
  readonly looked: number
  /** Of those, accounts that no DID maps and that are left out, for nothing says that they are an agent's: `all` has them. */
  readonly passedOver: number
  /** Mapped accounts that could not be read: whether they are there is not known. */
  readonly unread: number
}

export interface Discoveries {
  /**
   * One page of what is in a directory and in no registration, then of what is registered and in the directory no more. Reads
   * the directory; changes nothing.
   * @throws BridgeError E_NOT_FOUND, E_NOT_IMPLEMENTED, E_VALIDATION for a cursor that is not of this process and these
   *   filters, E_RATE, E_ABORTED, E_DIRECTORY_… when the page could not be read whole: then nothing is told at all
   */
  discover(adapter: string, filter: DiscoverFilter, signal: AbortSignal): Promise<DiscoverPage>
}
