import { claimed, unmarked } from '../core/account.ts'
import type { PrincipalRef } from '../core/adapter.ts'
import { BridgeError, codeOf } from '../core/errors.ts'
import { next, type Step } from '../core/next.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { PrincipalKey, Sighting } from '../core/types.ts'
import { bridge, type Change, change } from './change.ts'
import { contextFor, retryIn, scheduleOf } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { noteCall, type Recall } from './recall.ts'
import { auditAccount, takeIn } from './seen.ts'
import { about, traced } from './tracing.ts'

/** One account a worker picked up, with what the core says to do. */
export interface Job {
  readonly principal: ScheduledPrincipal
  readonly step: Step
}

export { pausedKey } from './context.ts'

/** Looks at due accounts and says what each needs. */
export const jobs = async (deps: Deps, mount: Mount, due: readonly ScheduledPrincipal[]): Promise<Job[]> => {
  const now = deps.clock.now()
  const list: Job[] = []
  for (const principal of due) {
    const context = await contextFor(deps, deps.store, mount, principal, now)
    list.push({ principal, step: next(principal.account, context) })
  }
  return list
}

export const keyOf = ({ adapter, id }: ScheduledPrincipal): PrincipalKey => ({ adapter, id })

export const refOf = ({ id, kind }: ScheduledPrincipal): PrincipalRef => ({ id, kind })

/** Claims and unclaims, and puts down what needs nothing. Local only. */
export const local = async (deps: Deps, mount: Mount, list: readonly ScheduledPrincipal[]): Promise<void> => {
  if (list.length === 0) return
  await change(deps, bridge, async (c) => {
    for (const { adapter, id } of list) {
      const principal = await c.tx.principal({ adapter, id })
      if (principal === undefined) continue
      const context = await contextFor(deps, c.tx, mount, principal, c.now)
      const step = next(principal.account, context)
      const account =
        step.do === 'claim'
          ? claimed(principal.account, c.now)
          : step.do === 'unclaim'
            ? unmarked(principal.account)
            : principal.account
      if (account !== principal.account) await auditAccount(c, mount, principal, principal.account, account)
      await c.tx.saveAccount(principal, account, scheduleOf(deps, account, context))
      c.wakeSuspend(adapter)
      c.wakeWork(adapter)
    }
  })
}

/** Reads accounts by id and takes the answers in. A call that fails as a whole leaves every one unknown. */
export const read = async (
  deps: Deps,
  mount: Mount,
  recall: Recall,
  list: readonly ScheduledPrincipal[],
  signal: AbortSignal,
): Promise<void> => {
  if (list.length === 0) return
  const begunMono = deps.clock.mono()
  const begunAt = deps.clock.now()
  try {
    await traced(deps, 'read', about(mount.adapter.name, list), async () => {
      const sightings = await mount.adapter.lookup(list.map(refOf), signal)
      noteCall(recall, undefined, deps)
      // An account without an answer is unknown: left as it is, it would be asked for again at once, for ever.
      const told = list.map(({ id }): Sighting => sightings.get(id) ?? unanswered(id, begunAt))
      await takeIn(deps, mount, recall, told, begunMono)
    })
  } catch (error) {
    noteCall(recall, error, deps)
    deps.log.warn({ adapter: mount.adapter.name, err: error }, 'reading accounts failed')
    await postpone(deps, list, begunAt, error)
  }
}

const unanswered = (id: string, begunAt: number): Sighting => ({
  id,
  kind: undefined,
  state: 'unknown',
  switches: [],
  byId: true,
  begunAt,
})

/** The row as it is now, unless it went to the suspend lane meanwhile: a suspension is never put off (rule 9). */
const stillOurs = async (c: Change, { adapter, id }: PrincipalKey): Promise<ScheduledPrincipal | undefined> => {
  const principal = await c.tx.principal({ adapter, id })
  const lane = principal?.schedule.lane
  return lane === 1 || lane === 3 ? principal : undefined
}

/** Looks again after a while at what may not be done now; nothing failed. */
export const defer = async (deps: Deps, list: readonly ScheduledPrincipal[], inMs: number): Promise<void> => {
  if (list.length === 0) return
  await change(deps, bridge, async (c) => {
    for (const one of list) {
      const principal = await stillOurs(c, one)
      if (principal === undefined) continue
      await c.tx.saveAccount(principal, principal.account, { nextAt: c.now + inMs, lane: principal.schedule.lane })
    }
  })
}

/** Tries again later; nothing is concluded (I8). */
export const postpone = async (
  deps: Deps,
  list: readonly ScheduledPrincipal[],
  begunAt: number,
  error: unknown,
): Promise<void> => {
  const floorMs = error instanceof BridgeError ? (error.retryAfterMs ?? 0) : 0
  await change(deps, bridge, async (c) => {
    for (const one of list) {
      const principal = await stillOurs(c, one)
      if (principal === undefined) continue
      const { observedAt } = principal.account
      // Told in the meantime. A wall clock set back must not make this look so.
      if (observedAt !== undefined && observedAt >= begunAt && observedAt <= c.now) continue
      const attempts = principal.account.attempts + 1
      const account = { ...principal.account, attempts, lastError: codeOf(error) }
      await c.tx.saveAccount(principal, account, {
        nextAt: c.now + retryIn(deps, attempts, floorMs),
        lane: principal.schedule.lane,
      })
    }
  })
}
