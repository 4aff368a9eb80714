import { z } from 'zod'
import type { Hint, HookAnswer, HookRequest, Hooks, Issuer } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { KeySource } from '../../src/lib/jwks.ts'
import { parseJwt } from '../../src/lib/jwt.ts'
import { bearerOf, isSecret, jsonOf, unverified, verifiedSender } from '../deliveries.ts'
import type { EntraConfig } from './config.ts'
import { type GridEvent, hintsOf, readEvent } from './events.ts'
import { objectId } from './wire.ts'

type EventGridConfig = NonNullable<EntraConfig['hooks']['eventGrid']>

export interface HooksParts {
  readonly config: EventGridConfig
  readonly tenantId: string
  /** Application id of Microsoft.EventGrid in this cloud; where it is undefined the configuration refuses `auth: entra`. */
  readonly eventGridAppId: string | undefined
  /** Issuers of the tenant for the audience of the hook. */
  readonly issuers: readonly Issuer[]
  readonly keys: (issuer: Issuer) => Pick<KeySource, 'key'>
  readonly clock: Pick<Clock, 'now'>
}

/** Granted to Event Grid, but also to whoever creates the subscription: alone it proves nothing. */
const ROLE = 'AzureEventGridSecureWebhookSubscriber'
const MAX_EVENTS = 5000
/** Whose consent requests are answered: Event Grid of the public, US Government and China clouds. */
const ORIGIN = /^([a-z0-9-]+\.)*eventgrid\.azure\.(net|us|cn)$/i

const sender = z.object({
  tid: objectId,
  appid: objectId.optional().catch(undefined),
  azp: objectId.optional().catch(undefined),
  roles: z.array(z.string()),
})
const validation = z.object({ validationCode: z.string().min(1).max(256) })

/**
 * Event Grid deliveries in both schemas, with both handshakes (Event Grid `end-point-validation-*`, `delivery-and-retry`,
 * read 2026-11). 401 makes Event Grid drop the event, so whatever cannot be judged now is E_HOOK_CANNOT_CHECK.
 */
export function openHooks(parts: HooksParts): Hooks {
  const { config, tenantId } = parts
  const allowed = (name: string | undefined) =>
    config.subscriptions.length === 0 || (name !== undefined && config.subscriptions.includes(name.toLowerCase()))

  const receive = async (request: HookRequest): Promise<HookAnswer> => {
    if (request.method === 'OPTIONS') return consent(request, config)
    if (request.method !== 'POST') throw new BridgeError('E_HOOK_BODY', 'deliveries come by POST')
    if (config.auth === 'key') checkKey(request, config)
    else await checkToken(request, parts)
    const elements = elementsOf(jsonOf(request.body))
    const events = await Promise.all(elements.map(readEvent))
    const handshake = events.find((event) => event?.type === 'Microsoft.EventGrid.SubscriptionValidationEvent')
    if (handshake) return validate(handshake, request, allowed)
    const named = allowed(request.headers['aeg-subscription-name'])
    return judge(events, tenantId, (subscription) => named || allowed(subscription))
  }
  return { receive }
}

/** CloudEvents handshake: consent is the header. It never carries a token, only the query of the endpoint. */
function consent(request: HookRequest, config: EventGridConfig): HookAnswer {
  if (config.auth === 'key' && request.query.key !== undefined) checkKey(request, config)
  const origin = request.headers['webhook-request-origin'] ?? ''
  if (!ORIGIN.test(origin)) throw unverified('only Event Grid may ask for consent')
  const headers = { 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*', allow: 'POST, OPTIONS' }
  return { status: 200, headers, body: undefined, hints: [] }
}

/**
 * EventGridSchema handshake. `validationUrl` is never called: it could be anyone's.
 * Exactly 200 counts; a name that is not allowed must not be echoed, or anyone could subscribe us to their topic.
 */
function validate(event: GridEvent, request: HookRequest, allowed: (name: string | undefined) => boolean): HookAnswer {
  const azure = /^\/subscriptions\/([^/]+)\//i.exec(event.source)?.[1]
  if (!allowed(request.headers['aeg-subscription-name']) && !allowed(azure))
    throw unverified('this event subscription is not in hooks.eventGrid.subscriptions')
  const parsed = validation.safeParse(event.data)
  if (!parsed.success) throw new BridgeError('E_HOOK_BODY', 'a validation event without its code')
  return { status: 200, headers: {}, body: { validationResponse: parsed.data.validationCode }, hints: [] }
}

/** What events say, whichever way they came. */
export function judge(
  events: readonly (GridEvent | undefined)[],
  tenantId: string,
  allowed: (name: string | undefined) => boolean,
): HookAnswer {
  const hints: Hint[] = []
  const skipped: string[] = []
  let alert: HookAnswer['alert']
  for (const event of events) {
    if (event?.type === 'Microsoft.EventGrid.SubscriptionDeletedEvent') {
      alert = { code: 'hook-deleted', text: 'The event subscription was deleted: no notifications arrive any more.' }
    } else if (event?.type.startsWith('Microsoft.Graph.Subscription')) {
      const text = 'The Graph subscription behind the partner topic must be renewed, or notifications stop.'
      alert ??= { code: 'hook-renewal', text }
    } else {
      const reading = event ? hintsOf(event, tenantId, allowed) : { hints: [], skipped: 'an element that is no event' }
      hints.push(...reading.hints)
      if (reading.skipped !== undefined) skipped.push(reading.skipped)
    }
  }
  // All-or-nothing: one status for the batch, so one bad element must not cost the good ones. Repeating it would not help.
  if (skipped.length > 0 && alert === undefined) {
    const text = `${skipped.length} of ${events.length} events were left out: ${[...new Set(skipped)].slice(0, 3).join('; ')}.`
    alert = { code: 'hook-skipped', text }
  }
  return { status: 200, headers: {}, body: undefined, hints, ...(alert ? { alert } : {}) }
}

/** @throws BridgeError E_HOOK_BODY */
export function elementsOf(json: unknown): readonly unknown[] {
  const list: unknown[] = Array.isArray(json) ? json : [json]
  if (list.length === 0 || list.length > MAX_EVENTS)
    throw new BridgeError('E_HOOK_BODY', `a delivery carries 1 to ${MAX_EVENTS} events`)
  return list
}

function checkKey(request: HookRequest, config: Extract<EventGridConfig, { auth: 'key' }>): void {
  if (!isSecret(request.headers['x-bridge-key'] ?? request.query.key ?? '', config.key))
    throw unverified('the delivery does not carry the hook key')
}

async function checkToken(request: HookRequest, { issuers, keys, clock, tenantId, eventGridAppId }: HooksParts) {
  const jwt = parseJwt(bearerOf(request.headers.authorization) ?? '')
  const { claims } = await verifiedSender(jwt, issuers, keys, clock)
  const named = sender.safeParse(claims)
  const isEventGrid =
    named.success &&
    named.data.tid === tenantId &&
    eventGridAppId !== undefined &&
    (named.data.azp ?? named.data.appid) === eventGridAppId &&
    named.data.roles.includes(ROLE)
  if (!isEventGrid) throw unverified('the token of the delivery is not one of Event Grid')
}
