import type { Adapter, PrincipalRef } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { AdapterDeps } from '../deps.ts'
import { TIMEOUT_MS } from '../grpc.ts'
import { openManaged } from '../managed.ts'
import { parseId } from '../spiffeid.ts'
import { BATCH, openSwitcher, unswitched } from './accounts.ts'
import { openBundle } from './bundles.ts'
import { check } from './check.ts'
import type { SpiffeConfig } from './config.ts'
import { openDiscovery } from './discover.ts'
import { openDoctor } from './doctor.ts'
import { openFeed } from './feed.ts'
import { idFault } from './ids.ts'
import { openLookup } from './lookup.ts'
import { openReader } from './reading.ts'
import { openServer } from './server.ts'
import { sourceOf, stampOf } from './sources.ts'
import { openTails } from './tails.ts'
import { identify, issuersOf } from './tokens.ts'

export { type SpiffeConfig, spiffeConfig } from './config.ts'

/** One trust domain of SPIFFE, through the API of its SPIRE server. Opens no connection. */
export function open(name: string, config: SpiffeConfig, deps: AdapterDeps): Adapter {
  const { clock, log, outbound } = deps
  const { manage, tokens, trustDomain } = config
  const closed = new AbortController()
  const server = openServer(config, clock)
  const federated = new Set(Object.keys(tokens?.federated ?? {}))
  const sources = tokens && { ...tokens.federated, [trustDomain]: { bundle: tokens.bundle } }
  const bundles = new Map(
    Object.entries(sources ?? {}).map(([domain, { bundle }]) => {
      const isOwn = domain === trustDomain
      const read = sourceOf(bundle, { trustDomain: domain, isOwn, server, outbound, clock })
      return [
        domain,
        openBundle({ trustDomain: domain, read, stamp: stampOf(bundle), clock, log, closed: closed.signal }),
      ]
    }),
  )
  const domains = new Set(bundles.keys())

  const managed = openManaged({
    name,
    config,
    groups: nobody,
    idFault: (ref) => idFault(ref, trustDomain, federated),
    self: () => [server.self()],
    clock,
    log,
    closed: closed.signal,
  })
  const vet = (ref: PrincipalRef): BridgeError | undefined => {
    const path = parseId(ref.id)?.path
    const unfit = managed.vet(ref)
    if (unfit || manage.paths.some((beginning) => path?.startsWith(beginning))) return unfit
    return new BridgeError('E_KIND_REFUSED', `${ref.id} is under none of the paths that ${name} manages`, {
      hint: `add its path to manage.paths, which lists ${manage.paths.join(', ')}, or leave it out`,
    })
  }

  const tails = openTails(config)
  const reader = openReader({ server, clock, note: tails.note })
  const feed = openFeed({ server, trustDomain, clock, note: tails.note })
  const switcher = openSwitcher({ server, reader, log, vet })

  return {
    name,
    kind: 'spiffe',
    realm: trustDomain,
    issuers: tokens ? issuersOf(tokens, bundles) : [],
    identify: (claims) => identify(claims, domains),
    identity: { trustDomains: [...domains] },
    vet,
    changes: feed.changes,
    lookup: openLookup({ trustDomain, reader, bundles, clock }),
    accounts: {
      disable: switcher.disable,
      enable: switcher.enable,
      unswitched: (kind) => (kind === 'federatedWorkload' ? unswitched() : undefined),
      tailMs: tails.tailMs,
      batch: BATCH,
      writeTimeoutMs: 2 * TIMEOUT_MS,
      reverts: REVERTS,
    },
    doctor: openDoctor({ config, server }),
    ...(manage.kinds.includes('workload') ? { discovery: openDiscovery(server, config) } : {}),
    check: (signal) => check({ config, server, bundles }, signal),
    async close() {
      closed.abort()
      server.close()
    },
  }
}

const REVERTS =
  'If the SPIRE controller manager owns the entry, it resets it every 10 seconds: delete the ClusterStaticEntry or take the label from the pod, or give the controller an entryIDPrefix and create the entries of agents outside it (docs/adapters/spiffe.md)'

/** SPIFFE has no groups. */
const nobody = {
  async *members() {
    yield []
  },
}
