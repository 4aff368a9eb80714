import type { Match } from '../faults.ts'
import type { Listener } from '../listener.ts'
import type { EventDisturbance } from '../webhook.ts'
import type { Delivery } from './hooks.ts'
import { oktaId } from './ids.ts'
import { type LogoutTarget, logoutToken, type SendLogout, sendLogout } from './logout.ts'
import { Population } from './population.ts'
import { issueAccess, issueRefresh, type NewServer, type NewToken, newServer } from './servers.ts'
import type { Draft, LogEvent } from './syslog.ts'
import type { World } from './world.ts'

export interface RegisterHook {
  readonly url: string
  readonly events: readonly string[]
  /** The secret Okta sends along. */
  readonly secret?: string
  /** The header it travels in; `Authorization` when absent. */
  readonly header?: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * A running org, seen by a test or by the person at the control API. What is added is visible at once; what changes it
 * afterwards is subject to `staleMs`, `logDelayMs`, `transitionMs` and `operationMs`, until `settle()`.
 */
export class OktaOrg extends Population implements AsyncDisposable {
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

  get orgId(): string {
    return this.#world.orgId
  }

  /** What was begun is done, replication and the log catch up with everything written so far. */
  settle(): void {
    this.#world.later.settle()
    this.#world.replica.settle()
  }

  /** An API token, which acts as its owner. */
  addApiToken(ownerId: string, token: string = oktaId('00T', undefined, 42)): string {
    this.#world.apiTokens.set(token, { id: oktaId('00T'), ownerId })
    return token
  }

  revokeApiToken(token: string): void {
    this.#world.apiTokens.delete(token)
  }

  /** A custom authorization server; returns its id. `default` is there from the start. */
  addServer(options: NewServer): string {
    const server = newServer(options)
    this.#world.servers.set(server.id, server)
    return server.id
  }

  /** An access token; no check is made that it would be issued. */
  issueToken(request: NewToken): string {
    return issueAccess(this.#world, request).token
  }

  /** An access token and the refresh token beside it. */
  issueTokens(request: NewToken): { access: string; refresh: string } {
    const access = issueAccess(this.#world, { ...request, refreshable: true })
    return { access: access.token, refresh: issueRefresh(this.#world, access).token }
  }

  /** What the org signs with the keys it publishes, say an ID token. */
  signByOrg(claims: Readonly<Record<string, unknown>>, header: Readonly<Record<string, unknown>> = {}): string {
    return this.#world.orgKeys.sign(claims, header)
  }

  isActiveToken(token: string): boolean {
    return this.#world.issued.active(token, this.#world.now()) !== undefined
  }

  /** Keys of a custom server, or of the org when none is named. */
  rotateKeys({ emergency = false, server }: { emergency?: boolean; server?: string } = {}): void {
    const keys = server === undefined ? this.#world.orgKeys : this.#world.servers.get(server)?.keys
    if (keys === undefined) throw new Error(`there is no authorization server ${server}`)
    keys.rotate({ emergency })
  }

  /** Nonces for proofs given out so far no longer serve. */
  forgetNonces(): void {
    this.#world.proofs.forgetNonces()
  }

  /** Each answer takes so long; requests meanwhile count against the concurrency limit. */
  setLatency(ms: number): void {
    this.#world.switches.latencyMs = ms
  }

  /** The next operations on AI agents end as failed. */
  failOperations(count = 1, { code = 'INTERNAL_ERROR', message = 'The operation failed.' } = {}): void {
    this.#world.switches.failOperations = { left: count, code, message }
  }

  /** Cursors of the log given out so far are refused with 400 from now on. */
  expireLogCursors(): void {
    this.#world.switches.logGeneration += 1
  }

  /** Events published until lifted are persisted that late, behind younger ones. */
  delayLog(ms: number): () => void {
    this.#world.log.lateByMs = ms
    return () => {
      this.#world.log.lateByMs = 0
    }
  }

  /** Any event, say a failed one; by the administrator unless told. */
  writeLog(draft: Draft, { by }: { by?: string } = {}): LogEvent {
    return this.#world.log.write(draft, this.console('/admin', by))
  }

  /** Everything persisted so far, oldest first. */
  get log(): readonly LogEvent[] {
    return this.#world.log.persisted.map(({ event }) => event)
  }

  /** The next `count` calls get 429; `concurrent`: the one with zeros. */
  throttleNext(count: number, options: { match?: Match; concurrent?: boolean } = {}): void {
    this.#world.limiter.refuseNext(count, options)
  }

  /** Registers an event hook with the real challenge first. Returns its id; rejects when the endpoint does not pass it. */
  async registerHook({ events, header = 'Authorization', headers = {}, secret, url }: RegisterHook): Promise<string> {
    const now = this.#world.now()
    const hook = {
      id: oktaId('who'),
      name: 'agentmesh bridge',
      description: null,
      status: 'ACTIVE' as const,
      verificationStatus: 'VERIFIED' as const,
      created: now,
      createdBy: this.admin,
      lastUpdated: now,
      items: events,
      uri: url,
      headers: Object.entries(headers).map(([key, value]) => ({ key, value })),
      auth: secret === undefined ? undefined : { key: header, value: secret },
      flowsFrom: 0,
    }
    const why = await this.#world.hooks.challenge(hook)
    if (why !== undefined) throw new Error(why)
    this.#world.hooks.all.set(hook.id, hook)
    return hook.id
  }

  unregisterHook(id: string): void {
    this.#world.hooks.all.delete(id)
  }

  /** What happens to events on their way to hooks from now on, until lifted. */
  disturbEvents(how: EventDisturbance): () => void {
    return this.#world.hooks.disturb(how)
  }

  /** The same POST once more. */
  redeliver(eventId: string): void {
    this.#world.hooks.redeliver(eventId)
  }

  get deliveries(): readonly Delivery[] {
    return this.#world.hooks.deliveries
  }

  waitForDelivery(matches: (delivery: Delivery) => boolean, timeoutMs = 60_000): Promise<Delivery> {
    return this.#world.hooks.wait(matches, timeoutMs)
  }

  /** An app that is told of every Universal Logout from now on. */
  addLogoutTarget(target: LogoutTarget): void {
    this.#world.logoutTargets.push(target)
  }

  /** One Universal Logout to one endpoint; the status of its answer. */
  sendLogout(order: SendLogout): Promise<number | undefined> {
    return sendLogout(this.#world, order, this.#world.hooks.closed)
  }

  /** The token of such a request by itself. */
  logoutToken(order: Omit<SendLogout, 'userId'>): string {
    return logoutToken(this.#world, order)
  }

  async close(): Promise<void> {
    this.#world.later.close()
    await this.#world.hooks.close()
    await this.#listener.down()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
