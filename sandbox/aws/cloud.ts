import { randomBytes } from 'node:crypto'
import type { Match } from '../faults.ts'
import type { Listener } from '../listener.ts'
import type { EventDisturbance } from '../webhook.ts'
import type { Pattern } from './bus.ts'
import type { Algorithm } from './federation.ts'
import { uniqueId, uuid } from './ids.ts'
import { instancePath } from './metadata.ts'
import type { Credential, Store } from './model.ts'
import { mainAccount, mainStore, Population } from './population.ts'
import type { Message, NewQueue } from './queues.ts'
import { newKey, newSession } from './sessions.ts'
import { outboundClaims } from './sts.ts'
import type { Envelope, NewTopic, Push } from './topics.ts'
import type { TrailEvent } from './trail.ts'
import type { World } from './world.ts'

/** As the clients of the services take them. */
export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface NewIamUser {
  readonly accountId?: string
  readonly name: string
  readonly policies?: readonly object[]
  readonly accessKeyId?: string
  readonly secret?: string
}

export interface NewToken {
  /** The principal id of the role that asks for it. */
  readonly role: string
  readonly audience: string | readonly string[]
  readonly lifetimeMs?: number
  readonly alg?: Algorithm
  readonly requestTags?: Readonly<Record<string, string>>
  /** Written over the usual claims; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

export interface NewRule {
  readonly accountId?: string
  readonly region?: string
  readonly name: string
  readonly pattern: Pattern
  /** ARNs of queues and topics. */
  readonly targets: readonly string[]
}

/**
 * Running accounts, seen by a test or by the person at the control API. What is added is visible at once; what changes it
 * afterwards is subject to `staleMs`, `trailDelayMs` and `eventDelayMs`, until `settle()`.
 */
export class AwsCloud extends Population implements AsyncDisposable {
  readonly #world: World
  readonly #listener: Listener

  constructor(world: World, listener: Listener) {
    super(world, listener)
    this.#world = world
    this.#listener = listener
  }

  get origin(): string {
    return this.#world.origin
  }

  /** What was begun is done; replication and the trail catch up with everything written so far. */
  settle(): void {
    this.#world.later.settle()
    this.#world.replica.settle()
    this.#world.trail.settle()
  }

  /** A program with a long-term key, and what it may do. */
  addIamUser({ accessKeyId, accountId = mainAccount, name, policies = [], secret }: NewIamUser): Keys {
    const id = uniqueId('AIDA', `${accountId} ${name}`)
    const arn = `arn:aws:iam::${accountId}:user/${name}`
    const user = { id, accountId, name, arn, policies: policies.map((each) => JSON.stringify(each)) }
    this.#world.iamUsers.set(id, user)
    const given = { ...(accessKeyId !== undefined && { accessKeyId }), ...(secret !== undefined && { secret }) }
    return keysOf(newKey(this.#world, user, given))
  }

  /** Replaces what a user may do from its next call on. */
  setIamPolicies(name: string, policies: readonly object[], { accountId = mainAccount } = {}): void {
    const user = this.#world.iamUsers.get(uniqueId('AIDA', `${accountId} ${name}`))
    if (user === undefined) throw new Error(`there is no user ${name}`)
    this.#world.iamUsers.set(user.id, { ...user, policies: policies.map((each) => JSON.stringify(each)) })
  }

  /** The key is of no use any more. */
  revokeKey(accessKeyId: string): void {
    this.#world.credentials.delete(accessKeyId)
  }

  /** A session of a role as whoever may assume it has; it can do what the policies of the role let it. */
  session(id: string, { name = 'a-session', seconds = 3600 } = {}): Keys {
    return keysOf(newSession(this.#world, this.#role(id), name, { seconds }))
  }

  /** Returns its ARN. */
  addManagedPolicy(path: string, document: object, { accountId = mainAccount } = {}): string {
    const arn = `arn:aws:iam::${accountId}:policy/${path.replace(/^\//, '')}`
    this.#world.managed.set(arn, JSON.stringify(document))
    return arn
  }

  /** An instance of Identity Center; its tokens of automatic provisioning by the id that the trail gives each. */
  addStore({
    accountId = mainAccount,
    id = mainStore,
    region = 'us-east-1',
    scimTokens = {},
    tellsStatus = true,
  }: Partial<Omit<Store, 'scimTokens' | 'tenantId'>> & { scimTokens?: Readonly<Record<string, string>> }): string {
    const tokens = new Map(Object.entries(scimTokens).map(([tokenId, token]) => [token, tokenId]))
    const tenantId = uuid(`tenant of ${id}`)
    this.#world.stores.set(id, { id, accountId, region, tenantId, scimTokens: tokens, tellsStatus })
    return `${this.origin}/${tenantId}/scim/v2`
  }

  /** Switches outbound identity federation on. Returns the account's issuer. */
  enableFederation(accountId: string = mainAccount): Promise<string> {
    return this.#world.federation.enable(accountId)
  }

  disableFederation(accountId: string = mainAccount): void {
    this.#world.federation.disable(accountId)
  }

  /** An issuer that is no account's, say of a cluster (`keys` for its keys) or of a user pool. Returns it. */
  addIssuer(path: string, { jwksPath }: { jwksPath?: string } = {}): string {
    return this.#world.federation.add(path, ['RS256'], jwksPath)
  }

  /** An account takes tokens of an issuer in exchange for sessions. */
  addOidcProvider(issuer: string, audiences: readonly string[], { accountId = mainAccount } = {}): void {
    this.#world.oidcProviders.set(`${accountId} ${issuer}`, { accountId, issuer, audiences })
  }

  /** A token of a role by outbound federation; no check is made that it would be issued. */
  issueToken({
    alg = 'RS256',
    audience,
    header = {},
    lifetimeMs = 300_000,
    requestTags = {},
    ...rest
  }: NewToken): string {
    const role = this.#role(rest.role)
    const issuer = this.#world.federation.enabledIssuer(role.accountId)
    const caller = newSession(this.#world, role, 'agent')
    const claims = outboundClaims(this.#world, {
      caller,
      issuer,
      region: 'us-east-1',
      audience: typeof audience === 'string' ? [audience] : audience,
      expiresAt: this.#world.now() + lifetimeMs,
      tags: Object.entries(requestTags).map(([Key, Value]) => ({ Key, Value })),
    })
    return this.#world.federation.sign(issuer, { ...claims, ...rest.claims }, { alg, header })
  }

  /** Any claims, signed by an issuer with the keys it publishes. */
  signBy(
    issuer: string,
    claims: Readonly<Record<string, unknown>>,
    options: { alg?: Algorithm; header?: Readonly<Record<string, unknown>> } = {},
  ): string {
    return this.#world.federation.sign(issuer, claims, options)
  }

  rotateKeys(issuer: string, options: { emergency?: boolean } = {}): void {
    this.#world.federation.rotate(issuer, options)
  }

  /** Where a container finds the credentials of its role, and what it must say there. */
  serveContainer(id: string): { uri: string; authorization: string } {
    const path = `/credentials/${randomBytes(12).toString('hex')}`
    const authorization = randomBytes(24).toString('base64url')
    this.#world.served.set(path, { roleId: this.#role(id).id, authorization })
    return { uri: `${this.origin}${path}`, authorization }
  }

  /** The instance metadata service below this origin hands out credentials of the role. */
  serveInstance(id: string): void {
    this.#world.served.set(instancePath, { roleId: this.#role(id).id, authorization: undefined })
  }

  /** Returns its ARN and its URL. */
  addQueue({ accountId = mainAccount, region = 'us-east-1', ...options }: NewQueue): { arn: string; url: string } {
    return this.#world.queues.add(accountId, region, options)
  }

  /** What is in a queue, received or not. */
  messages(queueArn: string): readonly Message[] {
    return this.#world.queues.messages(queueArn)
  }

  /** Messages that were received and not deleted can be received again at once. */
  showMessages(queueArn: string): void {
    this.#world.queues.show(queueArn)
  }

  /** Events of the trail that match go to the targets. Returns the ARN of the rule. */
  addRule({ accountId = mainAccount, region = 'us-east-1', ...rest }: NewRule): string {
    const arn = `arn:aws:events:${region}:${accountId}:rule/${rest.name}`
    this.#world.bus.rules.push({ accountId, region, arn, ...rest })
    return arn
  }

  /** How many events of a rule no target took. */
  refusedEvents(ruleArn: string): number {
    return this.#world.bus.refused.get(ruleArn) ?? 0
  }

  /** Returns its ARN. */
  addTopic({ accountId = mainAccount, region = 'us-east-1', ...options }: NewTopic): string {
    return this.#world.topics.add(accountId, region, options)
  }

  /** Resolves to the ARN of the subscription once the endpoint was asked to confirm it. */
  subscribe(topicArn: string, url: string): Promise<string> {
    return this.#world.topics.subscribe(topicArn, url)
  }

  unsubscribe(subscriptionArn: string): Promise<void> {
    return this.#world.topics.unsubscribe(subscriptionArn)
  }

  isConfirmed(subscriptionArn: string): boolean {
    return this.#world.topics.isConfirmed(subscriptionArn)
  }

  publish(topicArn: string, message: string, subject?: string): void {
    if (!this.#world.topics.publish(topicArn, message, subject)) throw new Error(`there is no topic ${topicArn}`)
  }

  /** A document of a topic as an endpoint would get it. */
  signedMessage(topicArn: string, body: Envelope): Envelope {
    return this.#world.topics.signed(topicArn, body)
  }

  get pushes(): readonly Push[] {
    return this.#world.topics.pushes
  }

  waitForPush(matches: (push: Push) => boolean, timeoutMs = 20_000): Promise<Push> {
    return this.#world.topics.wait(matches, timeoutMs)
  }

  /** What happens to events on their way from now on, until lifted. */
  disturbEvents(how: EventDisturbance): () => void {
    return this.#world.bus.disturb(how)
  }

  /** Events written until lifted show in the history that much later still. */
  delayTrail(ms: number): () => void {
    this.#world.trail.lateByMs = ms
    return () => {
      this.#world.trail.lateByMs = 0
    }
  }

  /** Everything the trail has, shown yet or not, oldest first. */
  get trail(): readonly TrailEvent[] {
    return this.#world.trail.events
  }

  /** The next `count` calls are throttled; paths as the log of requests has them, `/iam/PutRolePolicy`. */
  throttleNext(count: number, { match }: { match?: Match } = {}): void {
    this.#world.throttle.refuseNext(count, match)
  }

  #role(id: string) {
    const role = this.role(id)
    if (role === undefined) throw new Error(`there is no role ${id}`)
    return role
  }

  async close(): Promise<void> {
    this.#world.later.close()
    await this.#world.topics.close()
    await this.#world.federation.close()
    await this.#listener.down()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function keysOf({ accessKeyId, secret, token }: Credential): Keys {
  return { accessKeyId, secretAccessKey: secret, ...(token !== undefined && { sessionToken: token }) }
}
