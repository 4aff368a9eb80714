import type { Context } from '../core/account.ts'
import type { LogEntry } from '../core/adapter.ts'
import { confirm } from '../core/confirm.ts'
import { type Outcome, observe } from '../core/mirror.ts'
import { next } from '../core/next.ts'
import { crossedOff, readWanted } from '../core/reads.ts'
import type { Account, Hold, Principal, PrincipalKey, Sighting } from '../core/types.ts'
import { type Change, change, directory } from './change.ts'
import { contextFor, keptSchedule, resumes, retryIn, scheduleOf } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { heard } from './echoes.ts'
import { withCopies } from './following.ts'
import { guardSeen } from './guarding.ts'
import { noteLegs } from './legs.ts'
import { placeOwn } from './owning.ts'
import { releaseHold } from './placing.ts'
import { credible, doubtMany } from './quarantine.ts'
import type { Recall } from './recall.ts'
import { didsOf, ownHolds } from './sharing.ts'

export const keyText = (key: PrincipalKey): string => `${key.adapter}/${key.id}`

/** What one reading, write or log entry led to, with what made us read. */
export interface Told {
  readonly key: PrincipalKey
  readonly sighting: Sighting | undefined
  /** Monotonic ms at the begin of the read. */
  readonly begunMono: number
}

const pageRows = 100
const doubtMs = 30_000
/** A read that leaves another one wanted at once is not repeated faster than this. */
const rereadMs = 5_000

/**
 * Takes readings in, a page of rows to a transaction; says which mapped accounts they were of. The others cost one indexed
 * look-up a page.
 */
export const takeIn = async (
  deps: Deps,
  mount: Mount,
  recall: Recall,
  sightings: readonly Sighting[],
  begunMono: number,
  also?: (change: Change) => Promise<void>,
): Promise<readonly Principal[]> => {
  const { name } = mount.adapter
  const known: Principal[] = []
  for (let at = 0; at < sightings.length || (at === 0 && also !== undefined); at += pageRows) {
    const page = sightings.slice(at, at + pageRows)
    const last = at + pageRows >= sightings.length
    const mapped = await change(deps, directory, async (c) => {
      if (at === 0) await doubtMany(c, mount, sightings)
      const found = await c.tx.principalsById(
        name,
        page.map((one) => one.id),
      )
      const ids = new Set(found.map(({ id }) => id))
      for (const sighting of page) {
        if (ids.has(sighting.id)) await takeOne(c, mount, recall, sighting, begunMono)
      }
      if (last) await also?.(c)
      return found
    })
    known.push(...mapped)
  }
  return known
}

const takeOne = async (c: Change, mount: Mount, recall: Recall, read: Sighting, begunMono: number): Promise<void> => {
  const key = { adapter: mount.adapter.name, id: read.id }
  const principal = await c.tx.principal(key)
  if (principal === undefined) return
  const { sighting, readAt } = await credible(c, mount, principal, await heard(c.tx, mount, read))
  const plain = await contextFor(c.deps, c.tx, mount, principal, c.now)
  const context = await withCopies(c.deps, c.tx, principal, sighting, plain)
  const outcome = observe(principal.account, sighting, context)
  const told = crossedOff(outcome.account, sighting, (attempts) => retryIn(c.deps, attempts))
  const account = readAt === undefined ? told : { ...told, attempts: outcome.account.attempts, readDueAt: readAt }
  await settle(c, mount, recall, { key, sighting, begunMono }, principal.account, { ...outcome, account }, context)
}

/** Applies an outcome of the core: own holds, confirmation, alerts, the account row and its schedule, in one transaction. */
export const settle = async (
  c: Change,
  mount: Mount,
  recall: Recall,
  told: Told,
  before: Account,
  outcome: Outcome,
  context: Context,
  entry?: LogEntry,
  floorMs = 0,
): Promise<void> => {
  const { key, sighting } = told
  let account = outcome.account
  if ((sighting?.byId === true && outcome.own !== 'cleared') || outcome.own === 'place') {
    recall.confirmations.delete(keyText(key))
  }
  if (outcome.alert !== undefined) raise(c, mount, key, outcome.alert)
  if (outcome.alert !== undefined || account.mark !== before.mark)
    await auditAccount(c, mount, key, before, account, outcome.alert)
  // What the log told of is looked at as well: it may have changed again since.
  const readAt = outcome.readAt ?? (outcome.own === 'place' && sighting === undefined ? c.now : undefined)
  if (readAt !== undefined) account = readWanted(account, readAt)

  const step = next(account, context).do
  const isUntried = account.attempts === before.attempts && next(before, context).do === step
  const waits = isUntried && (step === 'disable' || resumes.has(step))
  const stored = waits ? (await c.tx.principal(key))?.schedule : undefined
  const schedule = (present: Account, within: Context) => {
    const again = sighting?.byId === true && next(present, within).do === 'read'
    const waitMs = again ? Math.max(floorMs, rereadMs) : floorMs
    return stored === undefined
      ? scheduleOf(c.deps, present, within, waitMs)
      : keptSchedule(c.deps, stored, present, within, waitMs)
  }
  // The account first: placing or releasing looks at every account of the DID, this one included.
  await c.tx.saveAccount(key, account, schedule(account, context))
  await noteLegs(c, key, before, account, context)
  c.wakeWork(key.adapter)
  c.wakeSuspend(key.adapter)
  if (outcome.own === 'keep') return
  if (outcome.own === 'place') {
    await placeOwn(c, mount, key, before, outcome, context, entry)
  } else if (outcome.own === 'cleared' && context.own !== undefined && sighting !== undefined) {
    account = await confirmOwn(c, mount, recall, told, account, context.own, context)
  }
  const principal = await c.tx.principal(key)
  if (principal === undefined) return
  const fresh = await contextFor(c.deps, c.tx, mount, principal, c.now)
  const current = outcome.own === 'cleared' ? { ...principal.account, readDueAt: account.readDueAt } : principal.account
  await c.tx.saveAccount(key, current, schedule(current, fresh))
}

/** The account reads enabled again: one step of the confirmation, and what follows when it is complete. */
const confirmOwn = async (
  c: Change,
  mount: Mount,
  recall: Recall,
  told: Told,
  account: Account,
  own: Hold,
  context: Context,
): Promise<Account> => {
  const { key, sighting, begunMono } = told
  if (sighting === undefined || own.releasableAt !== undefined) return account
  const asked = (readInMs: number): Account => {
    const at = c.now + readInMs
    return { ...account, readDueAt: Math.min(account.readDueAt ?? at, at) }
  }
  if (recall.doubted) return asked(doubtMs)
  const policy = c.deps.policy()
  const step = confirm({
    before: recall.confirmations.get(keyText(key)),
    account,
    sighting,
    begunMono,
    settleMs: mount.settings.settleMs,
    confirmAfterMs: policy.confirmReleaseAfterMs,
  })
  if (!step.confirmed) {
    if (step.confirmation === undefined) recall.confirmations.delete(keyText(key))
    else recall.confirmations.set(keyText(key), step.confirmation)
    return asked(step.readInMs)
  }
  recall.confirmations.delete(keyText(key))
  await confirmed(c, mount, key, context)
  return account
}

const confirmed = async (c: Change, mount: Mount, key: PrincipalKey, context: Context): Promise<void> => {
  const principal = await c.tx.principal(key)
  if (principal === undefined) return
  const owns = (await ownHolds(c.tx, principal, context.own)).flatMap(({ own }) =>
    own === undefined || own.releasableAt !== undefined ? [] : [own],
  )
  const [first, ...rest] = owns
  if (first === undefined) return
  const sharers = rest.map(({ did }) => did)
  const keptBack = await guardSeen(c, mount, 'resume', first.did, sharers)
  // With other holds open nothing resumes now, yet whoever lifts those must not thereby stand in for the two people.
  const waits = keptBack || c.deps.policy().resume === 'approval'
  for (const own of owns) await (waits ? releasable(c, own) : releaseHold(c, own, { how: 'confirmed' }))
}

const releasable = async (c: Change, own: Hold): Promise<void> => {
  await c.tx.saveHold({ ...own, releasableAt: c.now })
  await c.tx.appendAudit({ time: c.now, type: 'hold.releasable', did: own.did, actor: c.actor, hold: own.id })
  c.deps.log.info({ did: own.did, hold: own.id }, 'account is on again: hold waits for approval')
}

const raise = (c: Change, { adapter }: Mount, key: PrincipalKey, alert: NonNullable<Outcome['alert']>): void => {
  const reverts = adapter.accounts?.reverts
  const text = {
    drift: `${keyText(key)} was switched on against an open hold; switching it off again`,
    contested: `${keyText(key)} was switched on against an open hold five times in ten minutes; writing pauses${reverts === undefined ? '' : `. ${reverts}`}`,
    'drift-accepted': `${keyText(key)} was switched on against an open hold and policy.drift leaves it on; the agent stays denied`,
    'copy-overdue': `${keyText(key)} went off with the account it follows and was not switched on again with it in time; the agent is held`,
  }[alert]
  c.after(() => c.deps.alert(alert, text))
}

/** One audit entry for a change of the mark (I7); reads that change nothing are not chained. */
export const auditAccount = async (
  c: Change,
  mount: Mount,
  key: PrincipalKey,
  before: Account,
  after: Account,
  alert?: string,
): Promise<void> => {
  const principal = await c.tx.principal(key)
  const shared = principal?.shared && (await didsOf(c.tx, principal))
  await c.tx.appendAudit({
    time: c.now,
    type: alert === undefined ? `account.${after.mark}` : `account.${alert}`,
    did: shared ? undefined : principal?.did,
    principals: [{ ...key, realm: mount.adapter.realm }],
    actor: c.actor,
    details: { from: before.mark, to: after.mark, observed: after.observed, ...(shared && { shared }) },
  })
}
