import type { Discovered, Discovery } from '../../src/core/discovery.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { discoveredOf, inTurn, type List, labelled, some } from '../discovering.ts'
import type { Managed } from '../managed.ts'
import type { EntraConfig } from './config.ts'
import type { Graph } from './graph.ts'
import { type Kind, kindOf, principalSwitches, purposes, selects, sightingOf, userSwitch } from './kinds.ts'
import { pageOf, type Row, row } from './wire.ts'

export interface DiscoverParts {
  readonly graph: Graph
  readonly clock: Pick<Clock, 'now'>
  readonly manage: EntraConfig['manage']
  readonly managed: Pick<Managed, 'learn' | 'ready'>
}

const AGENTS = `/servicePrincipals/microsoft.graph.agentIdentity?$select=${selects.agentIdentity},tags&$top=100`
const PRINCIPALS = `${selects.servicePrincipal},tags,appOwnerOrganizationId`
/** What the admin center asks for as "Agent ID": the tags of agents made before there were agent identities (read 2026-11). */
const TAGGED =
  "tags/any(t:t eq 'AgenticApp') or tags/any(t:t eq 'AgenticInstance') or tags/any(t:startswith(t,'power-virtual-agents-'))"
const isAgentTag = (tag: string) => /^(AgenticApp|AgenticInstance|power-virtual-agents-.*)$/i.test(tag)
/** Such a filter is answered from the search index only (advanced queries, read 2026-11). */
const eventual = { ConsistencyLevel: 'eventual' }
/** The tenants that own the applications of Microsoft itself: thousands are in every tenant. */
const vendor = new Set([
  'f8cdef31-a31e-4b4a-93e4-5f571e91255a',
  '72f988bf-86f1-41af-91ab-2d7cd011db47',
  'cdc5aeea-15c5-4db6-b079-fcadd2505dc2',
])

const byId = false

/** Agent identities, service principals that their tags call agents; with everything all others that are no vendor's, and users. */
export function openDiscovery({ graph, clock, manage, managed }: DiscoverParts): Discovery {
  const has = (kind: Kind) => manage.kinds.includes(kind)
  /** Only groups of agents are managed. */
  const isBounded = manage.groups.length > 0

  const list = (
    name: string,
    path: string,
    purpose: (typeof purposes)[keyof typeof purposes],
    taken: (each: Row, begunAt: number) => Discovered | undefined,
    more: Pick<List, 'when'> & { readonly headers?: Readonly<Record<string, string>> } = {},
  ): List => ({
    name,
    ...(more.when && { when: more.when }),
    async read(at, signal) {
      await managed.ready(signal)
      const begunAt = clock.now()
      const options = { purpose, lane: 'sync', signal, ...(more.headers && { headers: more.headers }) } as const
      const schema = pageOf(row)
      const page = await (at === undefined ? graph.get(path, schema, options) : graph.follow(at, schema, options))
      return { accounts: some(page.value.map((each) => taken(each, begunAt))), next: page['@odata.nextLink'] }
    },
  })

  const learned = (each: Row, kind: Kind, begunAt: number, isAgent: boolean): Discovered | undefined => {
    const isPerson = kind === 'user' || kind === 'agentUser'
    const switches = isPerson ? [userSwitch(each)] : principalSwitches(each)
    const sighting = sightingOf(each, kind, switches, { byId, begunAt })
    managed.learn(sighting)
    return discoveredOf(sighting, isAgent, labelled(each.tags ?? []))
  }

  const principal = (each: Row, begunAt: number): Discovered | undefined => {
    // An agent identity is in its own list, and a blueprint is no account.
    if (kindOf(each, 'servicePrincipal') !== 'servicePrincipal') return undefined
    const isAgent = (each.tags ?? []).some(isAgentTag)
    if (!isAgent && vendor.has(each.appOwnerOrganizationId?.toLowerCase() ?? '')) return undefined
    return learned(each, 'servicePrincipal', begunAt, isAgent)
  }
  const user = (each: Row, begunAt: number): Discovered | undefined => {
    const kind = kindOf(each, 'user') === 'agentUser' ? 'agentUser' : 'user'
    return has(kind) ? learned(each, kind, begunAt, kind === 'agentUser' || isBounded) : undefined
  }

  const tagged = `/servicePrincipals?$select=${PRINCIPALS}&$filter=${encodeURIComponent(TAGGED)}&$count=true&$top=100`
  const principals = `/servicePrincipals?$select=${PRINCIPALS}&$top=999`
  const users = `/users?$select=${selects.user}&$top=999`
  return inTurn([
    ...(has('agentIdentity')
      ? [list('agents', AGENTS, purposes.readAgents, (each, at) => learned(each, 'agentIdentity', at, true))]
      : []),
    ...(has('servicePrincipal')
      ? [
          list('tagged', tagged, purposes.readPrincipals, principal, { when: 'agents', headers: eventual }),
          list('principals', principals, purposes.readPrincipals, principal, { when: 'everything' }),
        ]
      : []),
    ...(has('user') || has('agentUser')
      ? [list('users', users, purposes.readUsers, user, isBounded || has('agentUser') ? {} : { when: 'everything' })]
      : []),
  ])
}
