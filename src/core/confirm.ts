import type { Account, Sighting } from './types.ts'

/**
 * Rule 4: a hold of directory origin ends only after two consecutive by-id reads that say enabled, no other answer
 * between them, `confirmAfterMs` apart on one process's monotonic clock, both begun after our last write and after the
 * last disabled sighting plus settle. Kept in memory on purpose: a restart starts over.
 */
export interface Confirmation {
  /** Monotonic ms at the begin of the first read. */
  readonly firstMono: number
}

export interface ConfirmInput {
  readonly before: Confirmation | undefined
  readonly account: Account
  readonly sighting: Sighting
  readonly begunMono: number
  readonly settleMs: number
  readonly confirmAfterMs: number
}

export type ConfirmStep =
  | { readonly confirmed: true }
  | { readonly confirmed: false; readonly confirmation: Confirmation | undefined; readonly readInMs: number }

export const confirm = (input: ConfirmInput): ConfirmStep => {
  const { account, sighting, settleMs, confirmAfterMs } = input
  if (!sighting.byId) return { confirmed: false, confirmation: input.before, readInMs: 0 }
  const floor = Math.max(
    account.disabledAckAt ?? 0,
    account.enabledAckAt ?? 0,
    account.foreignSeenAt === undefined ? 0 : account.foreignSeenAt + settleMs,
  )
  if (sighting.begunAt <= floor) {
    return { confirmed: false, confirmation: undefined, readInMs: floor - sighting.begunAt + 1 }
  }
  if (input.before === undefined) {
    return { confirmed: false, confirmation: { firstMono: input.begunMono }, readInMs: confirmAfterMs }
  }
  const waited = input.begunMono - input.before.firstMono
  if (waited < confirmAfterMs)
    return { confirmed: false, confirmation: input.before, readInMs: Math.ceil(confirmAfterMs - waited) }
  return { confirmed: true }
}
