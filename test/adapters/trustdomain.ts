import { configs } from '../../adapters/index.ts'
import { type Spire, type SpireOptions, startSpire } from '../../sandbox/spire/index.ts'
import type { Adapter, PrincipalRef } from '../../src/core/adapter.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { opening } from './opening.ts'
import { leaping } from './tenant.ts'

export const AUDIENCE = 'api://agents'

export interface Domain extends AsyncDisposable {
  readonly spire: Spire
  readonly adapter: Adapter
  readonly clock: Clock
  logged(): string
  /** Another adapter on the same server. */
  open(settings?: Record<string, unknown>): Adapter
  /** Workloads of one entry each. */
  workloads(count: number): PrincipalRef[]
}

export const SENTINEL = { type: 'agentmesh', value: 'suspended' }
const suspended = ({ type, value }: { type: string; value: string }) =>
  type === SENTINEL.type && value === SENTINEL.value

/** The entries of an ID, and whether every one is suspended. */
export const entriesOf = ({ entries }: Spire, id: string) =>
  entries.filter(({ spiffe_id: { trust_domain, path } }) => `spiffe://${trust_domain}${path}` === id)
export const isHeld = (spire: Spire, id: string): boolean =>
  entriesOf(spire, id).every(({ selectors }) => selectors.some(suspended))

/** A trust domain and the adapter on the socket of its server. */
export async function domain(options: SpireOptions & { settings?: Record<string, unknown> } = {}): Promise<Domain> {
  const { settings = {}, ...rest } = options
  const spire = await startSpire(rest)
  const clock = leaping()
  const adapters = opening(clock)
  const open: Domain['open'] = (more = {}) =>
    adapters.open(
      configs.spiffe.parse({
        kind: 'spiffe',
        trustDomain: spire.trustDomain,
        server: { address: spire.socket },
        tokens: { audiences: [AUDIENCE] },
        ...settings,
        ...more,
      }),
    )
  let made = 0
  return {
    spire,
    clock,
    adapter: open(),
    open,
    logged: adapters.logged,
    workloads: (count) =>
      Array.from({ length: count }, () => {
        const id = `spiffe://${spire.trustDomain}/agents/a${made++}`
        spire.addEntry({ spiffeId: id, selectors: ['unix:uid:1001', `unix:user:a${made}`] })
        return { id, kind: 'workload' }
      }),
    async [Symbol.asyncDispose]() {
      await adapters[Symbol.asyncDispose]()
      await spire[Symbol.asyncDispose]()
    },
  }
}
