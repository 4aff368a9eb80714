import { z } from 'zod'
import type { Origin } from './actors.ts'
import { appTarget } from './apps.ts'
import { invalid, notFound, Refusal } from './errors.ts'
import type { EventName } from './events.ts'
import { oktaId } from './ids.ts'
import type { Agent, Operation } from './model.ts'
import { page } from './paging.ts'
import { type Allowed, checkFilter, matches, parseFilter } from './scim.ts'
import type { LogTarget } from './syslog.ts'
import { type Call, iso, type LinkedAnswer, ok, originOf } from './wire.ts'
import type { World } from './world.ts'

const base = '/workload-principals/api/v1'

function agentTarget({ id, name }: Agent): LogTarget {
  return { id, type: 'AIAgent', alternateId: id, displayName: name }
}

export function agentBody(world: World, agent: Agent): Record<string, unknown> {
  return {
    id: agent.id,
    status: agent.status,
    profile: { name: agent.name, description: agent.description },
    ...(agent.appId === undefined ? {} : { appId: agent.appId }),
    created: iso(agent.created),
    lastUpdated: iso(agent.lastUpdated),
    _links: { self: { href: `${world.origin}${base}/ai-agents/${agent.id}` } },
  }
}

const searchable: Allowed = { status: ['eq'], appId: ['eq'], 'profile.name': ['sw', 'co', 'eq'] }

/** Pages are linked in the body; there is no `Link` header. */
export function listAgents(world: World, call: Call): LinkedAnswer {
  const limit = Number(call.search.get('limit') ?? '1')
  if (!(limit >= 1 && limit <= 200)) throw invalid('limit', 'limit: The limit must be between 1 and 200.')
  const text = call.search.get('search')
  const filter = text === null ? undefined : checkFilter(parseFilter(text), searchable)
  const rows = world.agents
    .list(text !== null)
    .filter(({ value }) => filter === undefined || matches(filter, agentBody(world, value)))
  const { next, values } = page(world, call, rows, { defaultLimit: 200, maxLimit: 200 })
  const links = next === undefined ? {} : { next: { href: next } }
  return ok({
    data: values.map((agent) => agentBody(world, agent)),
    _links: { self: { href: `${world.origin}${call.path}` }, ...links },
  })
}

export function getAgent(world: World, _call: Call, id: string): LinkedAnswer {
  const found = world.agents.seen(id)
  if (found === undefined) throw notFound(id, 'AIAgent')
  return ok(agentBody(world, found))
}

function written(world: World, id: string): Agent {
  const found = world.agents.current(id)
  if (found === undefined) throw notFound(id, 'AIAgent')
  return found
}

export function getOperation(world: World, _call: Call, id: string): LinkedAnswer {
  const found = world.operations.current(id)
  if (found === undefined) throw notFound(id, 'Operation')
  const self = `${world.origin}${base}/operations/${id}`
  return ok({
    id,
    type: found.type,
    status: found.status,
    created: iso(found.created),
    ...(found.started === undefined ? {} : { started: iso(found.started) }),
    ...(found.completed === undefined ? {} : { completed: iso(found.completed) }),
    resource: {
      id: found.agentId,
      type: 'ai-agent',
      status: found.status,
      _links: { self: { href: `${world.origin}${base}/ai-agents/${found.agentId}` } },
    },
    ...(found.error === undefined ? {} : { errorDetails: found.error }),
    _links: { self: { href: self } },
  })
}

type Why = { readonly code: string; readonly message: string } | undefined

/** Accepted now, scheduled, begun and carried out later; `work` says why it failed. */
function accept(world: World, agentId: string, type: string, work: () => Why): LinkedAnswer {
  const id = oktaId('wlo')
  const operation: Operation = { id, type, status: 'SCHEDULED', created: world.now(), agentId }
  world.operations.add(operation)
  world.later.after(world.operationMs / 2, () => {
    world.operations.set({ ...operation, status: 'IN_PROGRESS', started: world.now() })
  })
  world.later.after(world.operationMs, () => {
    const error = ordered(world) ?? work()
    const at = world.now()
    const ended = { ...operation, started: at, completed: at }
    world.operations.set(
      error === undefined ? { ...ended, status: 'COMPLETED' } : { ...ended, status: 'FAILED', error },
    )
  })
  return { status: 202, headers: { Location: `${world.origin}${base}/operations/${id}` } }
}

function ordered(world: World): Why {
  const order = world.switches.failOperations
  if (order === undefined) return undefined
  order.left -= 1
  if (order.left <= 0) world.switches.failOperations = undefined
  return { code: order.code, message: order.message }
}

type What = 'register' | 'activate' | 'deactivate' | 'delete' | 'update'

/** Cells write the newer event, the older one, or both. */
export function tellOfAgent(world: World, agent: Agent, what: What, origin: Origin): void {
  const newer: EventName = `workload_principal.ai_agent.${what}`
  const older: EventName = `workload_principal.${what}`
  const names = { new: [newer], old: [older], both: [newer, older] }[world.agentEvents]
  for (const eventType of names) world.log.write({ eventType, targets: [agentTarget(agent)] }, origin)
  const app = world.apps.current(agent.appId ?? '')
  // An agent of the older kind: its app's event comes on top.
  if (app !== undefined && world.agentEvents === 'both' && (what === 'activate' || what === 'deactivate')) {
    world.log.write({ eventType: `application.lifecycle.${what}`, targets: [appTarget(app)] }, origin)
  }
}

/** The switch itself; what it is already it stays, and the log shows nothing. */
export function switchAgent(world: World, id: string, status: 'ACTIVE' | 'INACTIVE', origin: Origin): Why {
  const agent = world.agents.current(id)
  if (agent === undefined) return { code: 'NOT_FOUND', message: `The AI agent ${id} does not exist.` }
  if (agent.status === status) return undefined
  if (status === 'ACTIVE' && agent.ownerIds.length === 0) {
    return { code: 'OWNER_REQUIRED', message: 'An AI agent needs an owner before it can be activated.' }
  }
  if (status === 'INACTIVE' && agent.status === 'STAGED') {
    return { code: 'INVALID_STATUS', message: 'Only an active AI agent can be deactivated.' }
  }
  world.agents.set({ ...agent, status, lastUpdated: world.now() })
  tellOfAgent(world, agent, status === 'ACTIVE' ? 'activate' : 'deactivate', origin)
  return undefined
}

export const turn =
  (status: 'ACTIVE' | 'INACTIVE') =>
  (world: World, call: Call, id: string): LinkedAnswer => {
    written(world, id)
    const type = `ai-agent:${status === 'ACTIVE' ? 'activate' : 'deactivate'}`
    return accept(world, id, type, () => switchAgent(world, id, status, originOf(call)))
  }

const registration = z.object({
  profile: z.object({ name: z.string().min(3), description: z.string().exactOptional() }),
  appId: z.string().exactOptional(),
})

export function register(world: World, call: Call): LinkedAnswer {
  const parsed = registration.safeParse(call.body)
  if (!parsed.success) throw invalid('profile', 'profile.name: The name must have at least 3 characters.')
  const id = oktaId('wlp')
  return accept(world, id, 'ai-agent:create', () => {
    const at = world.now()
    const { appId, profile } = parsed.data
    const agent: Agent = {
      id,
      status: 'STAGED',
      name: profile.name,
      description: profile.description ?? '',
      created: at,
      lastUpdated: at,
      ownerIds: [],
      imported: false,
      ...(appId === undefined ? {} : { appId }),
    }
    world.agents.add(agent, true)
    tellOfAgent(world, agent, 'register', originOf(call))
    return undefined
  })
}

const change = z.object({ profile: z.object({ name: z.string().min(3), description: z.string() }).partial() })

export function update(world: World, call: Call, id: string): LinkedAnswer {
  const parsed = change.safeParse(call.body)
  if (!parsed.success) throw new Refusal('E0000003')
  written(world, id)
  return accept(world, id, 'ai-agent:update', () => {
    const agent = world.agents.current(id)
    if (agent === undefined) return { code: 'NOT_FOUND', message: `The AI agent ${id} does not exist.` }
    const { description = agent.description, name = agent.name } = parsed.data.profile
    world.agents.set({ ...agent, name, description, lastUpdated: world.now() })
    tellOfAgent(world, agent, 'update', originOf(call))
    return undefined
  })
}

export function remove(world: World, call: Call, id: string): LinkedAnswer {
  const agent = written(world, id)
  if (agent.imported) throw invalid('aiAgent', 'aiAgent: An imported AI agent cannot be deleted.')
  if (agent.status !== 'INACTIVE') throw invalid('aiAgent', 'aiAgent: Only an inactive AI agent can be deleted.')
  return accept(world, id, 'ai-agent:delete', () => {
    world.agents.remove(id)
    tellOfAgent(world, agent, 'delete', originOf(call))
    return undefined
  })
}
