import { randomBytes, randomUUID } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import type { Actor } from './audit.ts'
import type { Directory, Row } from './directory.ts'

export interface FederatedCredential {
  readonly issuer: string
  readonly subject: string
  /** `api://AzureADTokenExchange` when absent. */
  readonly audience?: string
  /** The issuer's keys; found through its metadata document when absent. */
  readonly jwks?: JSONWebKeySet
}

export interface App {
  readonly appId: string
  readonly name: string
  readonly servicePrincipalId: string
  readonly secrets: Set<string>
  readonly federated: FederatedCredential[]
  /** PEM certificates whose keys may sign client assertions. */
  readonly certificates: string[]
  readonly isManagedIdentity: boolean
  /** Graph application permissions granted to it. */
  readonly roles: Set<string>
  /** Application permissions on other resources, by app id or identifier URI. */
  readonly apiRoles: Readonly<Record<string, readonly string[]>>
  /** What it is called as a resource, beside its app id. */
  readonly identifierUris: readonly string[]
  /** The token version it asks for as a resource. */
  readonly tokenVersion: 'v1' | 'v2'
}

export interface RegisterApp {
  readonly appId?: string
  readonly name: string
  /** Graph application permissions. */
  readonly roles: readonly string[]
  readonly secret?: string
  readonly federatedIssuer?: string
  /** With no issuer: the tenant's own workload issuer, see `workloadToken`. */
  readonly federatedSubject?: string
  readonly federatedJwks?: JSONWebKeySet
  readonly certificate?: string
  readonly managedIdentity?: boolean
  readonly apiRoles?: Readonly<Record<string, readonly string[]>>
  readonly identifierUris?: readonly string[]
  readonly tokenVersion?: 'v1' | 'v2'
}

/** App registrations: who may ask for tokens, by which credential, with which permissions. */
export class Apps {
  readonly #apps = new Map<string, App>()
  readonly #directory: Directory
  readonly #workloadIssuer: string

  constructor(directory: Directory, workloadIssuer: string) {
    this.#directory = directory
    this.#workloadIssuer = workloadIssuer
  }

  /** `row` is the app's service principal in this tenant. */
  register(options: RegisterApp, appId: string, row: Row): { app: App; secret: string } {
    const secret = options.secret ?? `${randomBytes(24).toString('base64url')}~`
    const issuer = options.federatedIssuer ?? this.#workloadIssuer
    const { federatedSubject: subject, federatedJwks: jwks } = options
    const app: App = {
      appId,
      name: options.name,
      servicePrincipalId: row.id,
      secrets: new Set([secret]),
      federated: subject === undefined ? [] : [{ issuer, subject, ...(jwks === undefined ? {} : { jwks }) }],
      certificates: options.certificate === undefined ? [] : [options.certificate],
      isManagedIdentity: options.managedIdentity === true,
      roles: new Set(options.roles),
      apiRoles: options.apiRoles ?? {},
      identifierUris: options.identifierUris ?? [`api://${appId}`],
      tokenVersion: options.tokenVersion ?? 'v1',
    }
    this.#apps.set(appId, app)
    return { app, secret }
  }

  get(appId: string): App | undefined {
    return this.#apps.get(appId.toLowerCase())
  }

  managedIdentity(clientId: string | undefined): App | undefined {
    const all = [...this.#apps.values()].filter((app) => app.isManagedIdentity)
    return clientId === undefined ? all[0] : all.find((app) => app.appId === clientId.toLowerCase())
  }

  /** The app a token can be asked for, by app id or identifier URI. */
  resource(name: string): App | undefined {
    return this.get(name) ?? [...this.#apps.values()].find((app) => app.identifierUris.includes(name))
  }

  /** How the audit log names an app. */
  actor(appId: string): Actor {
    const app = this.get(appId)
    const row = this.#directory.alias(appId)
    return {
      kind: 'app',
      appId,
      servicePrincipalId: app?.servicePrincipalId ?? row?.id ?? randomUUID(),
      displayName: app?.name ?? appId,
    }
  }
}
