import { graphAppId, type IssuedClaims } from './tokens.ts'
import { type Caller, Refusal } from './wire.ts'
import type { World } from './world.ts'

const cache = new WeakMap<World, Map<string, IssuedClaims>>()

/** Who calls, from the `Authorization` header; 401 unless the token is ours, in date, and meant for this Graph. */
export function authenticate(world: World, authorization: string | undefined): Caller {
  const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1]
  if (token === undefined) throw unauthorized(world, 'Access token is empty.')
  const claims = read(world, token)
  if (claims === undefined) throw unauthorized(world, 'Access token validation failure. Invalid signature or issuer.')
  const at = world.now() / 1000
  if (claims.exp <= at || claims.nbf > at + 300) {
    throw unauthorized(world, 'Lifetime validation failed, the token is expired or not yet valid.')
  }
  if (!graphAudiences(world.origin).includes(claims.aud)) {
    throw unauthorized(world, 'Access token validation failure. Invalid audience.')
  }
  const appId = claims.appid ?? claims.azp
  if (appId === undefined || claims.oid === undefined) {
    throw unauthorized(world, 'Access token validation failure.')
  }
  if (claims.xms_cc?.includes('cp1')) refuseRevoked(world, claims.oid)
  return { appId, oid: claims.oid, roles: new Set(claims.roles ?? []) }
}

export function graphAudiences(origin: string): string[] {
  return ['https://graph.microsoft.com', 'https://graph.microsoft.com/', graphAppId, origin, `${origin}/`]
}

function read(world: World, token: string): IssuedClaims | undefined {
  const known = cache.get(world) ?? new Map<string, IssuedClaims>()
  cache.set(world, known)
  const entry = `${world.keys.currentKid} ${token}`
  const hit = known.get(entry)
  if (hit !== undefined) return hit
  const claims = world.tokens.read(token)
  if (claims === undefined) return undefined
  if (known.size >= 1000) known.clear()
  known.set(entry, claims)
  return claims
}

/** Continuous access evaluation: only tokens of clients that said they can answer a claims challenge. */
function refuseRevoked(world: World, oid: string): void {
  const state = world.directory.row(oid)?.state.current
  if (state?.life === 'live' && state.properties.accountEnabled !== false) return
  const since = Math.floor(world.now() / 1000)
  const claims = JSON.stringify({ access_token: { nbf: { essential: true, value: String(since) } } })
  const encoded = Buffer.from(claims).toString('base64')
  throw unauthorized(
    world,
    'Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp',
    `, error="insufficient_claims", claims="${encoded}"`,
  )
}

function unauthorized(world: World, message: string, more = ''): Refusal {
  const authority = `authorization_uri="https://login.microsoftonline.com/${world.tenantId}/oauth2/authorize"`
  return new Refusal(401, 'InvalidAuthenticationToken', message, {
    'WWW-Authenticate': `Bearer realm="", ${authority}, client_id="${graphAppId}"${more}`,
  })
}
