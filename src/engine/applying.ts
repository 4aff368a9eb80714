import { BridgeError } from '../core/errors.ts'
import type { FrozenPlan, GuardDirection, PlanRow } from '../core/guard.ts'
import { freeState } from '../core/reads.ts'
import type { AccountState, Hold } from '../core/types.ts'
import { type Change, change } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { heard } from './echoes.ts'
import { dropPlan, frozenPlan, frozenRows, noteApplied, savePlan } from './frozen.ts'
import { anyWaits, clearGuard, directions } from './guarding.ts'
import { principalOf } from './holding.ts'
import { notReleasable, releaseHold, unguard } from './placing.ts'
import { resumable } from './reading.ts'
import type { Applied, Recall } from './recall.ts'

/** Rows read in one call and applied in one transaction: a suspension that comes meanwhile waits for no more. */
const chunk = 100
const readTimeoutMs = 120_000

/**
 * Applies the approved plan of one direction, a batch after the other, each account read by id before (rule 8). How far
 * it came is kept with what was applied: ended anywhere, it goes on there. Who asks while it runs gets that run.
 *
 * @throws BridgeError of the directory when it cannot be read. The plan stays approved and is gone on with later.
 */
export const applyPlan = (
  deps: Deps,
  mount: Mount,
  recall: Recall,
  direction: GuardDirection,
  signal?: AbortSignal,
): Promise<Applied> => {
  const running = recall.applying.get(direction)
  if (running !== undefined) return running
  const begun = applyAll(deps, mount, direction, signal).finally(() => recall.applying.delete(direction))
  recall.applying.set(direction, begun)
  return begun
}

/** Goes on with what was approved before this process started, or before the directory failed. */
export const resumePlans = async (deps: Deps, mount: Mount, recall: Recall, signal: AbortSignal): Promise<void> => {
  for (const direction of directions) {
    if (recall.applying.has(direction)) continue
    const frozen = await frozenPlan(deps.store, mount.adapter.name, direction)
    if (frozen?.second !== undefined) await applyPlan(deps, mount, recall, direction, signal)
  }
}

const applyAll = async (
  deps: Deps,
  mount: Mount,
  direction: GuardDirection,
  signal: AbortSignal | undefined,
): Promise<Applied> => {
  const { name } = mount.adapter
  const rows = await frozenRows(deps.store, name, direction)
  for (;;) {
    signal?.throwIfAborted()
    const frozen = await frozenPlan(deps.store, name, direction)
    if (frozen?.second === undefined) throw new BridgeError('E_BUG', 'There is no approved plan to apply.')
    const part = rows.slice(frozen.done, frozen.done + chunk)
    const timeout = AbortSignal.timeout(readTimeoutMs)
    const states = await readRows(
      deps,
      mount,
      direction,
      part,
      signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    )
    const after = await change(deps, { actor: frozen.second }, (c) =>
      applyPart(c, mount, direction, frozen, part, states),
    )
    deps.probe?.('guard.chunk')
    if (after.done >= rows.length) return { applied: after.applied, dropped: after.done - after.applied }
  }
}

/** Every row's account, read by id now, in as few calls as the directory allows. Without an answer: unknown. */
const readRows = async (
  deps: Deps,
  mount: Mount,
  direction: GuardDirection,
  rows: readonly PlanRow[],
  signal: AbortSignal,
): Promise<Map<string, AccountState>> => {
  const { name } = mount.adapter
  const ids = rows.flatMap((row) => principalOf(row)?.id ?? [])
  const principals = await deps.store.principalsById(name, [...new Set(ids)])
  const states = new Map<string, AccountState>()
  if (principals.length === 0) return states
  const sightings = await mount.adapter.lookup(principals, signal)
  for (const one of principals) {
    const sighting = sightings.get(one.id)
    const seen = async () => freeState(one.account, sighting && (await heard(deps.store, mount, sighting)))
    states.set(one.id, await (direction === 'resume' ? resumable(deps, mount, one, sighting) : seen()))
  }
  return states
}

const applyPart = async (
  c: Change,
  mount: Mount,
  direction: GuardDirection,
  frozen: FrozenPlan,
  part: readonly PlanRow[],
  states: ReadonlyMap<string, AccountState>,
): Promise<FrozenPlan> => {
  const { name } = mount.adapter
  const present = await frozenPlan(c.tx, name, direction)
  // A reload may have left another run of it behind, which was here first.
  if (present?.hash !== frozen.hash) return { ...frozen, done: frozen.rows }
  if (present.done !== frozen.done) return present
  let { applied } = frozen
  for (const row of part) {
    const hold = await c.tx.hold(row.holdId)
    const key = principalOf(row)
    if (hold === undefined || hold.releasedAt !== undefined || key === undefined) continue
    if (await applyRow(c, direction, hold, states.get(key.id) ?? 'unknown')) applied += 1
    else await c.tx.askRead(key, c.now, c.now + mount.settings.settleMs)
  }
  c.wakeWork(name)
  const after = { ...frozen, done: frozen.done + part.length, applied }
  if (after.done < frozen.rows) {
    await savePlan(c.tx, name, direction, after)
    return after
  }
  await dropPlan(c.tx, name, direction)
  const { hash, rows } = frozen
  await noteApplied(c.tx, name, direction, { hash, applied, dropped: rows - applied })
  const details = { adapter: name, direction, hash, applied, dropped: rows - applied }
  await c.tx.appendAudit({ time: c.now, type: 'guard.applied', actor: c.actor, details })
  if (!(await anyWaits(c.tx, name, direction))) await clearGuard(c, name, direction, 'approved')
  return after
}

/** What is dropped stays as it is and is read again: the mirror takes it from there, or the next plan names it. */
const applyRow = async (c: Change, direction: GuardDirection, hold: Hold, state: AccountState): Promise<boolean> => {
  if (direction === 'suspend') {
    if (!hold.guarded || hold.releasableAt !== undefined || state === 'enabled' || state === 'unknown') return false
    await unguard(c, hold)
    return true
  }
  if (hold.releasableAt === undefined) return false
  if (state === 'disabled') await notReleasable(c, hold)
  if (state !== 'enabled') return false
  await releaseHold(c, hold, { how: 'guard-approved' })
  return true
}
