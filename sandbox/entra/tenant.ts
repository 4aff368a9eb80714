import type { Match } from '../faults.ts'
import type { Listener } from '../listener.ts'
import type { EventDisturbance } from '../webhook.ts'
import type { FederatedCredential } from './apps.ts'
import type { NewPolicy, PolicyState } from './conditionalaccess.ts'
import type { CustomEvent, Delivery, SubscribeEventGrid } from './eventgrid.ts'
import { Population } from './population.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { TokenRequest } from './tokens.ts'
import type { World } from './world.ts'

/**
 * A running tenant, seen by a test or by the person at the control API. Objects added are visible at once; what changes
 * them afterwards is subject to `staleMs` and `auditDelayMs`, until `settle()`.
 */
export class EntraTenant extends Population implements AsyncDisposable {
  readonly #world: World
  readonly #listener: Listener
  readonly #workloadIssuer: string

  constructor(world: World, workloadIssuer: string, listener: Listener) {
    super(world, listener)
    this.#world = world
    this.#listener = listener
    this.#workloadIssuer = workloadIssuer
  }

  get origin(): string {
    return this.#world.origin
  }

  get tenantId(): string {
    return this.#world.tenantId
  }

  /** Replication and the audit log catch up with everything written so far. */
  settle(): void {
    this.#world.directory.settle()
    this.#world.audit.settle()
  }

  /** An access token signed by the tenant's current key; no check is made that it would be issued. */
  issueToken(request: TokenRequest): string {
    return this.#world.tokens.issue(request)
  }

  /** The same token in a form that only the tenant can read. */
  disguiseToken(token: string): string {
    return this.#world.tokens.disguise(token)
  }

  /** A workload's own token, to be exchanged by an app registered with that `federatedSubject`. */
  workloadToken(subject: string, claims: Readonly<Record<string, unknown>> = {}): string {
    const iat = Math.floor(this.#world.now() / 1000)
    const audience = 'api://AzureADTokenExchange'
    const times = { iat, nbf: iat, exp: iat + 3600 }
    return this.#world.keys.sign({ iss: this.#workloadIssuer, sub: subject, aud: audience, ...times, ...claims }, {})
  }

  addCredential(appId: string, credential: { certificate: string } | { secret: string } | FederatedCredential): void {
    const app = this.#world.apps.get(appId)
    if (app === undefined) throw new Error(`no app ${appId} is registered`)
    if ('certificate' in credential) app.certificates.push(credential.certificate)
    else if ('secret' in credential) app.secrets.add(credential.secret)
    else app.federated.push(credential)
  }

  /** A Conditional Access policy. It is only told of: this tenant enforces none. */
  addPolicy(policy: NewPolicy): string {
    return this.#world.policies.add(policy)
  }

  setPolicyState(id: string, state: PolicyState): void {
    this.#world.policies.setState(id, state)
  }

  removePolicy(id: string): void {
    this.#world.policies.remove(id)
  }

  removeSecret(appId: string, secret: string): void {
    this.#world.apps.get(appId)?.secrets.delete(secret)
  }

  /** Application permissions for Graph; they show in tokens issued from now on. */
  grant(appId: string, role: string): void {
    this.#world.apps.get(appId)?.roles.add(role)
  }

  revoke(appId: string, role: string): void {
    this.#world.apps.get(appId)?.roles.delete(role)
  }

  /** A new key signs; with `withdraw` the old ones vanish from the key set and tokens they signed no longer hold. */
  rotateKeys({ withdraw = false }: { withdraw?: boolean } = {}): void {
    this.#world.keys.rotate(withdraw)
  }

  /** What happens to events from now on, until lifted. Reordered ones are kept until then and sent the last one first. */
  disturbEvents(how: EventDisturbance): () => void {
    return this.#world.eventGrid.disturb(how)
  }

  /** The next `count` Graph calls, batch items included, get 429. `retryAfter: null` leaves the header out. */
  throttleNext(count: number, options: { retryAfter?: string | number | null; match?: Match } = {}): void {
    this.#world.throttle.refuseNext(count, options)
  }

  /** Reads of that group's members fail with `status` until lifted. */
  setGroupReadFault(groupId: string, status: number): () => void {
    const path = new RegExp(`^GET /groups/${groupId}/(transitiveM|m)embers`, 'i')
    return this.fail(path, { status, times: Number.POSITIVE_INFINITY })
  }

  /** Every delta token issued so far is refused from now on. */
  expireDelta(how: 'gone' | 'syncStateNotFound' = 'gone'): void {
    this.#world.switches.deltaGeneration += 1
    this.#world.switches.deltaExpiry = how
  }

  /** The next delta round reports the changes of its predecessor once more. */
  replayDelta(): void {
    this.#world.switches.deltaReplay = true
  }

  /** Creates an event subscription: the real handshake first, then deliveries. Returns its name; rejects when refused. */
  subscribeEventGrid(options: SubscribeEventGrid): Promise<string> {
    return this.#world.eventGrid.subscribe(options)
  }

  unsubscribeEventGrid(name: string): void {
    this.#world.eventGrid.unsubscribe(name)
  }

  /** Say, an audit record with an object id, forwarded by a Logic App: the only push there is for service principals. */
  publishCustomEvent(event: CustomEvent): string {
    return this.#world.eventGrid.publishCustom(event)
  }

  /** The same event once more. */
  redeliver(eventId: string): void {
    this.#world.eventGrid.redeliver(eventId)
  }

  get deliveries(): readonly Delivery[] {
    return this.#world.eventGrid.deliveries
  }

  waitForDelivery(matches: (delivery: Delivery) => boolean, timeoutMs = 60_000): Promise<Delivery> {
    return this.#world.eventGrid.wait(matches, timeoutMs)
  }

  /** Graph's own change notifications: what became of them, and what is done to them. */
  get subscriptions(): Pick<Subscriptions, 'list' | 'deliveries' | 'wait' | 'put' | 'lose' | 'drop' | 'tell'> {
    return this.#world.subscriptions
  }

  async close(): Promise<void> {
    await this.#world.subscriptions.close()
    await this.#world.eventGrid.close()
    await this.#listener.down()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
