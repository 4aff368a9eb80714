import type { Adapter } from '../../src/core/adapter.ts'
import { asFetch } from '../../src/lib/fetchshapes.ts'
import type { AdapterDeps } from '../deps.ts'
import { learning, openManaged } from '../managed.ts'
import { Owed } from '../owed.ts'
import { Slots } from '../slots.ts'
import { BATCH, openSwitcher } from './accounts.ts'
import { openLog } from './audit.ts'
import { ceilings, WriteBudget } from './budget.ts'
import { callerOf } from './callers.ts'
import { check } from './check.ts'
import { cloudOf } from './clouds.ts'
import type { EntraConfig } from './config.ts'
import { openCredential } from './credential.ts'
import { openDiscovery } from './discover.ts'
import { openDoctor } from './doctor.ts'
import { openFeed } from './feed.ts'
import { openGraph } from './graph.ts'
import { openGroups } from './groups.ts'
import { openHooks } from './hooks.ts'
import { notAnId, Spelling } from './kinds.ts'
import { LOGIN_LIMITS, loginFetch } from './login.ts'
import { openReader } from './lookup.ts'
import { openPolicies } from './policies.ts'
import { openQueue } from './queue.ts'
import { identify, issuersOf } from './tokens.ts'
import { eitherHook, openWatch } from './watch.ts'
import { objectId } from './wire.ts'

export { type EntraConfig, entraConfig } from './config.ts'

/** From the call to the last byte of the answer. */
const GRAPH_LIMITS = { timeoutMs: 30_000, maxBytes: 16 * 1024 * 1024 }

/** One Microsoft Entra tenant through Microsoft Graph v1.0. Opens no connection. */
export function open(name: string, config: EntraConfig, deps: AdapterDeps): Adapter {
  const { outbound, clock, log, random } = deps
  const { tenantId } = config
  const cloud = cloudOf(config)
  const closed = new AbortController()

  const credential = openCredential({ config, cloud, fetch: loginFetch(config, cloud, deps), clock })
  const graph = openGraph({
    origin: cloud.graph,
    fetch: outbound.origin([cloud.graph], GRAPH_LIMITS),
    credential,
    clock,
    random,
    slots: new Slots(ceilings),
    budget: new WriteBudget(clock),
    owed: new Owed(clock),
  })
  const spelling = new Spelling()

  const managed = openManaged({
    name,
    config,
    groups: openGroups(graph, clock, 'suspend'),
    idFault: ({ id }) => (objectId.safeParse(id).success ? undefined : notAnId(id)),
    canonical: (id) => id.toLowerCase(),
    self: () => [credential.self()?.oid, credential.self()?.appId],
    clock,
    log,
    closed: closed.signal,
  })
  const { vet } = managed

  const reader = openReader({ graph, clock, log, spelling })
  const feed = openFeed({ graph, clock, log, kinds: config.manage.kinds })
  const ready = async (signal: AbortSignal) => {
    await credential.token(signal)
    await managed.ready(signal)
  }
  const switcher = openSwitcher({ graph, clock, log, spelling, vet, ready })
  const self = async (signal: AbortSignal) => {
    await credential.token(signal)
    return credential.self()
  }

  const keyFetch = asFetch(outbound.origin([cloud.authority], LOGIN_LIMITS), closed.signal)
  const issuers = (audiences: readonly string[]) => issuersOf(cloud, tenantId, audiences, keyFetch)
  const grid = config.hooks.eventGrid
  const gridHooks =
    grid &&
    openHooks({
      config: grid,
      tenantId,
      eventGridAppId: cloud.eventGridAppId,
      issuers: grid.auth === 'entra' ? issuers([grid.audience]) : [],
      keys: (issuer) => deps.keys(issuer.jwksUri, issuer.fetch),
      clock,
    })
  const watch = openWatch({ name, config, publicUrl: deps.publicUrl, graph, clock, random })
  const hooks = eitherHook(gridHooks, watch?.hooks)
  const queue = config.hooks.queue && openQueue(config, config.hooks.queue, deps)

  return {
    name,
    kind: 'entra',
    realm: tenantId,
    issuers: config.tokens ? issuers(config.tokens.audiences) : [],
    identify: (claims) => identify(claims, tenantId),
    identity: { tenantId },
    vet,
    ...learning(managed, { changes: feed.changes, lookup: reader.lookup }, log),
    groups: openGroups(graph, clock, 'sync'),
    accounts: {
      disable: switcher.disable,
      enable: switcher.enable,
      batch: BATCH,
      writeTimeoutMs: GRAPH_LIMITS.timeoutMs,
      log: openLog({ graph, clock, settleMs: config.settle, self }),
    },
    ...(hooks ? { hooks } : {}),
    ...(watch ? { tending: watch.tending } : {}),
    ...(queue ? { queue } : {}),
    callers: { issuers, identify: (claims) => callerOf(claims, tenantId) },
    accessPolicies: openPolicies({ graph, clock, random }),
    doctor: openDoctor({ config, graph, credential }),
    discovery: openDiscovery({ graph, clock, manage: config.manage, managed }),
    check: (signal) => check({ config, graph, credential, queue }, signal),
    async close() {
      closed.abort()
      credential.close()
      queue?.close()
    },
  }
}
