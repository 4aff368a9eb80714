import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { answerError, laterError } from './errors.ts'
import type { BatchItem, Graph } from './graph.ts'
import { purposes } from './kinds.ts'

/** Best effort: the accounts are off already, this only ends sessions sooner. Given up once it is forbidden. */
export const createRevoker = ({ graph, clock, log }: { graph: Graph; clock: Clock; log: Logger }) => {
  let refused = false
  return async (users: readonly string[], signal: AbortSignal): Promise<void> => {
    if (users.length === 0 || refused) return
    const items = users.map((id): BatchItem => ({ id, method: 'POST', url: `/users/${id}/revokeSignInSessions` }))
    const options = { purpose: purposes.revokeSessions, lane: 'write', signal } as const
    try {
      const waitMs = await graph.budget.take(items.length, 'write', signal)
      if (waitMs > 0) throw laterError(waitMs)
      const answers = await graph.writeBatch(items, options)
      if ('lost' in answers) throw answers.lost
      const bad = [...answers.values()].find(({ status }) => status < 200 || status > 299)
      if (!bad) return
      refused = bad.status === 403
      throw answerError(bad, purposes.revokeSessions, clock.now())
    } catch (error) {
      log.warn({ err: error }, 'sign-in sessions of a switched-off user were not revoked')
    }
  }
}
