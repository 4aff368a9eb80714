import type { Playable } from '../schedule.ts'
import { stageOf } from '../stage.ts'
import type { EntraTenant } from './tenant.ts'

/** What a fault schedule needs to know of an Entra tenant. */
export function playable(tenant: EntraTenant): Playable {
  return stageOf(tenant, {
    any: /^/,
    lists:
      /^GET \/(servicePrincipals|users|groups)(\/microsoft\.graph\.\w+)?(\/delta(\(\))?)?(\?|$)|^GET \/groups\/[^/]+\/(m|transitiveM)embers/,
    reads: /^GET /,
    writes: /^PATCH /,
    carriers: /^POST \/\$batch/,
  })
}
