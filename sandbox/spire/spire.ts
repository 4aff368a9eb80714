import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fault, Match } from '../faults.ts'
import type { SeenRequest } from '../requests.ts'
import { type BundleEndpoint, type BundleEndpointOptions, startBundleEndpoint } from './bundleendpoint.ts'
import { type DiscoveryProvider, startDiscoveryProvider } from './discovery.ts'
import { Endpoint, type Surface } from './endpoint.ts'
import { idOf, idText } from './ids.ts'
import { serverServices } from './serverapi.ts'
import type { Entry, SentEntry } from './shapes.ts'
import { bundleDocument } from './trust.ts'
import { type Attested, workloadService } from './workloadapi.ts'
import { tell, type World } from './world.ts'
import { toPem } from './x509.ts'

/** An entry to be made; what is absent is as empty as on the wire. */
export interface NewEntry {
  readonly id?: string
  readonly spiffeId: string
  /** The first agent when absent. */
  readonly parentId?: string
  /** As `type:value`. */
  readonly selectors: readonly string[]
  readonly more?: Partial<Omit<SentEntry, 'id' | 'spiffe_id' | 'parent_id' | 'selectors'>>
}

/** What a caller over TLS presents, as PEM. */
export interface Svid {
  readonly certificate: string
  readonly privateKey: string
}

/** A local SPIRE. Faults are matched by `POST` and the path of a call; the status of one is a gRPC code. */
export class Spire implements AsyncDisposable {
  readonly #world: World
  readonly #folder: string
  readonly #endpoints: { readonly socket: Endpoint; readonly tls: Endpoint }
  readonly #workloads: Endpoint[] = []
  /** Servers beside SPIRE's own. */
  readonly #others: AsyncDisposable[] = []

  constructor(world: World, folder: string, maxConnectionAgeMs: number) {
    this.#world = world
    this.#folder = folder
    const { faults, now, requests } = world
    const shared = { surface: 'server' as const, services: serverServices(world), faults, requests, now }
    mkdirSync(join(folder, 'private'), { mode: 0o750 })
    this.#endpoints = {
      socket: new Endpoint({ ...shared, at: { socket: join(folder, 'private', 'api.sock') } }),
      tls: new Endpoint({ ...shared, at: { tls: () => this.#serverTls(), maxConnectionAgeMs } }),
    }
    this.addAgent()
  }

  get trustDomain(): string {
    return this.#world.trustDomain
  }

  /** Of the server API: `unix:///…/api.sock`. */
  get socket(): string {
    return this.#endpoints.socket.address
  }

  /** Of the server API over TLS: `127.0.0.1:port`. */
  get address(): string {
    return this.#endpoints.tls.address
  }

  get serverId(): string {
    return `spiffe://${this.trustDomain}/spire/server`
  }

  /** SPIFFE ID of the first agent. */
  get agentId(): string {
    const [first] = this.#world.agents.everyCurrent()
    if (first === undefined) throw new Error('there is no agent')
    return idText(first.spiffeId)
  }

  /** The X.509 authorities as PEM. */
  get caPem(): string {
    return this.#world.trust.bundle.x509.map(toPem).join('')
  }

  /** The bundle as JSON, as `spire-server bundle show -format spiffe` prints it. */
  bundle(refreshHintS = 300): string {
    return bundleDocument(this.#world.trust.bundle, refreshHintS)
  }

  addAgent(): string {
    const spiffeId = idOf(`spiffe://${this.trustDomain}/spire/agent/join_token/${randomUUID()}`)
    this.#world.agents.add({
      id: spiffeId.path,
      spiffeId,
      attestationType: 'join_token',
      serial: BigInt(`0x${randomBytes(16).toString('hex')}`).toString(),
      expiresAt: Math.floor(this.#world.now() / 1000) + this.#world.x509TtlS,
      canReattest: false,
      selectors: [],
    })
    return idText(spiffeId)
  }

  /** As an admin of SPIRE would make it; throws where that is refused, and when there is one like it. */
  addEntry({ id = '', more = {}, parentId = this.agentId, selectors, spiffeId }: NewEntry): Entry {
    const sent: SentEntry = {
      id,
      spiffe_id: idOf(spiffeId),
      parent_id: idOf(parentId),
      selectors: selectors.map(selectorOf),
      x509_svid_ttl: 0,
      federates_with: [],
      admin: false,
      downstream: false,
      expires_at: 0,
      dns_names: [],
      store_svid: false,
      jwt_svid_ttl: 0,
      hint: '',
      ...more,
    }
    const { entry, isNew } = this.#world.entries.create(sent)
    if (!isNew) throw new Error(`entry ${entry.id} is like it`)
    return entry
  }

  /** As an admin, or a controller that owns the entry, would change it: only what is given. */
  changeEntry(id: string, changes: Partial<SentEntry>): Entry {
    const entry = this.entry(id)
    if (entry === undefined) throw new Error(`there is no entry ${id}`)
    const mask = Object.fromEntries(Object.keys(changes).map((name) => [name, true]))
    return this.#world.entries.update({ ...entry, ...changes, id }, mask)
  }

  removeEntry(id: string): void {
    this.#world.entries.remove(id)
  }

  entry(id: string): Entry | undefined {
    return this.#world.entries.get(id)
  }

  get entries(): readonly Entry[] {
    return this.#world.entries.list(null).map(({ value }) => value)
  }

  /** A socket of the Workload API whose callers are attested to have these selectors (`type:value`): its address. */
  async workload(selectors: readonly string[], agentId = this.agentId): Promise<string> {
    const attested: Attested = { agent: idOf(agentId).path, selectors: selectors.map(selectorOf) }
    const { faults, now, requests } = this.#world
    const endpoint = new Endpoint({
      surface: 'workload',
      services: [workloadService(this.#world, attested)],
      faults,
      requests,
      now,
      at: { socket: join(this.#folder, `agent${this.#workloads.length}.sock`) },
    })
    this.#workloads.push(endpoint)
    await endpoint.up()
    return endpoint.address
  }

  /** An X509-SVID, whether or not there is an entry. */
  x509Svid(spiffeId: string, ttlS = this.#world.x509TtlS): Svid {
    const { certificate, privateKey } = this.#world.trust.x509Svid(spiffeId, ttlS)
    return {
      certificate: toPem(certificate),
      privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  /** A JWT-SVID, whether or not there is an entry, and of any subject. */
  jwtSvid(subject: string, audience: readonly string[], ttlS = this.#world.jwtTtlS): string {
    return this.#world.trust.jwtSvid(subject, audience, ttlS).token
  }

  /** The key ids of tokens, oldest first; the last one is signed with. */
  get kids(): readonly string[] {
    return this.#world.trust.kids
  }

  rotateJwtKey(): string {
    const kid = this.#world.trust.addJwtKey()
    tell(this.#world.watchers)
    return kid
  }

  taintJwtKey(kid: string): void {
    this.#world.trust.taintJwtKey(kid)
    tell(this.#world.watchers)
  }

  /** Without the last one nothing of the trust domain is valid, and nothing can be signed. */
  revokeJwtKey(kid: string): void {
    this.#world.trust.revokeJwtKey(kid)
    tell(this.#world.watchers)
  }

  /** Agents renew their X509-SVIDs, and tell the workloads that listen. */
  renewX509Svids(): void {
    this.#world.renewals += 1
    tell(this.#world.watchers)
  }

  /** From now on this trust domain knows the other's bundle, as it is at each moment. */
  federateWith(other: Spire): void {
    this.#world.federated.set(other.trustDomain, () => other.#world.trust.bundle)
    tell(this.#world.watchers)
  }

  /** Serves the bundle over HTTPS, until this is disposed. */
  async bundleEndpoint(options: BundleEndpointOptions): Promise<BundleEndpoint> {
    const endpoint = await startBundleEndpoint(this.#world.trust, this.serverId, options)
    this.#others.push(endpoint)
    return endpoint
  }

  /** Starts an OIDC discovery provider, which is the issuer of tokens from now on. */
  async discoveryProvider(): Promise<DiscoveryProvider> {
    const provider = await startDiscoveryProvider(this.#world.trust)
    this.#others.push(provider)
    this.#world.trust.jwtIssuer = provider.issuer
    return provider
  }

  /** Returns what lifts the fault before its time. */
  fail(match: Match, fault: Fault): () => void {
    return this.#world.faults.add(match, fault)
  }

  get requests(): readonly SeenRequest<Surface>[] {
    return this.#world.requests.entries
  }

  clearRequests(): void {
    this.#world.requests.clear()
  }

  waitForRequest(
    matches: (request: SeenRequest<Surface>) => boolean,
    timeoutMs = 60_000,
  ): Promise<SeenRequest<Surface>> {
    return this.#world.requests.wait(matches, timeoutMs)
  }

  /** Changes reach the agents now. Needed by tests that hold the clock still and then move it. */
  sync(): void {
    this.#world.later.run()
  }

  /** The server; agents go on with what they know. */
  async goAway(): Promise<void> {
    await Promise.all([this.#endpoints.socket.down(), this.#endpoints.tls.down()])
  }

  /** At the same addresses. */
  async comeBack(): Promise<void> {
    await Promise.all([this.#endpoints.socket.up(), this.#endpoints.tls.up()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#world.later.close()
    await this.goAway()
    await Promise.all([...this.#workloads, ...this.#others].map((each) => each[Symbol.asyncDispose]()))
    await rm(this.#folder, { recursive: true, force: true })
  }

  #serverTls() {
    const { certificate, privateKey } = this.x509Svid(this.serverId)
    return { ca: this.caPem, cert: certificate, key: privateKey }
  }
}

function selectorOf(text: string) {
  const [type = '', ...value] = text.split(':')
  return { type, value: value.join(':') }
}
