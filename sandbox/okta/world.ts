import type { Faults } from '../faults.ts'
import type { Later } from '../later.ts'
import type { CommonSwitches } from '../local.ts'
import type { Opaque } from '../opaque.ts'
import type { Records } from '../records.ts'
import type { Replica } from '../replica.ts'
import type { RequestLog } from '../requests.ts'
import type { Proofs } from './dpop.ts'
import type { EventHooks } from './hooks.ts'
import type { IssuedTokens } from './issued.ts'
import type { SigningKeys } from './keys.ts'
import type { Limiter } from './limits.ts'
import type { LogoutTarget } from './logout.ts'
import type { Members } from './members.ts'
import type { Agent, App, Group, Operation, User } from './model.ts'
import type { Rights } from './rights.ts'
import type { AuthorizationServer } from './servers.ts'
import type { SystemLog } from './syslog.ts'

export type Surface = 'api' | 'oauth' | 'metadata'

interface ApiToken {
  readonly id: string
  readonly ownerId: string
}

/** Everything one org is made of; handed to the routes. */
export interface World {
  readonly origin: string
  readonly orgId: string
  readonly userTypeId: string
  /** The org's clock, which may be wrong: what it writes into tokens, records and answers. */
  readonly now: () => number
  /** What its delays run by, whatever the clock says. */
  readonly steady: () => number
  readonly pageSize: number | undefined
  readonly logPageSize: number | undefined
  readonly transitionMs: number
  readonly operationMs: number
  readonly hookDelayMs: number
  readonly agentEvents: 'new' | 'old' | 'both'
  readonly replica: Replica
  readonly users: Records<User>
  readonly apps: Records<App>
  readonly groups: Records<Group>
  readonly members: Members
  readonly agents: Records<Agent>
  readonly operations: Records<Operation>
  /** By user or client id. */
  readonly rights: Map<string, Rights>
  /** By the token itself. */
  readonly apiTokens: Map<string, ApiToken>
  /** Ids of the Okta sessions of each user that has any. */
  readonly sessions: Map<string, Set<string>>
  readonly issued: IssuedTokens
  readonly proofs: Proofs
  /** Client and `jti` of each client assertion taken, with the second it is forgotten. */
  readonly usedAssertions: Map<string, number>
  /** Of ID tokens, signals and Universal Logout. */
  readonly orgKeys: SigningKeys
  readonly servers: Map<string, AuthorizationServer>
  readonly log: SystemLog
  readonly hooks: EventHooks
  readonly logoutTargets: LogoutTarget[]
  readonly later: Later
  readonly opaque: Opaque
  readonly limiter: Limiter
  readonly faults: Faults
  readonly requests: RequestLog<Surface>
  /** What a test switches at run time. */
  readonly switches: Switches
}

export interface Switches extends CommonSwitches {
  /** Log cursors of an earlier generation are refused. */
  logGeneration: number
  /** Each answer of the API takes so long; requests meanwhile count as being under way. */
  latencyMs: number
  /** The next operation on an AI agent ends so. */
  failOperations: { left: number; readonly code: string; readonly message: string } | undefined
}
