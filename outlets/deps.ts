import type { Clock } from '../src/lib/clock.ts'
import type { Logger } from '../src/lib/log.ts'
import type { Outbound } from '../src/lib/outbound.ts'

/** What the composition root hands to every outlet's `open`. */
export interface OutletDeps {
  readonly outbound: Outbound
  readonly clock: Clock
  readonly log: Logger
  /** URI reference that says which bridge tells: `source` of a CloudEvent. */
  readonly source: string
  /** Where the platform puts addresses of its own, such as `IDENTITY_ENDPOINT`. Read by `open` only. */
  readonly env?: Readonly<Record<string, string | undefined>>
}
