import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Hint, HookAnswer, HookRequest, Hooks } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { SecretRef } from '../../src/lib/secret.ts'
import { fitsOne, isSecret, jsonOf, unverified } from '../deliveries.ts'
import type { WatchedResource } from './config.ts'
import { isTag, tagOf } from './subscriptionplan.ts'
import type { Receiving } from './subscriptions.ts'
import { objectId } from './wire.ts'

export interface NotificationParts {
  readonly clientState: readonly SecretRef[]
  readonly tenantId: string
  /** The address of the hook, without a query. */
  readonly hook: string
  readonly subscriptions: Receiving
  readonly clock: Pick<Clock, 'now'>
}

const MAX_ELEMENTS = 1000
const MAX_TOKEN = 1024

const delivery = z.object({ value: z.array(z.unknown()).min(1).max(MAX_ELEMENTS) })
const sealed = z.object({ clientState: z.string().max(1024) })
const anyId = objectId.optional().catch(undefined)
const anyText = z.union([z.string(), z.number()]).optional().catch(undefined)
const element = z.object({
  subscriptionId: objectId,
  tenantId: objectId,
  lifecycleEvent: z.string().optional().catch(undefined),
  id: anyText,
  resource: z.string().max(256).optional().catch(undefined),
  resourceData: z
    .object({ id: anyId, organizationId: anyId, sequenceNumber: anyText, eventTime: anyText })
    .optional()
    .catch(undefined),
})
type Element = z.output<typeof element>

/** Whether a request is meant for it: Event Grid shares the address, and has no such query. */
export const isForGraph = ({ query }: HookRequest): boolean => isTag(query.v)

/**
 * Change notifications that Graph delivers itself, and its handshake (change-notifications-delivery-webhooks,
 * -lifecycle-events, read 2026-11). A notification proves itself by the client state that only Graph and we know; it is a
 * bell all the same: of its content only the id is used, to read that object.
 */
export function openNotifications(parts: NotificationParts): Hooks {
  const { clientState, tenantId, hook, subscriptions, clock } = parts

  /** Answers with the token, as text, and only while Graph has a reason to ask: an open echo could serve anyone. */
  const shakeHands = (token: string, tag: string): HookAnswer => {
    if (!subscriptions.shake(tag)) throw unverified('no subscription is being made that this could be the handshake of')
    if (token.length > MAX_TOKEN || !/^[\x20-\x7e]+$/.test(token))
      throw new BridgeError('E_HOOK_BODY', 'the validation token is not one of Graph')
    return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: token, hints: [] }
  }

  const receive = async ({ method, query, body }: HookRequest): Promise<HookAnswer> => {
    if (method !== 'POST') throw new BridgeError('E_HOOK_BODY', 'deliveries come by POST')
    const { v: tag, validationToken } = query
    if (tag === undefined || !fitsOne(clientState, (state) => tagOf(state, hook) === tag))
      throw unverified('the address is not one that Graph was given')
    if (validationToken !== undefined) return shakeHands(validationToken, tag)
    const parsed = delivery.safeParse(jsonOf(body))
    if (!parsed.success)
      throw new BridgeError('E_HOOK_BODY', `a delivery carries 1 to ${MAX_ELEMENTS} notifications as its value`)
    const proven = parsed.data.value.filter((each) => {
      const seal = sealed.safeParse(each)
      return seal.success && isSecret(seal.data.clientState, clientState)
    })
    if (proven.length === 0) throw unverified('no notification carries the client state of a subscription')
    return judge(proven, parsed.data.value.length)
  }

  const judge = (proven: readonly unknown[], all: number): HookAnswer => {
    const hints: Hint[] = []
    const skipped: string[] = []
    let tend = false
    let missed = false
    if (proven.length < all) skipped.push('a notification without the client state')
    for (const each of proven) {
      const parsed = element.safeParse(each)
      const resource = parsed.success ? subscriptions.known(parsed.data.subscriptionId) : undefined
      if (!parsed.success) skipped.push('a notification of an unknown shape')
      else if (parsed.data.tenantId !== tenantId) skipped.push('a notification of another tenant')
      else if (resource === undefined) skipped.push('a notification of a subscription that is not ours')
      else if (parsed.data.lifecycleEvent !== undefined) {
        const event = lifecycle.safeParse(parsed.data.lifecycleEvent)
        if (!event.success) skipped.push('an unknown lifecycle event')
        else {
          subscriptions.note(event.data, parsed.data.subscriptionId)
          tend = true
          missed ||= event.data !== 'reauthorizationRequired'
        }
      } else {
        const read = hintOf(parsed.data, each)
        if (typeof read === 'string') skipped.push(read)
        else {
          hints.push(read.hint)
          if (resource === 'unsure' || resource === read.resource) subscriptions.heard(read.resource)
        }
      }
    }
    const reasons = [...new Set(skipped)].slice(0, 3).join('; ')
    const text = `${skipped.length === 0 ? '' : `Of ${all} notifications some were left out: ${reasons}.`}`
    const alert = text === '' ? {} : { alert: { code: 'hook-skipped', text } }
    return { status: 202, headers: {}, body: undefined, hints, tend, missed, ...alert }
  }

  /** The object to read, or why there is none. */
  const hintOf = (given: Element, raw: unknown): { resource: WatchedResource; hint: Hint } | string => {
    const [, collection, named] = /^(users|groups|serviceprincipals)\/([^/]+)$/i.exec(given.resource ?? '') ?? []
    const id = given.resourceData?.id ?? objectId.safeParse(named).data
    const resource = watched.find((each) => each.toLowerCase() === collection?.toLowerCase())
    if (id === undefined || resource === undefined) return 'a notification without its object id'
    if ((given.resourceData?.organizationId ?? tenantId) !== tenantId) return 'a notification of another tenant'
    return {
      resource,
      hint: { delivery: keyOf(given, raw), ...(resource === 'groups' ? { group: id } : { principal: id }) },
    }
  }

  /** The same for a repeat of the same notification; where Graph gave nothing to tell them apart, each is a new one. */
  const keyOf = ({ id, resourceData }: Element, raw: unknown): string => {
    const apart = id ?? resourceData?.sequenceNumber ?? resourceData?.eventTime
    const digest = createHash('sha256').update(JSON.stringify(raw)).digest('base64url')
    return apart === undefined ? `graph|${digest}|${clock.now()}` : `graph|${digest}`
  }

  return { receive }
}

const lifecycle = z.enum(['reauthorizationRequired', 'subscriptionRemoved', 'missed'])
const watched: readonly WatchedResource[] = ['users', 'groups', 'servicePrincipals']
