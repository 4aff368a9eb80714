import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { Faults } from '../faults.ts'
import { serveEach } from '../incoming.ts'
import { Listener } from '../listener.ts'
import { Opaque } from '../opaque.ts'
import { seeded } from '../random.ts'
import { RequestLog } from '../requests.ts'
import { Apps } from './apps.ts'
import { AuditLog } from './audit.ts'
import { Policies } from './conditionalaccess.ts'
import { serveControl } from './control.ts'
import { Directory } from './directory.ts'
import { EventGrid } from './eventgrid.ts'
import { Keys } from './keys.ts'
import { graphAppRoles } from './permissions.ts'
import { serve } from './server.ts'
import type { Resource } from './subscribing.ts'
import { Subscriptions } from './subscriptions.ts'
import { EntraTenant } from './tenant.ts'
import { Throttle, type ThrottleLimits } from './throttle.ts'
import { graphAppId, Tokens } from './tokens.ts'
import type { Switches, World } from './world.ts'

export type { Fault, Match, Target } from '../faults.ts'
export type { SeenRequest } from '../requests.ts'
export type { NewAgentIdentity, NewAgentUser, NewGroup, NewObject, NewPrincipal, NewUser } from './additions.ts'
export type { RegisterApp } from './apps.ts'
export type { Actor } from './audit.ts'
export type { CustomEvent, Delivery, EventGridAuth, SubscribeEventGrid } from './eventgrid.ts'
export type { ObjectState } from './population.ts'
export type { GraphSubscription, LifecycleEvent, Notified } from './subscriptions.ts'
export { EntraTenant } from './tenant.ts'
export type { ThrottleLimits } from './throttle.ts'
export type { TokenRequest } from './tokens.ts'

export interface EntraTenantOptions {
  readonly tenantId?: string
  /** Any free port when absent. */
  readonly port?: number
  readonly host?: '127.0.0.1'
  /** Upper bound of every page, below Graph's own. */
  readonly pageSize?: number
  /** The same for the audit log, which is long; as `pageSize` when absent. */
  readonly logPageSize?: number
  /** A write becomes visible to reads only after it; reads with `ConsistencyLevel: eventual` lag twice as long. */
  readonly staleMs?: number
  readonly auditDelayMs?: number
  /** Agent identities are absent from `/servicePrincipals/delta`: no source says that they are not. */
  readonly deltaHidesAgents?: boolean
  /** Milliseconds since the epoch. Delays other than Event Grid's retries follow it. */
  readonly now?: () => number
  /** The waiting times of Event Grid and of Graph's own notifications are multiplied by it. */
  readonly eventGridRetryScale?: number
  /** What change notifications can be asked for; users and groups when absent: Graph lists no others. */
  readonly subscribable?: readonly Resource[]
  /** Graph's published limits when absent; `false` switches them off. */
  readonly throttle?: ThrottleLimits | false
  /** The second of several pages comes empty, with a next link; on unless `false`. */
  readonly emptyPages?: boolean
  /** Requests kept in the log. */
  readonly requestLogSize?: number
  /** Which requests a fault with a `share` takes. */
  readonly faultSeed?: number
}

/** Event Grid's own app in every tenant of the public cloud, and the role a webhook's app grants it. */
const eventGridAppId = '4962773b-9cdb-44cf-a8bf-237846a00ab7'
const eventGridRole = 'AzureEventGridSecureWebhookSubscriber'

/**
 * Starts a local Entra tenant on plain HTTP: Graph under `/v1.0`, the login host under `/{tenantId}`, the instance metadata
 * service, and the control API under `/_sandbox` (see control.ts). It refuses what the real directory refuses.
 */
export async function startEntraTenant(options: EntraTenantOptions = {}): Promise<EntraTenant> {
  const server = createServer()
  const listener = new Listener(server, options.host ?? '127.0.0.1')
  await listener.open(options.port ?? 0)
  const { origin } = listener
  const workloadIssuer = `${origin}/_sandbox/workload`
  const world = createWorld(options, origin, workloadIssuer)
  const tenant = new EntraTenant(world, workloadIssuer, listener)
  addMicrosoftApps(tenant, world)
  serveEach(server, (request, response) =>
    serve(world, (incoming) => serveControl(tenant, world, incoming), request, response),
  )
  return tenant
}

function createWorld(options: EntraTenantOptions, origin: string, workloadIssuer: string): World {
  const steady = options.now ?? Date.now
  const switches: Switches = {
    jwksDown: false,
    tokenEndpointDown: false,
    deltaGeneration: 0,
    deltaExpiry: 'gone',
    deltaReplay: false,
    clockOffsetMs: 0,
  }
  const now = () => steady() + switches.clockOffsetMs
  const tenantId = (options.tenantId ?? randomUUID()).toLowerCase()
  const directory = new Directory({ now: steady, staleMs: options.staleMs ?? 0 })
  const keys = new Keys()
  const tokens = new Tokens({ keys, directory, tenantId, now })
  const eventGridId = randomUUID()
  return {
    origin,
    tenantId,
    now,
    steady,
    pageSize: options.pageSize,
    logPageSize: options.logPageSize,
    emptyPages: options.emptyPages ?? true,
    deltaHidesAgents: options.deltaHidesAgents ?? false,
    directory,
    audit: new AuditLog({ now, steady, delayMs: options.auditDelayMs ?? 0 }),
    policies: new Policies(now),
    apps: new Apps(directory, workloadIssuer),
    keys,
    tokens,
    opaque: new Opaque(),
    throttle: new Throttle({
      now: steady,
      limits: options.throttle ?? {},
      userCount: () => directory.list('users').length,
      tenantId,
    }),
    faults: new Faults(seeded(options.faultSeed ?? 1)),
    requests: new RequestLog(options.requestLogSize ?? 20_000),
    eventGrid: new EventGrid({
      tenantId,
      now,
      retryScale: options.eventGridRetryScale ?? 1,
      token: (audience, version) =>
        tokens.issueApp({
          id: eventGridId,
          appId: eventGridAppId,
          audience,
          version,
          clientAuth: '2',
          roles: [eventGridRole],
          isGraph: false,
        }),
    }),
    subscriptions: new Subscriptions({
      tenantId,
      now,
      retryScale: options.eventGridRetryScale ?? 1,
      resources: options.subscribable ?? ['users', 'groups'],
    }),
    switches,
  }
}

/** Graph's own service principal, where its app roles can be looked up by name. */
/** The tenant that owns most first-party applications. */
const microsoftTenantId = 'f8cdef31-a31e-4b4a-93e4-5f571e91255a'

function addMicrosoftApps(tenant: EntraTenant, world: World): void {
  const appRoles = graphAppRoles.map((value) => ({
    id: randomUUID(),
    value,
    displayName: value,
    description: value,
    allowedMemberTypes: ['Application'],
    isEnabled: true,
    origin: 'Application',
  }))
  const owned = { appOwnerOrganizationId: microsoftTenantId }
  tenant.addServicePrincipal({ displayName: 'Microsoft Graph', appId: graphAppId, properties: { appRoles, ...owned } })
  tenant.addServicePrincipal({ displayName: 'Microsoft.EventGrid', appId: eventGridAppId, properties: owned })
  world.audit.settle()
}
