import { randomUUID } from 'node:crypto'
import { seeded } from '../random.ts'
import { Attempts, attempt, Disturbances, type EventDisturbance } from '../webhook.ts'
import type { LogEvent } from './syslog.ts'
import { iso } from './wire.ts'

/** An event hook as it is registered; its secret is never shown again. */
export interface EventHook {
  readonly id: string
  readonly name: string
  readonly description: string | null
  readonly status: 'ACTIVE' | 'INACTIVE'
  readonly verificationStatus: 'UNVERIFIED' | 'VERIFIED'
  readonly created: number
  readonly createdBy: string
  readonly lastUpdated: number
  readonly items: readonly string[]
  readonly uri: string
  readonly headers: readonly { readonly key: string; readonly value: string }[]
  readonly auth: { readonly key: string; readonly value: string } | undefined
  /** From when on events flow to it. */
  readonly flowsFrom: number
}

/** One attempt to deliver one POST. */
export interface Delivery {
  readonly hookId: string
  /** Of the POST, not of an event in it. */
  readonly eventId: string
  readonly uuids: readonly string[]
  readonly eventTypes: readonly string[]
  /** Attempts made before this one. */
  readonly attempt: number
  status: number | undefined
  outcome: 'pending' | 'delivered' | 'retrying' | 'dropped'
}

interface Options {
  readonly origin: string
  readonly now: () => number
  readonly steady: () => number
  readonly timeoutMs: number
  /** Events so close together come in one POST. */
  readonly batchMs: number
  readonly dailyEvents: number
  /** The log is told of what could not be delivered. */
  readonly failed: (hook: EventHook, reason: string) => void
}

const dayMs = 24 * 3_600_000

/** Event hooks: at least once at best, in no order, without a signature, and never again after one retry. */
export class EventHooks {
  readonly all = new Map<string, EventHook>()
  readonly #options: Options
  readonly #attempts = new Attempts<Delivery>(
    ({ eventTypes, outcome, status }) => `${eventTypes} ${status ?? '-'} ${outcome}`,
  )
  readonly #disturbances = new Disturbances<LogEvent>((event) => this.#queue(event))
  readonly #waiting = new Map<string, LogEvent[]>()
  readonly #sent = new Map<string, { readonly hookId: string; readonly events: readonly LogEvent[] }>()
  readonly #closed = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #random = seeded(1)
  #day = { startedAt: 0, events: 0 }

  constructor(options: Options) {
    this.#options = options
  }

  get closed(): AbortSignal {
    return this.#closed.signal
  }

  get deliveries(): readonly Delivery[] {
    return this.#attempts.list
  }

  publish(event: LogEvent): void {
    this.#disturbances.publish(event)
  }

  /** Returns what lifts it. */
  disturb(how: EventDisturbance): () => void {
    return this.#disturbances.disturb(how)
  }

  wait(matches: (delivery: Delivery) => boolean, timeoutMs: number): Promise<Delivery> {
    return this.#attempts.wait(matches, timeoutMs)
  }

  /** The same POST once more. */
  redeliver(eventId: string): void {
    const sent = this.#sent.get(eventId)
    const hook = this.all.get(sent?.hookId ?? '')
    if (sent === undefined || hook === undefined) throw new Error(`no POST ${eventId} was sent`)
    this.#start(hook, sent.events, eventId)
  }

  /** The one-time challenge: the only GET there is, tried twice. Why it failed; undefined when it passed. */
  async challenge(hook: EventHook): Promise<string | undefined> {
    const value = randomUUID()
    const headers = { ...headersOf(hook), 'x-okta-verification-challenge': value }
    const once = () => attempt(new URL(hook.uri), { method: 'GET', headers }, this.#options.timeoutMs, this.closed)
    const first = await once()
    const answer = first?.status === 200 ? first : await once()
    if (answer === undefined) return 'The endpoint did not answer within 3 seconds.'
    if (answer.status !== 200) return `The endpoint answered with status ${answer.status}.`
    return echoed(answer.text) === value ? undefined : 'The endpoint did not return the verification value as JSON.'
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.allSettled(this.#running)
  }

  /** Only hooks that are active and verified get events, of the types they named. */
  #queue(event: LogEvent): void {
    const now = this.#options.steady()
    if (now - this.#day.startedAt >= dayMs) this.#day = { startedAt: now, events: 0 }
    for (const hook of this.all.values()) {
      if (hook.status !== 'ACTIVE' || hook.verificationStatus !== 'VERIFIED' || hook.flowsFrom > now) continue
      if (!hook.items.includes(event.eventType)) continue
      this.#day.events += 1
      // Past the day's limit events are not sent, and nobody is told.
      if (this.#day.events > this.#options.dailyEvents) continue
      const waiting = this.#waiting.get(hook.id)
      if (waiting !== undefined) waiting.push(event)
      else {
        this.#waiting.set(hook.id, [event])
        setTimeout(() => this.#flush(hook.id), this.#options.batchMs).unref()
      }
    }
  }

  #flush(hookId: string): void {
    const events = this.#waiting.get(hookId) ?? []
    this.#waiting.delete(hookId)
    const hook = this.all.get(hookId)
    if (hook === undefined || events.length === 0 || this.closed.aborted) return
    const shuffled = events.map((event) => ({ event, at: this.#random() })).sort((a, b) => a.at - b.at)
    this.#start(
      hook,
      shuffled.map(({ event }) => event),
      randomUUID(),
    )
  }

  #start(hook: EventHook, events: readonly LogEvent[], eventId: string): void {
    this.#sent.set(eventId, { hookId: hook.id, events })
    if (this.#sent.size > 10_000) for (const [oldest] of [...this.#sent].slice(0, 5000)) this.#sent.delete(oldest)
    const run: Promise<void> = this.#deliver(hook, events, eventId).finally(() => this.#running.delete(run))
    this.#running.add(run)
  }

  /** An answer of 4xx is final; any other failure is tried once more, and that was it. */
  async #deliver(hook: EventHook, events: readonly LogEvent[], eventId: string): Promise<void> {
    const body = JSON.stringify(this.#envelope(hook, events, eventId))
    const headers = { ...headersOf(hook), 'Content-Type': 'application/json' }
    for (const count of [0, 1]) {
      const delivery: Delivery = {
        hookId: hook.id,
        eventId,
        uuids: events.map(({ uuid }) => uuid),
        eventTypes: events.map(({ eventType }) => eventType),
        attempt: count,
        status: undefined,
        outcome: 'pending',
      }
      this.#attempts.record(delivery)
      const answer = await attempt(
        new URL(hook.uri),
        { method: 'POST', headers, body },
        this.#options.timeoutMs,
        this.closed,
      )
      if (this.closed.aborted) return
      const status = answer?.status
      delivery.status = status
      const retried = count === 0 && (status === undefined || status >= 500)
      delivery.outcome = status !== undefined && status < 300 ? 'delivered' : retried ? 'retrying' : 'dropped'
      this.#attempts.changed()
      if (delivery.outcome === 'dropped') this.#options.failed(hook, status === undefined ? 'timeout' : String(status))
      if (delivery.outcome !== 'retrying') return
    }
  }

  #envelope(hook: EventHook, events: readonly LogEvent[], eventId: string) {
    return {
      eventType: 'com.okta.event_hook',
      eventTypeVersion: '1.0',
      cloudEventsVersion: '0.1',
      source: `${this.#options.origin}/api/v1/eventHooks/${hook.id}`,
      eventId,
      data: { events },
      eventTime: iso(this.#options.now()),
      contentType: 'application/json',
    }
  }
}

/** The secret and the headers of its owner's own; nothing is signed. */
function headersOf({ auth, headers }: EventHook): Record<string, string> {
  const own = Object.fromEntries(headers.map(({ key, value }) => [key, value]))
  return { Accept: 'application/json', ...own, ...(auth === undefined ? {} : { [auth.key]: auth.value }) }
}

function echoed(text: string): unknown {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null ? Reflect.get(body, 'verification') : undefined
  } catch {
    return undefined
  }
}
