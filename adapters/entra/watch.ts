import type { Hooks } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Tending } from '../../src/core/tending.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { EntraConfig } from './config.ts'
import type { Graph } from './graph.ts'
import { isForGraph, openNotifications } from './notifications.ts'
import { openSubscriptionCalls } from './subscriptioncalls.ts'
import { openSubscriptions } from './subscriptions.ts'

export interface WatchParts {
  readonly name: string
  readonly config: EntraConfig
  readonly publicUrl: string | undefined
  readonly graph: Graph
  readonly clock: Clock
  readonly random: () => number
}

/** Change notifications delivered by Graph itself, where they are configured: the hook, and who keeps them coming. */
export function openWatch(parts: WatchParts): { readonly hooks: Hooks; readonly tending: Tending } | undefined {
  const { name, publicUrl, graph, clock, random } = parts
  const { tenantId, hooks } = parts.config
  const config = hooks.graph
  if (config === undefined) return undefined
  if (publicUrl === undefined) throw new BridgeError('E_CONFIG', `adapters.${name} has a hook and no server.publicUrl`)
  const hook = `${publicUrl.replace(/\/+$/, '')}/hooks/${encodeURIComponent(name)}`
  const calls = openSubscriptionCalls(graph, clock)
  const subscriptions = openSubscriptions({ config, hook, calls, clock, random })
  const { clientState } = config
  return { hooks: openNotifications({ clientState, tenantId, hook, subscriptions, clock }), tending: subscriptions }
}

/** Both share one address; each tells its own requests by their query. */
export function eitherHook(grid: Hooks | undefined, direct: Hooks | undefined): Hooks | undefined {
  if (grid === undefined || direct === undefined) return grid ?? direct
  return { receive: (request, signal) => (isForGraph(request) ? direct : grid).receive(request, signal) }
}
