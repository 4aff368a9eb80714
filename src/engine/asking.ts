import type { Context } from '../core/account.ts'
import type { LogEntry } from '../core/adapter.ts'
import { attribute, checkLift, checkOverride, logSkewMs, next, puttingBack } from '../core/next.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { Account } from '../core/types.ts'
import { type Change, change, directory } from './change.ts'
import { contextFor, scheduleOf } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { noteCall, type Recall } from './recall.ts'
import { restoredAt } from './restored.ts'
import { auditAccount, settle } from './seen.ts'
import { keyOf, postpone } from './worker.ts'

/**
 * The last hold is gone, or an enable was sent: asks the directory's log, one window for all, who changed what, and
 * returns those that may be switched on.
 */
export const ask = async (
  deps: Deps,
  mount: Mount,
  recall: Recall,
  list: readonly ScheduledPrincipal[],
  signal: AbortSignal,
): Promise<ScheduledPrincipal[]> => {
  const log = mount.adapter.accounts?.log
  const begunAt = deps.clock.now()
  let reading: { entries: Map<string, LogEntry[]>; completeUntil: number } | undefined
  if (log !== undefined) {
    try {
      const from = Math.max(begunAt - log.retentionMs, Math.min(...list.map(since)) - logSkewMs)
      const { entries, completeUntil } = await log.read({ from, to: begunAt }, signal)
      noteCall(recall, undefined, deps)
      reading = { entries: Map.groupBy(entries, ({ id }) => id), completeUntil }
    } catch (error) {
      noteCall(recall, error, deps)
      deps.log.warn({ adapter: mount.adapter.name, err: error }, 'reading the directory log failed')
      await postpone(deps, list, begunAt + 1, error)
      return []
    }
  }
  return change(deps, directory, async (c) => {
    const enable: ScheduledPrincipal[] = []
    const restored = await restoredAt(c.tx)
    for (const { adapter, id } of list) {
      const row = await c.tx.principal({ adapter, id })
      if (row === undefined) continue
      const context = await contextFor(deps, c.tx, mount, row, c.now)
      const seen = reading && { entries: reading.entries.get(id) ?? [], completeUntil: reading.completeUntil }
      if (await judge(c, mount, recall, row, context, seen, restored)) enable.push(row)
    }
    return enable
  })
}

/** The earliest that anything asked of the log may be about. */
const since = ({ account }: ScheduledPrincipal): number => {
  const { claimedAt, liftedFrom, overriddenAt, sentAt } = account
  const times = [claimedAt, liftedFrom, overriddenAt, sentAt].filter((at) => at !== undefined)
  return times.length === 0 ? 0 : Math.min(...times)
}

type Reading = { readonly entries: readonly LogEntry[]; readonly completeUntil: number } | undefined

/** True when the account is now proven ours and may be switched on. */
const judge = async (
  c: Change,
  mount: Mount,
  recall: Recall,
  row: ScheduledPrincipal,
  context: Context,
  reading: Reading,
  restored: number | undefined,
): Promise<boolean> => {
  const { deps, tx } = c
  const { account } = row
  const told = { key: keyOf(row), sighting: undefined, begunMono: 0 }
  /** A read that was asked for meanwhile does not wait for the log. */
  const later = (kept: Account, inMs = waitForLogMs(deps)) => {
    const [at, due] = [c.now + inMs, kept.readDueAt]
    return tx.saveAccount(
      row,
      kept,
      due !== undefined && due <= at ? { nextAt: due, lane: 1 } : { nextAt: at, lane: 3 },
    )
  }
  const step = next(account, context)
  if (step.do === 'check-lift' && reading !== undefined) {
    const found = checkLift(account, reading)
    if (found === 'wait') await later(account)
    else if (found === 'clean') {
      const clean = { ...account, liftedFrom: undefined }
      await tx.saveAccount(row, clean, scheduleOf(deps, clean, context))
      c.wakeWork(row.adapter)
    } else await settle(c, mount, recall, told, account, puttingBack(account), context, found)
    return false
  }
  if (step.do === 'check-override' && reading !== undefined) {
    const found = checkOverride(account, reading)
    if (found === undefined) {
      // What was looked through is not asked for again: the window must not grow for as long as the override lasts.
      const overriddenAt = Math.max(account.overriddenAt ?? 0, reading.completeUntil - logSkewMs)
      await later({ ...account, overriddenAt }, overrideCheckMs)
    } else {
      const again = {
        account: { ...account, overriddenAt: undefined },
        own: 'place' as const,
        reason: 'disabled' as const,
      }
      await settle(c, mount, recall, told, account, again, context, found)
    }
    return false
  }
  if (step.do !== 'attribute') {
    await tx.saveAccount(row, account, scheduleOf(deps, account, context))
    return false
  }
  const verdict = attribute(account, reading, restored)
  if (verdict.verdict === 'wait') await later(account)
  else if (verdict.verdict === 'theirs') {
    await settle(c, mount, recall, told, account, verdict.outcome, context, verdict.entry)
  } else {
    if (verdict.account.mark !== account.mark) await auditAccount(c, mount, row, account, verdict.account)
    await tx.saveAccount(row, verdict.account, { nextAt: c.now, lane: 3 })
    return true
  }
  return false
}

const overrideCheckMs = 300_000
const waitForLogMs = (deps: Deps): number => Math.ceil(10_000 + 20_000 * deps.random())
