import { BridgeError } from '../core/errors.ts'
import {
  isSmallDefinition,
  sameToolServer,
  type ToolServer,
  type ToolServerDefinition,
  type ToolServerOrigin,
  toolServerName,
  toolServerOf,
} from '../core/tools.ts'
import type { Caller } from './agentapi.ts'
import { bridge, type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import type { ToolServers } from './toolapi.ts'

const record = (c: Change, type: string, { name, origin, resource, revision, tools, unlisted }: ToolServer) => {
  const details = {
    name,
    origin,
    revision,
    resource: resource ?? null,
    unlisted: unlisted ?? null,
    // Whole: it says what may be called, and with what.
    tools: JSON.parse(JSON.stringify(tools)),
  }
  const { actor, requestId } = c
  return c.tx.appendAudit({ time: c.now, type, actor, requestId, details })
}

const put = async (
  c: Change,
  name: string,
  origin: ToolServerOrigin,
  definition: ToolServerDefinition,
  before: ToolServer | undefined,
): Promise<ToolServer> => {
  const { createdAt = c.now, revision = 0 } = before ?? {}
  const server: ToolServer = { ...definition, name, origin, createdAt, updatedAt: c.now, revision: revision + 1 }
  await c.tx.putToolServer(server)
  if (before === undefined) await record(c, 'toolserver.defined', server)
  else await record(c, 'toolserver.changed', server)
  return server
}

const drop = async (c: Change, server: ToolServer): Promise<void> => {
  await c.tx.dropToolServer(server.name, server.origin)
  await record(c, 'toolserver.removed', server)
}

/**
 * The tool servers of the configuration, at the start and after a reload: what differs from the last time is recorded, and
 * nothing is done when nothing does. One that a registrar put under the same name, or with the same resource identifier,
 * waits until it is gone from there.
 */
export const defineConfiguredServers = async (
  deps: Deps,
  configured: ReadonlyMap<string, ToolServerDefinition>,
): Promise<void> => {
  const shadowed = await change(deps, bridge, async (c) => {
    const present = new Map((await c.tx.toolServersFrom('config')).map((one) => [one.name, one]))
    for (const one of present.values()) if (!configured.has(one.name)) await drop(c, one)
    for (const [name, definition] of configured) {
      const before = present.get(name)
      if (before === undefined || !sameToolServer(before, definition)) await put(c, name, 'config', definition, before)
    }
    const resources = new Set([...configured.values()].flatMap(({ resource }) => resource ?? []))
    const others = await c.tx.toolServersFrom('api')
    return others.filter(({ name, resource }) => configured.has(name) || resources.has(resource ?? ''))
  })
  for (const { name } of shadowed) {
    const text = `the tool server ${name} that was put over the API is in the configuration too, and that one is in force`
    deps.alert('toolserver-shadowed', text)
  }
}

const refuse = (message: string, hint: string): BridgeError => new BridgeError('E_VALIDATION', message, { hint })

const checked = (name: string, given: ToolServerDefinition): ToolServerDefinition => {
  if (!toolServerName.test(name)) {
    throw refuse('This is not a name for a tool server.', 'Use up to 64 letters, digits, ., _ or -.')
  }
  const definition = toolServerOf(given)
  if (!isSmallDefinition(definition)) {
    throw refuse('The definition of the tool server is over 64 KiB.', 'List fewer tools, or say less of them.')
  }
  return definition
}

const checkRevision = (server: ToolServer | undefined, ifRevision: number | undefined): void => {
  if (ifRevision === undefined || ifRevision === server?.revision) return
  const now = server === undefined ? 'not defined' : `at revision ${server.revision}`
  throw new BridgeError('E_REVISION', `The tool server is ${now}, not at ${ifRevision}.`, {
    hint: 'Read it again and repeat the change.',
  })
}

const checkResource = async (c: Change, name: string, resource: string | undefined): Promise<void> => {
  if (resource === undefined) return
  const all = [...(await c.tx.toolServersFrom('config')), ...(await c.tx.toolServersFrom('api'))]
  const other = all.find((one) => one.resource === resource && one.name !== name)
  if (other === undefined) return
  throw new BridgeError('E_TOOLSERVER_RESOURCE', `The tool server ${other.name} has this resource identifier.`, {
    hint: 'Change or remove that one first: a resource identifier is of one server.',
  })
}

const configured = (name: string): BridgeError =>
  new BridgeError('E_TOOLSERVER_CONFIG', `The tool server ${name} is defined by the configuration.`, {
    hint: 'Change it under tools.servers in the configuration, or remove it there first.',
  })

const absent = (name: string): BridgeError =>
  new BridgeError('E_NOT_FOUND', `There is no tool server ${JSON.stringify(name)}.`, {
    hint: 'Names are compared byte by byte; GET /v1/toolservers lists them.',
  })

const who = (caller: Caller) => ({ actor: caller.name, requestId: caller.requestId })

export const createToolServers = (deps: Deps): ToolServers => ({
  toolServer: async (name) => {
    const found = toolServerName.test(name) ? await deps.store.toolServer(name) : undefined
    if (found === undefined) throw absent(name)
    return found
  },
  toolServers: async ({ cursor = '', limit }) => {
    const found = await deps.store.toolServers(cursor, limit + 1)
    const items = found.slice(0, limit)
    return { items, nextCursor: found.length > limit ? (items.at(-1)?.name ?? null) : null }
  },
  defineToolServer: (name, given, caller, ifRevision) =>
    change(deps, who(caller), async (c) => {
      const definition = checked(name, given)
      const before = await c.tx.toolServer(name)
      if (before?.origin === 'config') throw configured(name)
      checkRevision(before, ifRevision)
      if (before !== undefined && sameToolServer(before, definition)) return { server: before, created: false }
      await checkResource(c, name, definition.resource)
      return { server: await put(c, name, 'api', definition, before), created: before === undefined }
    }),
  removeToolServer: (name, caller, ifRevision) =>
    change(deps, who(caller), async (c) => {
      const before = toolServerName.test(name) ? await c.tx.toolServer(name) : undefined
      if (before === undefined) throw absent(name)
      if (before.origin === 'config') throw configured(name)
      checkRevision(before, ifRevision)
      await drop(c, before)
      return before
    }),
})
