import type { Faults } from '../faults.ts'
import type { CommonSwitches } from '../local.ts'
import type { Opaque } from '../opaque.ts'
import type { RequestLog } from '../requests.ts'
import type { Apps } from './apps.ts'
import type { AuditLog } from './audit.ts'
import type { Policies } from './conditionalaccess.ts'
import type { Directory } from './directory.ts'
import type { EventGrid } from './eventgrid.ts'
import type { Keys } from './keys.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { Throttle } from './throttle.ts'
import type { Tokens } from './tokens.ts'

/** Everything one tenant is made of; handed to the routes. */
export interface World {
  readonly origin: string
  readonly tenantId: string
  /** The tenant's clock, which may be wrong: what it writes into tokens, records and answers. */
  readonly now: () => number
  /** What its delays run by, whatever the clock says. */
  readonly steady: () => number
  readonly pageSize: number | undefined
  readonly logPageSize: number | undefined
  readonly emptyPages: boolean
  readonly deltaHidesAgents: boolean
  readonly directory: Directory
  readonly audit: AuditLog
  readonly policies: Policies
  readonly apps: Apps
  readonly keys: Keys
  readonly tokens: Tokens
  readonly opaque: Opaque
  readonly throttle: Throttle
  readonly faults: Faults
  readonly requests: RequestLog
  readonly eventGrid: EventGrid
  readonly subscriptions: Subscriptions
  /** What a test switches at run time. */
  readonly switches: Switches
}

export interface Switches extends CommonSwitches {
  /** Delta tokens of an earlier generation are refused, in the way named. */
  deltaGeneration: number
  deltaExpiry: 'gone' | 'syncStateNotFound'
  /** The next delta round starts again from where its predecessor started. */
  deltaReplay: boolean
}
