import { topics } from './bus.ts'
import { bridge, change } from './change.ts'
import type { Deps } from './deps.ts'
import { fitting } from './fitting.ts'
import { endDelegations } from './granting.ts'
import { createJumpWatch } from './recall.ts'

/** Delegations whose end one transaction tells at most: whoever writes meanwhile gets a turn after it. */
const endsATime = 20
const retryMs = 10_000
const mostMs = 60_000

/**
 * Tells that delegations are over, some a transaction. Decisions do not wait for it: they deny from the millisecond of the
 * expiry on. Whatever ends the process in between, the rest is told by the next look.
 */
export const tellDelegations = async (deps: Deps): Promise<void> => {
  for (let more = true; more; ) {
    more = await change(deps, bridge, async (c) => {
      const due = await c.tx.dueDelegations(c.now, endsATime)
      const some = await fitting(
        c,
        due.map((did) => ({ did })),
      )
      await endDelegations(
        c,
        some.map(({ did }) => did),
      )
      if (some.length > 0) c.after(() => deps.probe?.('delegations.ended'))
      return some.length < due.length || due.length === endsATime
    })
  }
}

/**
 * Looks whenever the next delegation ends. Not while the wall clock is in doubt: what was told stays ended,
 * and a clock that was wrong for a moment must not end what is to last for a year.
 */
export const tendDelegations = async (deps: Deps, signal: AbortSignal): Promise<void> => {
  const jumped = createJumpWatch(deps.clock)
  while (!signal.aborted) {
    const woken = deps.bus.count(topics.delegations)
    let waitMs = retryMs
    try {
      // Woken first after a jump, it leaves the mirror the time to see it as well.
      if (jumped() === 0 && !deps.isClockDoubted()) {
        await tellDelegations(deps)
        const next = await deps.store.nextDelegationEnd()
        waitMs = Math.min(mostMs, Math.max(1, (next ?? Number.POSITIVE_INFINITY) - deps.clock.now()))
      }
    } catch (err) {
      if (!signal.aborted) deps.log.warn({ err }, 'ended delegations were not told yet; it is tried again')
    }
    await deps.bus.wait(topics.delegations, woken, waitMs, signal)
  }
}
