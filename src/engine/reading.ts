import { ourSwitch, switchesOfOthers } from '../core/account.ts'
import { freeState } from '../core/reads.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { AccountState, Sighting } from '../core/types.ts'
import type { Deps, Mount } from './deps.ts'
import { heard } from './echoes.ts'
import { copiedUntil } from './following.ts'

const timeoutMs = 20_000

/** One read by id, now, on behalf of a waiting person. Unreadable is `unknown`. The row itself is refreshed by its worker. */
export const readOnce = async (deps: Deps, principal: ScheduledPrincipal): Promise<AccountState> => {
  const mount = deps.mounts().get(principal.adapter)
  if (mount === undefined) return 'unknown'
  try {
    const answer = await mount.adapter.lookup([principal], AbortSignal.timeout(timeoutMs))
    return await resumable(deps, mount, principal, answer.get(principal.id))
  } catch (error) {
    deps.log.warn({ adapter: principal.adapter, principal: principal.id, err: error }, 'reading an account failed')
    return 'unknown'
  }
}

/** What a reading says of an account that people want on again: what it would be without the bridge's own doing. */
export const resumable = async (
  deps: Deps,
  mount: Mount,
  principal: ScheduledPrincipal,
  answered: Sighting | undefined,
): Promise<AccountState> => {
  const sighting = answered && (await heard(deps.store, mount, answered))
  const state = freeState(principal.account, sighting)
  return state === 'disabled' && (await isCopy(deps, principal, sighting)) ? 'enabled' : state
}

/** Off only because the account that it follows is: whoever approves does not wait for provisioning. */
const isCopy = async (deps: Deps, principal: ScheduledPrincipal, sighting: Sighting | undefined): Promise<boolean> =>
  sighting !== undefined &&
  ourSwitch(sighting.switches) === 'off' &&
  switchesOfOthers(sighting.switches).length === 0 &&
  (await copiedUntil(deps, deps.store, principal, deps.clock.now())) !== undefined
