import type { ToolServer, ToolServerDefinition } from '../core/tools.ts'
import type { Caller } from './agentapi.ts'

/** Tool servers as callers give and see them. */
export interface ToolServers {
  /** The one in force under this name. */
  toolServer(name: string): Promise<ToolServer>
  toolServers(filter: { cursor?: string | undefined; limit: number }): Promise<{
    items: ToolServer[]
    nextCursor: string | null
  }>
  /** Puts it in place of what has the name. The same again changes nothing. */
  defineToolServer(
    name: string,
    definition: ToolServerDefinition,
    caller: Caller,
    ifRevision: number | undefined,
  ): Promise<{ server: ToolServer; created: boolean }>
  /** As it was last. From then on nothing of it may be called. */
  removeToolServer(name: string, caller: Caller, ifRevision: number | undefined): Promise<ToolServer>
}
