export interface Tag {
  readonly Key: string
  readonly Value: string
}

/** An IAM role. Documents are kept as they were written. */
export interface Role {
  /** The role id, which no other role ever has. */
  readonly id: string
  readonly accountId: string
  readonly path: string
  readonly name: string
  readonly arn: string
  readonly created: number
  readonly description: string | undefined
  readonly maxSessionSeconds: number
  readonly trust: string
  /** Inline policies by name, in the order they were first put. */
  readonly inline: ReadonlyMap<string, string>
  /** ARNs of managed policies. */
  readonly attached: readonly string[]
  readonly boundary: string | undefined
  readonly tags: readonly Tag[]
}

/** Made by a service for itself, or by a permission set: IAM does not let anybody change it. */
export function isUnmodifiable({ path }: Pick<Role, 'path'>): boolean {
  return path.startsWith('/aws-service-role/') || path.startsWith('/aws-reserved/')
}

/** A user of the identity store. */
export interface StoreUser {
  readonly id: string
  readonly storeId: string
  readonly userName: string
  readonly displayName: string
  readonly givenName: string
  readonly familyName: string
  readonly email: string | undefined
  /** As the identity provider that provisions it calls it. */
  readonly externalId: string | undefined
  readonly enabled: boolean
  readonly created: number
  readonly updated: number
}

export interface StoreGroup {
  readonly id: string
  readonly storeId: string
  readonly displayName: string
  readonly description: string | undefined
  readonly externalId: string | undefined
}

export interface Membership {
  readonly id: string
  readonly storeId: string
  readonly groupId: string
  readonly userId: string
}

/** Who a signed request speaks for. */
export type Identity =
  | { readonly type: 'user'; readonly accountId: string; readonly id: string; readonly name: string }
  | { readonly type: 'session'; readonly accountId: string; readonly role: Role; readonly session: string }

export interface Credential {
  readonly accessKeyId: string
  readonly secret: string
  readonly identity: Identity
  /** Of temporary credentials. */
  readonly token: string | undefined
  readonly issuedAt: number
  readonly expiresAt: number
}

/** A user of IAM, as the long-term key of a program. */
export interface IamUser {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly arn: string
  /** Documents. */
  readonly policies: readonly string[]
}

/** An identity provider whose tokens may be exchanged for sessions of roles. */
export interface OidcProvider {
  readonly accountId: string
  readonly issuer: string
  readonly audiences: readonly string[]
}

/** An instance of Identity Center with its store. */
export interface Store {
  readonly id: string
  readonly accountId: string
  /** Its home. */
  readonly region: string
  readonly tenantId: string
  /** Bearer tokens of automatic provisioning with the id each has in the trail; none where the source is not an identity provider. */
  readonly scimTokens: ReadonlyMap<string, string>
  /** Whether answers say if a user may sign in: an old service does not. */
  readonly tellsStatus: boolean
}
