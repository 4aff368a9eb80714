import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Directory } from './directory.ts'
import type { Keys } from './keys.ts'

export interface TokenRequest {
  readonly kind: 'app' | 'agent' | 'obo' | 'agentUser' | 'human'
  /** `v1` when absent: what a resource gets that asked for nothing. */
  readonly version?: 'v1' | 'v2'
  /** `app`: object id of the service principal. `agent`, `obo`, `agentUser`: of the agent identity. `human`: the client's app id. */
  readonly id: string
  /** `obo`, `human`: the person's object id. `agentUser`: the agent user's. */
  readonly user?: string
  readonly audience: string
  readonly roles?: readonly string[]
  readonly scopes?: readonly string[]
  readonly lifetimeMs?: number
  /** Written over the usual claims; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

export const graphAppId = '00000003-0000-0000-c000-000000000000'
const facets = { agent: '3 9 11', agentSubject: '9 3 11', agentUser: '5 13', tenant: '3 9' }

const issuedHeader = z.object({ alg: z.literal('RS256'), kid: z.string(), nonce: z.string().optional() })
const issuedClaims = z.looseObject({
  iss: z.string(),
  aud: z.string(),
  exp: z.number(),
  nbf: z.number(),
  tid: z.string(),
  oid: z.string().optional(),
  appid: z.string().optional(),
  azp: z.string().optional(),
  roles: z.array(z.string()).optional(),
  xms_cc: z.array(z.string()).optional(),
})
export type IssuedClaims = z.infer<typeof issuedClaims>

/** Access tokens with exactly the claims the real directory puts into each shape. */
export class Tokens {
  readonly #keys: Keys
  readonly #directory: Directory
  readonly #tenantId: string
  readonly #now: () => number
  readonly #disguised = new Map<string, string>()

  constructor(options: { keys: Keys; directory: Directory; tenantId: string; now: () => number }) {
    this.#keys = options.keys
    this.#directory = options.directory
    this.#tenantId = options.tenantId
    this.#now = options.now
  }

  issuer(version: 'v1' | 'v2'): string {
    const id = this.#tenantId
    return version === 'v1' ? `https://sts.windows.net/${id}/` : `https://login.microsoftonline.com/${id}/v2.0`
  }

  issue(request: TokenRequest): string {
    const version = request.version ?? 'v1'
    const iat = Math.floor(this.#now() / 1000)
    const lifetime = Math.round((request.lifetimeMs ?? 3_600_000) / 1000)
    const claims = {
      aud: request.audience,
      iss: this.issuer(version),
      iat,
      nbf: iat,
      exp: iat + lifetime,
      aio: randomBytes(24).toString('base64url'),
      ...this.#subject(request, version),
      rh: randomBytes(16).toString('base64url'),
      tid: this.#tenantId,
      uti: randomBytes(16).toString('base64url'),
      ver: version === 'v1' ? '1.0' : '2.0',
      ...request.claims,
    }
    return this.#sign(claims, version, request.header)
  }

  /** An app-only token, as the token endpoint and the instance metadata service hand them out. */
  issueApp(
    request: Omit<TokenRequest, 'kind'> & {
      readonly appId: string
      readonly clientAuth: '1' | '2'
      readonly isGraph: boolean
    },
  ): string {
    const { appId, clientAuth, isGraph, ...rest } = request
    const version = request.version ?? 'v1'
    const own = version === 'v1' ? { appid: appId, appidacr: clientAuth } : { azp: appId, azpacr: clientAuth }
    const nonce = isGraph ? { nonce: randomBytes(24).toString('base64url') } : {}
    return this.issue({ ...rest, kind: 'app', claims: { ...own, ...request.claims }, header: nonce })
  }

  /** Another form of a token, which tells its holder nothing: no client is promised that it can read one. */
  disguise(token: string): string {
    const other = `disguised-${this.#disguised.size}`
    this.#disguised.set(other, token)
    return other
  }

  /** The claims of a token that this tenant signed with a key it still stands by; undefined otherwise. */
  read(given: string): IssuedClaims | undefined {
    const token = this.#disguised.get(given) ?? given
    const [first, second, third, ...more] = token.split('.')
    if (first === undefined || second === undefined || third === undefined || more.length > 0) return undefined
    const header = issuedHeader.safeParse(decode(first))
    const claims = issuedClaims.safeParse(decode(second))
    if (!header.success || !claims.success || !this.#keys.verifies(token, header.data)) return undefined
    const known = [this.issuer('v1'), this.issuer('v2')]
    return known.includes(claims.data.iss) && claims.data.tid === this.#tenantId ? claims.data : undefined
  }

  #sign(claims: Record<string, unknown>, version: 'v1' | 'v2', header: Readonly<Record<string, unknown>> = {}): string {
    const { nonce, ...rest } = header
    const x5t = version === 'v1' ? { x5t: this.#keys.currentKid } : {}
    return this.#keys.sign(claims, { ...x5t, ...rest }, typeof nonce === 'string' ? nonce : undefined)
  }

  #subject(request: TokenRequest, version: 'v1' | 'v2'): Record<string, unknown> {
    const client = (appId: string, auth: string) =>
      version === 'v1' ? { appid: appId, appidacr: auth } : { azp: appId, azpacr: auth }
    const roles = request.roles === undefined ? {} : { roles: request.roles }
    const scp = (request.scopes ?? ['access_as_user']).join(' ')
    const person = { oid: request.user ?? randomUUID(), idtyp: 'user', scp }
    const row = this.#directory.row(request.id)?.state.current?.properties
    const actor = {
      ...client(request.id, '2'),
      xms_act_fct: facets.agent,
      xms_tnt_fct: facets.tenant,
      xms_par_app_azp: row?.agentIdentityBlueprintId ?? randomUUID(),
    }
    switch (request.kind) {
      case 'app':
        return {
          ...client(textOf(row?.appId) ?? request.id, '1'),
          idtyp: 'app',
          oid: request.id,
          sub: request.id,
          xms_idrel: '7',
          ...roles,
        }
      case 'agent':
        return {
          ...actor,
          idtyp: 'app',
          oid: request.id,
          sub: pairwise(request.id, request.audience),
          xms_sub_fct: facets.agentSubject,
          xms_idrel: '7 10',
          ...roles,
        }
      case 'obo':
        return { ...actor, ...person, sub: pairwise(person.oid, request.id), xms_sub_fct: '3', xms_idrel: '1 6' }
      case 'agentUser':
        return {
          ...actor,
          ...person,
          sub: pairwise(person.oid, request.id),
          xms_sub_fct: facets.agentUser,
          xms_idrel: '1 10',
        }
      case 'human':
        return { ...client(request.id, '0'), ...person, sub: pairwise(person.oid, request.id), xms_idrel: '1' }
    }
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Subjects differ per client: whoever keys on `sub` finds nobody. */
function pairwise(subject: string, party: string): string {
  return createHash('sha256').update(`${subject} ${party}`).digest('base64url')
}

function decode(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    return undefined
  }
}
