import { z } from 'zod'
import type { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { WatchedResource } from './config.ts'
import { answerError, laterError, malformed, type Purpose, parse } from './errors.ts'
import type { BatchItem, BatchResult, Graph } from './graph.ts'
import { purposes } from './kinds.ts'
import { pagesOf } from './pages.ts'
import { objectId } from './wire.ts'

/** A subscription as Graph shows it; its client state is never shown. */
const listed = z.object({
  id: objectId,
  resource: z.string(),
  notificationUrl: z.string().nullish(),
  expirationDateTime: z
    .string()
    .transform((text) => Date.parse(text))
    .refine((at) => !Number.isNaN(at)),
})
export type Listed = z.output<typeof listed>

export const watchPurpose: Readonly<Record<WatchedResource, Purpose>> = {
  users: purposes.watchUsers,
  groups: purposes.watchGroups,
  servicePrincipals: purposes.watchPrincipals,
}

export interface NewSubscription {
  readonly resource: WatchedResource
  readonly url: string
  readonly clientState: string
  readonly expiresAt: number
}

/** Calls of `/subscriptions` (Graph change-notifications, read 2026-11). Writes go through the batch, paced like all others. */
export interface SubscriptionCalls {
  /** All of this application in this tenant. */
  list(signal: AbortSignal): Promise<Listed[]>
  create(asked: NewSubscription, signal: AbortSignal): Promise<Listed>
  /** Undefined: there is no such subscription any more. */
  renew(id: string, resource: WatchedResource, expiresAt: number, signal: AbortSignal): Promise<Listed | undefined>
  /** One that is gone already counts as removed. */
  remove(id: string, signal: AbortSignal): Promise<void>
}

/** Users and groups know these two only: a new object is told of as updated, a soft-deleted one too. */
const changeType = 'updated,deleted'

export function openSubscriptionCalls(graph: Graph, clock: Pick<Clock, 'now'>): SubscriptionCalls {
  const write = async (item: Omit<BatchItem, 'id'>, purpose: Purpose, signal: AbortSignal): Promise<BatchResult> => {
    const waitMs = await graph.budget.take(1, 'write', signal)
    if (waitMs > 0) throw laterError(waitMs)
    const answers = await graph.writeBatch([{ ...item, id: '1' }], { purpose, lane: 'write', signal })
    if ('lost' in answers) throw answers.lost
    const answer = answers.get('1')
    if (answer === undefined) throw malformed(purpose)
    return answer
  }
  const failure = (answer: BatchResult, purpose: Purpose): BridgeError => answerError(answer, purpose, clock.now())
  const ok = ({ status }: BatchResult) => status >= 200 && status <= 299
  const dateOf = (at: number) => new Date(at).toISOString()

  return {
    async list(signal) {
      const options = { purpose: purposes.listSubscriptions, lane: 'read', signal } as const
      const found: Listed[] = []
      for await (const { rows } of pagesOf(graph, clock, { path: '/subscriptions' }, listed, options))
        found.push(...rows)
      return found
    },
    async create({ resource, url, clientState, expiresAt }, signal) {
      const purpose = watchPurpose[resource]
      const body = {
        changeType,
        notificationUrl: url,
        lifecycleNotificationUrl: url,
        resource: `/${resource}`,
        expirationDateTime: dateOf(expiresAt),
        clientState,
      }
      const answer = await write({ method: 'POST', url: '/subscriptions', body }, purpose, signal)
      if (ok(answer)) return parse(listed, answer.body, purpose)
      throw failure(answer, purpose)
    },
    async renew(id, resource, expiresAt, signal) {
      const purpose = watchPurpose[resource]
      const body = { expirationDateTime: dateOf(expiresAt) }
      const answer = await write({ method: 'PATCH', url: `/subscriptions/${id}`, body }, purpose, signal)
      if (answer.status === 404) return undefined
      if (ok(answer)) return parse(listed, answer.body, purpose)
      throw failure(answer, purpose)
    },
    async remove(id, signal) {
      const purpose = purposes.listSubscriptions
      const answer = await write({ method: 'DELETE', url: `/subscriptions/${id}` }, purpose, signal)
      if (!ok(answer) && answer.status !== 404) throw failure(answer, purpose)
    },
  }
}
