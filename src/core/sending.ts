import type { Context } from './account.ts'
import { next } from './next.ts'
import type { Account } from './types.ts'

/**
 * Whether this write may be sent now, asked in the transaction that records it. I2: no enable unless the mark is ours
 * and no hold is open.
 */
export const maySend = (intent: 'disable' | 'enable', account: Account, context: Context): boolean => {
  if (intent === 'disable') return next(account, context).do === 'disable'
  return (
    account.mark === 'ours' &&
    context.own === undefined &&
    context.others.length === 0 &&
    next(account, context).do === 'attribute'
  )
}

/**
 * The second look, right before an enable goes out: a hold may have been committed together with the intent, and a
 * reading may have told that somebody else switched the account since.
 */
export const stillEnables = (account: Account, isHeld: boolean): boolean =>
  account.mark === 'ours' && account.intent === 'enable' && !isHeld
