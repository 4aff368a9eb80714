import { createServer } from 'node:http'
import { Faults } from '../faults.ts'
import { serveEach } from '../incoming.ts'
import { Later } from '../later.ts'
import { Listener } from '../listener.ts'
import { Opaque } from '../opaque.ts'
import { seeded } from '../random.ts'
import { Records } from '../records.ts'
import { Replica } from '../replica.ts'
import { RequestLog } from '../requests.ts'
import { type Origin, system } from './actors.ts'
import { serveControl } from './control.ts'
import { Proofs } from './dpop.ts'
import { type EventHook, EventHooks } from './hooks.ts'
import { oktaId, requestId } from './ids.ts'
import { IssuedTokens } from './issued.ts'
import { SigningKeys } from './keys.ts'
import { Limiter, type RateLimits } from './limits.ts'
import { Members } from './members.ts'
import type { User } from './model.ts'
import { OktaOrg } from './org.ts'
import { serve } from './server.ts'
import { newServer } from './servers.ts'
import { SystemLog } from './syslog.ts'
import type { Surface, Switches, World } from './world.ts'

export type { Fault, Match, Target } from '../faults.ts'
export type { SeenRequest } from '../requests.ts'
export type { EventDisturbance } from '../webhook.ts'
export type { NewAgent, NewApp, NewGroup, NewUser } from './additions.ts'
export type { Delivery } from './hooks.ts'
export { oktaId } from './ids.ts'
export type { RateLimits } from './limits.ts'
export type { LogoutTarget, SendLogout } from './logout.ts'
export type { AgentStatus, UserStatus } from './model.ts'
export { OktaOrg, type RegisterHook } from './org.ts'
export type { By, PrincipalState } from './population.ts'
export type { StandardRole } from './rights.ts'
export type { NewServer, NewToken } from './servers.ts'
export type { LogEvent } from './syslog.ts'
export type { Surface } from './world.ts'

export interface OktaOrgOptions {
  /** Any free port when absent. */
  readonly port?: number
  readonly host?: '127.0.0.1'
  readonly orgId?: string
  /** Upper bound of every page, below the API's own. */
  readonly pageSize?: number
  /** The same for the log, which is long; as `pageSize` when absent. */
  readonly logPageSize?: number
  /** A write becomes visible to reads only after it; searches lag twice as long. */
  readonly staleMs?: number
  /** An event can be read from the log only after it. */
  readonly logDelayMs?: number
  /** How long a change of status that runs by itself takes: activation, and deactivation with `Prefer: respond-async`. */
  readonly transitionMs?: number
  /** How long an operation on an AI agent takes; it is scheduled, then in progress. */
  readonly operationMs?: number
  /** Which generation of events AI agents write. */
  readonly agentEvents?: 'new' | 'old' | 'both'
  /** Milliseconds since the epoch. Delays other than those of event hooks follow it. */
  readonly now?: () => number
  /** The vendor's published limits when absent; `false` switches them off, the headers stay. */
  readonly limits?: RateLimits | false
  /** How long an event hook may take to answer; 3 seconds, as with the vendor, when absent. */
  readonly hookTimeoutMs?: number
  /** Events so close together come in one POST. */
  readonly hookBatchMs?: number
  /** After a hook was made or changed it takes so long until events flow. */
  readonly hookDelayMs?: number
  readonly hookDailyEvents?: number
  /** Requests kept in the log. */
  readonly requestLogSize?: number
  /** Which requests a fault with a `share` takes. */
  readonly faultSeed?: number
}

/**
 * Starts a local Okta org on plain HTTP: the management API, the AI agent API, the org's own and custom authorization
 * servers, event hooks and Universal Logout, and the control API under `/_sandbox` (see control.ts). It refuses what the
 * real one refuses.
 *
 * Laxer than the real one: event hooks may be plain HTTP, on loopback. Not here: calls that neither the bridge nor its
 * set-up make (users and groups are made by the methods of `OktaOrg`), group rules, the Principal Rate Limits API, shared
 * signals, token exchange for AI agents, a custom domain, event hook filters. Not documented by the vendor, and chosen as
 * the harsher of what is likely: what a log cursor out of date gets, that the System Log needs a standard role, that a
 * refused suspension is logged as a failure, and how each operation on an AI agent fails.
 */
export async function startOktaOrg(options: OktaOrgOptions = {}): Promise<OktaOrg> {
  const server = createServer()
  const listener = new Listener(server, options.host ?? '127.0.0.1')
  await listener.open(options.port ?? 0)
  const world = createWorld(options, listener.origin)
  const org = new OktaOrg(world, listener)
  serveEach(server, (request, response) => serve(world, (incoming) => serveControl(org, incoming), request, response))
  return org
}

function createWorld(options: OktaOrgOptions, origin: string): World {
  const steady = options.now ?? Date.now
  const switches: Switches = {
    jwksDown: false,
    tokenEndpointDown: false,
    logGeneration: 0,
    clockOffsetMs: 0,
    latencyMs: 0,
    failOperations: undefined,
  }
  const now = () => steady() + switches.clockOffsetMs
  const replica = new Replica({ now: steady, staleMs: options.staleMs ?? 0 })
  const later = new Later(steady)
  const users = new Records<User>(replica)
  const byItself = (requestUri: string): Origin => ({
    actor: system,
    through: { requestId: requestId(), requestUri, userAgent: '', clientId: undefined, apiTokenId: undefined },
  })
  const log = new SystemLog({
    now,
    later,
    delayMs: options.logDelayMs ?? 0,
    published: (event) => hooks.publish(event),
  })
  const hooks = new EventHooks({
    origin,
    now,
    steady,
    timeoutMs: options.hookTimeoutMs ?? 3000,
    batchMs: options.hookBatchMs ?? 10,
    dailyEvents: options.hookDailyEvents ?? 400_000,
    failed: (hook, reason) => {
      log.write({ eventType: 'event_hook.delivery', targets: [hookTarget(hook)], failure: reason }, byItself(hook.uri))
    },
  })
  return {
    origin,
    orgId: options.orgId ?? oktaId('00o'),
    userTypeId: oktaId('oty', origin),
    now,
    steady,
    pageSize: options.pageSize,
    logPageSize: options.logPageSize ?? options.pageSize,
    transitionMs: options.transitionMs ?? 0,
    operationMs: options.operationMs ?? 20,
    hookDelayMs: options.hookDelayMs ?? 0,
    agentEvents: options.agentEvents ?? 'new',
    replica,
    users,
    apps: new Records(replica),
    groups: new Records(replica),
    members: new Members(replica, users),
    agents: new Records(replica),
    operations: new Records(replica),
    rights: new Map(),
    apiTokens: new Map(),
    sessions: new Map(),
    issued: new IssuedTokens(),
    proofs: new Proofs(now),
    usedAssertions: new Map(),
    orgKeys: new SigningKeys(),
    servers: new Map([['default', newServer({ id: 'default', audience: 'api://default' })]]),
    log,
    hooks,
    logoutTargets: [],
    later,
    opaque: new Opaque(),
    limiter: new Limiter({
      now,
      limits: options.limits ?? {},
      tell: (what, bucket) => {
        const target = { id: bucket, type: 'URL Pattern', alternateId: bucket, displayName: bucket }
        const eventType =
          what === 'concurrency' ? 'core.concurrency.org.limit.violation' : (`system.org.rate_limit.${what}` as const)
        log.write({ eventType, targets: [target] }, byItself(bucket))
      },
    }),
    faults: new Faults(seeded(options.faultSeed ?? 1)),
    requests: new RequestLog<Surface>(options.requestLogSize ?? 20_000),
    switches,
  }
}

function hookTarget({ id, name }: EventHook) {
  return { id, type: 'EventHook', alternateId: name, displayName: name }
}
