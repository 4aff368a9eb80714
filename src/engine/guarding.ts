import { type GuardDirection, type GuardPlan, guardPlan, trips } from '../core/guard.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did, Hold } from '../core/types.ts'
import type { Change } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { descendants } from './placing.ts'

const metaKey = (adapter: string, direction: GuardDirection): string => `guard:${adapter}:${direction}`

/** Since when the guard holds changes of one direction back; undefined while it does not. */
export const trippedSince = async (
  reads: StoreReads,
  adapter: string,
  direction: GuardDirection,
): Promise<number | undefined> => {
  const value = await reads.meta(metaKey(adapter, direction))
  return value === undefined ? undefined : Number(value)
}

/**
 * Counts one change seen in the directory and says whether the guard holds it back (rule 8): always once tripped, and
 * from the change on that makes it trip.
 */
export const guardSeen = async (
  c: Change,
  mount: Mount,
  direction: GuardDirection,
  did: Did,
  /** Further DIDs that share the account: one change all the same, with the descendants of each. */
  sharers: readonly Did[] = [],
): Promise<boolean> => {
  const { tx, now, deps } = c
  const { name } = mount.adapter
  const settings = deps.policy().guard
  const below = new Set(await descendants(c, did))
  for (const other of sharers) for (const one of await descendants(c, other)) below.add(one)
  const weight = 1 + below.size
  await tx.addGuardEvent(name, direction, now, weight, did)
  if ((await trippedSince(tx, name, direction)) !== undefined) return true
  const count = await tx.guardCount(name, direction, now - settings.windowMs)
  if (!trips(settings, direction, count, await tx.countPrincipals(name))) return false
  await tx.putMeta(metaKey(name, direction), String(now))
  await tx.appendAudit({
    time: now,
    type: 'guard.tripped',
    actor: c.actor,
    details: { adapter: name, direction, count },
  })
  c.after(() => {
    deps.metrics.set('guard_tripped', { adapter: name }, 1)
    deps.alert(
      'guard-tripped',
      `${count} ${direction} changes were seen in ${name} within the guard's window; further ones wait`,
    )
  })
  return true
}

export const clearGuard = async (c: Change, adapter: string, direction: GuardDirection): Promise<void> => {
  await c.tx.putMeta(metaKey(adapter, direction), undefined)
  await c.tx.clearGuardEvents(adapter, direction)
  c.after(() => c.deps.metrics.set('guard_tripped', { adapter }, 0))
}

const planLimit = 100_000

/** What waits behind the guard: guarded holds for `suspend`, releasable ones for `resume`. */
export const waiting = async (reads: StoreReads, adapter: string, direction: GuardDirection): Promise<Hold[]> => {
  const holds = await reads.openHoldsWithOrigin(`adapter:${adapter}/`, planLimit)
  return holds.filter((hold) => (direction === 'suspend' ? hold.guarded : hold.releasableAt !== undefined))
}

export const currentPlan = async (
  deps: Deps,
  adapter: string,
  direction: GuardDirection,
): Promise<GuardPlan | undefined> => {
  if ((await trippedSince(deps.store, adapter, direction)) === undefined) return undefined
  return guardPlan(adapter, direction, await waiting(deps.store, adapter, direction))
}
