import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { attempt } from '../webhook.ts'
import { notFound, Refusal } from './errors.ts'
import { clearSessions, userTarget } from './users.ts'
import { type Call, type LinkedAnswer, noContent, originOf } from './wire.ts'
import type { World } from './world.ts'

/** An app that wants to be told when a user is logged out everywhere. */
export interface LogoutTarget {
  readonly url: string
  /** The app's client id: the subject of the token. */
  readonly clientId: string
  readonly format: 'email' | 'iss_sub'
}

export interface SendLogout extends LogoutTarget {
  readonly userId: string
  /** Written over the usual claims; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

const lifeS = 300

/** The token that says who sends: for one endpoint, for five minutes, by the key of ID tokens. */
export function logoutToken(world: World, { claims, clientId, header, url }: Omit<SendLogout, 'userId'>): string {
  const now = Math.floor(world.now() / 1000)
  const { origin, pathname } = new URL(url)
  return world.orgKeys.sign(
    {
      iss: world.origin,
      sub: clientId,
      aud: `${origin}${pathname}`,
      jti: randomUUID(),
      iat: now,
      nbf: now - lifeS,
      exp: now + lifeS,
      ...claims,
    },
    { typ: 'global-token-revocation+jwt', ...header },
  )
}

/** Universal Logout as an app receives it. The status of its answer; undefined when there was none. */
export async function sendLogout(world: World, order: SendLogout, closed: AbortSignal): Promise<number | undefined> {
  const user = world.users.current(order.userId)
  if (user === undefined) throw new Error(`there is no user ${order.userId}`)
  const subId =
    order.format === 'email'
      ? { format: 'email', email: user.profile.email }
      : { format: 'iss_sub', iss: world.origin, sub: user.id }
  const answer = await attempt(
    new URL(order.url),
    {
      method: 'POST',
      headers: { Authorization: `Bearer ${logoutToken(world, order)}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ sub_id: subId }),
    },
    10_000,
    closed,
  )
  return answer?.status
}

const body = z.object({
  sub_id: z.union([
    z.object({ format: z.literal('opaque'), id: z.string() }),
    z.object({ format: z.literal('email'), email: z.string() }),
  ]),
})

/** `POST /oauth2/v1/global-token-revocation`: the user is logged out here and, over the wire, in every app that asked for it. */
export async function revokeEverywhere(world: World, call: Call): Promise<LinkedAnswer> {
  const parsed = body.safeParse(call.body)
  if (!parsed.success) throw new Refusal('E0000003')
  const { sub_id } = parsed.data
  const id = sub_id.format === 'opaque' ? sub_id.id : sub_id.email
  const user = world.users
    .everyCurrent()
    .find((each) => each.id === id || (sub_id.format === 'email' && each.profile.email === id))
  if (user === undefined) throw notFound(id, 'User')
  clearSessions(world, user.id, true, originOf(call))
  world.log.write({ eventType: 'user.authentication.universal_logout', targets: [userTarget(user)] }, originOf(call))
  for (const target of world.logoutTargets) {
    // An app that does not answer is its own business.
    void sendLogout(world, { ...target, userId: user.id }, world.hooks.closed)
  }
  return noContent
}
