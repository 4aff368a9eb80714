import { z } from 'zod'
import type { Discovery } from '../../src/core/discovery.ts'
import type { Sighting } from '../../src/core/types.ts'
import { discoveredOf, inTurn, type List, some } from '../discovering.ts'
import type { Managed } from '../managed.ts'
import type { Api, Target } from './api.ts'
import type { OktaConfig } from './config.ts'
import type { Kind } from './ids.ts'
import { agent, agentSighting, app, appSighting, listPathOf, readPurpose, user, userSighting } from './kinds.ts'
import { pinnedLink } from './links.ts'

export interface DiscoverParts {
  readonly api: Api
  readonly manage: OktaConfig['manage']
  readonly managed: Pick<Managed, 'learn' | 'ready'>
  /** Who we are must be known, or our own app would be told as somebody's. */
  readonly self: (signal: AbortSignal) => Promise<unknown>
}

const PAGE = 200
const agentPage = z.object({
  data: z.array(agent),
  _links: z.object({ next: z.object({ href: z.string() }).optional() }).optional(),
})
const order: readonly Kind[] = ['aiAgent', 'serviceApp', 'user']

/** AI agents, apps that sign in as themselves, and users: those of `manage.groups`, or with everything all. */
export function openDiscovery({ api, manage, managed, self }: DiscoverParts): Discovery {
  /** Only users of groups of agents are managed. */
  const isBounded = manage.groups.length > 0

  const read = async (kind: Kind, target: Target, signal: AbortSignal) => {
    const options = { purpose: readPurpose[kind], lane: 'sync', signal } as const
    if (kind === 'aiAgent') {
      const { value, begunAt } = await api.get(target, agentPage, options)
      const href = value._links?.next?.href
      const sightings = value.data.map((each) => agentSighting(each, { byId: false, begunAt }))
      return { sightings, next: href === undefined ? undefined : pinnedLink(href, api.origin) }
    }
    if (kind === 'user') {
      const { value, next, begunAt } = await api.get(target, z.array(user), options)
      return { sightings: value.map((each) => userSighting(each, { byId: false, begunAt })), next }
    }
    const { value, next, begunAt } = await api.get(target, z.array(app), options)
    const all = value.map((each) => appSighting(each, { byId: false, begunAt }))
    return { sightings: all.filter((each) => each.kind === kind), next }
  }

  const list = (kind: Kind): List => ({
    name: kind,
    async read(at, signal) {
      await self(signal)
      await managed.ready(signal)
      const from = at === undefined ? { path: `${listPathOf(kind)}?limit=${PAGE}` } : { link: at }
      const { sightings, next } = await read(kind, from, signal)
      const taken = (sighting: Sighting) => {
        managed.learn(sighting)
        return discoveredOf(sighting, kind !== 'user' || isBounded)
      }
      return { accounts: some(sightings.map(taken)), next }
    },
  })
  return inTurn(order.filter((kind) => manage.kinds.includes(kind)).map(list))
}
