import { decodeProtectedHeader, jwtVerify } from 'jose'
import { z } from 'zod'
import { arnOf, principalArn, userIdOf, verdictOn } from './authorize.ts'
import { Refusal, refusalOf } from './errors.ts'
import { sessionArn, uuid } from './ids.ts'
import type { Credential, Role } from './model.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { judge, parsePolicy, type Verdict } from './policy.ts'
import { newSession } from './sessions.ts'
import { iso, isoSeconds, type Output, type Params } from './wire.ts'
import type { World } from './world.ts'

const session = z.string().regex(/^[\w+=,.@-]{2,64}$/)
const arn = z.string().regex(/^arn:aws:iam::\d{12}:role\/.+$/)
const seconds = (least: number, most: number, usual: number) =>
  z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(least).max(most)).default(usual)
const audience = z.string().min(1).max(1000)
const tags = z.array(z.object({ Key: z.string().min(1).max(128), Value: z.string().max(256) })).max(50)

export const stsOperations: Readonly<Record<string, Operation>> = {
  // Needs no permission, and works under an explicit denial of everything.
  GetCallerIdentity: operation({
    input: z.object({}),
    readOnly: true,
    on: undefined,
    run: (_world, { caller }) => ({
      Arn: arnOf(caller.identity),
      UserId: userIdOf(caller.identity),
      Account: caller.identity.accountId,
    }),
  }),
  AssumeRole: operation({
    input: z.object({
      RoleArn: arn,
      RoleSessionName: session,
      ExternalId: z.string().min(2).max(1224).exactOptional(),
      DurationSeconds: seconds(900, 43_200, 3600),
    }),
    on: undefined,
    run: (world, call, input) => {
      const role = assumable(world, call, input.RoleArn, input.ExternalId)
      // A session that comes from a session lasts an hour at most.
      const most = call.caller.token === undefined ? role.maxSessionSeconds : 3600
      if (input.DurationSeconds > most) {
        const why = 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.'
        throw refusalOf('invalid', true, why)
      }
      return sessionOutput(newSession(world, role, input.RoleSessionName, { seconds: input.DurationSeconds }), role)
    },
  }),
  GetWebIdentityToken: operation({
    input: z.object({
      Audience: z.array(audience).min(1).max(10),
      SigningAlgorithm: z.enum(['RS256', 'ES384']),
      DurationSeconds: seconds(60, 3600, 300),
      Tags: tags.default([]),
    }),
    on: (_world, _call, input) => ({
      arn: '*',
      keys: {
        'sts:identitytokenaudience': input.Audience,
        'sts:signingalgorithm': [input.SigningAlgorithm],
        'sts:durationseconds': [String(input.DurationSeconds)],
      },
    }),
    run: (world, { accountId, caller, region }, input) => {
      const { Audience, DurationSeconds, SigningAlgorithm, Tags } = input
      const issuer = world.federation.enabledIssuer(accountId)
      const expiresAt = world.now() + DurationSeconds * 1000
      if (expiresAt > caller.expiresAt) {
        const why = 'The requested token duration would extend the session beyond its original expiration time.'
        throw new Refusal('SessionDurationEscalationException', why, 403)
      }
      const claims = outboundClaims(world, { caller, issuer, region, audience: Audience, expiresAt, tags: Tags })
      const token = world.federation.sign(issuer, claims, { alg: SigningAlgorithm })
      return { WebIdentityToken: token, Expiration: isoSeconds(expiresAt) }
    },
  }),
}

interface Outbound {
  readonly caller: Credential
  readonly issuer: string
  readonly region: string
  readonly audience: readonly string[]
  readonly expiresAt: number
  readonly tags?: readonly { readonly Key: string; readonly Value: string }[]
}

/** The claims of an outbound token: the role by its ARN, path and all, and never the session or the role id. */
export function outboundClaims(world: World, outbound: Outbound): Record<string, unknown> {
  const { audience, caller, expiresAt, issuer, region, tags = [] } = outbound
  const { identity } = caller
  const iat = Math.floor(world.now() / 1000)
  const own = identity.type === 'session' ? identity.role.tags : []
  const named = (list: readonly { readonly Key: string; readonly Value: string }[]) =>
    Object.fromEntries(list.map(({ Key, Value }) => [Key, Value]))
  return {
    aud: audience.length === 1 ? audience[0] : audience,
    sub: principalArn(identity),
    'https://sts.amazonaws.com/': {
      aws_account: identity.accountId,
      source_region: region,
      org_id: 'o-exampleorgid',
      ...(own.length > 0 && { principal_tags: named(own) }),
      ...(tags.length > 0 && { request_tags: named(tags) }),
      ...(caller.token !== undefined && { original_session_exp: isoSeconds(caller.expiresAt) }),
    },
    iss: issuer,
    exp: Math.floor(expiresAt / 1000),
    iat,
    jti: uuid(),
  }
}

/** The role, when its trust policy and, where that is not enough, a policy of the caller's own let it be assumed. */
function assumable(world: World, { caller }: Call, roleArn: string, externalId: string | undefined): Role {
  const { identity } = caller
  const role = world.roles.list().find(({ value }) => value.arn === roleArn)?.value
  const keys: Record<string, readonly string[]> = externalId === undefined ? {} : { 'sts:externalid': [externalId] }
  const own = verdictOn(world, caller, { action: 'sts:AssumeRole', arn: roleArn, keys })
  const trusted = (principals: readonly string[]) =>
    role === undefined ? 'silent' : trustVerdict(role, 'sts:AssumeRole', principals, keys)
  const byName = trusted([principalArn(identity), arnOf(identity)])
  const byAccount = trusted([`arn:aws:iam::${identity.accountId}:root`, identity.accountId])
  const isDenied = [own, byName, byAccount].includes('deny')
  const isSame = role?.accountId === identity.accountId
  const isAllowed = (own === 'allow' && (byName === 'allow' || byAccount === 'allow')) || (isSame && byName === 'allow')
  if (role !== undefined && isAllowed && !isDenied) return role
  const message = `User: ${arnOf(identity)} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`
  throw refusalOf('denied', true, message)
}

function trustVerdict(
  { arn: resource, trust }: Role,
  action: string,
  principals: readonly string[],
  keys: Readonly<Record<string, readonly string[]>>,
): Verdict {
  const document = parsePolicy(trust, 'trust')
  if (typeof document === 'string') return 'silent'
  return judge([document], { action, resource, context: new Map(Object.entries(keys)), principals })
}

function sessionOutput({ accessKeyId, expiresAt, identity, secret, token }: Credential, role: Role): Output {
  const name = identity.type === 'session' ? identity.session : ''
  return {
    Credentials: {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secret,
      SessionToken: token,
      Expiration: iso(expiresAt),
    },
    AssumedRoleUser: { AssumedRoleId: `${role.id}:${name}`, Arn: sessionArn(role.accountId, role.name, name) },
  }
}

const federated = z.object({
  RoleArn: arn,
  RoleSessionName: session,
  WebIdentityToken: z.string().min(4).max(20_000),
  DurationSeconds: seconds(900, 43_200, 3600),
})
const wrongToken = (why: string) => new Refusal('InvalidIdentityToken', why, 400)

/** A session for a token of a registered provider: the one call that is not signed. */
export async function assumeWithToken(world: World, params: Params): Promise<Output> {
  const parsed = federated.safeParse(params)
  if (!parsed.success) throw refusalOf('invalid', true, '1 validation error detected')
  const { DurationSeconds, RoleArn, RoleSessionName, WebIdentityToken } = parsed.data
  const { audience, claims, issuer } = await verified(world, WebIdentityToken)
  const role = world.roles.list().find(({ value }) => value.arn === RoleArn)?.value
  const provider = role === undefined ? undefined : world.oidcProviders.get(`${role.accountId} ${issuer}`)
  if (role === undefined || provider === undefined) {
    throw wrongToken(`No OpenIDConnect provider found in your account for ${issuer}`)
  }
  if (!provider.audiences.includes(audience)) throw wrongToken('Incorrect token audience')
  const host = issuer.replace(/^https?:\/\//, '')
  const keys = { [`${host}:aud`.toLowerCase()]: [audience], [`${host}:sub`.toLowerCase()]: [String(claims.sub)] }
  const principal = `arn:aws:iam::${role.accountId}:oidc-provider/${host}`
  if (trustVerdict(role, 'sts:AssumeRoleWithWebIdentity', [principal], keys) !== 'allow') {
    throw refusalOf('denied', true, 'Not authorized to perform sts:AssumeRoleWithWebIdentity')
  }
  const session = newSession(world, role, RoleSessionName, {
    seconds: Math.min(DurationSeconds, role.maxSessionSeconds),
  })
  const about = { SubjectFromWebIdentityToken: String(claims.sub), Provider: principal, Audience: audience }
  return { ...sessionOutput(session, role), ...about }
}

async function verified(world: World, token: string) {
  try {
    const [, body = ''] = token.split('.')
    const { iss } = z.object({ iss: z.string() }).parse(JSON.parse(Buffer.from(body, 'base64url').toString()))
    const key = world.federation.publicKey(iss, decodeProtectedHeader(token).kid ?? '')
    if (key === undefined) throw wrongToken('Couldn’t retrieve verification key from your identity provider')
    const { payload } = await jwtVerify(token, key, { issuer: iss, currentDate: new Date(world.now()) })
    const audience = Array.isArray(payload.aud) ? payload.aud[0] : payload.aud
    return { issuer: iss, audience: audience ?? '', claims: payload }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw wrongToken('Token is invalid or expired')
  }
}
