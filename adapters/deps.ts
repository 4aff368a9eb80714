import type { PinnedFetch as IssuerFetch } from '../src/core/adapter.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { KeySource } from '../src/lib/jwks.ts'
import type { Logger } from '../src/lib/log.ts'
import type { Outbound } from '../src/lib/outbound.ts'

/** What the composition root hands to every adapter's `open`. */
export interface AdapterDeps {
  readonly outbound: Outbound
  readonly clock: Clock
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** The one cache of signing keys a URI: shared by token verification and by hooks that verify tokens themselves. */
  readonly keys: (uri: string, fetch: IssuerFetch) => Pick<KeySource, 'key'>
  /** Where the platform puts addresses of its own, such as `IDENTITY_ENDPOINT`. Read by `open` only. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where the world reaches the bridge, as configured. */
  readonly publicUrl?: string | undefined
}
