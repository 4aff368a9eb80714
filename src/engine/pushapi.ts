import type { SetAside } from '../core/outlet.ts'
import type { Caller } from './agentapi.ts'
import type { Keep } from './keeping.ts'

/**
 * ok: everything was told, or is on its way · failing: nothing is taken · disabled: the receiver answered 410 ·
 * snapshot: all that is held is being told · unbounded: its client is not configured any more, and nothing is sent.
 */
export const outletStatuses = ['ok', 'failing', 'disabled', 'snapshot', 'unbounded'] as const

export interface OutletView {
  readonly name: string
  readonly kind: string
  readonly origin: string
  readonly client: string | undefined
  readonly status: (typeof outletStatuses)[number]
  /** Signals past what it was told, whether they are for it or not. */
  readonly behind: { readonly urgent: number; readonly rest: number }
  readonly waiting: number
  readonly dead: number
  readonly takenAt: number | undefined
  readonly failingSince: number | undefined
  readonly disabledAt: number | undefined
  readonly lastError: string | undefined
}

/** The receivers of pushes, as callers see them. */
export interface Pushes {
  outlets(): Promise<readonly OutletView[]>
  /** @throws BridgeError E_NOT_FOUND */
  deadLetters(
    name: string,
    page: { readonly after: number | undefined; readonly limit: number },
  ): Promise<{ items: readonly SetAside[]; nextCursor: string | null }>
  /** Dead letters are tried again, those named or all. Returns how many. @throws BridgeError E_NOT_FOUND */
  redeliver(name: string, seqs: readonly number[] | undefined, caller: Caller, keep?: Keep<number>): Promise<number>
  /** A receiver that answered 410 is told again, from a snapshot on. @throws BridgeError E_NOT_FOUND */
  enableOutlet(name: string, caller: Caller, keep?: Keep<void>): Promise<OutletView>
}
