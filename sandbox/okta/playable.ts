import type { Playable } from '../schedule.ts'
import { stageOf } from '../stage.ts'
import type { OktaOrg } from './org.ts'

/** Every write has a connection of its own. */
const writes = /^POST \/(api\/v1\/(users|apps)|workload-principals\/api\/v1\/ai-agents)\/[^/]+\/lifecycle\//

/** What a fault schedule needs to know of an Okta org. */
export function playable(org: OktaOrg): Playable {
  return stageOf(org, {
    any: /^/,
    lists:
      /^GET \/(api\/v1\/(users|apps|groups|logs)(\?|$)|api\/v1\/groups\/[^/]+\/users|workload-principals\/api\/v1\/ai-agents(\?|$))/,
    reads: /^GET /,
    writes,
    carriers: writes,
  })
}
