import { type Context, ourSwitch } from '../core/account.ts'
import type { Finding } from '../core/adapter.ts'
import { copiesUntil, copyOf, heldAsCopy } from '../core/follow.ts'
import { ownOrigin } from '../core/holds.ts'
import type { StoreReads } from '../core/store.ts'
import type { Account, Principal, PrincipalKey, Sighting } from '../core/types.ts'
import type { Change } from './change.ts'
import { contextFor, scheduleOf } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { releaseHold } from './placing.ts'
import { didsOf } from './sharing.ts'

const defaultWithinMs = 3_600_000

/** The directories that one follows, nearest first, with the time that a change there may take to come through. */
const leadersOf = (mounts: ReadonlyMap<string, Mount>, name: string): ReadonlyMap<string, number> => {
  const leaders = new Map<string, number>()
  let withinMs = 0
  for (let at = mounts.get(name); at?.settings.follows !== undefined; at = mounts.get(at.settings.follows)) {
    if (leaders.has(at.settings.follows)) break
    withinMs += at.settings.followWithinMs ?? defaultWithinMs
    leaders.set(at.settings.follows, withinMs)
  }
  return leaders
}

/** A follower whose log cannot tell provisioning from people: what it says of copies is not believed. */
export const linkFinding = ({ adapter, settings }: Mount): Finding | undefined => {
  if (settings.follows === undefined || adapter.accounts?.log === undefined) return undefined
  if ((settings.trustedWriters ?? []).length > 0) return undefined
  return {
    code: 'link-untold',
    level: 'warning',
    text: `it follows ${settings.follows}, and its log is not used to tell provisioning from people`,
    mend: `name the provisioning service in adapters.${adapter.name}.trustedWriters`,
  }
}

/**
 * Until when a reading of this account that says off shows a copy of one that it follows; undefined: it does not. A
 * shared account is a copy only if each of its agents has one that it follows.
 */
export const copiedUntil = async (
  deps: Deps,
  reads: StoreReads,
  principal: Principal,
  now: number,
): Promise<number | undefined> => {
  const leaders = leadersOf(deps.mounts(), principal.adapter)
  if (leaders.size === 0) return undefined
  let first: number | undefined
  for (const did of await didsOf(reads, principal)) {
    let latest: number | undefined
    for (const one of await reads.principalsOf(did)) {
      const withinMs = leaders.get(one.adapter)
      const until = withinMs === undefined ? undefined : copiesUntil(one.account, withinMs, now)
      if (until !== undefined) latest = Math.max(latest ?? 0, until)
    }
    if (latest === undefined) return undefined
    first = Math.min(first ?? latest, latest)
  }
  return first
}

/** The context of a reading: whether it shows a copy is looked up only where it says off and the directory follows one. */
export const withCopies = async (
  deps: Deps,
  reads: StoreReads,
  principal: Principal,
  sighting: Sighting | undefined,
  context: Context,
): Promise<Context> => {
  if (sighting === undefined || ourSwitch(sighting.switches) !== 'off') return context
  return { ...context, copied: (await copiedUntil(deps, reads, principal, context.now)) !== undefined }
}

/**
 * An account was just found off by somebody else and has its own hold now. Followers that were seen off first, and held
 * for it, only copied that: their holds end, or each side would wait for the other. The agent stays held throughout.
 */
export const withdrawCopies = async (
  c: Change,
  mount: Mount,
  leader: { readonly key: PrincipalKey; readonly before: Account; readonly since: number | undefined },
): Promise<void> => {
  const mounts = c.deps.mounts()
  const followers = new Set([...mounts.keys()].filter((name) => leadersOf(mounts, name).has(leader.key.adapter)))
  const principal = followers.size === 0 ? undefined : await c.tx.principal(leader.key)
  if (principal === undefined) return
  for (const did of await didsOf(c.tx, principal)) {
    const place = await c.tx.openHoldOfOrigin(did, ownOrigin(leader.key.adapter, leader.key.id))
    if (place === undefined) continue
    for (const one of await c.tx.principalsOf(did)) {
      const { adapter, id } = one
      const held = followers.has(adapter) ? await c.tx.openHoldOfOrigin(did, ownOrigin(adapter, id)) : undefined
      if (held === undefined || !heldAsCopy(held, { ...leader, settleMs: mount.settings.settleMs })) continue
      await c.tx.saveAccount(one, { ...one.account, ...copyOf(one.account, held.placedAt) }, one.schedule)
      await releaseHold(c, held, { how: 'copy', of: place.id })
      const [now, at] = [await c.tx.principal(one), mounts.get(adapter)]
      if (now === undefined || at === undefined) continue
      await c.tx.saveAccount(
        one,
        now.account,
        scheduleOf(c.deps, now.account, await contextFor(c.deps, c.tx, at, now, c.now)),
      )
    }
  }
}
