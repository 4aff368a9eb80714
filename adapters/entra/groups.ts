import { z } from 'zod'
import type { Groups } from '../../src/core/adapter.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Lane } from '../slots.ts'
import type { Graph } from './graph.ts'
import { purposes } from './kinds.ts'
import { pagesOf } from './pages.ts'
import { objectId } from './wire.ts'

const member = z.object({ id: objectId, '@odata.type': z.string().optional() })
/** Members of these types can be nobody's account. */
const others = new Set(['#microsoft.graph.group', '#microsoft.graph.device', '#microsoft.graph.orgcontact'])

export function openGroups(graph: Graph, clock: Clock, lane: Lane): Groups {
  return {
    async *members(groupId, signal) {
      const options = { purpose: purposes.readGroups, lane, signal } as const
      const path = `/groups/${encodeURIComponent(groupId)}/transitiveMembers?$select=id&$top=999`
      try {
        for await (const { rows } of pagesOf(graph, clock, { path }, member, options))
          yield rows.filter((each) => !others.has(each['@odata.type']?.toLowerCase() ?? '')).map((each) => each.id)
      } catch (error) {
        if (codeOf(error) !== 'E_DIRECTORY_REFUSED') throw error
        throw new BridgeError('E_DIRECTORY_ANSWER', `the group ${groupId} cannot be listed`, {
          cause: error,
          hint: 'check that the group exists; remove it from the configuration when it was deleted',
        })
      }
    },
  }
}
