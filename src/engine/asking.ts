import type { Context } from '../core/account.ts'
import { checkCopy } from '../core/follow.ts'
import { checkLift, liftUntil, puttingBack } from '../core/lift.ts'
import { attribute, beforeLog, checkOverride, examineFrom, next, offByOthers } from '../core/next.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import { type LogReading, logSkewMs } from '../core/switchlog.ts'
import type { Account } from '../core/types.ts'
import { type Change, change, directory } from './change.ts'
import { contextFor, scheduleOf } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { copiedUntil } from './following.ts'
import { noteCall, type Recall } from './recall.ts'
import { restoredAt } from './restored.ts'
import { auditAccount, settle } from './seen.ts'
import type { CachedLog } from './switchlog.ts'
import { type Job, keyOf, postpone } from './worker.ts'

type Reader = ((id: string) => LogReading) | undefined

/**
 * The last hold is gone, an enable was sent, or a claim is to be proven while the log still has it: asks the
 * directory's log, one window for all, who changed what, and returns those that may be switched on.
 */
export const ask = async (
  deps: Deps,
  mount: Mount,
  recall: Recall,
  log: CachedLog | undefined,
  jobs: readonly Job[],
  signal: AbortSignal,
): Promise<ScheduledPrincipal[]> => {
  const begunAt = deps.clock.now()
  const hopeless: Reader =
    log && ((): LogReading => ({ entries: [], completeUntil: begunAt, from: Math.max(0, log.reach()) }))
  const needy = jobs.filter((job) => needsLog(job, mount, log))
  const from = Math.min(...needy.map(since))
  let reader: Reader
  if (log !== undefined && needy.length > 0) {
    try {
      reader = await log.read(from, signal)
      noteCall(recall, undefined, deps)
    } catch (error) {
      noteCall(recall, error, deps)
      deps.log.warn({ adapter: mount.adapter.name, err: error }, 'reading the directory log failed')
      await postpone(
        deps,
        needy.map(({ principal }) => principal),
        begunAt + 1,
        error,
      )
      return ask(
        deps,
        mount,
        recall,
        log,
        jobs.filter((job) => !needy.includes(job)),
        signal,
      )
    }
  }
  if (jobs.length === 0) return []
  return change(deps, directory, async (c) => {
    const enable: ScheduledPrincipal[] = []
    const restored = await restoredAt(c.tx)
    for (const job of jobs) {
      const row = await c.tx.principal(job.principal)
      if (row === undefined) continue
      const context = await contextFor(deps, c.tx, mount, row, c.now)
      const present = { principal: row, step: next(row.account, context) }
      const needs = needsLog(present, mount, log)
      // Changed meanwhile: what was read was not read for this.
      if (present.step.do !== job.step.do || (needs && (!needy.includes(job) || since(present) < from))) {
        await c.tx.saveAccount(row, row.account, scheduleOf(deps, row.account, context))
      } else {
        const reading = needs ? reader?.(row.id) : hopeless?.(row.id)
        if (await judge(c, mount, recall, present, context, reading, restored)) enable.push(row)
      }
    }
    return enable
  })
}

/** What the log cannot answer is decided without it: it is older than the log, or nothing in it would tell. */
const needsLog = ({ principal, step }: Job, { settings }: Mount, log: CachedLog | undefined): boolean => {
  if (log === undefined) return false
  if (step.do === 'check-copy') return (settings.trustedWriters ?? []).length > 0
  const claim = step.do === 'attribute' || step.do === 'prove'
  return !(claim && beforeLog(principal.account, log.reach()))
}

/** The earliest that anything asked of the log may be about. */
const since = ({ principal: { account }, step }: Job): number => {
  if (step.do === 'attribute' || step.do === 'prove') return examineFrom(account)
  if (step.do === 'check-lift') return (account.liftedFrom ?? 0) - logSkewMs
  return (step.do === 'check-override' ? account.overriddenAt : account.examinedUntil) ?? 0
}

/** True when the account is now proven ours and may be switched on. */
const judge = async (
  c: Change,
  mount: Mount,
  recall: Recall,
  { principal: row, step }: Job,
  context: Context,
  reading: LogReading | undefined,
  restored: number | undefined,
): Promise<boolean> => {
  const { deps, tx } = c
  const { account } = row
  const told = { key: keyOf(row), sighting: undefined, begunMono: 0 }
  const put = (kept: Account) => tx.saveAccount(row, kept, scheduleOf(deps, kept, context))
  /** A read that was asked for meanwhile does not wait for the log. */
  const later = (kept: Account, inMs: number) => {
    const [at, due] = [c.now + inMs, kept.readDueAt]
    return tx.saveAccount(
      row,
      kept,
      due !== undefined && due <= at ? { nextAt: due, lane: 1 } : { nextAt: at, lane: 3 },
    )
  }
  /** A log that is this far behind is as far behind later: asked before, it costs pages and says nothing. */
  const late = (wanted = 0) => {
    const behindMs = Math.max(0, c.now - (reading?.completeUntil ?? c.now))
    const inMs = Math.min(recheckMs, Math.max(0, wanted + behindMs - c.now))
    return later({ ...account, lastError: 'E_LOG_LATE' }, inMs + waitForLogMs(deps))
  }
  if (step.do === 'check-lift' && reading !== undefined) {
    const found = checkLift(account, reading)
    if (found === 'wait') await late(liftUntil(account))
    else if (found === 'clean') {
      await put({ ...account, liftedFrom: undefined })
      c.wakeWork(row.adapter)
    } else await settle(c, mount, recall, told, account, puttingBack(account, context), context, found)
    return false
  }
  if (step.do === 'check-override' && reading !== undefined) {
    const found = checkOverride(account, reading)
    if (found === undefined) {
      // What was looked through is not asked for again: the window must not grow for as long as the override lasts.
      const overriddenAt = Math.max(account.overriddenAt ?? 0, reading.completeUntil - logSkewMs)
      await later({ ...account, overriddenAt }, recheckMs)
    } else {
      const again = offByOthers({ ...account, overriddenAt: undefined }, context)
      await settle(c, mount, recall, told, account, again, context, found)
    }
    return false
  }
  if (step.do === 'check-copy') {
    await judgeCopy(c, mount, recall, row, context, context.copyLog ? reading : undefined, later)
    return false
  }
  if (step.do !== 'attribute' && step.do !== 'prove') {
    await put(account)
    return false
  }
  const copied = (await copiedUntil(deps, tx, row, c.now)) !== undefined
  const found = attribute(account, reading, context, { copied, restoredAt: restored })
  if (found.verdict === 'wait') await late(account.disabledAckAt ?? account.sentAt)
  else if (found.verdict === 'enable') {
    if (found.account.mark !== account.mark) await auditAccount(c, mount, row, account, found.account)
    const proven = { ...found.account, lastError: undefined, attempts: 0 }
    if (step.do === 'prove') await put(proven)
    else await tx.saveAccount(row, proven, { nextAt: c.now, lane: 3 })
    return step.do === 'attribute'
  } else if (step.do === 'prove' && found.outcome.reason === 'unproven') {
    // Nothing is lost by leaving the claim: the last release decides.
    await later(account, Math.floor((context.logReachMs ?? 0) / 8) + recheckMs)
  } else {
    await settle(c, mount, recall, told, account, found.outcome, context, found.entry)
  }
  return false
}

/** Off as a copy: a person's doing after all, still a copy, or overdue, which a read by id decides. */
const judgeCopy = async (
  c: Change,
  mount: Mount,
  recall: Recall,
  row: ScheduledPrincipal,
  context: Context,
  reading: LogReading | undefined,
  later: (account: Account, inMs: number) => Promise<void>,
): Promise<void> => {
  const { account } = row
  const found = reading && checkCopy(account, reading)
  if (found !== undefined) {
    const told = { key: keyOf(row), sighting: undefined, begunMono: 0 }
    const placed = { ...account, copiedAt: undefined, foreignSeenAt: account.observedAt ?? c.now }
    await settle(c, mount, recall, told, account, offByOthers(placed, context), context, found)
    return
  }
  const done = reading && Math.max(account.examinedUntil ?? 0, reading.completeUntil - logSkewMs)
  const examined = { ...account, ...(done !== undefined && { examinedUntil: done }) }
  const until = await copiedUntil(c.deps, c.tx, row, c.now)
  if (until !== undefined) return later(examined, Math.min(recheckMs, until - c.now + 1))
  const asked = { ...examined, readDueAt: Math.min(account.readDueAt ?? c.now, c.now) }
  await c.tx.saveAccount(row, asked, { nextAt: asked.readDueAt, lane: 1 })
  c.wakeWork(row.adapter)
}

const recheckMs = 300_000
const waitForLogMs = (deps: Deps): number => Math.ceil(10_000 + 20_000 * deps.random())
