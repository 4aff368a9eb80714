import type { Context, Service, Streaming, Unary } from './endpoint.ts'
import { idText } from './ids.ts'
import { selectorKey } from './match.ts'
import { serviceNamed } from './proto.ts'
import { Refused, status } from './refused.ts'
import { type Entry, requests, type Selector } from './shapes.ts'
import { type Bundle, keySet } from './trust.ts'
import type { World } from './world.ts'
import type { Certified } from './x509.ts'

/** An agent's socket, and whom it takes the callers for: it cannot see who they are, so each workload has its own. */
export interface Attested {
  /** Path of the agent that the entries are parented on. */
  readonly agent: string
  readonly selectors: readonly Selector[]
}

interface Issued {
  readonly token: string
  readonly issuedAt: number
  readonly expiresAt: number
}

/** The Workload API of an agent, which knows of changes as late as agents do. */
export function workloadService(world: World, attested: Attested): Service {
  const cache = new Map<string, Issued>()
  const certificates = new Map<string, Certified>()
  const entries = () => byHint(matching(world, attested))
  const forget = () => {
    const ids = new Set(entries().map(({ id }) => id))
    for (const kept of [cache, certificates]) {
      for (const key of kept.keys()) if (!ids.has(key.split('|')[0] ?? '')) kept.delete(key)
    }
  }
  world.watchers.add(forget)

  const FetchJWTSVID: Unary = {
    run: (request, context) => {
      headed(context)
      const { audience, spiffe_id } = requests.jwtSvid.parse(request)
      if (audience.length === 0) throw new Refused(status.invalidArgument, 'audience must be specified')
      alive(world, attested)
      const asked = entries().filter((entry) => spiffe_id === '' || idText(entry.spiffe_id) === spiffe_id)
      if (asked.length === 0) throw noIdentity()
      return { svids: asked.map((entry) => jwtSvid(world, cache, entry, audience)) }
    },
  }

  const streaming = (message: () => object | undefined): Streaming => ({
    open: (_request, context, { refuse, send }) => {
      headed(context)
      alive(world, attested)
      let last = ''
      const tell = () => {
        const next = message()
        if (next === undefined) {
          refuse(noIdentity())
          return
        }
        const seen = JSON.stringify(next)
        if (seen !== last) send(next)
        last = seen
      }
      world.watchers.add(tell)
      const close = () => void world.watchers.delete(tell)
      tell()
      return close
    },
  })
  const isVerifier = () => world.allowUnauthenticatedVerifiers || entries().length > 0

  return {
    definition: serviceNamed('SpiffeWorkloadAPI'),
    calls: {
      FetchJWTSVID,
      FetchX509SVID: streaming(() => (entries().length === 0 ? undefined : x509Svids(world, certificates, entries()))),
      FetchJWTBundles: streaming(() =>
        isVerifier() ? { bundles: bundles(world, entries(), (bundle) => Buffer.from(keySet(bundle))) } : undefined,
      ),
      FetchX509Bundles: streaming(() =>
        isVerifier() ? { crl: [], bundles: bundles(world, entries(), ({ x509 }) => Buffer.concat(x509)) } : undefined,
      ),
    },
  }
}

const noIdentity = () => new Refused(status.permissionDenied, 'no identity issued')

function headed({ metadata }: Context): void {
  if (metadata.get('workload.spiffe.io')[0] === 'true') return
  throw new Refused(status.invalidArgument, 'security header missing from request')
}

/** A banned agent shuts down, and one that was removed has nothing to say. */
function alive({ agents }: World, { agent }: Attested): void {
  const known = agents.current(agent)
  if (known === undefined || known.serial === '') throw new Refused(status.unavailable, 'the agent has shut down')
}

/** All of an entry's selectors must be true of the workload. */
function matching({ entries, syncMs }: World, { agent, selectors }: Attested): Entry[] {
  const known = new Set(selectors.map(selectorKey))
  return entries
    .before(syncMs)
    .filter((entry) => entry.parent_id.path === agent && entry.selectors.every((each) => known.has(selectorKey(each))))
}

/** Of those with the same hint the oldest. */
function byHint(entries: readonly Entry[]): Entry[] {
  const older = (one: Entry, other: Entry) =>
    one.created_at < other.created_at || (one.created_at === other.created_at && one.id < other.id)
  return entries.filter(
    (entry) => entry.hint === '' || !entries.some((other) => other.hint === entry.hint && older(other, entry)),
  )
}

/** The same one again until half of its life is over. */
function jwtSvid(world: World, cache: Map<string, Issued>, entry: Entry, audience: readonly string[]): object {
  const id = idText(entry.spiffe_id)
  const key = [entry.id, ...audience].join('|')
  const cached = cache.get(key)
  const nowS = world.now() / 1000
  const isFresh = cached !== undefined && nowS < (cached.issuedAt + cached.expiresAt) / 2
  const includeJti = entry.additional_attributes?.jwt_svid_include_jti === true
  const ttlS = entry.jwt_svid_ttl > 0 ? entry.jwt_svid_ttl : world.jwtTtlS
  const issued = isFresh && !includeJti ? cached : world.trust.jwtSvid(id, audience, ttlS, includeJti)
  cache.set(key, issued)
  return { spiffe_id: id, svid: issued.token, hint: entry.hint }
}

/** The same one again, until the entry changes or the agent renews it. */
function x509Svids(world: World, cache: Map<string, Certified>, entries: readonly Entry[]): object {
  const own = Buffer.concat(world.trust.bundle.x509)
  const svids = entries.map((entry) => {
    const id = idText(entry.spiffe_id)
    const key = [entry.id, entry.revision_number, world.renewals].join('|')
    const ttlS = entry.x509_svid_ttl > 0 ? entry.x509_svid_ttl : world.x509TtlS
    const issued = cache.get(key) ?? world.trust.x509Svid(id, ttlS)
    cache.set(key, issued)
    const der = issued.privateKey.export({ type: 'pkcs8', format: 'der' })
    return { spiffe_id: id, x509_svid: issued.certificate, x509_svid_key: der, bundle: own, hint: entry.hint }
  })
  const others = [...new Set(entries.flatMap(({ federates_with }) => federates_with))]
  const federated = others.flatMap((domain) => {
    const bundle = world.federated.get(domain)
    return bundle === undefined ? [] : [[`spiffe://${domain}`, Buffer.concat(bundle().x509)] as const]
  })
  return { svids, crl: [], federated_bundles: Object.fromEntries(federated) }
}

/** The own one, and those that the workload's entries federate with. */
function bundles({ federated, trust }: World, entries: readonly Entry[], written: (bundle: Bundle) => Buffer) {
  const others = [...new Set(entries.flatMap(({ federates_with }) => federates_with))].flatMap((domain) => {
    const bundle = federated.get(domain)
    return bundle === undefined ? [] : [bundle()]
  })
  return Object.fromEntries(
    [trust.bundle, ...others].map((bundle) => [`spiffe://${bundle.trustDomain}`, written(bundle)]),
  )
}
