import type { Later } from '../later.ts'
import { Disturbances, type EventDisturbance } from '../webhook.ts'
import type { TrailEvent } from './trail.ts'
import { isoSeconds } from './wire.ts'

/** Leaves of a pattern: the texts one of which the field must be, or what begins it. */
export interface Pattern {
  readonly [field: string]: readonly (string | { readonly prefix: string })[] | Pattern
}

export interface Rule {
  readonly accountId: string
  readonly region: string
  readonly name: string
  readonly arn: string
  readonly pattern: Pattern
  /** ARNs of queues and topics. */
  readonly targets: readonly string[]
}

export interface BusEvent {
  readonly id: string
  readonly text: string
  readonly rule: Rule
  readonly target: string
}

interface Options {
  readonly later: Later
  readonly delayMs: number
  /** False: the target did not let it in. */
  readonly deliver: (event: BusEvent) => boolean
}

/** EventBridge: events of the trail that a rule of their own account and region asks for. Best effort, some time later. */
export class Bus {
  readonly rules: Rule[] = []
  /** Events no target took, by the ARN of their rule. */
  readonly refused = new Map<string, number>()
  readonly #options: Options
  readonly #disturbances = new Disturbances<BusEvent>((event) => this.#deliver(event))

  constructor(options: Options) {
    this.#options = options
  }

  disturb(how: EventDisturbance): () => void {
    return this.#disturbances.disturb(how)
  }

  publish(event: TrailEvent): void {
    const { accountId, readOnly, region } = event.draft
    if (readOnly) return
    const body = bodyOf(event)
    for (const rule of this.rules) {
      if (rule.accountId !== accountId || rule.region !== region || !matches(rule.pattern, body)) continue
      for (const target of rule.targets) {
        const text = JSON.stringify(body)
        this.#options.later.after(this.#options.delayMs, () =>
          this.#disturbances.publish({ id: event.id, text, rule, target }),
        )
      }
    }
  }

  #deliver(event: BusEvent): void {
    if (this.#options.deliver(event)) return
    const { arn } = event.rule
    this.refused.set(arn, (this.refused.get(arn) ?? 0) + 1)
  }
}

function bodyOf({ at, draft, id, record }: TrailEvent): Record<string, unknown> {
  return {
    version: '0',
    id,
    'detail-type': 'AWS API Call via CloudTrail',
    source: `aws.${draft.source.split('.', 1)[0]}`,
    account: draft.accountId,
    time: isoSeconds(at),
    region: draft.region,
    resources: [],
    detail: record,
  }
}

function matches(pattern: Pattern, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(pattern).every(([field, wanted]) => {
    const got: unknown = Reflect.get(value, field)
    if (!isLeaf(wanted)) return matches(wanted, got)
    return wanted.some((each) =>
      typeof each === 'string' ? each === got : typeof got === 'string' && got.startsWith(each.prefix),
    )
  })
}

function isLeaf(pattern: Pattern[string]): pattern is readonly (string | { readonly prefix: string })[] {
  return Array.isArray(pattern)
}
