import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { Attempts, attempt, Disturbances, type EventDisturbance, pause } from '../webhook.ts'
import { endpoint, type Outcome, verdict } from './delivery.ts'
import { directoryEvent, type GridEvent, type Message, message, ticks, topic, validationMessage } from './envelope.ts'

export type EventGridAuth =
  | { readonly type: 'entra'; readonly audience: string; readonly version?: 'v1' | 'v2' }
  | { readonly type: 'key'; readonly key: string; readonly header?: string; readonly query?: string }

export interface SubscribeEventGrid {
  /** Loopback only; its query string is sent on every request. */
  readonly url: string
  readonly schema: 'eventgrid' | 'cloudevents'
  readonly auth: EventGridAuth
  readonly subscriptionName?: string
  /** Returned in every event's data, to be compared by the receiver. */
  readonly clientState?: string
}

/** One attempt to deliver one event. */
export interface Delivery {
  readonly subscriptionName: string
  readonly eventId: string
  readonly eventType: string
  readonly subject: string
  /** Attempts made before this one. */
  readonly attempt: number
  readonly at: number
  status: number | undefined
  outcome: Outcome
}

export interface CustomEvent {
  readonly type: string
  readonly subject: string
  readonly data: unknown
  readonly id?: string
}

interface Subscription extends SubscribeEventGrid {
  readonly name: string
}

interface Options {
  readonly tenantId: string
  readonly now: () => number
  readonly retryScale: number
  /** A token of Event Grid's own app for that audience. */
  readonly token: (audience: string, version: 'v1' | 'v2') => string
}

const validation = z.object({ validationResponse: z.string() })

/** Event Grid in front of webhooks: handshakes, deliveries, retries and drops. At least once, in no order. */
export class EventGrid {
  readonly #attempts = new Attempts<Delivery>(
    ({ eventType, outcome, status }) => `${eventType} ${status ?? '-'} ${outcome}`,
  )
  readonly #disturbances = new Disturbances<GridEvent>((event) => this.#send(event))
  readonly #options: Options
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #sent = new Map<string, GridEvent>()
  readonly #closed = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #sequence = 637_000_000

  constructor(options: Options) {
    this.#options = options
  }

  /** Creates a subscription; rejects, as creation fails in Azure, when the endpoint does not pass the handshake. */
  async subscribe(options: SubscribeEventGrid): Promise<string> {
    const { hostname } = new URL(options.url)
    if (hostname !== '127.0.0.1' && hostname !== 'localhost') throw new Error('only loopback endpoints are served')
    if (options.auth.type === 'key') checkKey(options.auth)
    const name = options.subscriptionName ?? `sub-${randomUUID().slice(0, 8)}`
    const subscription = { ...options, name }
    await (options.schema === 'cloudevents' ? this.#consent(subscription) : this.#validate(subscription))
    this.#subscriptions.set(name, subscription)
    return name
  }

  unsubscribe(name: string): void {
    this.#subscriptions.delete(name)
  }

  directoryChanged(collection: 'users' | 'groups', id: string, change: 'updated' | 'deleted'): void {
    if (this.#subscriptions.size === 0) return
    const noun = collection === 'users' ? 'User' : 'Group'
    const { tenantId, now } = this.#options
    this.#publish(directoryEvent(tenantId, noun, id, change, now(), ++this.#sequence))
  }

  /** An event of the customer's own topic, say an audit record that a Logic App forwards. Returns its id. */
  publishCustom(event: CustomEvent): string {
    const id = event.id ?? randomUUID()
    this.#publish({
      id,
      type: event.type,
      subject: event.subject,
      time: ticks(this.#options.now()),
      source: topic('topics/agent-audit'),
      dataVersion: '1',
      data: () => event.data,
    })
    return id
  }

  /** Delivers an event once more to everyone, with its old id: at least once means that this happens. */
  redeliver(eventId: string): void {
    const event = this.#sent.get(eventId)
    if (event === undefined) throw new Error(`no event ${eventId} was sent`)
    this.#publish(event)
  }

  /** Returns what lifts it. */
  disturb(how: EventDisturbance): () => void {
    return this.#disturbances.disturb(how)
  }

  get deliveries(): readonly Delivery[] {
    return this.#attempts.list
  }

  /** The first attempt, past or to come, that matches; looked at when it starts and when it ends. */
  wait(matches: (delivery: Delivery) => boolean, timeoutMs: number): Promise<Delivery> {
    return this.#attempts.wait(matches, timeoutMs)
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.allSettled(this.#running)
  }

  #publish(event: GridEvent): void {
    this.#sent.set(event.id, event)
    if (this.#sent.size > 10_000) for (const [oldest] of [...this.#sent].slice(0, 5000)) this.#sent.delete(oldest)
    this.#disturbances.publish(event)
  }

  #send(event: GridEvent): void {
    for (const subscription of this.#subscriptions.values()) {
      const run: Promise<void> = this.#deliver(subscription, event).finally(() => this.#running.delete(run))
      this.#running.add(run)
    }
  }

  async #deliver(subscription: Subscription, event: GridEvent): Promise<void> {
    let elapsedSeconds = 0
    for (let count = 0; this.#subscriptions.has(subscription.name) && !this.#closed.signal.aborted; count++) {
      const delivery: Delivery = {
        subscriptionName: subscription.name,
        eventId: event.id,
        eventType: event.type,
        subject: event.subject,
        attempt: count,
        at: this.#options.now(),
        status: undefined,
        outcome: 'pending',
      }
      this.#attempts.record(delivery)
      const response = await this.#post(subscription, message(subscription, event), 'Notification', count)
      const judged = verdict(response?.status, count + 1, elapsedSeconds)
      delivery.status = response?.status
      delivery.outcome = judged.outcome
      this.#attempts.changed()
      if (judged.outcome !== 'retrying') return
      elapsedSeconds += judged.waitSeconds
      await pause(judged.waitSeconds * 1000 * this.#options.retryScale, this.#closed.signal)
    }
  }

  #post(subscription: Subscription, sent: Message, type: 'Notification' | 'SubscriptionValidation', count: number) {
    const { auth, name, url } = subscription
    const headers: Record<string, string> = {
      'Content-Type': sent.contentType,
      'aeg-event-type': type,
      // Captures show the name in capitals.
      'aeg-subscription-name': name.toUpperCase(),
      'aeg-delivery-count': String(count),
      'aeg-metadata-version': sent.metadataVersion,
      ...(sent.dataVersion === undefined ? {} : { 'aeg-data-version': sent.dataVersion }),
      ...(type === 'Notification' ? { 'aeg-output-event-id': randomUUID() } : {}),
    }
    if (auth.type === 'entra') {
      headers.Authorization = `Bearer ${this.#options.token(auth.audience, auth.version ?? 'v1')}`
    } else if (auth.header !== undefined) headers[auth.header] = auth.key
    const timeoutMs = Math.max(1000, 30_000 * this.#options.retryScale)
    const init = { method: 'POST', headers, body: sent.body } as const
    return attempt(endpoint(url, auth), init, timeoutMs, this.#closed.signal)
  }

  /** EventGridSchema: exactly 200, with the code echoed. */
  async #validate(subscription: Subscription): Promise<void> {
    const code = randomUUID().toUpperCase()
    const sent = validationMessage(subscription.name, code, this.#options.now())
    const response = await this.#post(subscription, sent, 'SubscriptionValidation', 0)
    const echoed = validation.safeParse(parse(response?.text))
    if (response?.status !== 200 || !echoed.success || echoed.data.validationResponse !== code) {
      throw new Error(`the endpoint did not answer the validation event (status ${response?.status ?? 'none'})`)
    }
  }

  /** CloudEvents: consent is the header, and this request never carries a token. */
  async #consent(subscription: Subscription): Promise<void> {
    const headers = { 'WebHook-Request-Origin': 'eventgrid.azure.net' }
    const timeoutMs = Math.max(1000, 30_000 * this.#options.retryScale)
    const url = endpoint(subscription.url, subscription.auth)
    const response = await attempt(url, { method: 'OPTIONS', headers }, timeoutMs, this.#closed.signal)
    const allowed = response?.headers.get('webhook-allowed-origin')
    if (response === undefined || response.status !== 200 || (allowed !== '*' && allowed !== 'eventgrid.azure.net')) {
      throw new Error(`the endpoint did not consent to deliveries (status ${response?.status ?? 'none'})`)
    }
  }
}

function checkKey(auth: { key: string; header?: string; query?: string }): void {
  if (auth.header === undefined && auth.query === undefined) throw new Error('a key needs a header or a query name')
  if (auth.header?.toLowerCase().startsWith('aeg-')) throw new Error('the header prefix aeg- is reserved')
  if (auth.key.length > 4096) throw new Error('a header value is at most 4096 bytes long')
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
