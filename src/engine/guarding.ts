import { type GuardDirection, type GuardPlan, guardPlan, isExpired, trips, waitsFor } from '../core/guard.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did, Hold } from '../core/types.ts'
import { bridge, type Change, change } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { dropPlan, frozenPlan } from './frozen.ts'

export const directions: readonly GuardDirection[] = ['suspend', 'resume']

export const guardKey = (adapter: string, direction: GuardDirection): string => `guard:${adapter}:${direction}`

/** Since when the guard holds changes of one direction back; undefined while it does not. */
export const trippedSince = async (
  reads: StoreReads,
  adapter: string,
  direction: GuardDirection,
): Promise<number | undefined> => {
  const value = await reads.meta(guardKey(adapter, direction))
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
  const below = new Set(await tx.descendants(did))
  for (const other of sharers) for (const one of await tx.descendants(other)) below.add(one)
  const weight = 1 + below.size
  await tx.addGuardEvent(name, direction, now, weight, did)
  if ((await trippedSince(tx, name, direction)) !== undefined) return true
  const count = await tx.guardCount(name, direction, now - settings.windowMs)
  if (!trips(settings, direction, count, await tx.countPrincipals(name))) return false
  await tx.putMeta(guardKey(name, direction), String(now))
  await tx.appendAudit({
    time: now,
    type: 'guard.tripped',
    actor: c.actor,
    details: { adapter: name, direction, count },
  })
  c.after(() => {
    deps.metrics.set('guard_tripped', { adapter: name, direction }, 1)
    deps.alert(
      'guard-tripped',
      `${count} ${direction} changes were seen in ${name} within the guard's window; further ones wait (idp-bridge guard show ${name})`,
    )
  })
  return true
}

/** `approved`: people looked at what was counted, so that it starts at nothing. `idle`: see {@link tendGuard}. */
export const clearGuard = async (
  c: Change,
  adapter: string,
  direction: GuardDirection,
  how: 'approved' | 'idle',
): Promise<void> => {
  if ((await trippedSince(c.tx, adapter, direction)) === undefined) return
  await c.tx.putMeta(guardKey(adapter, direction), undefined)
  if (how === 'approved') await c.tx.clearGuardEvents(adapter, direction)
  await dropPlan(c.tx, adapter, direction)
  const details = { adapter, direction, how }
  await c.tx.appendAudit({ time: c.now, type: 'guard.cleared', actor: c.actor, requestId: c.requestId, details })
  c.after(() => c.deps.metrics.set('guard_tripped', { adapter, direction }, 0))
}

/** A plan names no more; the rest is in the next one. */
const planMost = 10_000
const pageRows = 1_000

/** Own holds that wait behind the guard, a page at a time. */
async function* waiting(reads: StoreReads, adapter: string, direction: GuardDirection): AsyncGenerator<Hold> {
  let after: string | undefined
  for (;;) {
    const page = await reads.openHoldsWithOrigin(`adapter:${adapter}/`, pageRows, after)
    for (const hold of page) if (waitsFor(hold, direction)) yield hold
    after = page.at(-1)?.id
    if (page.length < pageRows) return
  }
}

export const anyWaits = async (reads: StoreReads, adapter: string, direction: GuardDirection): Promise<boolean> =>
  (await waiting(reads, adapter, direction).next()).done !== true

/** What approving would apply now; undefined while the guard is not tripped. */
export const currentPlan = async (
  deps: Deps,
  adapter: string,
  direction: GuardDirection,
): Promise<GuardPlan | undefined> => {
  if ((await trippedSince(deps.store, adapter, direction)) === undefined) return undefined
  const holds: Hold[] = []
  for await (const hold of waiting(deps.store, adapter, direction)) if (holds.push(hold) >= planMost) break
  return guardPlan(adapter, direction, holds)
}

/**
 * Tripped for longer than the window, what was counted has passed, and nothing waits any more: whoever could approve
 * would approve nothing.
 */
const isIdle = async (deps: Deps, reads: StoreReads, adapter: string, direction: GuardDirection): Promise<boolean> => {
  const since = await trippedSince(reads, adapter, direction)
  const settings = deps.policy().guard
  const from = deps.clock.now() - settings.windowMs
  if (since === undefined || since >= from) return false
  if ((await frozenPlan(reads, adapter, direction))?.second !== undefined) return false
  const count = await reads.guardCount(adapter, direction, from)
  if (trips(settings, direction, count, await reads.countPrincipals(adapter))) return false
  return !(await anyWaits(reads, adapter, direction))
}

/** Ends what needs nobody: a tripped guard with nothing behind it, and a first approval that nobody completed. */
export const tendGuard = async (deps: Deps, mount: Mount): Promise<void> => {
  const { name } = mount.adapter
  for (const direction of directions) {
    const frozen = await frozenPlan(deps.store, name, direction)
    if (frozen !== undefined && isExpired(frozen, deps.clock.now())) {
      await change(deps, bridge, async (c) => {
        const present = await frozenPlan(c.tx, name, direction)
        if (present === undefined || !isExpired(present, c.now)) return
        await dropPlan(c.tx, name, direction)
        const details = { adapter: name, direction, hash: present.hash, first: present.by }
        await c.tx.appendAudit({ time: c.now, type: 'guard.approval-expired', actor: c.actor, details })
      })
    }
    if (!(await isIdle(deps, deps.store, name, direction))) continue
    await change(deps, bridge, async (c) => {
      if (await isIdle(deps, c.tx, name, direction)) await clearGuard(c, name, direction, 'idle')
    })
  }
}

/** After the wall clock was set back: what is of the future would otherwise count until the clock caught up. */
export const rebaseGuard = async (c: Change, adapter: string): Promise<void> => {
  await c.tx.rebaseGuard(adapter, c.now)
  for (const direction of directions) {
    const since = await trippedSince(c.tx, adapter, direction)
    if (since !== undefined && since > c.now) await c.tx.putMeta(guardKey(adapter, direction), String(c.now))
  }
}
