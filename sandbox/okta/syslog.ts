import { createHash, randomUUID } from 'node:crypto'
import type { Later } from '../later.ts'
import type { Actor, Origin } from './actors.ts'
import { type EventName, eventType } from './events.ts'
import { iso } from './wire.ts'

export interface LogTarget {
  readonly id: string
  readonly type: string
  readonly alternateId: string
  readonly displayName: string
}

export interface Draft {
  readonly eventType: EventName
  readonly targets: readonly LogTarget[]
  /** SUCCESS when absent. */
  readonly failure?: string
  readonly debugData?: Readonly<Record<string, string>>
}

/** An event as the log and event hooks show it. */
export interface LogEvent {
  readonly uuid: string
  readonly eventType: EventName
  readonly published: string
  readonly [field: string]: unknown
}

export interface Persisted {
  /** Order of persistence, which polling follows. */
  readonly seq: number
  readonly persistedAt: number
  readonly publishedAt: number
  readonly event: LogEvent
}

const capacity = 200_000
export const retentionMs = 90 * 24 * 3_600_000

/** The System Log: an event is published at once and can be read once it is persisted, perhaps after younger ones. */
export class SystemLog {
  readonly #now: () => number
  readonly #later: Later
  readonly #delayMs: number
  readonly #published: (event: LogEvent) => void
  #persisted: Persisted[] = []
  #seq = 0
  /** Events published from now on come that late, behind others. */
  lateByMs = 0

  constructor(options: {
    now: () => number
    later: Later
    delayMs: number
    published: (event: LogEvent) => void
  }) {
    this.#now = options.now
    this.#later = options.later
    this.#delayMs = options.delayMs
    this.#published = options.published
  }

  write(draft: Draft, { actor, through }: Origin): LogEvent {
    const publishedAt = this.#now()
    const type = eventType(draft.eventType)
    const { requestId, requestUri } = through
    const event: LogEvent = {
      actor: { ...person(actor), detailEntry: null },
      client: clientOf(through),
      device: null,
      authenticationContext: {
        authenticationProvider: null,
        credentialProvider: null,
        credentialType: null,
        issuer: null,
        interface: null,
        authenticationStep: 0,
        rootSessionId: `trs${requestId.slice(0, 17)}`,
        externalSessionId: `trs${requestId.slice(0, 17)}`,
      },
      displayMessage: type.message,
      eventType: draft.eventType,
      outcome: { result: draft.failure === undefined ? 'SUCCESS' : 'FAILURE', reason: draft.failure ?? null },
      published: iso(publishedAt),
      securityContext: { asNumber: null, asOrg: null, isp: null, domain: null, isProxy: null },
      severity: draft.failure === undefined ? 'INFO' : 'WARN',
      debugContext: {
        debugData: {
          requestId,
          dtHash: createHash('sha256').update(requestId).digest('hex'),
          requestUri,
          url: `${requestUri}?`,
          ...draft.debugData,
        },
      },
      legacyEventType: type.legacy ?? null,
      transaction: {
        type: 'WEB',
        id: requestId,
        detail: through.apiTokenId === undefined ? {} : { requestApiTokenId: through.apiTokenId },
      },
      uuid: randomUUID(),
      version: '0',
      request: { ipChain: [{ ip: '127.0.0.1', geographicalContext: null, version: 'V4', source: null }] },
      target: draft.targets.map((target) => ({ ...target, detailEntry: null })),
    }
    this.#published(event)
    this.#later.after(this.#delayMs + this.lateByMs, () => this.#persist(event, publishedAt))
    return event
  }

  /** In order of persistence, without what is past retention. */
  get persisted(): readonly Persisted[] {
    const oldest = this.#now() - retentionMs
    return this.#persisted.filter(({ publishedAt }) => publishedAt >= oldest)
  }

  #persist(event: LogEvent, publishedAt: number): void {
    this.#persisted.push({ seq: ++this.#seq, persistedAt: this.#now(), publishedAt, event })
    if (this.#persisted.length > capacity) this.#persisted = this.#persisted.slice(capacity / 2)
  }
}

function person({ id, type, alternateId, displayName }: Actor) {
  return { id, type, alternateId, displayName }
}

function clientOf({ clientId, userAgent }: Origin['through']) {
  return {
    userAgent: { rawUserAgent: userAgent, os: 'Unknown', browser: 'UNKNOWN' },
    zone: 'null',
    device: 'Unknown',
    id: clientId ?? null,
    ipAddress: '127.0.0.1',
    geographicalContext: null,
  }
}
