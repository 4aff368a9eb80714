import { z } from 'zod'
import type { Collection } from './model.ts'
import { permissions, requireAny } from './permissions.ts'
import { badRequest, type Caller } from './wire.ts'

export type Resource = Collection

export interface Expiry {
  readonly expiresAt: number
}

/** A subscription as it was asked for, once it passed. */
export interface Asked extends Expiry {
  readonly resource: Resource
  /** One object of it; all of them when absent. */
  readonly only: string | undefined
  readonly changeTypes: readonly string[]
  readonly notificationUrl: string
  readonly lifecycleNotificationUrl: string | undefined
  readonly clientState: string | undefined
}

/** What Graph takes for directory objects: change-notifications-overview, read 2026-11. */
const maxExpiryMs = 41_760 * 60_000
export const minExpiryMs = 45 * 60_000
const maxClientState = 128

const creation = z.object({
  changeType: z.string(),
  notificationUrl: z.string(),
  lifecycleNotificationUrl: z.string().nullish(),
  resource: z.string(),
  expirationDateTime: z.string(),
  clientState: z.string().nullish(),
})
const renewal = z.strictObject({ expirationDateTime: z.string() })
const form = /^\/?(users|groups|servicePrincipals)(?:\/([0-9a-f-]{36}))?$/i

const watch: Readonly<Record<Resource, readonly string[]>> = {
  users: permissions.readUsers,
  groups: permissions.watchGroups,
  servicePrincipals: permissions.readServicePrincipals,
}

function expiry(text: string, now: number): number {
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw badRequest('The expirationDateTime is not a date.')
  if (at <= now) throw badRequest('Subscription expiration date must be in the future.')
  if (at > now + maxExpiryMs) throw badRequest('Subscription expiration can only be 41760 minutes in the future.')
  return at
}

/** Https, or plain http on this machine, which the real Graph has no way to. */
function endpoint(text: string, name: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const local = url?.hostname === '127.0.0.1' || url?.hostname === 'localhost'
  if (url?.protocol !== 'https:' && !(url?.protocol === 'http:' && local)) {
    throw badRequest(`The ${name} must be an https address.`)
  }
  return text
}

/** Throw the refusal that Graph would answer with. */
export const checkSubscription = {
  creation(body: unknown, caller: Caller, options: { now: () => number; resources: readonly Resource[] }): Asked {
    const parsed = creation.safeParse(body)
    if (!parsed.success) throw badRequest('The subscription lacks a required property.')
    const given = parsed.data
    const [, name, only] = form.exec(given.resource) ?? []
    const resource = options.resources.find((each) => each.toLowerCase() === name?.toLowerCase())
    if (resource === undefined) throw badRequest(`Subscriptions to '${given.resource}' are not supported.`)
    const changeTypes = given.changeType.split(',').map((each) => each.trim())
    if (changeTypes.some((each) => each !== 'updated' && each !== 'deleted'))
      throw badRequest(`The changeType '${given.changeType}' is not supported.`)
    if ((given.clientState ?? '').length > maxClientState)
      throw badRequest(`The clientState is longer than ${maxClientState} characters.`)
    const asked = {
      resource,
      only: only?.toLowerCase(),
      changeTypes,
      notificationUrl: endpoint(given.notificationUrl, 'notificationUrl'),
      lifecycleNotificationUrl:
        given.lifecycleNotificationUrl == null
          ? undefined
          : endpoint(given.lifecycleNotificationUrl, 'lifecycleNotificationUrl'),
      clientState: given.clientState ?? undefined,
      expiresAt: expiry(given.expirationDateTime, options.now()),
    }
    requireAny(caller, watch[resource])
    return asked
  },

  renewal(body: unknown, now: number): Expiry {
    const parsed = renewal.safeParse(body)
    if (!parsed.success) throw badRequest('Only the expirationDateTime can be changed.')
    return { expiresAt: expiry(parsed.data.expirationDateTime, now) }
  },
}
