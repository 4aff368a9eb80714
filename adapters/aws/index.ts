import type { Adapter } from '../../src/core/adapter.ts'
import { asFetch } from '../../src/lib/fetchshapes.ts'
import type { AdapterDeps } from '../deps.ts'
import { learning, openManaged } from '../managed.ts'
import { ServerTime } from '../servertime.ts'
import { Slots } from '../slots.ts'
import { openSessions } from './account.ts'
import { BATCH, openSwitcher, unswitched } from './accounts.ts'
import { check } from './check.ts'
import type { AwsConfig } from './config.ts'
import { openDiscovery } from './discover.ts'
import { openDoctor } from './doctor.ts'
import { openFeed } from './feed.ts'
import { openGroups } from './groups.ts'
import { openHooks } from './hooks.ts'
import { idFault, userOf } from './ids.ts'
import { openLookup } from './lookup.ts'
import { openManagedPolicy } from './managedpolicy.ts'
import { openNames } from './names.ts'
import { endpointsOf, queuesOf, suspensionFor } from './places.ts'
import { openQueue } from './queue.ts'
import { openRoleSwitch } from './roleswitch.ts'
import { openScim } from './scim.ts'
import { openSns } from './sns.ts'
import { identify, issuersOf, keyOrigins, namingOf } from './tokens.ts'
import { openTrail } from './trail.ts'
import { openVet } from './vet.ts'

export { type AwsConfig, awsConfig } from './config.ts'

/** From the call to the last byte of the answer. */
const API_LIMITS = { timeoutMs: 30_000, maxBytes: 32 * 1024 * 1024 }
const KEY_LIMITS = { timeoutMs: 15_000, maxBytes: 512 * 1024 }
/** A write may be read back, or repeated while IAM does not show what it acts on. */
const WRITE_TIMEOUT_MS = API_LIMITS.timeoutMs + 30_000
const MAX_REQUESTS = 10_000

/** Some AWS accounts and one instance of Identity Center, through the official SDK. Opens no connection. */
export function open(name: string, config: AwsConfig, deps: AdapterDeps): Adapter {
  const { outbound, clock, log, random } = deps
  const { identityCenter, manage, tokens } = config
  const closed = new AbortController()
  const time = new ServerTime(clock)
  const places = endpointsOf(config)

  const fetch = outbound.origin(places.origins, API_LIMITS)
  const sessions = openSessions({ config, fetch, clock, time, random, closed: closed.signal })
  const managesRoles = manage.kinds.includes('iamRole')
  const accounts = managesRoles ? Object.keys(config.accounts) : []
  const store = identityCenter?.identityStoreId
  const centerSession = identityCenter && sessions.named(identityCenter.account)
  const center = store !== undefined && centerSession ? { session: centerSession, store } : undefined
  const suspensionOf = suspensionFor(config)
  const managed = openManagedPolicy(clock)
  const names = openNames()

  const known = { accounts: new Set(Object.keys(config.accounts)), store }
  const users = openManaged({
    name,
    config,
    groups: center ? openGroups(center.session, center.store, 'suspend') : nobody,
    idFault: (ref) => idFault(ref, known),
    self: () => [],
    clock,
    log,
    closed: closed.signal,
  })
  const vet = openVet({ name, config, sessions, users })
  /** Who we are must be known before a role is registered: it could be ours. */
  const lookup = openLookup({ sessions, center, suspensionOf, managed, clock, log })

  const sent = new Set<string>()
  const noteScim = (requestId: string) => {
    if (sent.size >= MAX_REQUESTS) sent.clear()
    sent.add(requestId)
  }
  const scim = identityCenter?.scim && {
    ...identityCenter.scim,
    fetch: outbound.origin([new URL(identityCenter.scim.endpoint).origin], API_LIMITS),
  }
  const { concurrency } = config.limits
  const slots = { suspend: concurrency, bulk: concurrency, write: concurrency, read: concurrency, sync: concurrency }
  const switcher = openSwitcher({
    sessions,
    center: center?.session,
    roles: openRoleSwitch({ clock, time, suspensionOf, managed }),
    scim: scim && openScim({ ...scim, clock, slots: new Slots(slots) }),
    clock,
    vet,
    learn: users.learn,
    ready: users.ready,
    noteScim,
  })

  const queues = queuesOf(config).map((queue) => ({ ...queue, session: sessions.named(config.events?.account) }))
  const managesUsers = manage.kinds.includes('identityCenterUser')
  const feed = openFeed({
    sessions,
    accounts,
    center: managesUsers ? center : undefined,
    queues: queues.map((queue) => openQueue({ ...queue, store, log })),
    reconcileMs: config.reconcile,
    suspensionOf,
    managed,
    names,
    clock,
    log,
  })

  const listedStore = managesUsers ? center : undefined
  const discovery = openDiscovery({ sessions, accounts, center: listedStore, users, suspensionOf, manage, clock })

  const { attribution } = config
  const trail =
    attribution === 'none'
      ? undefined
      : openTrail({
          sessions,
          accounts,
          center: managesUsers && scim && center ? { ...center, writer: scim.writer } : undefined,
          suspensionOf,
          names,
          isOurScim: (requestId) => sent.has(requestId),
          lagMs: attribution.lag,
          clock,
          time,
          log,
        })
  const examined = { config, sessions, center, suspensionOf, managed }
  const { sns } = config.hooks
  const issuers = tokens
    ? issuersOf(tokens, asFetch(outbound.origin(keyOrigins(tokens), KEY_LIMITS), closed.signal))
    : []

  return {
    name,
    kind: 'aws',
    realm: places.partition.name,
    issuers,
    identify: (claims) => (tokens ? identify(claims, tokens, store) : undefined),
    ...(tokens && { identity: { ...namingOf(tokens), ...(store !== undefined && { store }) } }),
    vet,
    ...learning(users, { changes: feed.changes, lookup }, log),
    ...(center ? { groups: openGroups(center.session, center.store, 'sync') } : {}),
    discovery,
    accounts: {
      disable: switcher.disable,
      enable: switcher.enable,
      unswitched: (kind) => (kind === 'identityCenterUser' && !scim ? unswitched() : undefined),
      tailMs: (id) => (userOf(id) ? identityCenter?.sessionTail : undefined),
      batch: BATCH,
      writeTimeoutMs: WRITE_TIMEOUT_MS,
      ...(trail ? { log: trail } : {}),
    },
    ...(sns
      ? {
          hooks: openHooks({
            sns: openSns({
              topics: sns.topics,
              endpointOf: places.sns,
              fetch: outbound.origin(
                [...new Set(sns.topics.map((topic) => places.sns(topic.split(':')[3] ?? '')))],
                KEY_LIMITS,
              ),
              clock,
            }),
            store,
          }),
        }
      : {}),
    doctor: openDoctor(examined),
    check: (signal) => check({ ...examined, queues, time }, signal),
    async close() {
      closed.abort()
      sessions.destroy()
    },
  }
}

/** Without an identity store there are no groups, and `manage.groups` names none that could be read. */
const nobody = {
  async *members() {
    yield []
  },
}
