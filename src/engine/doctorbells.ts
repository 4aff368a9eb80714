import type { Finding } from '../core/adapter.ts'
import type { Subscription } from '../core/tending.ts'
import type { HookQueueState } from './hookqueue.ts'

/** How the subscriptions that a directory was asked for stand. Without them changes come later, and nothing is wrong. */
export const subscriptionFindings = (subscriptions: readonly Subscription[]): Finding[] =>
  subscriptions.map(({ error, expiresAt, resource }): Finding => {
    if (error !== undefined) {
      const text = `the directory may not tell of changes to ${resource}: ${error.message}`
      return { code: error.code, level: 'warning', text, ...(error.hint !== undefined && { mend: error.hint }) }
    }
    if (expiresAt === undefined) {
      const text = `whether the directory tells of changes to ${resource} was not looked at yet`
      return { code: 'subscription-pending', level: 'unknown', text }
    }
    return { code: 'ok', level: 'ok', text: `a subscription to changes to ${resource}` }
  })

/** What taking from the queue came to: that it can be looked into proves less. */
export const queueFinding = ({ failing, lastOkAt, place }: HookQueueState): Finding => {
  if (failing !== undefined) {
    const { code, mend } = failing
    const text = `nothing can be taken from the queue ${place}: changes are found by polling only`
    return { code, level: 'error', text, ...(mend !== undefined && { mend }) }
  }
  if (lastOkAt === undefined) {
    return { code: 'queue-pending', level: 'unknown', text: `nothing was taken from the queue ${place} yet` }
  }
  return { code: 'ok', level: 'ok', text: `taking from the queue ${place}` }
}
