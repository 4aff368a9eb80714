import { type Context, driving, isOff, provesAfter, rebased } from './account.ts'
import type { Account, Hold, PrincipalKey } from './types.ts'

/**
 * Receipts: what a hold must close, and how far each of it is.
 *
 * | leg of an account | means                                                                              |
 * |-------------------|------------------------------------------------------------------------------------|
 * | closed            | a read by id said off, begun more than settle after the hold was placed and after  |
 * |                   | every write of ours was answered; nothing newer says on, nothing is on the wire     |
 * | indeterminate     | the answer to a write was lost: it may have landed, or may yet                     |
 * | contested         | somebody else switches it on again, or the policy leaves it so                     |
 * | shared            | another DID of the account is not held                                             |
 * | unsupported       | the bridge may not write it                                                        |
 * | failed            | the last write or read failed; it is tried again                                   |
 * | pending           | everything else: on its way                                                        |
 */
export const legStates = ['failed', 'contested', 'indeterminate', 'pending', 'shared', 'unsupported', 'closed'] as const
export type LegState = (typeof legStates)[number]

export const legReasons = {
  closed: ['disabled', 'off-by-others', 'deleted', 'acknowledged', 'origin', 'unmapped'],
  pending: ['queued', 'sent', 'settling', 'guard', 'paused', 'on-again', 'unacknowledged'],
  failed: ['retrying'],
  indeterminate: ['answer-lost'],
  contested: ['drift', 'drift-accepted'],
  shared: ['shared'],
  unsupported: ['adapter-absent', 'read-only', 'mirror', 'refused', 'unmapped'],
} as const satisfies Record<LegState, readonly string[]>
export type LegReason = (typeof legReasons)[LegState][number]

/** What is kept of one leg of one hold, for its receipts. A runtime has no adapter, and its name as id. */
export interface LegRecord extends PrincipalKey {
  readonly holdId: string
  readonly type: 'account' | 'runtime'
  /** When this was recorded. */
  readonly at: number
  /** When the directory last acknowledged our disable. */
  readonly answeredAt: number | undefined
  /** Begin of the read that closed it; the last time, when it had been on again in between. */
  readonly closedAt: number | undefined
  /** Begin of the reading that showed it on after it was closed. */
  readonly reopenedAt: number | undefined
  /** What the leg was when the hold was released; undefined while it is open. */
  readonly ended: LegVerdict | undefined
}

export interface LegVerdict {
  readonly state: LegState
  readonly reason: LegReason
  /** Code of what failed or refuses. */
  readonly error: string | undefined
}

const verdict = (state: LegState, reason: LegReason, error?: string): LegVerdict => ({ state, reason, error })

/** Whether the account's leg of this hold is closed, as the account is known now. */
export const isClosed = (
  stored: Account,
  hold: Pick<Hold, 'placedAt'>,
  context: Pick<Context, 'now' | 'settleMs' | 'writeTimeoutMs'>,
): boolean => {
  const account = rebased(stored, context)
  const { offReadAt, inFlightUntil } = account
  if (!isOff(account) || inFlightUntil !== undefined || offReadAt === undefined) return false
  return offReadAt > provesAfter(account, hold.placedAt, context.settleMs)
}

export interface AccountCase {
  readonly hold: Hold
  readonly account: Account
  /** Undefined: its directory is not configured any more. */
  readonly context: Context | undefined
  /** Why the bridge does not write it whatever it is told; undefined: it does. */
  readonly unwritable: { readonly reason: 'read-only' | 'mirror' | 'refused'; readonly error?: string } | undefined
  /** It belongs to another DID too, which is not held. */
  readonly sharedWithFree: boolean
  /** An operator stopped all writes. */
  readonly paused: boolean
}

/** The leg of one account of an open hold's DID. */
export const accountVerdict = (input: AccountCase): LegVerdict => {
  const { hold, context, unwritable } = input
  if (context === undefined) return verdict('unsupported', 'adapter-absent')
  const account = rebased(input.account, context)
  const off = isOff(account)
  if (isClosed(account, hold, context)) return verdict('closed', closedBy(account))
  if (account.inFlightUntil !== undefined) return flying(account, account.inFlightUntil, context)
  if (account.contested) return verdict('contested', 'drift')
  if (!off && input.sharedWithFree) return verdict('shared', 'shared')
  if (!off && unwritable !== undefined) return verdict('unsupported', unwritable.reason, unwritable.error)
  if (!off && account.driftAcceptedAt !== undefined) return verdict('contested', 'drift-accepted')
  if (account.attempts > 0) return verdict('failed', 'retrying', account.lastError)
  return verdict('pending', waitsFor(account, input, context))
}

const closedBy = ({ mark, observed }: Account): LegReason => {
  if (observed === 'absent') return 'deleted'
  return mark === 'claimed' || mark === 'ours' ? 'disabled' : 'off-by-others'
}

/** Within its timeout a first answer may still come; a process that died in between got none. */
const flying = (account: Account, until: number, context: Context): LegVerdict => {
  const answerBy = until - context.settleMs
  const lost = context.now > answerBy || account.attempts > 0
  return lost ? verdict('indeterminate', 'answer-lost', account.lastError) : verdict('pending', 'sent')
}

const waitsFor = (account: Account, { hold, paused }: AccountCase, context: Context): LegReason => {
  const isWritten = account.disabledAckAt !== undefined || (account.mark === 'none' && isOff(account))
  if (isWritten) return 'settling'
  // Of a shared account: held on every DID, but on one by nothing that the guard let pass.
  const isKeptBack = hold.guarded || context.others.length > 0
  if (driving(context).length === 0) return isKeptBack ? 'guard' : 'on-again'
  return paused ? 'paused' : 'queued'
}

/**
 * The leg of one runtime. A kill is the report of a kill switch: the runtime that sent it has stopped the agent already.
 * Everything else, its own `suspend` too, takes an acknowledgement.
 */
export const runtimeVerdict = (hold: Hold, client: string, ackedAt: number | undefined): LegVerdict => {
  if (hold.severity === 'kill' && hold.origin === `runtime:${client}`) return verdict('closed', 'origin')
  if (ackedAt !== undefined) return verdict('closed', 'acknowledged')
  return verdict('pending', hold.guarded ? 'guard' : 'unacknowledged')
}

/** The state to look at first. Undefined: there is none. */
export const worst = (states: Iterable<LegState>): LegState | undefined => {
  const present = new Set(states)
  return legStates.find((state) => present.has(state))
}

/** closed: every leg is. partial: nothing more will close of what is not. open: something may still. */
export type ReceiptStatus = 'closed' | 'partial' | 'open'

export const statusOf = (states: Iterable<LegState>): ReceiptStatus => {
  const top = worst(states)
  if (top === undefined || top === 'closed') return 'closed'
  return top === 'unsupported' || top === 'shared' ? 'partial' : 'open'
}
