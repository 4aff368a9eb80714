import { randomBytes, sign } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { selfSigned } from '../certificate.ts'
import { Attempts, attempt } from '../webhook.ts'
import { Refusal } from './errors.ts'
import { uuid } from './ids.ts'
import { iso } from './wire.ts'

export interface NewTopic {
  readonly accountId?: string
  readonly region?: string
  readonly name: string
  /** 1, RSA with SHA-1, is what a topic has that nobody changed. */
  readonly signatureVersion?: '1' | '2'
}

interface Topic {
  readonly arn: string
  readonly version: '1' | '2'
  readonly subscriptions: Subscription[]
}

interface Subscription {
  readonly arn: string
  readonly url: string
  readonly token: string
  confirmed: boolean
}

/** One POST to one endpoint. */
export interface Push {
  readonly topicArn: string
  readonly type: 'SubscriptionConfirmation' | 'Notification' | 'UnsubscribeConfirmation'
  readonly messageId: string
  /** Attempts made before this one. */
  readonly attempt: number
  status: number | undefined
  outcome: 'pending' | 'delivered' | 'retrying' | 'dropped'
}

/** As it is sent, before it is signed. */
export type Envelope = Readonly<Record<string, string>>

interface Options {
  readonly origin: string
  readonly now: () => number
  readonly timeoutMs: number
  readonly retryMs: number
}

const retries = 3
const signedOf = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
  UnsubscribeConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
} as const

/** Topics that push to HTTP endpoints: nothing before the subscription is confirmed, everything signed. */
export class Topics {
  readonly #options: Options
  readonly #topics = new Map<string, Topic>()
  readonly #attempts = new Attempts<Push>(({ outcome, status, type }) => `${type} ${status ?? '-'} ${outcome}`)
  readonly #closed = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #certificateName = `SimpleNotificationService-${randomBytes(16).toString('hex')}.pem`
  #certificate: { certificate: string; privateKey: string } | undefined

  constructor(options: Options) {
    this.#options = options
  }

  get closed(): AbortSignal {
    return this.#closed.signal
  }

  get pushes(): readonly Push[] {
    return this.#attempts.list
  }

  wait(matches: (push: Push) => boolean, timeoutMs: number): Promise<Push> {
    return this.#attempts.wait(matches, timeoutMs)
  }

  get certificateUrl(): string {
    return `${this.#options.origin}/${this.#certificateName}`
  }

  add(accountId: string, region: string, { name, signatureVersion = '2' }: NewTopic): string {
    const arn = `arn:aws:sns:${region}:${accountId}:${name}`
    this.#topics.set(arn, { arn, version: signatureVersion, subscriptions: [] })
    return arn
  }

  /** Asks the endpoint to confirm; resolves when it was asked. */
  async subscribe(topicArn: string, url: string): Promise<string> {
    const topic = this.#topic(topicArn)
    const arn = `${topicArn}:${uuid()}`
    const token = randomBytes(96).toString('hex')
    topic.subscriptions.push({ arn, url, token, confirmed: false })
    const message = `You have chosen to subscribe to the topic ${topicArn}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`
    await this.#send(topic, url, arn, {
      Type: 'SubscriptionConfirmation',
      Token: token,
      Message: message,
      SubscribeURL: this.subscribeUrl(topicArn, token),
    })
    return arn
  }

  subscribeUrl(topicArn: string, token: string): string {
    const query = new URLSearchParams({ Action: 'ConfirmSubscription', TopicArn: topicArn, Token: token })
    return `${this.#options.origin}/?${query}`
  }

  /** By the token it was sent. Returns the ARN of the subscription. */
  confirm(topicArn: string, token: string): string {
    const subscription = this.#topics.get(topicArn)?.subscriptions.find((each) => each.token === token)
    if (subscription === undefined) throw new Refusal('InvalidParameter', 'Invalid parameter: Token', 400)
    subscription.confirmed = true
    return subscription.arn
  }

  isConfirmed(arn: string): boolean {
    return this.#every().some((each) => each.arn === arn && each.confirmed)
  }

  /** Tells the endpoint of it, which the last message to it is. */
  async unsubscribe(arn: string): Promise<void> {
    const topic = [...this.#topics.values()].find((each) => each.subscriptions.some((one) => one.arn === arn))
    const at = topic?.subscriptions.findIndex((each) => each.arn === arn) ?? -1
    const [gone] = topic?.subscriptions.splice(at, at < 0 ? 0 : 1) ?? []
    if (topic === undefined || gone === undefined) throw new Error(`there is no subscription ${arn}`)
    await this.#send(topic, gone.url, arn, {
      Type: 'UnsubscribeConfirmation',
      Token: gone.token,
      Message: `You have chosen to deactivate subscription ${arn}.`,
      SubscribeURL: this.subscribeUrl(topic.arn, gone.token),
    })
  }

  /** To every confirmed subscriber. False when there is no such topic. */
  publish(topicArn: string, message: string, subject?: string): boolean {
    const topic = this.#topics.get(topicArn)
    if (topic === undefined) return false
    const body = { Type: 'Notification', Message: message, ...(subject !== undefined && { Subject: subject }) }
    for (const { arn, confirmed, url } of topic.subscriptions) {
      if (!confirmed) continue
      const running = this.#send(topic, url, arn, body).finally(() => this.#running.delete(running))
      this.#running.add(running)
    }
    return true
  }

  /** A document of the topic as an endpoint gets it: signed by the key that `certificateUrl` shows. */
  signed(topicArn: string, body: Envelope): Envelope {
    const { version } = this.#topic(topicArn)
    const whole: Envelope = {
      MessageId: uuid(),
      TopicArn: topicArn,
      Timestamp: iso(this.#options.now()),
      SignatureVersion: version,
      SigningCertURL: this.certificateUrl,
      ...body,
    }
    const kind = whole.Type === 'Notification' ? 'Notification' : 'SubscriptionConfirmation'
    const text = signedOf[kind]
      .flatMap((name) => (whole[name] === undefined ? [] : `${name}\n${whole[name]}\n`))
      .join('')
    const hash = whole.SignatureVersion === '2' ? 'RSA-SHA256' : 'RSA-SHA1'
    const signature = sign(hash, Buffer.from(text), this.#keys.privateKey).toString('base64')
    return { ...whole, Signature: signature }
  }

  /** The certificate, when the path is its. */
  certificateAt(path: string): string | undefined {
    return path === `/${this.#certificateName}` ? this.#keys.certificate : undefined
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.all(this.#running)
  }

  get #keys() {
    this.#certificate ??= selfSigned('sns.amazonaws.com')
    return this.#certificate
  }

  #topic(arn: string): Topic {
    const topic = this.#topics.get(arn)
    if (topic === undefined) throw new Error(`there is no topic ${arn}`)
    return topic
  }

  #every(): Subscription[] {
    return [...this.#topics.values()].flatMap(({ subscriptions }) => subscriptions)
  }

  /** The text is sent as plain text, and again while no attempt is answered with a success. */
  async #send(topic: Topic, url: string, subscriptionArn: string, body: Envelope): Promise<void> {
    const { retryMs, timeoutMs } = this.#options
    const envelope = this.signed(topic.arn, body)
    const type = typeOf(envelope.Type)
    const messageId = envelope.MessageId ?? ''
    const headers = {
      'Content-Type': 'text/plain; charset=UTF-8',
      'User-Agent': 'Amazon Simple Notification Service Agent',
      'x-amz-sns-message-type': type,
      'x-amz-sns-message-id': messageId,
      'x-amz-sns-topic-arn': topic.arn,
      ...(type !== 'SubscriptionConfirmation' && { 'x-amz-sns-subscription-arn': subscriptionArn }),
    }
    for (let made = 0; made <= retries && !this.closed.aborted; made += 1) {
      const push: Push = { topicArn: topic.arn, type, messageId, attempt: made, status: undefined, outcome: 'pending' }
      this.#attempts.record(push)
      const init = { method: 'POST' as const, headers, body: JSON.stringify(envelope) }
      const answer = await attempt(new URL(url), init, timeoutMs, this.closed)
      push.status = answer?.status
      const isTaken = answer !== undefined && answer.status >= 200 && answer.status < 300
      // Any other client error than "too many" is final.
      const isFinal = answer !== undefined && answer.status >= 400 && answer.status < 500 && answer.status !== 429
      push.outcome = isTaken ? 'delivered' : isFinal || made === retries ? 'dropped' : 'retrying'
      this.#attempts.changed()
      if (push.outcome !== 'retrying') return
      await delay(retryMs, undefined, { signal: this.closed, ref: false }).catch(() => undefined)
    }
  }
}

function typeOf(text: string | undefined): Push['type'] {
  return text === 'SubscriptionConfirmation' || text === 'UnsubscribeConfirmation' ? text : 'Notification'
}
