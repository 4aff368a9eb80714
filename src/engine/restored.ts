import { type Moment, parseMoment, stampKey } from '../core/restore.ts'
import type { StoreReads } from '../core/store.ts'
import type { Change } from './change.ts'
import { generationKey } from './signals.ts'

const unreadPrefix = 'restored:unread:'
const restoredKey = 'restored:at'
/** The hash of the lost head that was acted on: a start that was cut short must not act on it twice. */
const settledKey = 'restored:lost'

/** Claims from before this moment came back with a restore: they prove nothing any more. */
export const restoredAt = async (reads: StoreReads): Promise<number | undefined> => {
  const at = await reads.meta(restoredKey)
  return at === undefined ? undefined : Number(at)
}

/** Adapters that were not read whole since the restore. */
export const unread = async (reads: StoreReads, names: Iterable<string>): Promise<ReadonlySet<string>> => {
  const found = new Set<string>()
  for (const name of names) if ((await reads.meta(unreadPrefix + name)) !== undefined) found.add(name)
  return found
}

/** The adapter was read whole: what it says counts again. */
export const readWhole = async ({ tx }: Change, name: string): Promise<void> => {
  if ((await tx.meta(unreadPrefix + name)) !== undefined) await tx.putMeta(unreadPrefix + name, undefined)
}

const iso = (at: number): string => new Date(at).toISOString()

const told = (from: Moment, lost: Moment | undefined, now: number): string => {
  const known = lost === undefined ? '' : ` (audit entries up to ${lost.seq} are known to be lost)`
  return (
    `the store is an older one, as of ${iso(from.at)} (audit entry ${from.seq}): holds placed between then and ` +
    `${iso(now)} are missing${known}. Place them again before gateways ask; nothing is enabled or released before ` +
    'every account was read, and accounts claimed before are enabled by people only'
  )
}

/**
 * A store that was put back to an older state (DESIGN §11), told by the stamp of a backup or by an entry of the chain
 * that it lost. Runtimes get a snapshot, every account is read again, resumes wait for it, and no mark from before
 * proves anything: a hold that the store forgot may be what keeps the account off.
 */
export const settleRestore = async (
  c: Change,
  lost: Moment | undefined,
  newGeneration: () => string,
): Promise<void> => {
  const { deps, now, tx } = c
  const stamp = await tx.meta(stampKey)
  const known = lost === undefined || (await tx.meta(settledKey)) === lost.hash
  if (stamp === undefined && known) return
  const head = await tx.auditHead()
  const [last] = head.seq === 0 ? [] : await tx.audit({ after: head.seq - 1, limit: 1 })
  const from = (stamp === undefined ? undefined : parseMoment(stamp)) ?? { ...head, at: last?.time ?? 0 }
  await tx.putMeta(stampKey, undefined)
  if (lost !== undefined) await tx.putMeta(settledKey, lost.hash)
  await tx.putMeta(generationKey, newGeneration())
  await tx.putMeta(restoredKey, String(Math.max(now, from.at)))
  for (const name of deps.mounts().keys()) {
    await tx.putMeta(unreadPrefix + name, '1')
    await tx.deleteCheckpoint(name, 'accounts')
  }
  const details = {
    takenAt: iso(from.at),
    seq: from.seq,
    ...(lost !== undefined && { lost: { seq: lost.seq, hash: lost.hash, at: iso(lost.at) } }),
  }
  await tx.appendAudit({ time: now, type: 'store.restored', actor: 'bridge', details })
  c.after(() => deps.alert('store-restored', told(from, lost, now)))
}
