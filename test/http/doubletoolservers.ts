import { BridgeError } from '../../src/core/errors.ts'
import type { ToolServer } from '../../src/core/tools.ts'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { ToolServers } from '../../src/engine/toolapi.ts'

/** Tool servers in memory: `lasting` is there whatever is done to it. */
export const createToolServerDouble = (start: number, seen: (caller: Caller) => void): ToolServers => {
  const kept = new Map<string, ToolServer>()
  const lasting: ToolServer = {
    name: 'lasting',
    origin: 'api',
    tools: [],
    createdAt: start,
    updatedAt: start,
    revision: 1,
  }
  const found = (name: string): ToolServer => {
    const server = kept.get(name) ?? (name === lasting.name ? lasting : undefined)
    if (server === undefined) throw new BridgeError('E_NOT_FOUND', 'There is no such tool server.')
    return server
  }
  return {
    toolServer: async (name) => found(name),
    toolServers: async () => ({ items: [...kept.values()], nextCursor: null }),
    defineToolServer: async (name, definition, caller) => {
      seen(caller)
      const before = kept.get(name)
      const server = { ...lasting, ...definition, name, revision: (before?.revision ?? 0) + 1 }
      kept.set(name, server)
      return { server, created: before === undefined }
    },
    removeToolServer: async (name, caller) => {
      seen(caller)
      const server = found(name)
      kept.delete(name)
      return server
    },
  }
}
