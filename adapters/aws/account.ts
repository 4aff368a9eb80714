import { CloudTrailClient } from '@aws-sdk/client-cloudtrail'
import { IAMClient } from '@aws-sdk/client-iam'
import { IdentitystoreClient } from '@aws-sdk/client-identitystore'
import { SQSClient } from '@aws-sdk/client-sqs'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { live, orAbort } from '../aborts.ts'
import { Owed } from '../owed.ts'
import type { ServerTime } from '../servertime.ts'
import { Slots } from '../slots.ts'
import { type Api, openApi } from './api.ts'
import type { AwsConfig } from './config.ts'
import { asConfigured, assumedCredential, baseCredential, type Provider, remembered } from './credential.ts'
import { malformed, type Purpose } from './errors.ts'
import { openHandling } from './handler.ts'
import { endpointsOf } from './places.ts'

/** Who the bridge is in one account. */
export interface Self {
  /** The id of its role (AROA…) or user, without the session: what CloudTrail and policies know it by. */
  readonly id: string
  readonly arn: string
  readonly account: string
}

/** One credential with the clients that sign with it. What fails in one does not concern the others. */
export interface Session {
  readonly api: Api
  readonly clients: Clients
  /** @throws BridgeError when AWS cannot tell now */
  self(signal: AbortSignal): Promise<Self>
  /** Undefined until learned. */
  known(): Self | undefined
}

export interface Clients {
  readonly iam: IAMClient
  readonly sts: STSClient
  /** In the region where IAM's events are. */
  readonly iamTrail: CloudTrailClient
  /** In the region of Identity Center. */
  readonly centerTrail: CloudTrailClient
  readonly identityStore: IdentitystoreClient
  queue(region: string): SQSClient
  destroy(): void
}

export interface SessionParts {
  readonly config: AwsConfig
  /** Pinned to every endpoint of the adapter. */
  readonly fetch: PinnedFetch
  readonly clock: Clock
  readonly time: ServerTime
  readonly random: () => number
  readonly closed: AbortSignal
}

export interface Sessions {
  /** Of an account that is configured. */
  of(account: string): Session | undefined
  /** Of `credential` itself, or of that account. */
  named(account: string | undefined): Session
  readonly accounts: ReadonlyMap<string, Session>
  /** As far as learned: whoever signs for an account, and whoever assumes the roles that do. */
  selves(): readonly Self[]
  destroy(): void
}

export const identityPurpose: Purpose = { what: 'asking who the bridge is', action: 'sts:GetCallerIdentity' }

/** Opens no connection. */
export function openSessions(parts: SessionParts): Sessions {
  const { config, fetch, clock, time, closed } = parts
  const handling = openHandling(fetch, closed, time)
  const signing = { config, handler: handling.handler }
  const sign = (provide: Provider, action: string, what: string) => {
    const { provider, forget } = remembered(provide, { action, what }, () => clock.now())
    return { provider, forget }
  }
  const base = sign(baseCredential(signing), 'sts:AssumeRoleWithWebIdentity', 'signing in')

  const open = ({ provider, forget }: ReturnType<typeof sign>): Session => {
    const { concurrency } = config.limits
    const below = (part: number) => Math.max(1, Math.floor(concurrency * part))
    const ceilings = { suspend: concurrency, bulk: below(0.8), write: below(0.7), read: below(0.6), sync: below(0.4) }
    const api = openApi({
      handling,
      clock,
      random: parts.random,
      slots: new Slots(ceilings),
      owed: new Owed(clock),
      refused: forget,
    })
    const clients = clientsOf(config, handling.handler, provider)
    let learned: Self | undefined
    let inFlight: Promise<Self> | undefined
    const learn = async (signal: AbortSignal): Promise<Self> => {
      const options = { purpose: identityPurpose, lane: 'suspend', signal } as const
      const answer = await api.read((sending) => clients.sts.send(new GetCallerIdentityCommand({}), sending), options)
      const id = answer.UserId?.split(':')[0]
      if (!id || !answer.Arn || !answer.Account) throw malformed(identityPurpose)
      learned = { id, arn: answer.Arn, account: answer.Account }
      return learned
    }
    return {
      api,
      clients,
      known: () => learned,
      self: async (signal) => {
        live(signal)
        if (learned) return learned
        inFlight ??= learn(closed).finally(() => {
          inFlight = undefined
        })
        return orAbort(inFlight, signal)
      },
    }
  }

  const baseSession = open(base)
  const accounts = new Map(
    Object.entries(config.accounts).map(([id, { assumeRole }]) => {
      if (!assumeRole) return [id, baseSession] as const
      const assumed = assumedCredential(signing, assumeRole, base.provider)
      const what = `assuming the role of the account ${id}`
      return [id, open(sign(assumed, `sts:AssumeRole on ${assumeRole.roleArn}`, what))] as const
    }),
  )
  const all = new Set([baseSession, ...accounts.values()])
  return {
    accounts,
    of: (account) => accounts.get(account),
    selves: () => [...all].flatMap((each) => each.known() ?? []),
    named(account) {
      const session = account === undefined ? baseSession : accounts.get(account)
      if (!session) throw new BridgeError('E_BUG', 'an account that is not configured')
      return session
    },
    destroy() {
      for (const { clients } of all) clients.destroy()
    },
  }
}

/** Every client is told where to call: left to itself the SDK would look into the environment and into files. */
function clientsOf(
  config: AwsConfig,
  requestHandler: ReturnType<typeof openHandling>['handler'],
  credentials: Provider,
): Clients {
  const { region, identityCenter } = config
  const common = { ...asConfigured, credentials, requestHandler, maxAttempts: 1, retryMode: 'standard' }
  const places = endpointsOf(config)
  const { iamRegion } = places.partition
  const trail = (where: string) => new CloudTrailClient({ ...common, region: where, endpoint: places.trail(where) })
  const centerRegion = identityCenter?.region ?? region
  const iam = new IAMClient({ ...common, region: iamRegion, endpoint: places.iam })
  const sts = new STSClient({ ...common, region, endpoint: places.sts })
  const iamTrail = trail(iamRegion)
  const centerTrail = trail(centerRegion)
  const storeEndpoint = places.identityStore(centerRegion)
  const identityStore = new IdentitystoreClient({ ...common, region: centerRegion, endpoint: storeEndpoint })
  const queues = new Map<string, SQSClient>()
  return {
    iam,
    sts,
    iamTrail,
    centerTrail,
    identityStore,
    queue(where) {
      const known = queues.get(where)
      if (known) return known
      // The endpoint, not the address of the queue, says where it is asked: it is the one that is pinned.
      const client = new SQSClient({
        ...common,
        region: where,
        useQueueUrlAsEndpoint: false,
        endpoint: places.sqs(where),
      })
      queues.set(where, client)
      return client
    },
    destroy() {
      for (const client of [iam, sts, iamTrail, centerTrail, identityStore, ...queues.values()]) client.destroy()
    },
  }
}

/**
 * The session of an account, known to be of that account: in another one every role would seem to be gone.
 * @throws BridgeError
 */
export async function sessionFor(sessions: Sessions, account: string, signal: AbortSignal): Promise<Session> {
  const session = sessions.of(account)
  if (!session) throw new BridgeError('E_DIRECTORY_REFUSED', `the AWS account ${account} is not configured`)
  // Also who assumes the role: it may be of the same account, and is the bridge itself no less.
  const [self] = await Promise.all([session.self(signal), sessions.named(undefined).self(signal)])
  if (self.account === account) return session
  throw new BridgeError('E_DIRECTORY_AUTH', `the credential for the AWS account ${account} is of ${self.account}`, {
    hint: `set accounts.${account}.assumeRole to a role of ${account}`,
  })
}
