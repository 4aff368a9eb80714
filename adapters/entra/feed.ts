import type { Page } from '../../src/core/adapter.ts'
import type { Sighting, Switch } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { live } from '../aborts.ts'
import { type Place, readPlace, writePlace } from './checkpoint.ts'
import type { Graph } from './graph.ts'
import {
  agentList,
  blueprintList,
  combined,
  type Kind,
  kindOf,
  principalSwitches,
  purposes,
  selects,
  sightingOf,
  userSwitch,
} from './kinds.ts'
import { type Listed, pagesOf } from './pages.ts'
import { type Row, row } from './wire.ts'

export interface FeedParts {
  readonly graph: Graph
  readonly clock: Clock
  readonly log: Logger
  readonly kinds: readonly Kind[]
}

type State = Switch['state']

/** Agent identities listed in this pass: their state with everything that switches them. */
type Agents = Map<string, State>

/**
 * The change feed of one tenant. Service principals and users come from delta queries. Agent identities come from their
 * own list, in every pass (nothing else is allowed with `AgentIdentity.Read.All` alone) unless the service principal feed
 * is used anyway and was seen to show them. Blueprint principals are few and listed in every pass.
 */
export function openFeed({ graph, clock, log, kinds }: FeedParts) {
  const managed = new Set(kinds)
  const feeds = {
    agents: managed.has('agentIdentity') || managed.has('agentUser'),
    principals: managed.has('servicePrincipal'),
    users: managed.has('user') || managed.has('agentUser'),
  }
  /** What the last complete list of this process said: tells who vanished or changed since. */
  let before: Agents | undefined

  async function* changes(since: string | undefined, signal: AbortSignal, aside = false): AsyncIterable<Page> {
    live(signal)
    const place = since === undefined ? undefined : readPlace(since, graph.origin, feeds)
    const next: { -readonly [K in keyof Place]: Place[K] } = { v: 1, agents: 'poll', blueprints: {} }
    const agents: Agents = new Map()

    if (feeds.agents) {
      const blueprints = await listBlueprints(signal)
      next.blueprints = Object.fromEntries(blueprints)
      const flipped = place ? changedKeys(place.blueprints, next.blueprints) : []
      const listing = place === undefined || place.agents === 'poll' || flipped.length > 0
      if (flipped.length > 0) yield { sightings: [], touched: flipped, checkpoint: undefined }
      if (listing) {
        yield* listAgents(blueprints, agents, signal)
        const touched = unlike(agents, place === undefined)
        if (!aside) before = agents
        if (touched.length > 0) yield { sightings: [], touched, checkpoint: undefined }
      }
      if (place) next.agents = place.agents
    }
    if (feeds.principals) {
      const unseen = new Set(agents.keys())
      const isProbe = place === undefined && agents.size > 0
      next.principals = yield* principals(place?.principals, unseen, agents, signal)
      if (isProbe && unseen.size === 0) next.agents = 'delta'
      if (isProbe && unseen.size > 0)
        log.info({ missing: unseen.size }, 'the service principal feed does not show agent identities: they are listed')
    }
    if (feeds.users) next.users = yield* users(place?.users, agents, signal)
    yield { sightings: [], touched: [], checkpoint: writePlace(next) }
  }

  const sync = (signal: AbortSignal, purpose: (typeof purposes)[keyof typeof purposes], delta = false) =>
    ({ purpose, lane: 'sync', signal, delta }) as const

  async function listBlueprints(signal: AbortSignal): Promise<Map<string, State>> {
    const states = new Map<string, State>()
    const options = sync(signal, purposes.readBlueprints)
    for await (const { rows } of pagesOf(graph, clock, { path: blueprintList }, row, options))
      for (const each of rows) if (each.appId != null) states.set(each.appId, combined(principalSwitches(each)))
    return states
  }

  async function* listAgents(blueprints: Map<string, State>, agents: Agents, signal: AbortSignal) {
    const options = sync(signal, purposes.readAgents)
    for await (const { rows, begunAt } of pagesOf(graph, clock, { path: agentList }, row, options)) {
      const sightings: Sighting[] = []
      const touched: string[] = []
      for (const each of rows) {
        const appId = each.agentIdentityBlueprintId
        const state = appId == null ? 'unknown' : (blueprints.get(appId) ?? 'unknown')
        // A blueprint that the list lacks is gone, or younger than the list: only a read by id says which.
        if (appId != null && !blueprints.has(appId)) touched.push(each.id)
        const switches: Switch[] = [...principalSwitches(each), { name: 'blueprint', state, ours: false }]
        agents.set(each.id, combined(switches))
        if (managed.has('agentIdentity'))
          sightings.push(sightingOf(each, 'agentIdentity', switches, { byId: false, begunAt }))
      }
      yield { sightings, touched, checkpoint: undefined }
    }
  }

  /** Ids to re-read: those no longer listed, and those whose change also switches an agent's user account. */
  function unlike(agents: Agents, isFull: boolean): string[] {
    const gone = before ? [...before.keys()].filter((id) => !agents.has(id)) : []
    if (!managed.has('agentUser') || isFull) return gone
    const changed = [...agents].filter(([id, state]) => (before ? before.get(id) !== state : state !== 'on'))
    return [...gone, ...changed.map(([id]) => id)]
  }

  async function* principals(link: string | undefined, unseen: Set<string>, agents: Agents, signal: AbortSignal) {
    const path = `/servicePrincipals/delta?$select=${selects.servicePrincipal}`
    const from = link === undefined ? { path } : { link }
    let deltaLink = ''
    const options = sync(signal, purposes.readPrincipals, true)
    for await (const page of pagesOf(graph, clock, from, row, options)) {
      deltaLink = page.deltaLink ?? deltaLink
      yield sorted(page, (each) => {
        unseen.delete(each.id)
        const kind = kindOf(each, 'servicePrincipal')
        if (kind === 'blueprint') return 'nothing'
        // The feed tells neither an agent's blueprint nor, for sure, that it is one: only a read by id does.
        if (kind === 'agentIdentity' || agents.has(each.id)) return agents.has(each.id) ? 'nothing' : 'touched'
        return sightingOf(each, 'servicePrincipal', principalSwitches(each), { byId: false, begunAt: page.begunAt })
      })
    }
    return deltaLink
  }

  async function* users(link: string | undefined, agents: Agents, signal: AbortSignal) {
    const from = link === undefined ? { path: `/users/delta?$select=${selects.user}` } : { link }
    let deltaLink = ''
    const options = sync(signal, purposes.readUsers, true)
    for await (const page of pagesOf(graph, clock, from, row, options)) {
      deltaLink = page.deltaLink ?? deltaLink
      const read = { byId: false, begunAt: page.begunAt }
      yield sorted(page, (each) => {
        const kind = kindOf(each, 'user') === 'agentUser' ? 'agentUser' : 'user'
        if (kind === 'user' && !managed.has('user')) return link === undefined ? 'nothing' : 'touched'
        if (kind === 'user') return sightingOf(each, kind, [userSwitch(each)], read)
        if (!managed.has('agentUser')) return 'nothing'
        // Later rounds do not come with the list of parents, and a parent that the list lacks may only be younger.
        const state = each.identityParentId == null ? undefined : agents.get(each.identityParentId)
        if (link !== undefined || state === undefined) return 'touched'
        return sightingOf(
          each,
          kind,
          [userSwitch(each), { name: 'parent', state, ours: false, via: each.identityParentId ?? undefined }],
          read,
        )
      })
    }
    return deltaLink
  }

  return { changes }
}

/** Removed rows and rows that leave a state open say only whom to re-read: absent is not false (I8). */
function sorted(page: Listed<Row>, judge: (each: Row) => Sighting | 'touched' | 'nothing'): Page {
  const sightings: Sighting[] = []
  const touched: string[] = []
  for (const each of page.rows) {
    const judged = each['@removed'] ? 'touched' : judge(each)
    if (judged === 'touched') touched.push(each.id)
    else if (judged !== 'nothing' && judged.state === 'unknown') touched.push(each.id)
    else if (judged !== 'nothing') sightings.push(judged)
  }
  return { sightings, touched, checkpoint: undefined }
}

function changedKeys(old: Readonly<Record<string, State>>, now: Readonly<Record<string, State>>): string[] {
  const keys = new Set([...Object.keys(old), ...Object.keys(now)])
  return [...keys].filter((key) => Object.hasOwn(old, key) && old[key] !== now[key])
}
