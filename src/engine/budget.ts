import { BridgeError } from '../core/errors.ts'
import type { Caller } from './api.ts'
import type { Deps } from './deps.ts'

/** Kills per runtime client within a sliding window; beyond it 429 and an alert. People are not bounded. */
export const createKillBudget = (deps: Deps) => {
  const spent = new Map<string, number[]>()
  return (caller: Caller): void => {
    if (caller.roles.some((role) => role === 'responder' || role === 'operator')) return
    const { max, perMs } = deps.policy().killBudget
    const now = deps.clock.mono()
    const recent = (spent.get(caller.name) ?? []).filter((at) => at > now - perMs)
    spent.set(caller.name, recent)
    const [oldest] = recent
    if (recent.length < max || oldest === undefined) {
      recent.push(now)
      return
    }
    deps.alert('kill-budget', `the client ${caller.name} spent its kill budget of ${max}`)
    throw new BridgeError('E_BUDGET', 'This client placed more kills than its budget allows.', {
      hint: 'Raise auth.killBudget if this is expected; a responder is not bounded by it.',
      retryAfterMs: oldest + perMs - now,
    })
  }
}
