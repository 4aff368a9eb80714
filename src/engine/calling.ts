import type { Question } from '../core/decide.ts'
import type { Store } from '../core/store.ts'
import type { ToolReads, ToolServer } from '../core/tools.ts'
import type { DecisionInput } from './api.ts'

const mostServers = 1_000

/** The store's servers, each read once until anything is committed: gateways ask about the same few at every call. */
export const knownServers = (store: ToolReads & Pick<Store, 'changes'>): ToolReads => {
  const { changes } = store
  const known = new Map<string, ToolServer>()
  let as = Number.NaN
  return {
    toolServer: async (called) => {
      const { count } = changes
      if (count !== as) known.clear()
      as = count
      const present = known.get(called)
      if (present !== undefined) return present
      const found = await store.toolServer(called)
      if (found !== undefined && changes.count === count && known.size < mostServers) known.set(called, found)
      return found
    },
  }
}

/** The call that is asked about, with the server in force that it names. One that is told in part is a call too: of no tool. */
export const callOf = async (
  reads: ToolReads,
  { parameters, resource, server, tool }: DecisionInput,
): Promise<Question['call']> => {
  if ([parameters, resource, server, tool].every((part) => part === undefined)) return undefined
  const found = server === undefined || server === '' ? undefined : await reads.toolServer(server)
  return { asked: { tool, server, resource, parameters }, server: found }
}
