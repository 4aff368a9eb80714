import type { Context } from '../core/account.ts'
import type { PrincipalRef, WriteResult } from '../core/adapter.ts'
import { BridgeError } from '../core/errors.ts'
import { disabled, enabled, sending } from '../core/mirror.ts'
import { maySend, stillEnables } from '../core/sending.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { Account } from '../core/types.ts'
import { bridge, type Change, change } from './change.ts'
import { contextFor, scheduleOf } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { heard } from './echoes.ts'
import { withCopies } from './following.ts'
import { credible, doubtMany } from './quarantine.ts'
import { noteCall, type Recall } from './recall.ts'
import { settle } from './seen.ts'
import { keptOff } from './sharing.ts'
import { about, traced } from './tracing.ts'
import { keyOf, pausedKey, refOf } from './worker.ts'

/**
 * Switches accounts off. Just before sending, the wanted state is read again and the intent is recorded; what is not
 * answered counts as in flight.
 */
export const disable = async (
  deps: Deps,
  mount: Mount,
  recall: Recall,
  list: readonly ScheduledPrincipal[],
  signal: AbortSignal,
  bulk = false,
): Promise<void> => {
  const { accounts } = mount.adapter
  if (accounts === undefined) return
  const begun = await begin(deps, mount, list, 'disable')
  if (begun.length === 0) return
  deps.probe?.('disable.recorded')
  const begunMono = deps.clock.mono()
  const results = await traced(deps, 'disable', about(mount.adapter.name, begun.map(target)), () =>
    call(
      begun.map(({ principal }) => refOf(principal)),
      (refs) => accounts.disable(refs, signal, bulk),
    ),
  )
  deps.probe?.('disable.answered')
  noteResults(recall, results, deps)
  const befores = [...results.values()].flatMap(({ before }) => before ?? [])
  await change(deps, bridge, async (c) => {
    await doubtMany(c, mount, befores)
    for (const { principal, first } of begun) {
      const answer = results.get(principal.id)
      const row = await c.tx.principal(principal)
      if (row === undefined || answer === undefined) continue
      const before = answer.before && (await heard(c.tx, mount, answer.before))
      const judged = before && (await credible(c, mount, row, before))
      const result = { ...answer, before: judged?.sighting }
      const plain = await contextFor(deps, c.tx, mount, row, c.now)
      const context = await withCopies(deps, c.tx, row, result.before, plain)
      const answered = disabled(row.account, result, first, context)
      const outcome = judged?.readAt === undefined ? answered : { ...answered, readAt: judged.readAt }
      count(c, mount, 'disable', result, row.account, context)
      const told = { key: keyOf(row), sighting: result.before, begunMono }
      await settle(c, mount, recall, told, row.account, outcome, context, undefined, result.error?.retryAfterMs)
    }
  })
  deps.probe?.('disable.settled')
}

/** A call in which every write met an error is an outage; one answer and the directory is there. */
const noteResults = (recall: Recall, results: ReadonlyMap<string, WriteResult>, deps: Deps): void => {
  const errors = [...results.values()].map(({ error }) => error)
  noteCall(recall, errors.every((error) => error !== undefined) ? errors[0] : undefined, deps)
}

interface Begun {
  readonly principal: ScheduledPrincipal
  /** Nothing had been sent under this claim before. */
  readonly first: boolean
}

const target = ({ principal }: Begun) => principal

const begin = async (
  deps: Deps,
  mount: Mount,
  list: readonly ScheduledPrincipal[],
  intent: 'disable' | 'enable',
): Promise<Begun[]> =>
  change(deps, bridge, async (c) => {
    const begun: Begun[] = []
    if ((await c.tx.meta(pausedKey)) !== undefined) return begun
    for (const { adapter, id } of list) {
      const principal = await c.tx.principal({ adapter, id })
      if (principal === undefined) continue
      const context = await contextFor(deps, c.tx, mount, principal, c.now)
      if (!maySend(intent, principal.account, context)) {
        await c.tx.saveAccount(principal, principal.account, scheduleOf(deps, principal.account, context))
        continue
      }
      const refused = mount.adapter.vet(principal)
      if (refused !== undefined) {
        await fail(c, principal, principal.account, context, refused)
        continue
      }
      const account = sending(principal.account, intent, context)
      await c.tx.saveAccount(principal, account, { nextAt: (account.inFlightUntil ?? c.now) + 1, lane: 1 })
      begun.push({ principal: { ...principal, account }, first: principal.account.sentAt === undefined })
    }
    return begun
  })

/** A write we may not send: said so on the account, tried again later in case the configuration changes. */
const fail = async (
  c: Change,
  principal: ScheduledPrincipal,
  account: Account,
  context: Context,
  error: BridgeError,
): Promise<void> => {
  const failed = { ...account, attempts: account.attempts + 1, lastError: error.code }
  await c.tx.saveAccount(principal, failed, scheduleOf(c.deps, failed, context, 30_000))
}

/** Every id gets a result; a call that throws as a whole may have landed anywhere. */
const call = async (
  refs: readonly PrincipalRef[],
  write: (refs: readonly PrincipalRef[]) => Promise<WriteResult[]>,
): Promise<Map<string, WriteResult>> => {
  if (refs.length === 0) return new Map()
  try {
    const results = new Map((await write(refs)).map((result) => [result.id, result]))
    const silent = new BridgeError('E_DIRECTORY_ANSWER', 'The adapter gave no result for this account.')
    for (const { id } of refs) {
      if (!results.has(id)) results.set(id, { id, before: undefined, outcome: 'lost', error: silent })
    }
    return results
  } catch (cause) {
    const error = cause instanceof BridgeError ? cause : new BridgeError('E_BUG', 'The write failed.', { cause })
    return new Map(refs.map(({ id }) => [id, { id, before: undefined, outcome: 'lost', error }]))
  }
}

const count = (
  c: Change,
  mount: Mount,
  action: string,
  result: WriteResult,
  account: Account,
  context: Context,
): void => {
  const { name } = mount.adapter
  const { deps } = c
  c.after(() => {
    deps.metrics.inc('mirror_writes_total', { adapter: name, action, outcome: result.outcome })
    const first = context.others[0]
    if (action === 'disable' && result.outcome === 'done' && first !== undefined && account.claimedAt !== undefined) {
      const from = first.origin.slice(0, first.origin.indexOf(':'))
      deps.metrics.observe('suspension_propagation_seconds', { from, to: name }, (c.now - account.claimedAt) / 1000)
    }
    if (result.error !== undefined) {
      deps.log.warn(
        { adapter: name, principal: result.id, action, outcome: result.outcome, err: result.error },
        'write failed',
      )
    }
  })
}

/** Switches accounts on: the mark is ours and no hold is open, read again just before sending (I2). */
export const enable = async (
  deps: Deps,
  mount: Mount,
  recall: Recall,
  list: readonly ScheduledPrincipal[],
  signal: AbortSignal,
): Promise<void> => {
  const { accounts } = mount.adapter
  if (accounts === undefined || list.length === 0) return
  const begun = await begin(deps, mount, list, 'enable')
  if (begun.length === 0) return
  deps.probe?.('enable.recorded')
  // A hold may have been committed together with the intent, or a reading may have told of somebody else's write.
  const wanted = async ({ principal }: Begun): Promise<boolean> => {
    const row = await deps.store.principal(principal)
    return row !== undefined && stillEnables(row.account, await keptOff(deps.store, row))
  }
  const kept = new Set<string>()
  for (const one of begun) if (!(await wanted(one))) kept.add(one.principal.id)
  const free = begun.filter(({ principal }) => !kept.has(principal.id))
  // Or since, while the adapter waited for a token or its turn: nothing may lie between this look and the wire (I2).
  const stillWanted = async () => {
    for (const one of free) {
      if (!(await wanted(one))) throw new BridgeError('E_ABORTED', 'A hold came before the enable was sent.')
    }
  }
  const results = await traced(deps, 'enable', about(mount.adapter.name, free.map(target)), () =>
    call(
      free.map(({ principal }) => refOf(principal)),
      (refs) => accounts.enable(refs, signal, stillWanted),
    ),
  )
  for (const id of kept) results.set(id, { id, before: undefined, outcome: 'unsent' })
  deps.probe?.('enable.answered')
  noteResults(recall, results, deps)
  await change(deps, bridge, async (c) => {
    for (const { principal } of begun) {
      const result = results.get(principal.id)
      const row = await c.tx.principal(principal)
      if (row === undefined || result === undefined) continue
      const context = await contextFor(deps, c.tx, mount, row, c.now)
      count(c, mount, 'enable', result, row.account, context)
      const told = { key: keyOf(row), sighting: undefined, begunMono: 0 }
      await settle(
        c,
        mount,
        recall,
        told,
        row.account,
        enabled(row.account, result, context),
        context,
        undefined,
        result.error?.retryAfterMs,
      )
    }
  })
  deps.probe?.('enable.settled')
}
