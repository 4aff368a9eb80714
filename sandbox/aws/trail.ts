import { seeded } from '../random.ts'
import { arnOf, userIdOf } from './authorize.ts'
import { uniqueId, uuid } from './ids.ts'
import type { Credential } from './model.ts'
import { isoSeconds } from './wire.ts'

/** Who did something, as the trail names them. */
export type Actor =
  | { readonly type: 'caller'; readonly caller: Credential }
  /** A person at the console, who signed in as a user of IAM. */
  | { readonly type: 'console'; readonly accountId: string; readonly name: string }
  | { readonly type: 'scim'; readonly accountId: string; readonly tokenId: string }
  | { readonly type: 'service'; readonly name: string }

export interface Draft {
  /** `iam.amazonaws.com` */
  readonly source: string
  readonly name: string
  readonly region: string
  readonly accountId: string
  readonly actor: Actor
  readonly readOnly: boolean
  readonly request: unknown
  readonly response?: unknown
  readonly error?: { readonly code: string; readonly message: string }
  readonly requestId?: string
  readonly userAgent?: string
  readonly resources?: readonly { readonly type: string; readonly name: string }[]
}

export interface TrailEvent {
  readonly id: string
  readonly at: number
  /** When `LookupEvents` shows it. */
  readonly visibleAt: number
  readonly draft: Draft
  readonly username: string | undefined
  readonly record: Readonly<Record<string, unknown>>
}

interface Options {
  readonly now: () => number
  readonly steady: () => number
  readonly delayMs: number
  /** Told of each as it is written. */
  readonly written: (event: TrailEvent) => void
}

const kept = 40_000

/** The event history: every management call, some minutes late and in no exact order. */
export class Trail {
  readonly #options: Options
  readonly #random = seeded(7)
  #events: TrailEvent[] = []
  /** Events written from now on are so much later still. */
  lateByMs = 0
  #settledUntil = Number.NEGATIVE_INFINITY

  constructor(options: Options) {
    this.#options = options
  }

  get events(): readonly TrailEvent[] {
    return this.#events
  }

  /** What can be looked up, oldest first. */
  get visible(): TrailEvent[] {
    const now = this.#options.steady()
    return this.#events.filter(({ visibleAt }) => visibleAt <= now || visibleAt <= this.#settledUntil)
  }

  settle(): void {
    this.#settledUntil = Math.max(this.#settledUntil, ...this.#events.slice(-1000).map(({ visibleAt }) => visibleAt))
  }

  write(draft: Draft): TrailEvent {
    const { now, steady, delayMs, written } = this.#options
    const at = now()
    const id = uuid()
    // Each is late by its own measure: the history is not filled in order.
    const late = (delayMs + this.lateByMs) * (delayMs > 0 ? 0.5 + 0.5 * this.#random() : 1)
    const event = {
      id,
      at,
      visibleAt: steady() + late,
      draft,
      username: usernameOf(draft.actor),
      record: recordOf(draft, id, at),
    }
    this.#events.push(event)
    if (this.#events.length > kept) this.#events = this.#events.slice(-kept / 2)
    written(event)
    return event
  }
}

function usernameOf(actor: Actor): string | undefined {
  if (actor.type === 'console') return actor.name
  if (actor.type !== 'caller') return undefined
  const { identity } = actor.caller
  return identity.type === 'user' ? identity.name : identity.session
}

function recordOf(draft: Draft, id: string, at: number): Record<string, unknown> {
  const { accountId, actor, error, name, readOnly, region, request, requestId, response = null, source } = draft
  return {
    eventVersion: '1.11',
    userIdentity: identityOf(actor, at),
    eventTime: isoSeconds(at),
    eventSource: source,
    eventName: name,
    awsRegion: region,
    sourceIPAddress: actor.type === 'service' ? actor.name : '127.0.0.1',
    userAgent: draft.userAgent ?? (actor.type === 'console' ? 'AWS Internal' : 'local'),
    ...(error && { errorCode: error.code, errorMessage: error.message }),
    requestParameters: request,
    responseElements: response,
    requestID: requestId ?? uuid(),
    eventID: id,
    readOnly,
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: accountId,
    eventCategory: 'Management',
    ...(actor.type === 'console' && { sessionCredentialFromConsole: 'true' }),
  }
}

function identityOf(actor: Actor, at: number): Record<string, unknown> {
  if (actor.type === 'service') return { type: 'AWSService', invokedBy: actor.name }
  if (actor.type === 'scim') return { type: 'WebIdentityUser', accountId: actor.accountId, accessKeyId: actor.tokenId }
  if (actor.type === 'console') {
    const { accountId, name } = actor
    return {
      type: 'IAMUser',
      principalId: uniqueId('AIDA', `${accountId} ${name}`),
      arn: `arn:aws:iam::${accountId}:user/${name}`,
      accountId,
      accessKeyId: uniqueId('ASIA', name),
      userName: name,
      sessionContext: { attributes: { creationDate: isoSeconds(at), mfaAuthenticated: 'true' } },
    }
  }
  const { accessKeyId, identity, issuedAt } = actor.caller
  const common = { principalId: userIdOf(identity), arn: arnOf(identity), accountId: identity.accountId, accessKeyId }
  if (identity.type === 'user') return { type: 'IAMUser', ...common, userName: identity.name }
  const { accountId, arn, id, name } = identity.role
  return {
    type: 'AssumedRole',
    ...common,
    sessionContext: {
      sessionIssuer: { type: 'Role', principalId: id, arn, accountId, userName: name },
      attributes: { creationDate: isoSeconds(issuedAt), mfaAuthenticated: 'false' },
    },
  }
}
