import { BridgeError } from '../core/errors.ts'
import type { Caller } from './agentapi.ts'
import type { Deps } from './deps.ts'
import { isPerson } from './holding.ts'

/** Kills and holds per runtime client within a sliding window; beyond it 429 and an alert. People are not bounded. */
export const createKillBudget = (deps: Deps) => {
  const spent = new Map<string, number[]>()
  return (caller: Caller, count = 1): void => {
    if (isPerson(caller)) return
    const { max, perMs } = deps.policy().killBudget
    const now = deps.clock.mono()
    const recent = (spent.get(caller.name) ?? []).filter((at) => at > now - perMs)
    spent.set(caller.name, recent)
    if (recent.length + count <= max) {
      for (let one = 0; one < count; one += 1) recent.push(now)
      return
    }
    deps.alert('kill-budget', `the client ${caller.name} spent its kill budget of ${max}`)
    // Undefined when it never fits.
    const freed = count > max ? undefined : recent[recent.length + count - max - 1]
    throw new BridgeError('E_BUDGET', 'This client placed more holds than its budget allows.', {
      hint: 'Raise auth.killBudget if this is expected; a responder is not bounded by it.',
      ...(freed !== undefined && { retryAfterMs: freed + perMs - now }),
    })
  }
}
