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
import { Bus } from './bus.ts'
import { AwsCloud } from './cloud.ts'
import { serveControl } from './control.ts'
import { Federation } from './federation.ts'
import { suspension } from './policies.ts'
import { Queues } from './queues.ts'
import { serve } from './server.ts'
import { Throttle, type ThrottleLimits } from './throttle.ts'
import { Topics } from './topics.ts'
import { Trail } from './trail.ts'
import type { Surface, World } from './world.ts'

export type { Fault, Match, Target } from '../faults.ts'
export type { SeenRequest } from '../requests.ts'
export type { EventDisturbance } from '../webhook.ts'
export { AwsCloud, type Keys, type NewIamUser, type NewRule, type NewToken } from './cloud.ts'
export { idOf, mainAccount, mainStore, type PrincipalState } from './population.ts'
export type { NewQueue } from './queues.ts'
export type { NewRole } from './roles.ts'
export type { ThrottleLimits } from './throttle.ts'
export type { Envelope, NewTopic, Push } from './topics.ts'
export type { TrailEvent } from './trail.ts'
export type { Surface } from './world.ts'

export interface AwsOptions {
  /** Any free port when absent. */
  readonly port?: number
  readonly host?: '127.0.0.1'
  /** Upper bound of every page, below the API's own. */
  readonly pageSize?: number
  /** A write becomes visible to reads, and to what permissions are judged by, only after it. */
  readonly staleMs?: number
  /** An event can be looked up only after up to that long. */
  readonly trailDelayMs?: number
  /** It comes out of EventBridge only after it. */
  readonly eventDelayMs?: number
  /** Milliseconds since the epoch. Delays other than those of pushes and of waiting for messages follow it. */
  readonly now?: () => number
  /** How far the time of a signature may be off; five minutes, as with the vendor, when absent. */
  readonly signatureSkewMs?: number
  /** The published limits when absent; `false` switches them off. */
  readonly limits?: ThrottleLimits | false
  /** How long an endpoint of a topic may take to answer. */
  readonly pushTimeoutMs?: number
  readonly pushRetryMs?: number
  /** Requests kept in the log. */
  readonly requestLogSize?: number
  /** Which requests a fault with a `share` takes. */
  readonly faultSeed?: number
}

/**
 * Starts local AWS accounts on plain HTTP, all services on one address: the part of IAM that is about roles, STS, the
 * identity store with its SCIM endpoint, the event history of CloudTrail, EventBridge rules, SQS queues, SNS topics that
 * push, outbound identity federation, and the control API under `/_sandbox` (see control.ts). Calls are signed, and carried
 * out only if the policies of the caller allow them. It refuses what the real services refuse.
 *
 * Laxer than the real ones: endpoints may be plain HTTP, on loopback; an issuer of outbound federation has an address of
 * its own there. Not here: calls that neither the bridge nor its set-up make (accounts, queues, rules and topics are made by
 * the methods of `AwsCloud`), organisations and their policies, session policies, permission sets, resource policies other
 * than those of queues. Not documented by the vendor, and chosen as the harsher of what is likely: how fast IAM may be
 * called, and that changes of the identity store show as late as those of IAM.
 */
export async function startAws(options: AwsOptions = {}): Promise<AwsCloud> {
  const server = createServer()
  const listener = new Listener(server, options.host ?? '127.0.0.1')
  await listener.open(options.port ?? 0)
  const world = createWorld(options, listener.origin)
  const cloud = new AwsCloud(world, listener)
  serveEach(server, (request, response) => serve(world, (incoming) => serveControl(cloud, incoming), request, response))
  return cloud
}

const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }

function createWorld(options: AwsOptions, origin: string): World {
  const steady = options.now ?? Date.now
  const switches = { jwksDown: false, tokenEndpointDown: false, clockOffsetMs: 0 }
  const now = () => steady() + switches.clockOffsetMs
  const replica = new Replica({ now: steady, staleMs: options.staleMs ?? 0 })
  const later = new Later(steady)
  const topics = new Topics({
    origin,
    now,
    timeoutMs: options.pushTimeoutMs ?? 15_000,
    retryMs: options.pushRetryMs ?? 20_000,
  })
  const queues = new Queues({ origin, now: steady, closed: topics.closed })
  const bus = new Bus({
    later,
    delayMs: options.eventDelayMs ?? 0,
    deliver: ({ rule, target, text }) =>
      target.startsWith('arn:aws:sns:')
        ? topics.publish(target, text)
        : queues.bring(target, text, { service: 'events.amazonaws.com', sourceArn: rule.arn }),
  })
  const trail = new Trail({
    now,
    steady,
    delayMs: options.trailDelayMs ?? 0,
    written: (event) => bus.publish(event),
  })
  return {
    origin,
    now,
    steady,
    pageSize: options.pageSize,
    signatureSkewMs: options.signatureSkewMs ?? 300_000,
    replica,
    roles: new Records(replica),
    roleIds: new Map(),
    users: new Records(replica),
    groups: new Records(replica),
    memberships: new Records(replica),
    stores: new Map(),
    iamUsers: new Map(),
    managed: new Map([
      ['arn:aws:iam::aws:policy/AdministratorAccess', JSON.stringify(everything)],
      ['arn:aws:iam::aws:policy/AWSDenyAll', JSON.stringify(suspension.document)],
    ]),
    oidcProviders: new Map(),
    credentials: new Map(),
    served: new Map(),
    instanceTokens: new Map(),
    federation: new Federation({ host: options.host ?? '127.0.0.1', origin, isDown: () => switches.jwksDown }),
    trail,
    bus,
    queues,
    topics,
    later,
    opaque: new Opaque(),
    throttle: new Throttle(steady, options.limits ?? {}),
    faults: new Faults(seeded(options.faultSeed ?? 1)),
    requests: new RequestLog<Surface>(options.requestLogSize ?? 20_000),
    switches,
  }
}
