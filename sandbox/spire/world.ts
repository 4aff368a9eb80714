import type { Faults } from '../faults.ts'
import type { Later } from '../later.ts'
import type { Records } from '../records.ts'
import type { RequestLog } from '../requests.ts'
import type { Surface } from './endpoint.ts'
import type { Entries } from './entries.ts'
import type { SpiffeId } from './ids.ts'
import type { Selector } from './shapes.ts'
import type { Bundle, Trust } from './trust.ts'

/** A node as the server tells of it. */
export interface Agent {
  /** Its path, under which it is kept. */
  readonly id: string
  readonly spiffeId: SpiffeId
  readonly attestationType: string
  readonly serial: string
  readonly expiresAt: number
  readonly canReattest: boolean
  readonly selectors: readonly Selector[]
}

/** All there is in a local trust domain. */
export interface World {
  readonly trustDomain: string
  readonly now: () => number
  /** Upper bound of every page, below what was asked for. */
  readonly pageSize: number | undefined
  /** How long a change takes to reach the agents. */
  readonly syncMs: number
  readonly jwtTtlS: number
  readonly x509TtlS: number
  readonly adminIds: readonly string[]
  readonly allowUnauthenticatedVerifiers: boolean
  readonly trust: Trust
  readonly federated: Map<string, () => Bundle>
  readonly entries: Entries
  readonly agents: Records<Agent>
  readonly later: Later
  readonly faults: Faults
  readonly requests: RequestLog<Surface>
  /** Called once what changed has reached the agents. */
  readonly watchers: Set<() => void>
  /** How often agents renewed the X509-SVIDs before their time. */
  renewals: number
}

/** What changed has reached whoever watches. */
export function tell(watchers: ReadonlySet<() => void>): void {
  for (const watcher of [...watchers]) watcher()
}
