import type { Alteration } from '../faults.ts'
import type { Context, Service, Unary } from './endpoint.ts'
import { checkedId, idText } from './ids.ts'
import { pageOf } from './paging.ts'
import { serviceNamed } from './proto.ts'
import { Refused, status } from './refused.ts'
import { masked, requests } from './shapes.ts'
import { type Bundle, bundleMessage } from './trust.ts'
import type { Agent, World } from './world.ts'

const ok = { code: status.ok, message: 'OK' }

/** An item of a batch: what was done, or why it was not. */
function item<T extends object>(run: () => T, failed: object = {}): object {
  try {
    return run()
  } catch (error) {
    if (error instanceof Refused) return { status: { code: error.code, message: error.message }, ...failed }
    throw error
  }
}

const unlistedEntries = 'failed to list entries: datastore-sql: rpc error: code = InvalidArgument desc ='

/** What misleads about a list. */
const alteredList =
  (world: World, rows: string) =>
  (how: Alteration, run: () => object, request: unknown): object => {
    if (how.altered === 'empty') return { [rows]: [], next_page_token: '' }
    if (how.altered === 'stale') return world.entries.behind(how.byMs, run)
    const answer = run()
    const { page_token } = requests.page.parse(request)
    return { ...answer, next_page_token: page_token === '' ? '0' : page_token }
  }

/** The calls of the server that the bridge and its set-up make. */
export function serverServices(world: World): readonly Service[] {
  const admin = (call: Unary): Unary => ({
    ...call,
    run: (request, context) => {
      if (!isAdmin(world, context)) {
        throw new Refused(status.permissionDenied, `authorization denied for method ${context.path}`)
      }
      return call.run(request, context)
    },
  })
  return [
    { definition: serviceNamed('spire.api.server.entry.v1.Entry'), calls: entryCalls(world, admin) },
    { definition: serviceNamed('spire.api.server.agent.v1.Agent'), calls: agentCalls(world, admin) },
    { definition: serviceNamed('spire.api.server.bundle.v1.Bundle'), calls: bundleCalls(world, admin) },
    {
      definition: serviceNamed('spire.api.server.svid.v1.SVID'),
      calls: { MintJWTSVID: admin({ run: (request) => ({ svid: mint(world, request) }) }) },
    },
  ]
}

/** By any entry of the caller with that flag, whatever its selectors are. */
function isAdmin({ adminIds, entries }: World, { caller }: Context): boolean {
  if (caller === 'local') return true
  const { id } = caller
  if (id === undefined) return false
  return adminIds.includes(id) || entries.list(null).some(({ value }) => value.admin && idText(value.spiffe_id) === id)
}

function entryCalls(world: World, admin: (call: Unary) => Unary): Service['calls'] {
  const { entries } = world
  return {
    CountEntries: admin({
      run: (request) => ({ count: entries.list(requests.countEntries.parse(request).filter).length }),
    }),
    ListEntries: admin({
      run: (request) => {
        const { filter, output_mask, ...page } = requests.listEntries.parse(request)
        const { next, rows } = pageOf(entries.list(filter), page, unlistedEntries, world.pageSize)
        return { entries: rows.map(({ value }) => masked(value, output_mask)), next_page_token: next }
      },
      altered: alteredList(world, 'entries'),
    }),
    GetEntry: admin({
      run: (request) => {
        const { id, output_mask } = requests.getEntry.parse(request)
        if (id === '') throw new Refused(status.invalidArgument, 'missing ID')
        const entry = entries.get(id)
        if (entry === undefined) throw new Refused(status.notFound, 'entry not found')
        return masked(entry, output_mask)
      },
    }),
    BatchCreateEntry: admin({
      run: (request) => {
        const { entries: sent, output_mask } = requests.createEntries.parse(request)
        const create = (each: (typeof sent)[number]) => {
          const { entry, isNew } = entries.create(each)
          const similar = { code: status.alreadyExists, message: 'similar entry already exists' }
          return { status: isNew ? ok : similar, entry: masked(entry, output_mask) }
        }
        return { results: sent.map((each) => item(() => create(each))) }
      },
    }),
    BatchUpdateEntry: admin({
      run: (request) => {
        const { entries: sent, input_mask, output_mask } = requests.updateEntries.parse(request)
        const update = (each: (typeof sent)[number]) => ({
          status: ok,
          entry: masked(entries.update(each, input_mask), output_mask),
        })
        return { results: sent.map((each) => item(() => update(each))) }
      },
    }),
    BatchDeleteEntry: admin({
      run: (request) => {
        const remove = (id: string) => {
          entries.remove(id)
          return { status: ok, id }
        }
        return { results: requests.deleteEntries.parse(request).ids.map((id) => item(() => remove(id), { id })) }
      },
    }),
  }
}

function agentCalls(world: World, admin: (call: Unary) => Unary): Service['calls'] {
  const { agents } = world
  const shown = ({ attestationType, canReattest, expiresAt, selectors, serial, spiffeId }: Agent) => ({
    id: spiffeId,
    attestation_type: attestationType,
    x509svid_serial_number: serial,
    x509svid_expires_at: expiresAt,
    selectors,
    banned: serial === '',
    can_reattest: canReattest,
    agent_version: '1.15.3',
  })
  const one = (request: unknown) => {
    const { id, output_mask } = requests.agent.parse(request)
    const agent = agents.current(checkedId(id, world.trustDomain, 'agent', 'invalid agent ID').path)
    if (agent === undefined) throw new Refused(status.notFound, 'agent not found')
    return { agent, output_mask }
  }
  return {
    CountAgents: admin({ run: () => ({ count: agents.everyCurrent().length }) }),
    ListAgents: admin({
      run: (request) => {
        const { filter, output_mask, ...page } = requests.listAgents.parse(request)
        const found = agents
          .list()
          .filter(
            ({ value }) =>
              filter === null ||
              ((filter.by_attestation_type === '' || filter.by_attestation_type === value.attestationType) &&
                (filter.by_banned === null || filter.by_banned.value === (value.serial === '')) &&
                (filter.by_can_reattest === null || filter.by_can_reattest.value === value.canReattest)),
          )
        const { next, rows } = pageOf(found, page, 'failed to list agents:', world.pageSize)
        return { agents: rows.map(({ value }) => masked(shown(value), output_mask)), next_page_token: next }
      },
      altered: alteredList(world, 'agents'),
    }),
    GetAgent: admin({
      run: (request) => {
        const { agent, output_mask } = one(request)
        return masked(shown(agent), output_mask)
      },
    }),
    BanAgent: admin({
      run: (request) => {
        agents.set({ ...one(request).agent, serial: '' })
        return {}
      },
    }),
    DeleteAgent: admin({
      run: (request) => {
        agents.remove(one(request).agent.id)
        return {}
      },
    }),
  }
}

function bundleCalls(world: World, admin: (call: Unary) => Unary): Service['calls'] {
  const shown = (bundle: Bundle, mask: Parameters<typeof masked>[1]) =>
    masked(bundleMessage(bundle), mask, ['trust_domain'])
  return {
    GetBundle: { run: (request) => shown(world.trust.bundle, requests.bundle.parse(request).output_mask) },
    GetFederatedBundle: admin({
      run: (request) => {
        const { output_mask, trust_domain } = requests.federatedBundle.parse(request)
        if (trust_domain === world.trustDomain) {
          const reason = "getting a federated bundle for the server's own trust domain is not allowed"
          throw new Refused(status.invalidArgument, reason)
        }
        const bundle = world.federated.get(trust_domain)
        if (bundle === undefined) throw new Refused(status.notFound, 'bundle not found')
        return shown(bundle(), output_mask)
      },
    }),
    ListFederatedBundles: admin({
      run: (request) => {
        const { output_mask, ...page } = requests.federatedBundles.parse(request)
        const all = [...world.federated.values()].map((bundle, index) => ({ ordinal: index + 2, bundle }))
        const { next, rows } = pageOf(all, page, 'failed to list bundles:', world.pageSize)
        return { bundles: rows.map(({ bundle }) => shown(bundle(), output_mask)), next_page_token: next }
      },
      altered: alteredList(world, 'bundles'),
    }),
  }
}

/** For any id, whether or not there is an entry. */
function mint(world: World, request: unknown): object {
  const sent = requests.mint.parse(request)
  const id = checkedId(sent.id, world.trustDomain, 'workload', 'invalid SPIFFE ID')
  if (sent.audience.length === 0) throw new Refused(status.invalidArgument, 'at least one audience is required')
  const ttlS = sent.ttl > 0 ? sent.ttl : world.jwtTtlS
  const { expiresAt, issuedAt, token } = world.trust.jwtSvid(idText(id), sent.audience, ttlS)
  return { token, id, expires_at: expiresAt, issued_at: issuedAt }
}
