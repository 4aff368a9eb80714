import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Hint, HookAnswer, HookRequest, Issuer } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { KeySource } from '../../src/lib/jwks.ts'
import type { ParsedJwt } from '../../src/lib/jwt.ts'
import { jsonOf, unverified, verifiedSender } from '../deliveries.ts'
import type { Api } from './api.ts'
import type { OktaConfig } from './config.ts'
import { isId } from './ids.ts'
import { purposes } from './kinds.ts'

type LogoutConfig = NonNullable<OktaConfig['hooks']['universalLogout']>

/** The `typ` of its token (Universal Logout, read 2026-11), as it is compared. */
export const logoutType = 'global-token-revocation+jwt'
/** `nbf` is five minutes back and `exp` five ahead: what a token without `iat` counts as. */
const LIFETIME_MS = 600_000
const MAX_REMEMBERED = 10_000

export interface LogoutParts {
  readonly config: LogoutConfig
  /** Issuers of the org, for our endpoint as their audience: `logoutIssuers`. */
  readonly issuers: readonly Issuer[]
  readonly keys: (issuer: Issuer) => Pick<KeySource, 'key'>
  readonly clock: Pick<Clock, 'now'>
  /** Ids of the users with this address. Throws when the directory cannot tell now. */
  readonly usersByEmail: (email: string, signal: AbortSignal) => Promise<readonly string[]>
}

/** Takes a request whose token says it is one of Universal Logout. */
export type Logout = (jwt: ParsedJwt, request: HookRequest, signal: AbortSignal) => Promise<HookAnswer>

const sender = z.object({ sub: z.string(), jti: z.string().min(1).max(256), nbf: z.number(), exp: z.number() })
/** RFC 9493 subject identifiers. Those that name a user of the org by id; the others it answers 400 to. */
const subject = z.discriminatedUnion('format', [
  z.object({ format: z.literal('iss_sub'), iss: z.string(), sub: z.string() }),
  z.object({ format: z.literal('opaque'), id: z.string() }),
  z.object({ format: z.literal('email'), email: z.string().min(3).max(256) }),
])
const body = z.object({ sub_id: subject })

/** The keys are those of ID tokens, which the org server does publish. */
export const logoutIssuers = (
  origins: readonly string[],
  orgUrl: string,
  audience: string,
  fetch: Issuer['fetch'],
): Issuer[] =>
  origins.map((issuer) => ({
    issuer,
    audiences: [audience],
    algorithms: ['RS256'],
    jwksUri: `${orgUrl}/oauth2/v1/keys`,
    fetch,
    types: [logoutType],
    lifetimeMs: LIFETIME_MS,
  }))

const said = (status: number, hints: readonly Hint[] = []): HookAnswer => ({
  status,
  headers: {},
  body: undefined,
  hints,
})

/**
 * Global Token Revocation as Okta's Universal Logout sends it. It is signed, so it is better than an event hook; but it
 * says that someone is to be logged out, not that the account is off: a hint like any other.
 */
export function openLogout({ config, issuers, keys, clock, usersByEmail }: LogoutParts): Logout {
  /** What each token was used for, oldest first: Okta may repeat a request, nobody may change one. */
  const used = new Map<string, { readonly digest: string; readonly expiresAt: number }>()

  const remember = (jti: string, digest: string, expiresAt: number): void => {
    const known = used.get(jti)
    if (known !== undefined && known.digest !== digest) throw unverified('the token was used for another request')
    if (known !== undefined) return
    for (const [old, { expiresAt: end }] of used)
      if (used.size >= MAX_REMEMBERED || end < clock.now() - LIFETIME_MS) used.delete(old)
      else break
    used.set(jti, { digest, expiresAt })
  }

  const usersOf = async (named: z.output<typeof subject>, signal: AbortSignal): Promise<readonly string[]> => {
    if (named.format === 'opaque') return isId('user', named.id) ? [named.id] : []
    if (named.format === 'iss_sub')
      return issuers.some(({ issuer }) => issuer === named.iss) && isId('user', named.sub) ? [named.sub] : []
    try {
      return await usersByEmail(named.email, signal)
    } catch (error) {
      const text = 'the directory cannot be asked now whose address it is'
      throw new BridgeError('E_HOOK_CANNOT_CHECK', text, { cause: error })
    }
  }

  return async (jwt, request, signal) => {
    if (request.method !== 'POST') throw new BridgeError('E_HOOK_BODY', 'universal logout comes by POST')
    const verified = await verifiedSender(jwt, issuers, keys, clock)
    const claims = sender.safeParse(verified.claims)
    if (!claims.success) throw unverified('the token of the delivery lacks claims of universal logout')
    const { sub, jti } = claims.data
    if (!config.clientIds.includes(sub)) return said(403)

    const digest = createHash('sha256').update(request.body).digest('base64url')
    remember(jti, digest, verified.expiresAt)
    const parsed = body.safeParse(jsonOf(request.body))
    if (!parsed.success) throw new BridgeError('E_HOOK_BODY', 'the request names its user in no way that is known')
    const users = await usersOf(parsed.data.sub_id, signal)
    if (users.length === 0) return said(404)
    return said(
      204,
      users.map((principal) => ({ delivery: `logout|${jti}|${principal}`, principal })),
    )
  }
}

const found = z.object({ id: z.string() })

/**
 * Who has this address. By `filter` and not by `search`, whose index is behind; addresses need not be unique.
 */
export const openEmails =
  (api: Api): LogoutParts['usersByEmail'] =>
  async (email, signal) => {
    const query = new URLSearchParams({ filter: `profile.email eq ${JSON.stringify(email)}`, limit: '200' })
    const options = { purpose: purposes.readUsers, lane: 'read', signal } as const
    const { value } = await api.get({ path: `/api/v1/users?${query}` }, z.array(found), options)
    return value.map(({ id }) => id).filter((id) => isId('user', id))
  }
