import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Hint, HookAnswer, HookRequest, Hooks } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { parseJwt } from '../../src/lib/jwt.ts'
import { bearerOf, isSecret, jsonOf, unverified } from '../deliveries.ts'
import type { OktaConfig } from './config.ts'
import { accountsOf, groupsOf, succeeded, systemEvent } from './events.ts'
import { kinds } from './ids.ts'
import { type Logout, logoutType } from './logout.ts'

type EventHookConfig = NonNullable<OktaConfig['hooks']['eventHook']>

export interface HooksParts {
  readonly config: EventHookConfig | undefined
  /** Origins that the org calls itself by: `orgUrl` and its custom domains. */
  readonly origins: readonly string[]
  readonly logout: Logout | undefined
}

/** Far beyond what was ever seen in one; no maximum is documented. */
const MAX_EVENTS = 5000
/** Printable, so that what we echo is only ever a token. */
const CHALLENGE = /^[\x21-\x7e]{1,512}$/

const delivery = z.object({
  eventType: z.literal('com.okta.event_hook'),
  source: z.url(),
  data: z.object({ events: z.array(z.unknown()).max(MAX_EVENTS) }),
})

const all = new Set(kinds)

/**
 * What Okta sends to the one address of the adapter: the verification of an event hook (GET), its deliveries, and
 * Universal Logout, which is told by the type of its token. Event hooks are not signed, get three seconds, and a 4xx is
 * never sent again (event hooks, read 2026-11): they are judged without asking anyone.
 */
export function openHooks({ config, origins, logout }: HooksParts): Hooks {
  return {
    async receive(request, signal) {
      const jwt = parseJwt(bearerOf(request.headers.authorization) ?? '')
      if ('header' in jwt && String(jwt.header.typ).toLowerCase() === logoutType) {
        if (!logout) throw unverified('universal logout is not configured', 'set hooks.universalLogout of the adapter')
        return logout(jwt, request, signal)
      }
      if (!config) throw unverified('event hooks are not configured', 'set hooks.eventHook of the adapter')
      if (request.method === 'GET') return verification(request, config)
      if (request.method !== 'POST') throw new BridgeError('E_HOOK_BODY', 'deliveries come by POST')
      if (!carriesSecret(request, config)) throw unverified('the delivery does not carry the secret of the event hook')
      return judge(request.body, origins)
    },
  }
}

const givenIn = ({ headers }: HookRequest, { header }: EventHookConfig) => headers[header.toLowerCase()]

/** The header holds the secret alone, or after `Bearer`. */
function carriesSecret(request: HookRequest, config: EventHookConfig): boolean {
  const given = givenIn(request, config) ?? ''
  return isSecret(bearerOf(given) ?? given, config.secret)
}

/** Whether the secret comes with the challenge is not documented; without it, anyone could have sent this. */
function verification(request: HookRequest, config: EventHookConfig): HookAnswer {
  const isOkta = carriesSecret(request, config)
  if (!isOkta && (givenIn(request, config) !== undefined || !config.verify))
    throw unverified('nobody is expected to verify an event hook now', 'set hooks.eventHook.verify while verifying it')
  const challenge = request.headers['x-okta-verification-challenge'] ?? ''
  if (!CHALLENGE.test(challenge)) throw new BridgeError('E_HOOK_BODY', 'the request carries no verification challenge')
  const answer = { status: 200, headers: {}, body: { verification: challenge }, hints: [] }
  if (isOkta) return answer
  const text = 'An event hook was verified without its secret. Take hooks.eventHook.verify out again once it is set up.'
  return { ...answer, alert: { code: 'hook-verified', text } }
}

function judge(bytes: Uint8Array, origins: readonly string[]): HookAnswer {
  const parsed = delivery.safeParse(jsonOf(bytes))
  if (!parsed.success) throw new BridgeError('E_HOOK_BODY', 'the delivery is not one of an event hook')
  const { source, data } = parsed.data
  if (!origins.includes(new URL(source).origin)) throw unverified('the delivery is of another org')

  const principals = new Map<string, Set<string>>()
  const groups = new Map<string, Set<string>>()
  let skipped = 0
  for (const element of data.events) {
    const event = systemEvent.safeParse(element)
    if (!event.success) skipped += 1
    else if (succeeded(event.data)) {
      const { uuid } = event.data
      for (const id of accountsOf(event.data, all)) note(principals, id, uuid)
      for (const id of groupsOf(event.data)) note(groups, id, uuid)
    }
  }
  // Okta would not send the others again either, so one bad element does not cost them.
  const text = `${skipped} of ${data.events.length} events of a delivery were left out: they have an unknown shape.`
  const alert = skipped > 0 ? { alert: { code: 'hook-skipped', text } } : {}
  const hints: Hint[] = [
    ...[...principals].map(([principal, uuids]) => ({ delivery: keyOf(principal, uuids), principal })),
    ...[...groups].map(([group, uuids]) => ({ delivery: keyOf(group, uuids), group })),
  ]
  return { status: 200, headers: {}, body: undefined, hints, ...alert }
}

const note = (told: Map<string, Set<string>>, id: string, uuid: string) =>
  told.set(id, (told.get(id) ?? new Set()).add(uuid))

/** By all events that name it: one that was told of before must not hide another that comes with it. */
function keyOf(id: string, uuids: ReadonlySet<string>): string {
  const [one = '', ...more] = [...uuids].sort()
  if (more.length === 0) return `${one}|${id}`
  return `${createHash('sha256')
    .update([one, ...more].join(' '))
    .digest('base64url')}|${id}`
}
