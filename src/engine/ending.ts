import { endsAhead, endsATime } from '../core/ending.ts'
import { derivedFrom, isOwn } from '../core/holds.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did, Hold } from '../core/types.ts'
import { breathe } from '../lib/breathe.ts'
import { topics } from './bus.ts'
import { type Change, change } from './change.ts'
import { claimMany, distinctDids, type Open, openOf } from './claiming.ts'
import type { Deps } from './deps.ts'
import { auditClaims, holdEvent } from './holdaudit.ts'
import { endLegs } from './legs.ts'
import { oneAtATime } from './queued.ts'
import { changeHolds } from './recording.ts'
import { markHolds } from './tracing.ts'

/**
 * Ends holds, with everything that must be in the same transaction: their legs, the audit entries, the signals of the DIDs
 * that are free now, and the claims that only these holds kept the bridge from.
 */
export const endHolds = async (
  change: Change,
  holds: readonly Hold[],
  details: Readonly<Record<string, unknown>>,
): Promise<void> => {
  if (holds.length === 0) return
  const { tx, now } = change
  const dids = distinctDids(holds)
  const before = await openOf(change, holds)
  const agents = new Map((await tx.agentsByDid(dids)).map((agent) => [agent.did, agent]))
  const accounts = await tx.principalsByDid(dids)
  const principals = Map.groupBy(accounts, ({ did }) => did)
  await endLegs(change, holds, { open: before, agents, principals })
  const ids = new Set(holds.map(({ id }) => id))
  await tx.closeHolds([...ids], now)
  await tx.voidReleases([...ids])
  const open: Open = new Map(dids.map((did) => [did, (before.get(did) ?? []).filter(({ id }) => !ids.has(id))]))
  const isHeld = (did: Did): boolean => (open.get(did) ?? []).length > 0
  await tx.appendAudits(
    holds.map((hold) => {
      const { did } = hold
      const of = { agent: agents.get(did), principals: principals.get(did) ?? [], open: open.get(did) ?? [] }
      return holdEvent(change, 'hold.released', hold, of, details)
    }),
  )
  await resumed(
    change,
    holds.filter(({ did }) => !isHeld(did)),
  )
  // Others may now want an account off that these kept us from writing.
  const stillHeld = accounts.filter(({ did }) => isHeld(did))
  await auditClaims(change, await claimMany(change, stillHeld, open))
  for (const adapter of new Set(accounts.map((principal) => principal.adapter))) {
    change.wakeWork(adapter)
    change.wakeSuspend(adapter)
  }
  await tx.wake(dids, now, 1)
  markHolds(change, 'release', holds)
}

/** Each DID once, whichever of its last holds is named. */
const resumed = async (change: Change, holds: readonly Hold[]): Promise<void> => {
  if (holds.length === 0) return
  const { tx, now } = change
  const last = new Map(holds.map((hold) => [hold.did, hold]))
  // By a clock that was set back a release would come before its hold, and tokens from in between be good again.
  await tx.noteResumed([...last.keys()], Math.max(now, ...holds.map(({ placedAt }) => placedAt)))
  await tx.appendSignals(
    [...last.values()].map(({ did, id, origin }) => ({
      type: 'resumed',
      did,
      at: now,
      holdId: id,
      severity: undefined,
      origin,
      reason: undefined,
      capabilities: undefined,
    })),
  )
  change.wakeSignals()
}

/**
 * A hold of the agent's own was released: the holds that its descendants have for it end, or become what the remaining
 * ones still ask, nearest first. As many as one transaction bears do so in this one; the rest is recorded with it and
 * follows in later ones (`endCascades`). Until then it is more than is asked, never less.
 */
export const lessenCascade = async (c: Change, ancestor: Did): Promise<void> => {
  const { tx, now, actor, requestId, room } = c
  const derived = await derivedOf(tx, ancestor)
  const found = await tx.cascadeHolds(ancestor, room.left + 1, derived)
  const part = found.slice(0, room.left)
  room.left -= part.length
  await lessen(c, part, derived)
  if (part.length === found.length) {
    await tx.dropCascadeEnd(ancestor)
    return
  }
  await tx.putCascadeEnd({ ancestor, at: now, actor, requestId })
  c.after(() => c.deps.bus.wake(topics.cascades))
}

type Derived = ReturnType<typeof derivedFrom>

const derivedOf = async (reads: StoreReads, ancestor: Did): Promise<Derived> =>
  derivedFrom((await reads.openHolds(ancestor)).filter(isOwn))

const lessen = async (c: Change, holds: readonly Hold[], derived: Derived): Promise<void> => {
  if (derived === undefined) return endHolds(c, holds, { derived: true })
  await changeHolds(
    c,
    holds.map((hold) => ({ ...hold, ...derived })),
  )
}

/** Of holds found before this transaction, those that are open still and are to end or to become less. */
const lessenSome = async (c: Change, ancestor: Did, found: readonly Hold[]): Promise<void> => {
  const derived = await derivedOf(c.tx, ancestor)
  const open = await openOf(c, found)
  const isLike = ({ severity, guarded }: Hold) => severity === derived?.severity && guarded === derived.guarded
  const present = found.flatMap(({ id, did }) => open.get(did)?.filter((hold) => hold.id === id && !isLike(hold)) ?? [])
  await lessen(c, present, derived)
}

const endAll = async (deps: Deps): Promise<void> => {
  for (let ends = await deps.store.cascadeEnds(); ends.length > 0; ends = await deps.store.cascadeEnds()) {
    for (const { ancestor, actor, requestId } of ends) {
      const step = async (work: (c: Change) => Promise<void>): Promise<void> => {
        await change(deps, { actor, requestId }, work)
        deps.probe?.('cascade.ended')
        // Asked for at once, the next would share its commit with a kill that waits, and keep it waiting.
        await breathe()
      }
      const found = await deps.store.cascadeHolds(ancestor, endsAhead, await derivedOf(deps.store, ancestor))
      for (let at = 0; at < found.length - endsATime; at += endsATime) {
        await step((c) => lessenSome(c, ancestor, found.slice(at, at + endsATime)))
      }
      await step((c) => lessenCascade(c, ancestor))
    }
  }
}

/**
 * Does the rest of what is recorded of releases, some holds a transaction. Whatever ends the process in between, it is
 * found again here. An agent that is held again meanwhile keeps the holds below it: they are what it asks. One run at a time:
 * several would keep a kill waiting for as many transactions.
 */
export const endCascades = oneAtATime(endAll)

/** Resolves when the cascade of this agent has ended. A failure delays it; the release stands all the same. */
export const cascadeEnded = async (deps: Deps, ancestor: Did): Promise<void> => {
  try {
    const isOf = (end: { ancestor: Did }) => end.ancestor === ancestor
    if ((await deps.store.cascadeEnds()).some(isOf)) await endCascades(deps)
  } catch (err) {
    deps.log.warn({ did: ancestor, err }, 'holds of descendants have not ended yet; it is tried again')
  }
}

const retryMs = 10_000

/** Ends cascades whenever there are any: after a release, after a start, and again after a failure. */
export const tendCascades = async (deps: Deps, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const woken = deps.bus.count(topics.cascades)
    await endCascades(deps).catch((err) => {
      if (!signal.aborted) deps.log.warn({ err }, 'holds of descendants have not ended yet; it is tried again')
    })
    await deps.bus.wait(topics.cascades, woken, retryMs, signal)
  }
}
