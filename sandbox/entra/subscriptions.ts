import { randomUUID } from 'node:crypto'
import { Attempts, attempt, pause } from '../webhook.ts'
import { verdict } from './delivery.ts'
import { ticks } from './envelope.ts'
import type { Collection } from './model.ts'
import { type Asked, checkSubscription, type Expiry, minExpiryMs, type Resource } from './subscribing.ts'
import { type Answer, badRequest, type Call, type Caller, notFound, ok, Refusal } from './wire.ts'

export interface GraphSubscription extends Asked {
  readonly id: string
  readonly applicationId: string
  readonly creatorId: string
  expiresAt: number
}

export type LifecycleEvent = 'reauthorizationRequired' | 'subscriptionRemoved' | 'missed'

/** One attempt to deliver one notification. */
export interface Notified {
  readonly subscriptionId: string
  /** What changed, or the lifecycle event. */
  readonly what: string
  readonly attempt: number
  status: number | undefined
  outcome: 'delivered' | 'retrying' | 'dropped' | 'pending'
}

interface Options {
  readonly tenantId: string
  readonly now: () => number
  readonly retryScale: number
  readonly resources: readonly Resource[]
}

const quota = 100
/** Graph gives up on a notification after four hours. */
const keptSeconds = 4 * 3600
const nouns = { users: 'User', groups: 'Group', servicePrincipals: 'ServicePrincipal' } as const

/** Change notifications that Graph delivers itself: handshakes, subscriptions and what becomes of them. */
export class Subscriptions {
  readonly #options: Options
  readonly #attempts = new Attempts<Notified>(({ what, outcome, status }) => `${what} ${status ?? '-'} ${outcome}`)
  readonly #all = new Map<string, GraphSubscription>()
  /** Whether the endpoints of a request's body answered; Graph asks them before it answers the request. */
  readonly #shaken = new WeakMap<object, boolean>()
  readonly #closed = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #sequence = 637_000_000
  #dropping = false

  constructor(options: Options) {
    this.#options = options
  }

  /** Those that have not ended. */
  get list(): readonly GraphSubscription[] {
    const now = this.#options.now()
    for (const [id, { expiresAt }] of this.#all) if (expiresAt <= now) this.#all.delete(id)
    return [...this.#all.values()]
  }

  get deliveries(): readonly Notified[] {
    return this.#attempts.list
  }

  /** The first attempt, past or to come, that matches; looked at when it starts and when it ends. */
  wait(matches: (delivery: Notified) => boolean, timeoutMs = 60_000): Promise<Notified> {
    return this.#attempts.wait(matches, timeoutMs)
  }

  /** One that the application made at another time, for whatever address: nobody is asked. */
  put(subscription: GraphSubscription): void {
    this.#all.set(subscription.id, subscription)
  }

  /** It is gone, and nobody is told. */
  lose(id: string): void {
    this.#all.delete(id)
  }

  /** What changes within `run`, which does not wait, is told to nobody. */
  drop(run: () => void): void {
    this.#dropping = true
    try {
      run()
    } finally {
      this.#dropping = false
    }
  }

  /** Tells the endpoint of what happens to its subscription; one that is removed is gone first. */
  tell(id: string, lifecycleEvent: LifecycleEvent): void {
    const subscription = this.#all.get(id)
    if (subscription === undefined) throw new Error(`there is no subscription ${id}`)
    if (lifecycleEvent === 'subscriptionRemoved') this.#all.delete(id)
    const url = subscription.lifecycleNotificationUrl
    if (url === undefined) return
    const told = { ...this.#envelope(subscription), lifecycleEvent }
    this.#start(subscription, url, lifecycleEvent, told)
  }

  directoryChanged(collection: Collection, id: string, changeType: 'updated' | 'deleted'): void {
    if (this.#dropping) return
    for (const subscription of this.list) {
      const { only, resource, changeTypes } = subscription
      if (resource !== collection || !changeTypes.includes(changeType) || (only ?? id) !== id) continue
      const noun = nouns[collection]
      const named = `${noun}s/${id}`
      const at = this.#options.now()
      const resourceData = {
        '@odata.type': `#Microsoft.Graph.${noun}`,
        '@odata.id': named,
        id,
        organizationId: this.#options.tenantId,
        eventTime: ticks(at),
        sequenceNumber: ++this.#sequence,
      }
      const told = { id: randomUUID(), ...this.#envelope(subscription), changeType, resource: named, resourceData }
      this.#start(subscription, subscription.notificationUrl, `${changeType} ${named}`, told)
    }
  }

  /** Asks the endpoints of every request that would create a subscription, as Graph does before it answers. */
  async shakeHands(bodies: readonly unknown[], caller: Caller): Promise<void> {
    for (const body of bodies) {
      if (typeof body !== 'object' || body === null) continue
      const asked = this.#asked(body, caller)
      if (asked === undefined) continue
      const urls = [...new Set([asked.notificationUrl, asked.lifecycleNotificationUrl ?? asked.notificationUrl])]
      const answers = await Promise.all(urls.map((url) => this.#answers(url)))
      this.#shaken.set(body, !answers.includes(false))
    }
  }

  /** `/subscriptions` and all below it. */
  answer(call: Call, rest: readonly string[]): Answer {
    const { appId } = call.caller
    const [id, action, ...more] = rest
    if (more.length > 0) throw badRequest('Resource not found.')
    const own = this.list.filter(({ applicationId }) => applicationId === appId)
    if (id === undefined) {
      if (call.method === 'GET') return ok({ value: own.map((each) => shown(each)) })
      if (call.method === 'POST') return this.#create(call, own.length)
      throw notAllowed()
    }
    const subscription = own.find((each) => each.id === id.toLowerCase())
    if (subscription === undefined) throw notFound(id)
    if (action === 'reauthorize' && call.method === 'POST') return { status: 204, headers: {} }
    if (action !== undefined) throw badRequest(`Resource not found for the segment '${action}'.`)
    if (call.method === 'GET') return ok(shown(subscription))
    if (call.method === 'DELETE') {
      this.#all.delete(subscription.id)
      return { status: 204, headers: {} }
    }
    if (call.method !== 'PATCH') throw notAllowed()
    subscription.expiresAt = this.#expiry(checkSubscription.renewal(call.body, this.#options.now()))
    return ok(shown(subscription))
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.allSettled(this.#running)
  }

  #asked(body: unknown, caller: Caller): Asked | undefined {
    try {
      return checkSubscription.creation(body, caller, this.#options)
    } catch (error) {
      if (error instanceof Refusal) return undefined
      throw error
    }
  }

  #create(call: Call, present: number): Answer {
    const { body, caller } = call
    const asked = checkSubscription.creation(body, caller, this.#options)
    if (present >= quota) throw new Refusal(403, 'Forbidden', `Number of subscriptions exceeds the limit of ${quota}.`)
    if (typeof body !== 'object' || body === null || this.#shaken.get(body) !== true) {
      const message =
        'Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request.'
      throw new Refusal(400, 'ValidationError', message)
    }
    const subscription: GraphSubscription = {
      ...asked,
      id: randomUUID(),
      applicationId: caller.appId,
      creatorId: caller.oid,
      expiresAt: this.#expiry(asked),
    }
    this.#all.set(subscription.id, subscription)
    return { status: 201, headers: {}, body: shown(subscription) }
  }

  /** What is nearer than 45 minutes is put off to there. */
  #expiry({ expiresAt }: Expiry): number {
    return Math.max(expiresAt, this.#options.now() + minExpiryMs)
  }

  async #answers(url: string): Promise<boolean> {
    const target = new URL(url)
    // The stand-in calls nobody outside this machine.
    if (target.hostname !== '127.0.0.1' && target.hostname !== 'localhost') return false
    const token = `Validation: Testing client application reachability for subscription Request-Id: ${randomUUID()}`
    target.searchParams.set('validationToken', token)
    const headers = { 'Content-Type': 'text/plain; charset=utf-8' }
    const got = await attempt(target, { method: 'POST', headers, body: '' }, 10_000, this.#closed.signal)
    const type = got?.headers.get('content-type') ?? ''
    return got?.status === 200 && type.startsWith('text/plain') && got.text === token
  }

  #envelope({ id, expiresAt, clientState }: GraphSubscription) {
    return {
      subscriptionId: id,
      subscriptionExpirationDateTime: new Date(expiresAt).toISOString(),
      clientState: clientState ?? null,
      tenantId: this.#options.tenantId,
    }
  }

  #start(subscription: GraphSubscription, url: string, what: string, told: unknown): void {
    const run: Promise<void> = this.#deliver(subscription.id, url, what, told).finally(() => this.#running.delete(run))
    this.#running.add(run)
  }

  async #deliver(subscriptionId: string, url: string, what: string, told: unknown): Promise<void> {
    const { retryScale } = this.#options
    const init = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ value: [told] }),
    } as const
    let elapsedSeconds = 0
    for (let count = 0; !this.#closed.signal.aborted; count++) {
      const delivery: Notified = { subscriptionId, what, attempt: count, status: undefined, outcome: 'pending' }
      this.#attempts.record(delivery)
      const response = await attempt(new URL(url), init, 10_000, this.#closed.signal)
      delivery.status = response?.status
      const taken = response !== undefined && response.status >= 200 && response.status < 300
      // Unlike Event Grid, Graph repeats whatever was not taken, a refusal too.
      const judged = taken ? { outcome: 'delivered' as const } : verdict(undefined, count + 1, elapsedSeconds)
      const over = judged.outcome === 'retrying' && elapsedSeconds + judged.waitSeconds > keptSeconds
      delivery.outcome = over ? 'dropped' : judged.outcome
      this.#attempts.changed()
      if (judged.outcome !== 'retrying' || over) return
      elapsedSeconds += judged.waitSeconds
      await pause(judged.waitSeconds * 1000 * retryScale, this.#closed.signal)
    }
  }
}

/** As Graph shows it: never with its client state. */
function shown(subscription: GraphSubscription) {
  const { id, applicationId, creatorId, changeTypes, notificationUrl, expiresAt, only, resource } = subscription
  return {
    id,
    resource: only === undefined ? resource : `${resource}/${only}`,
    applicationId,
    changeType: changeTypes.join(','),
    clientState: null,
    notificationUrl,
    lifecycleNotificationUrl: subscription.lifecycleNotificationUrl ?? null,
    expirationDateTime: ticks(expiresAt),
    creatorId,
  }
}

function notAllowed(): Refusal {
  return new Refusal(405, 'Request_BadRequest', 'Specified HTTP method is not allowed for the request target.')
}
