import type { JWK } from 'jose'
import { oktaId } from './ids.ts'
import type { Agent, AgentStatus, App, AppKey, ClientAuth, Group, Switch, User, UserStatus } from './model.ts'
import type { StandardRole } from './rights.ts'

export interface NewUser {
  readonly id?: string
  readonly login?: string
  readonly email?: string
  readonly firstName?: string
  readonly lastName?: string
  /** ACTIVE when absent. */
  readonly status?: UserStatus
  readonly source?: User['source']
  readonly profile?: Readonly<Record<string, unknown>>
}

export interface NewApp {
  readonly id?: string
  readonly label?: string
  readonly status?: Switch
  readonly name?: string
  readonly signOnMode?: App['signOnMode']
  readonly applicationType?: App['applicationType']
  readonly authMethod?: ClientAuth
  readonly dpopBound?: boolean
  /** Public keys its assertions are signed with. */
  readonly keys?: readonly JWK[]
  readonly secret?: string
  /** Scopes of the org server granted to it. */
  readonly scopes?: readonly string[]
  readonly groupIds?: readonly string[]
  readonly roles?: readonly StandardRole[]
  readonly permissions?: readonly string[]
}

export interface NewAgent {
  readonly id?: string
  readonly name?: string
  readonly description?: string
  readonly status?: AgentStatus
  readonly appId?: string
  /** The administrator when absent. */
  readonly ownerIds?: readonly string[]
  readonly imported?: boolean
}

export interface NewGroup {
  readonly id?: string
  readonly name?: string
  readonly description?: string
  readonly type?: 'OKTA_GROUP' | 'APP_GROUP'
  readonly members?: readonly string[]
}

export function newUser(options: NewUser, at: number): User {
  const id = options.id ?? oktaId('00u')
  const { firstName = 'Agent', lastName = id.slice(3, 9), source = 'OKTA', status = 'ACTIVE' } = options
  const login = options.login ?? `${id.toLowerCase()}@contoso.example`
  const isNew = status === 'STAGED' || status === 'PROVISIONED'
  return {
    id,
    status,
    source,
    created: at,
    lastUpdated: at,
    statusChanged: at,
    ...(isNew ? {} : { activated: at, passwordChanged: at }),
    profile: { ...options.profile, login, email: options.email ?? login, firstName, lastName },
  }
}

export function newApp(options: NewApp, at: number): App {
  const id = options.id ?? oktaId('0oa')
  const { authMethod = 'private_key_jwt', label = `App ${id.slice(3, 9)}`, signOnMode = 'OPENID_CONNECT' } = options
  return {
    id,
    label,
    signOnMode,
    authMethod,
    name: options.name ?? 'oidc_client',
    status: options.status ?? 'ACTIVE',
    created: at,
    lastUpdated: at,
    applicationType: options.applicationType ?? 'service',
    dpopBound: options.dpopBound ?? false,
    keys: (options.keys ?? []).map((jwk) => newKey(jwk, at)),
    ...(options.secret === undefined ? {} : { secret: options.secret }),
    granted: new Set(options.scopes),
    groupIds: options.groupIds ?? [],
  }
}

export function newKey(jwk: JWK, at: number): AppKey {
  const kid = jwk.kid ?? oktaId('pks')
  return { id: oktaId('pks'), jwk: { ...jwk, kid }, status: 'ACTIVE', created: at, lastUpdated: at }
}

export function newAgent(options: NewAgent, at: number, owner: string): Agent {
  const id = options.id ?? oktaId('wlp')
  const { appId, description = '', imported = false, name = `agent ${id.slice(3, 9)}` } = options
  const { ownerIds = [owner], status = 'ACTIVE' } = options
  const agent: Agent = { id, status, name, description, created: at, lastUpdated: at, ownerIds, imported }
  return appId === undefined ? agent : { ...agent, appId }
}

export function newGroup(options: NewGroup, type: Group['type'], at: number): Group {
  const id = options.id ?? oktaId('00g')
  const { description = null, name = `group ${id.slice(3, 9)}` } = options
  return { id, type, name, description, created: at, lastUpdated: at, lastMembershipUpdated: at }
}
