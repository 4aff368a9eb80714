import { offByUs, switchesOfOthers } from './account.ts'
import type { Account, AccountState, Sighting } from './types.ts'

/** What the account would be without our own switch-off: enabled when nobody else holds it off. */
export const freeState = (account: Account, sighting: Sighting | undefined): AccountState => {
  if (sighting === undefined) return 'unknown'
  if (sighting.state !== 'disabled' || !offByUs(account)) return sighting.state
  return switchesOfOthers(sighting.switches).length > 0 ? 'disabled' : 'enabled'
}

/**
 * Asks for a read by id. One that is under way may answer what was asked before, and not this: then there is another.
 */
export const readWanted = (account: Account, at: number): Account => {
  const { readDueAt, readAgainAt } = account
  if (readDueAt === undefined || at <= readDueAt) return { ...account, readDueAt: at }
  return { ...account, readAgainAt: Math.max(readAgainAt ?? at, at) }
}

/**
 * Crosses off the read that was asked for; one that told nothing is asked for again, `retryMs` later.
 * @param retryMs the wait after so many failures in a row
 */
export const crossedOff = (account: Account, sighting: Sighting, retryMs: (attempts: number) => number): Account => {
  if (!sighting.byId) return account
  const { readDueAt, readAgainAt } = account
  const asked = readDueAt !== undefined && sighting.begunAt >= readDueAt
  if (sighting.state === 'unknown') {
    const attempts = account.attempts + 1
    return { ...account, attempts, ...(asked && { readDueAt: sighting.begunAt + retryMs(attempts) }) }
  }
  const attempts = account.mark === 'claimed' && account.disabledAckAt === undefined ? account.attempts : 0
  if (!asked) return { ...account, attempts }
  const again = readAgainAt !== undefined && readAgainAt > sighting.begunAt ? readAgainAt : undefined
  return { ...account, attempts, readDueAt: again, readAgainAt: undefined }
}
