import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Faults } from '../faults.ts'
import { Later } from '../later.ts'
import { seeded } from '../random.ts'
import { Records } from '../records.ts'
import { Replica } from '../replica.ts'
import { RequestLog } from '../requests.ts'
import type { Surface } from './endpoint.ts'
import { Entries } from './entries.ts'
import type { Entry } from './shapes.ts'
import { Spire } from './spire.ts'
import { type Bundle, type JwtKeyType, Trust } from './trust.ts'
import { type Agent, tell, type World } from './world.ts'

export type { Fault, Match, Target } from '../faults.ts'
export type { SeenRequest } from '../requests.ts'
export type { BundleEndpoint, BundleEndpointOptions } from './bundleendpoint.ts'
export { type Control, startControl } from './control.ts'
export { Controller } from './controller.ts'
export type { DiscoveryProvider } from './discovery.ts'
export type { Surface } from './endpoint.ts'
export type { Entry, Selector } from './shapes.ts'
export { type NewEntry, Spire, type Svid } from './spire.ts'

export interface SpireOptions {
  readonly trustDomain?: string
  /** SPIFFE IDs that may do everything over TLS. */
  readonly adminIds?: readonly string[]
  /** Upper bound of every page, below what was asked for. */
  readonly pageSize?: number
  /** How long a change takes to reach the agents: up to 10 seconds with the real ones; none when absent. */
  readonly syncMs?: number
  /** In tokens as `iss`; none when absent, as with the real one. */
  readonly jwtIssuer?: string
  /** Of tokens' keys; `ec-p256` when absent, as with the real one. */
  readonly jwtKeyType?: JwtKeyType
  readonly jwtTtlS?: number
  readonly x509TtlS?: number
  /** Workloads without an identity are told the bundles, too. */
  readonly allowUnauthenticatedVerifiers?: boolean
  /** The server closes a connection this old; three minutes when absent. */
  readonly maxConnectionAgeMs?: number
  /** Milliseconds since the epoch. Certificates are checked by the clock of the machine all the same. */
  readonly now?: () => number
  /** Requests kept in the log. */
  readonly requestLogSize?: number
  /** Which requests a fault with a `share` takes. */
  readonly faultSeed?: number
}

/**
 * Starts a SPIRE server and one agent of a trust domain: entries, agents, bundles and minting on a Unix socket, where
 * everybody may do everything, and over mutual TLS, where admins may; the Workload API on a socket for each workload. It
 * refuses what the real ones of version 1.15 refuse, in their words.
 *
 * Not here: calls that neither the bridge nor its set-up make, node attestation, node aliases, MintX509SVID, pruning of
 * expired entries, WIT-SVIDs. Laxer than the real one: a client certificate that does not verify is taken for none, while
 * the real one ends the connection. Harsher: selectors never come back in the order they were sent.
 */
export async function startSpire(options: SpireOptions = {}): Promise<Spire> {
  const folder = mkdtempSync(join(tmpdir(), 'spire-'))
  const spire = new Spire(createWorld(options), folder, options.maxConnectionAgeMs ?? 180_000)
  await spire.comeBack()
  return spire
}

function createWorld(options: SpireOptions): World {
  const now = options.now ?? Date.now
  const trustDomain = options.trustDomain ?? 'example.org'
  const replica = new Replica({ now, staleMs: 0 })
  const later = new Later(now)
  const federated = new Map<string, () => Bundle>()
  const watchers = new Set<() => void>()
  const syncMs = options.syncMs ?? 0
  const changed = () => later.after(syncMs, () => tell(watchers))
  const entries = new Entries({
    trustDomain,
    now,
    replica,
    records: new Records<Entry>(replica),
    isFederated: (domain) => federated.has(domain),
    changed,
  })
  return {
    trustDomain,
    now,
    pageSize: options.pageSize,
    syncMs,
    jwtTtlS: options.jwtTtlS ?? 300,
    x509TtlS: options.x509TtlS ?? 3600,
    adminIds: options.adminIds ?? [],
    allowUnauthenticatedVerifiers: options.allowUnauthenticatedVerifiers ?? false,
    trust: new Trust({
      trustDomain,
      now,
      jwtIssuer: options.jwtIssuer,
      jwtKeyType: options.jwtKeyType ?? 'ec-p256',
    }),
    federated,
    entries,
    agents: new Records<Agent>(replica),
    later,
    faults: new Faults(seeded(options.faultSeed ?? 1)),
    requests: new RequestLog<Surface>(options.requestLogSize ?? 20_000),
    watchers,
    renewals: 0,
  }
}
