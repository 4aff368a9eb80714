import { z } from 'zod'
import { invalid, notFound, Refusal } from './errors.ts'
import { isHookEligible } from './events.ts'
import type { EventHook } from './hooks.ts'
import { oktaId } from './ids.ts'
import { type Call, iso, type LinkedAnswer, noContent, ok, originOf } from './wire.ts'
import type { World } from './world.ts'

const header = z.object({ key: z.string().min(1), value: z.string() })
const registration = z.object({
  name: z.string().min(1),
  description: z.string().nullish(),
  events: z.object({
    type: z.literal('EVENT_TYPE'),
    items: z.array(z.string()).min(1).max(300),
    // Filters are early access, and not here.
    filter: z.null().exactOptional(),
  }),
  channel: z.object({
    type: z.literal('HTTP'),
    version: z.literal('1.0.0'),
    config: z.object({
      uri: z.string(),
      headers: z.array(header).nullish(),
      authScheme: z.object({ type: z.literal('HEADER'), key: z.string().min(1), value: z.string() }).nullish(),
    }),
  }),
})
type Registration = z.infer<typeof registration>

const maxActive = 25

function body(world: World, hook: EventHook): Record<string, unknown> {
  const self = `${world.origin}/api/v1/eventHooks/${hook.id}`
  const turn = hook.status === 'ACTIVE' ? 'deactivate' : 'activate'
  const hints = { allow: ['POST'] }
  return {
    id: hook.id,
    status: hook.status,
    verificationStatus: hook.verificationStatus,
    name: hook.name,
    description: hook.description,
    created: iso(hook.created),
    createdBy: hook.createdBy,
    lastUpdated: iso(hook.lastUpdated),
    events: { type: 'EVENT_TYPE', items: hook.items, filter: null },
    channel: {
      type: 'HTTP',
      version: '1.0.0',
      config: {
        uri: hook.uri,
        headers: hook.headers,
        method: 'POST',
        ...(hook.auth === undefined ? {} : { authScheme: { type: 'HEADER', key: hook.auth.key } }),
      },
    },
    _links: {
      self: { href: self },
      verify: { href: `${self}/lifecycle/verify`, hints },
      [turn]: { href: `${self}/lifecycle/${turn}`, hints },
    },
  }
}

function found(world: World, id: string): EventHook {
  const hook = world.hooks.all.get(id)
  if (hook === undefined) throw notFound(id, 'EventHook')
  return hook
}

/** Plain HTTP is taken on loopback alone, where this org lives. */
function checkUri(uri: string): void {
  const url = URL.canParse(uri) ? new URL(uri) : undefined
  const isLocal = url?.hostname === '127.0.0.1' || url?.hostname === 'localhost'
  if (url === undefined || !isLocal) throw invalid('uri', 'uri: The URI must be a valid https URL.')
}

function parse(call: Call): Registration {
  const parsed = registration.safeParse(call.body)
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path.join('.') ?? ''
    throw invalid('eventHook', `${at}: The field is missing or invalid.`)
  }
  checkUri(parsed.data.channel.config.uri)
  const wrong = parsed.data.events.items.find((item) => !isHookEligible(item))
  if (wrong !== undefined) throw invalid('events', `events.items: ${wrong} is not an event type for event hooks.`)
  return parsed.data
}

function fields({ channel, description, events, name }: Registration) {
  const { authScheme, headers, uri } = channel.config
  return {
    name,
    description: description ?? null,
    items: events.items,
    uri,
    headers: headers ?? [],
    auth: authScheme == null ? undefined : { key: authScheme.key, value: authScheme.value },
  }
}

const tell = (world: World, call: Call, eventType: 'event_hook.created' | 'event_hook.verified', hook: EventHook) => {
  const target = { id: hook.id, type: 'EventHook', alternateId: hook.name, displayName: hook.name }
  world.log.write({ eventType, targets: [target] }, originOf(call))
}

export function list(world: World): LinkedAnswer {
  return ok([...world.hooks.all.values()].map((hook) => body(world, hook)))
}

export function get(world: World, _call: Call, id: string): LinkedAnswer {
  return ok(body(world, found(world, id)))
}

export function create(world: World, call: Call): LinkedAnswer {
  const given = parse(call)
  if ([...world.hooks.all.values()].filter(({ status }) => status === 'ACTIVE').length >= maxActive) {
    throw invalid('eventHook', `eventHook: The limit of ${maxActive} active event hooks is reached.`)
  }
  const now = world.now()
  const hook: EventHook = {
    id: oktaId('who'),
    ...fields(given),
    status: 'ACTIVE',
    verificationStatus: 'UNVERIFIED',
    created: now,
    createdBy: call.caller.actor.id,
    lastUpdated: now,
    flowsFrom: world.steady() + world.hookDelayMs,
  }
  world.hooks.all.set(hook.id, hook)
  tell(world, call, 'event_hook.created', hook)
  return ok(body(world, hook))
}

/** A changed channel has to be verified again, a changed secret too. */
export function replace(world: World, call: Call, id: string): LinkedAnswer {
  const old = found(world, id)
  const given = fields(parse(call))
  const channel = ({ auth, headers, uri }: Pick<EventHook, 'auth' | 'headers' | 'uri'>) =>
    JSON.stringify([auth, headers, uri])
  const same = channel(given) === channel(old)
  const hook: EventHook = {
    ...old,
    ...given,
    verificationStatus: same ? old.verificationStatus : 'UNVERIFIED',
    lastUpdated: world.now(),
    flowsFrom: world.steady() + world.hookDelayMs,
  }
  world.hooks.all.set(id, hook)
  return ok(body(world, hook))
}

export function remove(world: World, _call: Call, id: string): LinkedAnswer {
  if (found(world, id).status !== 'INACTIVE') {
    throw invalid('eventHook', 'eventHook: Only an inactive event hook can be deleted.')
  }
  world.hooks.all.delete(id)
  return noContent
}

export const turn =
  (status: 'ACTIVE' | 'INACTIVE') =>
  (world: World, _call: Call, id: string): LinkedAnswer => {
    const hook = { ...found(world, id), status, lastUpdated: world.now() }
    world.hooks.all.set(id, hook)
    return ok(body(world, hook))
  }

export async function verify(world: World, call: Call, id: string): Promise<LinkedAnswer> {
  const hook = found(world, id)
  const why = await world.hooks.challenge(hook)
  if (why !== undefined) throw new Refusal('E0000001', { about: 'eventHook', causes: [why] })
  const verified: EventHook = { ...found(world, id), verificationStatus: 'VERIFIED', lastUpdated: world.now() }
  world.hooks.all.set(id, verified)
  tell(world, call, 'event_hook.verified', verified)
  return ok(body(world, verified))
}
