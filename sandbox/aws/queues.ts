import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Refusal } from './errors.ts'
import { judge, parsePolicy } from './policy.ts'

export interface NewQueue {
  readonly accountId?: string
  readonly region?: string
  readonly name: string
  /** Who besides its own account may use it. */
  readonly policy?: object
  readonly visibilitySeconds?: number
  readonly retentionSeconds?: number
}

export interface Message {
  readonly id: string
  readonly body: string
  readonly sentAt: number
  readonly senderId: string
  receives: number
  firstReceivedAt: number | undefined
  hiddenUntil: number
  /** Of the last receipt; a message can be deleted by it alone. */
  receipt: string | undefined
}

interface Queue {
  readonly arn: string
  readonly url: string
  readonly policy: string | undefined
  readonly visibilityMs: number
  readonly retentionMs: number
  messages: Message[]
}

interface Options {
  readonly origin: string
  readonly now: () => number
  readonly closed: AbortSignal
}

/** Standard queues: at least once, in no order. */
export class Queues {
  readonly #options: Options
  readonly #queues = new Map<string, Queue>()
  readonly #waiting = new Set<() => void>()

  constructor(options: Options) {
    this.#options = options
  }

  add(accountId: string, region: string, options: NewQueue): { arn: string; url: string } {
    const { name, policy, retentionSeconds = 345_600, visibilitySeconds = 30 } = options
    const arn = `arn:aws:sqs:${region}:${accountId}:${name}`
    const url = `${this.#options.origin}/${accountId}/${name}`
    this.#queues.set(arn, {
      arn,
      url,
      policy: policy === undefined ? undefined : JSON.stringify(policy),
      visibilityMs: visibilitySeconds * 1000,
      retentionMs: retentionSeconds * 1000,
      messages: [],
    })
    return { arn, url }
  }

  /** By its URL, which a caller of that region uses. */
  named(url: string, region: string): Queue {
    const queue = [...this.#queues.values()].find((each) => each.url === url && each.arn.split(':')[3] === region)
    if (queue !== undefined) return this.#tidied(queue)
    const message = 'The specified queue does not exist.'
    throw new Refusal('com.amazonaws.sqs#QueueDoesNotExist', message, 400)
  }

  /** A service brings a message in the name of a resource. False when there is no such queue, or it does not let it in. */
  bring(arn: string, body: string, by: { service: string; sourceArn: string }): boolean {
    const queue = this.#queues.get(arn)
    if (queue === undefined || queue.policy === undefined) return false
    const policy = parsePolicy(queue.policy, 'resource')
    if (typeof policy === 'string') return false
    const context = new Map([['aws:sourcearn', [by.sourceArn]]])
    const question = { action: 'sqs:SendMessage', resource: arn, context, principals: [by.service] }
    if (judge([policy], question) !== 'allow') return false
    this.put(queue, body, by.service)
    return true
  }

  put(queue: Queue, body: string, senderId: string): Message {
    const message: Message = {
      id: randomUUID(),
      body,
      sentAt: this.#options.now(),
      senderId,
      receives: 0,
      firstReceivedAt: undefined,
      hiddenUntil: 0,
      receipt: undefined,
    }
    queue.messages.push(message)
    for (const wake of [...this.#waiting]) wake()
    return message
  }

  /** What is in a queue, received or not. */
  messages(arn: string): readonly Message[] {
    const queue = this.#queues.get(arn)
    return queue === undefined ? [] : this.#tidied(queue).messages
  }

  /** Received ones can be received again at once, as if their time had run out. */
  show(arn: string): void {
    for (const message of this.#queues.get(arn)?.messages ?? []) message.hiddenUntil = 0
    for (const wake of [...this.#waiting]) wake()
  }

  /** Waits for the first message, no longer than asked. */
  async receive(
    queue: Queue,
    { most, visibilityMs = queue.visibilityMs, waitMs }: { most: number; visibilityMs?: number; waitMs: number },
  ): Promise<Message[]> {
    const until = performance.now() + waitMs
    for (;;) {
      const got = this.#take(queue, most, visibilityMs)
      const left = until - performance.now()
      if (got.length > 0 || left <= 0 || this.#options.closed.aborted) return got
      await this.#woken(Math.min(left, 1000))
    }
  }

  delete(queue: Queue, receipt: string): void {
    if (receipt.length !== 36) {
      throw new Refusal('com.amazonaws.sqs#ReceiptHandleIsInvalid', 'The input receipt handle is invalid.')
    }
    queue.messages = queue.messages.filter((message) => message.receipt !== receipt)
  }

  hide(queue: Queue, receipt: string, ms: number): void {
    const message = queue.messages.find((each) => each.receipt === receipt)
    if (message === undefined) {
      throw new Refusal('com.amazonaws.sqs#MessageNotInflight', 'The specified message is not in flight.')
    }
    message.hiddenUntil = this.#options.now() + ms
    for (const wake of [...this.#waiting]) wake()
  }

  #take(queue: Queue, most: number, visibilityMs: number): Message[] {
    const now = this.#options.now()
    const free = this.#tidied(queue).messages.filter(({ hiddenUntil }) => hiddenUntil <= now)
    return free.slice(0, most).map((message) => {
      message.receives += 1
      message.firstReceivedAt ??= now
      message.hiddenUntil = now + visibilityMs
      message.receipt = randomUUID()
      return message
    })
  }

  #tidied(queue: Queue): Queue {
    const oldest = this.#options.now() - queue.retentionMs
    queue.messages = queue.messages.filter(({ sentAt }) => sentAt > oldest)
    return queue
  }

  async #woken(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = new AbortController()
    this.#waiting.add(resolve)
    this.#options.closed.addEventListener('abort', () => resolve(), { once: true, signal: timer.signal })
    await Promise.race([promise, delay(ms, undefined, { signal: timer.signal, ref: false }).catch(() => undefined)])
    this.#waiting.delete(resolve)
    timer.abort()
  }
}

export function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}
