import type { Config } from './config.ts'
import type { AdapterSettings } from './core/adapter.ts'
import { type Definition, definitionOf } from './core/blueprints.ts'
import { BridgeError } from './core/errors.ts'
import { type ToolServerDefinition, writtenServer } from './core/tools.ts'
import type { Accounts } from './engine/callers.ts'
import type { Defined } from './engine/configured.ts'
import type { Mount, Policy } from './engine/deps.ts'
import type { CallerDirectory } from './engine/issuertable.ts'
import type { PublishingSettings } from './engine/publishing.ts'
import type { ReceiptSettings } from './engine/receipts.ts'
import type { SelfSettings } from './engine/selfapi.ts'
import { keysInForce, type SigningKey } from './engine/signing.ts'
import type { Client } from './http/auth.ts'
import type { ListenSettings } from './http/listening.ts'
import type { TlsSettings } from './http/tls.ts'

/** What each part of the daemon is given of the configuration. */
export const policyOf = ({ policy, capabilities, auth }: Config): Policy => ({
  confirmReleaseAfterMs: policy.confirmReleaseAfter,
  resume: policy.resume,
  drift: policy.drift,
  maxStaleness: { warnMs: policy.maxStaleness.warn, denyMs: policy.maxStaleness.deny },
  unknownActors: policy.unknownActors,
  guard: {
    windowMs: policy.guard.window,
    minAgents: policy.guard.minAgents,
    suspend: policy.guard.suspend,
    resume: policy.guard.resume,
  },
  capabilitiesMaxAgeMs: capabilities.maxAge,
  killBudget: { max: auth.killBudget.max, perMs: auth.killBudget.per },
  trust: policy.trust,
})

const ownOf = (spiffeIds: readonly string[], principals: readonly string[]): Accounts[] => {
  const named = principals.map((name) => ({
    adapter: name.slice(0, name.indexOf('/')),
    id: name.slice(name.indexOf('/') + 1),
  }))
  const byAdapter = [...Map.groupBy(named, ({ adapter }) => adapter)]
  return [
    ...(spiffeIds.length > 0 ? [{ ids: spiffeIds }] : []),
    ...byAdapter.map(([adapter, list]) => ({ adapter, ids: list.map(({ id }) => id) })),
  ]
}

export const clientsOf = ({ auth }: Config): Client[] =>
  auth.clients.map(({ name, role, tokenSha256, certificateSha256, spiffeId, principals, rateLimit, agents }) => ({
    name,
    roles: role,
    tokenSha256,
    certificateSha256,
    ids: spiffeId,
    accounts: principals,
    own: ownOf(spiffeId, principals),
    rates: rateLimit,
    labels: agents?.labels,
  }))

/**
 * Who vouches for callers besides. A directory that only a restart brings is left out until then.
 * @throws BridgeError E_CONFIG for one that cannot
 */
export const directoriesOf = ({ auth }: Config, mounts: ReadonlyMap<string, Mount>): CallerDirectory[] =>
  auth.oidc.flatMap(({ adapter: name, audience, roles, applications }) => {
    const adapter = mounts.get(name)?.adapter
    if (adapter === undefined) return []
    const { callers, kind } = adapter
    if (callers === undefined) {
      const hint = 'Name a directory of another kind under auth.oidc.'
      throw new BridgeError('E_CONFIG', `The adapter ${name} of kind ${kind} cannot tell who calls the API.`, { hint })
    }
    return [{ name, callers, audiences: audience, roles, applications }]
  })

const showsCertificates = ({ certificateSha256, spiffeId }: Config['auth']['clients'][number]): boolean =>
  certificateSha256.length > 0 || spiffeId.length > 0

const tlsOf = ({ server: { tls }, auth }: Config): TlsSettings | undefined =>
  tls && { ...tls, clientCa: tls.clientCa, asks: tls.clientCa !== undefined || auth.clients.some(showsCertificates) }

export const listenersOf = (config: Config): ListenSettings => {
  const { host, port, publicUrl, trustProxy, hooksPort, managementPort, policySocket } = config.server
  return { host, port, publicUrl, trustProxy, hooksPort, managementPort, policySocket, tls: tlsOf(config) }
}

/** What a reload cannot bring: a listener asks for certificates from its start, or not at all. */
export const unasked = (config: Config, asks: boolean): readonly string[] =>
  tlsOf(config)?.asks === true && !asks ? ['auth.clients[].certificateSha256'] : []

export const selfOf = ({ registration, server }: Config): SelfSettings | undefined => {
  const self = registration?.self
  if (self === undefined || server.publicUrl === undefined) return undefined
  return { adapters: self.adapters, blueprint: self.blueprint, audience: server.publicUrl }
}

/** Which bridge tells: `source` of the events it publishes. */
export const sourceOf = ({ server }: Config): string => server.publicUrl ?? 'urn:agentmesh:idp-bridge'

/** Those that sign and are published. */
export const signingKeysOf = ({ signing }: Config): readonly SigningKey[] => keysInForce(signing.keys, signing.revoked)

/** @param present the configuration in force, at each call */
export const receiptsOf = (present: () => Config): ReceiptSettings => ({
  keys: () => signingKeysOf(present()),
  issuer: present().server.publicUrl ?? 'idp-bridge',
  retentionMs: () => present().retention.receipts,
})

/** @param present the configuration in force, at each call */
export const publishingOf = (
  present: () => Config,
  randomPlace: PublishingSettings['randomPlace'],
): PublishingSettings => ({
  keys: () => present().signing.keys,
  revoked: () => present().signing.revoked,
  publicUrl: present().server.publicUrl,
  passports: () => ({ lifetimeMs: present().passports.lifetime, sponsor: present().passports.sponsor }),
  statusLists: () => ({ ttlMs: present().statusLists.ttl, lifetimeMs: present().statusLists.lifetime }),
  randomPlace,
})

export const settingsOf = (adapter: Config['adapters'][string]): AdapterSettings => ({
  mirror: adapter.mirror,
  settleMs: adapter.settle,
  groups: adapter.groups,
  sync: adapter.sync,
  follows: adapter.follows,
  followWithinMs: adapter.followWithin,
  trustedWriters: adapter.trustedWriters.map((id) => id.toLowerCase()),
})

export const blueprintsOf = ({ blueprints }: Config): ReadonlyMap<string, Definition> =>
  new Map(
    Object.entries(blueprints).map(([name, { description, maxDelegationDepth, accessPolicy, ...rest }]) => [
      name,
      definitionOf({ ...rest, description, maxDelegationDepth, accessPolicy }),
    ]),
  )

export const toolServersOf = ({ tools }: Config): ReadonlyMap<string, ToolServerDefinition> =>
  new Map(Object.entries(tools.servers).map(([name, server]) => [name, writtenServer(server)]))

export const definedBy = (config: Config): Defined => ({
  blueprints: blueprintsOf(config),
  toolServers: toolServersOf(config),
})

/** What a reload puts into force; the rest stays as it was started, and is told again at the next reload. */
export const inForce = (started: Config, next: Config): Config => {
  const { auth, registration, signing, passports, statusLists, policy, capabilities, retention, log } = next
  const { blueprints, tools } = next
  const adapters = Object.entries(started.adapters).map(([name, one]) => {
    const groups = next.adapters[name]?.kind === one.kind ? next.adapters[name].groups : one.groups
    return [name, { ...one, groups }]
  })
  const asked = { auth, registration, policy, capabilities, retention, log }
  const defined = { blueprints, tools }
  const published = { signing, passports, statusLists }
  return { ...started, ...asked, ...defined, ...published, adapters: Object.fromEntries(adapters) }
}
