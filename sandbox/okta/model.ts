import type { JWK } from 'jose'

/** The records of an org. They are replaced, never changed. Times are milliseconds since the epoch. */

export const userStatuses = [
  'STAGED',
  'PROVISIONED',
  'ACTIVE',
  'RECOVERY',
  'PASSWORD_EXPIRED',
  'LOCKED_OUT',
  'SUSPENDED',
  'DEPROVISIONED',
] as const
export type UserStatus = (typeof userStatuses)[number]

export interface UserProfile {
  readonly login: string
  readonly email: string
  readonly firstName: string
  readonly lastName: string
  readonly [attribute: string]: unknown
}

export interface User {
  readonly id: string
  readonly status: UserStatus
  /** Set while a change of status runs. */
  readonly transitioningToStatus?: 'ACTIVE' | 'PROVISIONED' | 'DEPROVISIONED'
  readonly created: number
  readonly activated?: number
  readonly statusChanged?: number
  readonly lastLogin?: number
  readonly lastUpdated: number
  readonly passwordChanged?: number
  readonly profile: UserProfile
  /** Of an account mastered elsewhere the directory does not unlock. */
  readonly source: 'OKTA' | 'ACTIVE_DIRECTORY'
}

export type Switch = 'ACTIVE' | 'INACTIVE'

export interface AppKey {
  readonly id: string
  readonly jwk: JWK & { readonly kid: string }
  readonly status: Switch
  readonly created: number
  readonly lastUpdated: number
}

export type ClientAuth = 'private_key_jwt' | 'client_secret_basic' | 'client_secret_post' | 'none'

export interface App {
  readonly id: string
  /** Of the kind of app: `oidc_client` for OAuth clients. */
  readonly name: string
  readonly label: string
  readonly signOnMode: 'OPENID_CONNECT' | 'BOOKMARK' | 'SAML_2_0'
  readonly status: Switch
  readonly created: number
  readonly lastUpdated: number
  readonly applicationType: 'service' | 'web' | 'native' | 'browser'
  readonly authMethod: ClientAuth
  readonly dpopBound: boolean
  readonly keys: readonly AppKey[]
  readonly secret?: string
  /** Scopes of the org authorization server that were granted to it. */
  readonly granted: ReadonlySet<string>
  readonly groupIds: readonly string[]
}

export interface Group {
  readonly id: string
  readonly type: 'OKTA_GROUP' | 'APP_GROUP' | 'BUILT_IN'
  readonly name: string
  readonly description: string | null
  readonly created: number
  readonly lastUpdated: number
  readonly lastMembershipUpdated: number
}

/** Of one group; a membership that ended is absent. */
export interface Membership {
  /** The user's. */
  readonly id: string
}

export type AgentStatus = 'STAGED' | 'ACTIVE' | 'INACTIVE'

export interface Agent {
  readonly id: string
  readonly status: AgentStatus
  readonly name: string
  readonly description: string
  readonly created: number
  readonly lastUpdated: number
  /** The app of an older set-up, which carries the client id. */
  readonly appId?: string
  readonly ownerIds: readonly string[]
  /** From another platform: it cannot be deleted here. */
  readonly imported: boolean
}

export interface Operation {
  readonly id: string
  readonly type: string
  readonly status: 'SCHEDULED' | 'IN_PROGRESS' | 'COMPLETED' | 'FAILED'
  readonly created: number
  readonly started?: number
  readonly completed?: number
  readonly agentId: string
  readonly error?: { readonly code: string; readonly message: string }
}
