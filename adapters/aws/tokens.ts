import { z } from 'zod'
import type { Claims, Issuer, TokenSubject } from '../../src/core/adapter.ts'
import type { AwsConfig } from './config.ts'
import { idOfUser, isOfPermissionSet, partsOf, resourceId } from './ids.ts'

export type TokensConfig = NonNullable<AwsConfig['tokens']>

/** Whom tokens name: all of the configuration that `identify` needs. */
export interface Naming {
  /** Issuers by account. */
  readonly outbound: Readonly<Record<string, string>>
  readonly eks: readonly { readonly issuer: string; readonly subjects: Readonly<Record<string, string>> }[]
  readonly cognito: readonly { readonly issuer: string; readonly clients: Readonly<Record<string, string>> }[]
}

export const namingOf = ({ outbound, eks, cognito }: TokensConfig): Naming => ({
  outbound,
  eks: eks.map(({ issuer, subjects }) => ({ issuer, subjects })),
  cognito: cognito.map(({ issuer, clients }) => ({ issuer, clients })),
})

/** Issuers differ by a trailing slash only to themselves: `iss` is compared as it is. */
const under = (issuer: string, path: string) => `${issuer.replace(/\/$/, '')}/${path}`

/** Every issuer that is configured, each with what is pinned for it. */
export function issuersOf(tokens: TokensConfig, fetch: Issuer['fetch']): Issuer[] {
  const { audiences, outbound, eks, cognito } = tokens
  return [
    ...Object.values(outbound).map((issuer) => ({
      issuer,
      audiences,
      algorithms: ['RS256', 'ES384'],
      jwksUri: under(issuer, '.well-known/jwks.json'),
      fetch,
    })),
    ...eks.map(({ issuer, audiences: own }) => ({
      issuer,
      audiences: own ?? audiences,
      algorithms: ['RS256'],
      jwksUri: under(issuer, 'keys'),
      fetch,
    })),
    ...cognito.map(({ issuer, clients }) => ({
      issuer,
      audiences: Object.keys(clients),
      // Access tokens of a user pool name the client, and no audience.
      audienceClaim: 'client_id',
      algorithms: ['RS256'],
      jwksUri: under(issuer, '.well-known/jwks.json'),
      fetch,
    })),
  ]
}

/** Origins that keys are fetched from. */
export const keyOrigins = (tokens: TokensConfig): string[] =>
  issuersOf(tokens, () => Promise.reject(new Error('asked for its address only'))).map(
    ({ jwksUri }) => new URL(jwksUri).origin,
  )

const text = z.string().optional().catch(undefined)
const outboundClaims = z.object({
  sub: z.string(),
  'https://sts.amazonaws.com/': z.object({
    aws_account: z.string(),
    identity_store_user_id: text,
    identity_store_arn: text,
  }),
})
const STORE_ARN = /^arn:(?:aws|aws-cn|aws-us-gov):identitystore::\d{12}:identitystore\/([\w-]{1,64})$/

/**
 * Who a verified token of outbound identity federation speaks for: `sub` is the ARN of the role, with its path and
 * without its RoleId. The account must be the issuer's own in all three places. A user of Identity Center is the one who
 * acts only where the role is that of a permission set; any other role with a user's session acts for that user.
 * `principal_tags` and `request_tags` are chosen by the caller and never read (token claims, read 2026-11).
 */
function ofOutbound(claims: Claims, account: string, store: string | undefined): TokenSubject | undefined {
  const parsed = outboundClaims.safeParse(claims)
  if (!parsed.success) return undefined
  const { sub, 'https://sts.amazonaws.com/': session } = parsed.data
  const role = partsOf(sub)
  if (session.aws_account !== account || role?.account !== account) return undefined
  const inStore = STORE_ARN.exec(session.identity_store_arn ?? '')?.[1]
  const { identity_store_user_id: userId = '' } = session
  const user =
    store !== undefined && inStore === store && resourceId.test(userId) ? idOfUser({ store, userId }) : undefined
  return {
    principals: user !== undefined && isOfPermissionSet(role) ? [user] : [],
    names: [sub],
    onBehalfOf: user === undefined ? undefined : { id: user, kind: 'person' },
    act: [],
    scopes: [],
  }
}

/** An id, or the ARN of a role, as configured. */
function configured(
  map: Readonly<Record<string, string>>,
  key: string,
  scopes: readonly string[],
): TokenSubject | undefined {
  const target = Object.hasOwn(map, key) ? map[key] : undefined
  if (target === undefined) return undefined
  const isName = partsOf(target) !== undefined
  const rest = { onBehalfOf: undefined, act: [], scopes }
  return isName ? { principals: [], names: [target], ...rest } : { principals: [target], ...rest }
}

const eksClaims = z.object({ sub: z.string() })
const cognitoClaims = z.object({
  token_use: z.literal('access'),
  client_id: z.string(),
  sub: z.string(),
  username: z.unknown().optional(),
  scope: z.string().catch(''),
})

/** @param store the identity store that is configured */
export function identify(claims: Claims, tokens: Naming, store: string | undefined): TokenSubject | undefined {
  // No actor chain is known of these issuers: one that a token carries must not go unread.
  const { iss } = claims
  const account = Object.entries(tokens.outbound).find(([, issuer]) => issuer === iss)?.[0]
  if (account !== undefined) return ofOutbound(claims, account, store)
  const cluster = tokens.eks.find(({ issuer }) => issuer === iss)
  if (cluster) {
    const parsed = eksClaims.safeParse(claims)
    return parsed.success ? configured(cluster.subjects, parsed.data.sub, []) : undefined
  }
  const pool = tokens.cognito.find(({ issuer }) => issuer === iss)
  const parsed = pool && cognitoClaims.safeParse(claims)
  if (!parsed?.success) return undefined
  const { client_id: client, sub, username, scope } = parsed.data
  const subject = configured(pool?.clients ?? {}, client, [...new Set(scope.split(' ').filter(Boolean))])
  // A token with a user is that client acting for a person.
  return subject && { ...subject, onBehalfOf: username === undefined ? undefined : { id: sub, kind: 'person' } }
}
