import { echoes, withoutEchoes } from '../core/account.ts'
import type { StoreReads } from '../core/store.ts'
import type { Sighting } from '../core/types.ts'
import type { Mount } from './deps.ts'

/**
 * Takes out of a reading what is only our own doing: an account that hangs on another account which we turned off. Costs
 * a look-up only where such a switch reads off.
 */
export const heard = async (reads: StoreReads, mount: Mount, sighting: Sighting): Promise<Sighting> => {
  const ours = new Set<string>()
  for (const { via, state } of sighting.switches) {
    if (via === undefined || state !== 'off') continue
    const other = await reads.principal({ adapter: mount.adapter.name, id: via })
    if (other !== undefined && echoes(other.account, sighting.begunAt, mount.settings.settleMs)) ours.add(via)
  }
  return ours.size === 0 ? sighting : withoutEchoes(sighting, (id) => ours.has(id))
}
