import type { LogEntry, SwitchLog } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { logSkewMs } from '../../src/core/switchlog.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Api } from './api.ts'
import { accountsOf, type SystemEvent, succeeded, switchTypes, switchTypesOf } from './events.ts'
import { type Kind, kindOfId } from './ids.ts'
import { aheadMs, eventsIn, retentionMs } from './logpoll.ts'

/** Who the bridge is in the log. */
export interface Self {
  /** Client id of its app, or id of the user whose API token it uses. */
  readonly id: string
  /** Whether it signs in with an API token: then the same id stands for a person at the console, too. */
  readonly byApiToken: boolean
}

export interface LogParts {
  readonly api: Api
  readonly clock: Pick<Clock, 'now'>
  readonly kinds: readonly Kind[]
  readonly settleMs: number
  /** @throws BridgeError when the bridge cannot tell who it is: then nobody's entries are its own */
  readonly self: (signal: AbortSignal) => Promise<Self>
}

/**
 * Who switched which account, from the System Log: one query for all accounts. No delay of the log is documented, and
 * late events are rare but possible, so it is held to be complete up to `settle` ago and no further. Windows are asked for
 * by our clock and entries are dated by the org's: what is read reaches to where both clocks are within the window.
 */
export function openLog({ api, clock, kinds, settleMs, self }: LogParts): SwitchLog {
  const managed = new Set(kinds)
  const types = switchTypesOf(kinds)
  return {
    retentionMs,
    async read({ from, to }, signal) {
      const us = await self(signal)
      const readAt = clock.now()
      const known = api.time.skewMs() ?? 0
      const since = Math.max(from + Math.min(0, known), readAt + known - retentionMs)
      const until = Math.max(since + 1, Math.min(to + Math.max(0, known), readAt + known + aheadMs))
      const entries: Logged[] = []
      for await (const events of eventsIn(api, { since, until, types }, 'read', signal))
        for (const event of events) if (succeeded(event)) entries.push(...entriesOf(event, us, managed))
      // Only now is it sure what time it is there.
      const skewMs = api.time.skewMs() ?? 0
      if (Math.abs(skewMs) > logSkewMs) throw incomparable(skewMs)
      const completeUntil = Math.min(until, readAt + skewMs - settleMs) - Math.max(0, skewMs)
      return { entries: once(entries), completeUntil }
    },
  }
}

/** What happened first, ours or somebody else's, could not be told. */
const incomparable = (skewMs: number): BridgeError => {
  const text = `the clock here is ${Math.round(Math.abs(skewMs) / 1000)} s off the org's: its log cannot be judged`
  return new BridgeError('E_LOG_LATE', text, { hint: 'synchronise the clock of this host (NTP)' })
}

interface Logged extends LogEntry {
  readonly transaction: string | undefined
}

function entriesOf(event: SystemEvent, us: Self, kinds: ReadonlySet<Kind>): Logged[] {
  const { actor, transaction, published: at, eventType } = event
  const byToken = transaction?.detail?.requestApiTokenId !== undefined
  const ours = actor?.id === us.id && (!us.byApiToken || byToken)
  return accountsOf(event, kinds).flatMap((id) => {
    const kind = kindOfId(id)
    const action = kind && switchTypes[kind][eventType]
    if (action === undefined) return []
    const named = actor?.id ?? 'unknown'
    return [{ id, at, action, ours, actor: named, actorIds: [named], transaction: transaction?.id }]
  })
}

/** One change of an AI agent may be logged under both generations of names. */
function once(entries: readonly Logged[]): LogEntry[] {
  const seen = new Set<string>()
  const kept: LogEntry[] = []
  for (const { transaction, ...entry } of entries) {
    const key = `${transaction} ${entry.id} ${entry.action}`
    if (transaction !== undefined && seen.has(key)) continue
    seen.add(key)
    kept.push(entry)
  }
  return kept
}
