import { randomUUID } from 'node:crypto'
import { oktaId } from './ids.ts'
import type { IssuedToken } from './issued.ts'
import { SigningKeys, sealed } from './keys.ts'
import type { World } from './world.ts'

/** A custom authorization server: its tokens can be verified with its keys. */
export interface AuthorizationServer {
  readonly id: string
  readonly name: string
  readonly audience: string
  readonly scopes: readonly string[]
  readonly keys: SigningKeys
}

export interface NewServer {
  readonly id?: string
  readonly name?: string
  readonly audience: string
  readonly scopes?: readonly string[]
}

export function newServer({ audience, id = oktaId('aus'), name = id, scopes = [] }: NewServer): AuthorizationServer {
  return { id, name, audience, scopes, keys: new SigningKeys() }
}

export interface NewToken {
  /** Of the custom server; the org's own when absent. */
  readonly server?: string
  readonly clientId: string
  /** The user it is for; a client's own token when absent. */
  readonly userId?: string
  readonly scopes?: readonly string[]
  readonly lifetimeMs?: number
  /** Thumbprint of the key it is bound to. */
  readonly jkt?: string
  /** Issued beside a refresh token. */
  readonly refreshable?: boolean
  /** Written over the usual claims; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

export function issuerOf(world: World, serverId: string | undefined): string {
  return serverId === undefined ? world.origin : `${world.origin}/oauth2/${serverId}`
}

/** An access token with the claims each server puts into it; no check is made that it would be issued. */
export function issueAccess(world: World, request: NewToken): IssuedToken {
  const { clientId, jkt, lifetimeMs = 3_600_000, scopes = [], server: serverId, userId } = request
  const server = serverId === undefined ? undefined : world.servers.get(serverId)
  if (serverId !== undefined && server === undefined) throw new Error(`there is no authorization server ${serverId}`)
  const user = userId === undefined ? undefined : world.users.current(userId)
  const iat = Math.floor(world.now() / 1000)
  const exp = iat + Math.round(lifetimeMs / 1000)
  const issuer = issuerOf(world, serverId)
  const audience = server?.audience ?? world.origin
  const jti = `AT.${randomUUID().replaceAll('-', '')}`
  const subject = user?.profile.login ?? userId ?? clientId
  const claims = {
    ver: 1,
    jti,
    iss: issuer,
    aud: audience,
    iat,
    exp,
    cid: clientId,
    ...(userId === undefined ? {} : { uid: userId, auth_time: iat }),
    scp: scopes,
    sub: subject,
    ...(jkt === undefined ? {} : { cnf: { jkt } }),
    ...request.claims,
  }
  const token = server === undefined ? sealed(claims) : server.keys.sign(claims, request.header)
  const refreshable = request.refreshable ?? false
  const kind = 'access' as const
  const about = { serverId, issuer, audience, jti, clientId, userId, subject, scopes, iat, exp, jkt, refreshable }
  return world.issued.add({ token, kind, ...about })
}

/** A refresh token; it is opaque on every server. */
export function issueRefresh(world: World, access: IssuedToken): IssuedToken {
  const token = `${randomUUID().replaceAll('-', '')}${randomUUID().replaceAll('-', '')}`
  return world.issued.add({ ...access, token, kind: 'refresh', exp: access.iat + 7 * 24 * 3600, refreshable: true })
}
