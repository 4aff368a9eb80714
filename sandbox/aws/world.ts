import type { Faults } from '../faults.ts'
import type { Later } from '../later.ts'
import type { CommonSwitches } from '../local.ts'
import type { Opaque } from '../opaque.ts'
import type { Records } from '../records.ts'
import type { Replica } from '../replica.ts'
import type { RequestLog } from '../requests.ts'
import type { Bus } from './bus.ts'
import type { Federation } from './federation.ts'
import type { Credential, IamUser, Membership, OidcProvider, Role, Store, StoreGroup, StoreUser } from './model.ts'
import type { Queues } from './queues.ts'
import type { Throttle } from './throttle.ts'
import type { Topics } from './topics.ts'
import type { Trail } from './trail.ts'
import type { Service } from './wire.ts'

export type Surface = Service | 'scim' | 'oidc' | 'metadata'

/** Everything the accounts are made of; handed to the routes. */
export interface World {
  readonly origin: string
  /** The services' clock, which may be wrong: what they write into records, tokens and answers. */
  readonly now: () => number
  /** What delays run by, whatever the clock says. */
  readonly steady: () => number
  readonly pageSize: number | undefined
  /** How far the time of a signature may be off. */
  readonly signatureSkewMs: number
  readonly replica: Replica
  readonly roles: Records<Role>
  /** Ids of all roles that ever had a name, by account and lower-case name. */
  readonly roleIds: Map<string, string[]>
  readonly users: Records<StoreUser>
  readonly groups: Records<StoreGroup>
  readonly memberships: Records<Membership>
  readonly stores: Map<string, Store>
  readonly iamUsers: Map<string, IamUser>
  /** Managed policies by ARN. */
  readonly managed: Map<string, string>
  readonly oidcProviders: Map<string, OidcProvider>
  /** By access key id. */
  readonly credentials: Map<string, Credential>
  /** Roles whose credentials the container and instance endpoints hand out, by path. */
  readonly served: Map<string, { readonly roleId: string; readonly authorization: string | undefined }>
  /** Tokens of the instance endpoint, with their end. */
  readonly instanceTokens: Map<string, number>
  readonly federation: Federation
  readonly trail: Trail
  readonly bus: Bus
  readonly queues: Queues
  readonly topics: Topics
  readonly later: Later
  readonly opaque: Opaque
  readonly throttle: Throttle
  readonly faults: Faults
  readonly requests: RequestLog<Surface>
  /** What a test switches at run time. */
  readonly switches: CommonSwitches
}
