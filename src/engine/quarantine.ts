import { type Doubt, doubts, implausible, weighAbsence } from '../core/guard.ts'
import type { StoreReads } from '../core/store.ts'
import type { Principal, Sighting } from '../core/types.ts'
import { bridge, type Change, change } from './change.ts'
import type { Deps, Mount } from './deps.ts'

/** A directory that suddenly answers "forbidden", "empty" or "all deleted" is quarantined, not believed (rule 8). */

const metaKey = (adapter: string, why: Doubt): string => `quarantine:${adapter}:${why}`

export interface Quarantine {
  readonly since: number
  readonly why: readonly Doubt[]
}

export const quarantineOf = async (reads: StoreReads, adapter: string): Promise<Quarantine | undefined> => {
  const why: Doubt[] = []
  let since = Number.POSITIVE_INFINITY
  for (const one of doubts) {
    const at = await reads.meta(metaKey(adapter, one))
    if (at === undefined) continue
    why.push(one)
    since = Math.min(since, Number(at))
  }
  return why.length === 0 ? undefined : { since, why }
}

const texts: Readonly<Record<Doubt, string>> = {
  forbidden: 'refuses to be read; nothing is concluded from that',
  empty: 'lists far fewer accounts than were there; each of them is read by id',
  absent:
    'says of far too many accounts that they do not exist; believed of those that a second read past settle says it of',
  groups: 'says that a group has no members any more; believed when a second complete read past settle says so',
}

/** Audited, alerted and counted once, however often the directory says it. */
export const enter = async (
  c: Change,
  adapter: string,
  why: Doubt,
  details: Readonly<Record<string, unknown>> = {},
): Promise<void> => {
  const { deps, now, tx } = c
  if ((await tx.meta(metaKey(adapter, why))) !== undefined) return
  await tx.putMeta(metaKey(adapter, why), String(now))
  const type = 'quarantine.entered'
  await tx.appendAudit({ time: now, type, actor: c.actor, details: { adapter, why, ...details } })
  c.after(() => {
    deps.metrics.set('directory_quarantined', { adapter, why }, 1)
    deps.alert('quarantined', `${adapter} ${texts[why]}`)
  })
}

export const leave = async (c: Change, adapter: string, why: Doubt): Promise<void> => {
  const since = await c.tx.meta(metaKey(adapter, why))
  if (since === undefined) return
  await c.tx.putMeta(metaKey(adapter, why), undefined)
  const details = { adapter, why, since: Number(since) }
  await c.tx.appendAudit({ time: c.now, type: 'quarantine.left', actor: c.actor, details })
  c.after(() => c.deps.metrics.set('directory_quarantined', { adapter, why }, 0))
}

/** The same in a transaction of its own, and only where there is something to leave. */
export const leaveIf = async (deps: Deps, adapter: string, why: Doubt): Promise<void> => {
  if ((await deps.store.meta(metaKey(adapter, why))) === undefined) return
  await change(deps, bridge, (c) => leave(c, adapter, why))
}

/** How many accounts are gone of those that were there, with `more` that are only now said to be. */
const lost = async (deps: Deps, reads: StoreReads, adapter: string, more: number) => {
  const settings = deps.policy().guard
  const { recent, pending } = await reads.countAbsences(adapter, deps.clock.now() - settings.windowMs)
  const there = (await reads.countPrincipals(adapter)) - (await reads.countUnseen(adapter)) + recent
  const gone = recent + pending + more
  return { gone, pending, there, doubtful: implausible(settings, gone, there) }
}

const isGone = (one: Sighting): boolean => one.byId && one.state === 'absent'

/** Before the readings of one call are taken in: with too many of them gone, none of those is believed yet. */
export const doubtMany = async (c: Change, mount: Mount, readings: readonly Sighting[]): Promise<void> => {
  const { name } = mount.adapter
  const ids = readings.filter(isGone).map(({ id }) => id)
  if (ids.length === 0) return
  let fresh = 0
  for (const one of await c.tx.principalsById(name, ids)) {
    if (one.account.observed !== 'absent' && (await c.tx.absence(one)) === undefined) fresh += 1
  }
  if (fresh === 0) return
  const { gone, there, doubtful } = await lost(c.deps, c.tx, name, fresh)
  if (doubtful) await enter(c, name, 'absent', { gone, there })
}

/** A reading as far as it is to be believed, and when to read again what is not. */
export interface Credible {
  readonly sighting: Sighting
  readonly readAt?: number
}

/** One reading of a mapped account. In quarantine, one that says absent tells nothing until a second one does, past settle. */
export const credible = async (c: Change, mount: Mount, before: Principal, sighting: Sighting): Promise<Credible> => {
  const { tx, now } = c
  if (!sighting.byId || sighting.state === 'unknown') return { sighting }
  if (sighting.state !== 'absent') {
    await tx.deleteAbsence(before)
    return { sighting }
  }
  if (before.account.observed === 'absent') return { sighting }
  const { settleMs } = mount.settings
  const noted = await tx.absence(before)
  const why = (await quarantineOf(tx, mount.adapter.name))?.why ?? []
  const doubted = why.some((one) => one !== 'groups')
  const worth = weighAbsence(noted, sighting.begunAt, settleMs, doubted)
  if (worth === 'believe') {
    await tx.putAbsence(before, { at: now, believed: true })
    return { sighting }
  }
  if (worth === 'first') await tx.putAbsence(before, { at: now, believed: false })
  const firstAt = worth === 'first' ? now : Math.min(noted?.at ?? now, now)
  return { sighting: { ...sighting, state: 'unknown', switches: [] }, readAt: firstAt + settleMs + 1 }
}

/** Mapped before a listing began; and so is what a clock set back since makes look later than now. */
export const isEarlier = ({ mappedAt }: Pick<Principal, 'mappedAt'>, begunAt: number, now: number): boolean =>
  mappedAt < begunAt || mappedAt > now

/**
 * A complete listing had `listed` of the accounts that were mapped when it began. Those it lacks are read by id in any
 * case; of those mapped since nobody knows whether it should have had them.
 */
export const judgeListing = async (deps: Deps, mount: Mount, listed: number, begunAt: number): Promise<void> => {
  const { name } = mount.adapter
  const settings = deps.policy().guard
  const present = (await deps.store.countPrincipals(name)) - (await deps.store.countUnseen(name))
  if (!implausible(settings, present - listed, present)) return leaveIf(deps, name, 'empty')
  const there = present - (await deps.store.countMappedSince(name, begunAt, deps.clock.now()))
  const gone = there - listed
  if (!implausible(settings, gone, there)) return leaveIf(deps, name, 'empty')
  await change(deps, bridge, (c) => enter(c, name, 'empty', { gone, there }))
}

/** "All deleted" is over when no account waits for its second read and no more are gone than a day may bring. */
export const tendQuarantine = async (deps: Deps, mount: Mount): Promise<void> => {
  const { name } = mount.adapter
  if ((await deps.store.meta(metaKey(name, 'absent'))) === undefined) return
  const { doubtful, pending } = await lost(deps, deps.store, name, 0)
  if (pending === 0 && !doubtful) await leaveIf(deps, name, 'absent')
}
