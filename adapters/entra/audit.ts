import { z } from 'zod'
import type { LogEntry, SwitchLog } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { logSkewMs } from '../../src/core/switchlog.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { pause } from '../aborts.ts'
import type { Self } from './credential.ts'
import type { Graph } from './graph.ts'
import { purposes } from './kinds.ts'
import { pagesOf } from './pages.ts'
import { objectId } from './wire.ts'

/** Entra keeps directory audits for 7 days without a premium licence, 30 with one. */
const RETENTION_MS = 7 * 86_400_000
/** 5 requests per 10 s for one app in one tenant (Graph throttling-limits.md, read 2026-11). */
const LIMIT = { requests: 5, windowMs: 10_000 }

const property = z.object({ displayName: z.string(), oldValue: z.string().nullish(), newValue: z.string().nullish() })
const record = z.object({
  activityDateTime: z.iso.datetime({ offset: true }),
  result: z.string().nullish(),
  initiatedBy: z.object({
    app: z
      .object({
        appId: z.string().nullish(),
        servicePrincipalId: z.string().nullish(),
        displayName: z.string().nullish(),
      })
      .nullish(),
    user: z.object({ id: z.string().nullish(), userPrincipalName: z.string().nullish() }).nullish(),
  }),
  targetResources: z.array(
    z.object({ id: objectId.nullish().catch(undefined), modifiedProperties: z.array(property).nullish() }),
  ),
})
type AuditRecord = z.output<typeof record>

export interface LogParts {
  readonly graph: Graph
  readonly clock: Clock
  readonly settleMs: number
  /** Who we are, by our own token. */
  readonly self: (signal: AbortSignal) => Promise<Self | undefined>
}

/**
 * Who switched which account, from `/auditLogs/directoryAudits`. The log is read by time only: the names of activities
 * for agent identities are not documented, and a foreign change missed here would be undone. Windows are asked for by our
 * clock and entries are dated by the directory's, which may be ahead of it.
 */
export function openLog({ graph, clock, settleMs, self }: LogParts): SwitchLog {
  const sent: number[] = []
  /** Turns are taken one after another, so that readers at the same time do not exceed the limit together. */
  let turn = Promise.resolve()

  const pace = (signal: AbortSignal): Promise<void> => {
    const mine = turn.then(async () => {
      const oldest = sent.length >= LIMIT.requests ? sent.shift() : undefined
      const waitMs = oldest === undefined ? 0 : oldest + LIMIT.windowMs - clock.mono()
      if (waitMs > 0) await pause(clock, waitMs, signal)
      sent.push(clock.mono())
    })
    turn = mine.catch(() => undefined)
    return mine
  }

  return {
    retentionMs: RETENTION_MS,
    async read({ from, to }, signal) {
      const us = await self(signal)
      if (us?.oid === undefined && us?.appId === undefined)
        throw new BridgeError('E_DIRECTORY_AUTH', "the bridge cannot tell its own entries in the directory's log", {
          hint: 'its access token names neither oid nor appid',
        })
      const readAt = clock.now()
      const until = Math.min(to, readAt)
      const start = Math.max(from, readAt - RETENTION_MS)
      const window = `activityDateTime ge ${new Date(start).toISOString()} and activityDateTime le ${iso(until + logSkewMs)}`
      const options = { purpose: purposes.readLog, lane: 'read', signal, pace } as const
      const path = `/auditLogs/directoryAudits?$filter=${window}&$top=999`
      const records: AuditRecord[] = []
      for await (const { rows } of pagesOf(graph, clock, { path }, record, options)) {
        records.push(
          ...rows.filter((each) => each.targetResources.some((target) => target.modifiedProperties?.some(flip))),
        )
      }
      // Newest first as it comes. Two changes within a millisecond differ in the ticks, which a Date does not keep.
      const inOrder = records.reverse().toSorted((a, b) => compare(a.activityDateTime, b.activityDateTime))
      const entries = merged(inOrder.flatMap((each) => entriesOf(each, us)))
      return { entries, completeUntil: Math.min(until, readAt - settleMs) }
    },
  }
}

/** The log has ticks past the millisecond: the last one of the window counts whole. */
const iso = (ms: number) => new Date(ms).toISOString().replace('Z', '9999Z')

const compare = (a: string, b: string) => Date.parse(a) - Date.parse(b) || (a < b ? -1 : a > b ? 1 : 0)

function entriesOf(each: AuditRecord, us: Self): LogEntry[] {
  if (each.result != null && each.result.toLowerCase() !== 'success') return []
  const { app, user } = each.initiatedBy
  const isOurs =
    (us.oid !== undefined && app?.servicePrincipalId?.toLowerCase() === us.oid) ||
    (us.appId !== undefined && app?.appId?.toLowerCase() === us.appId)
  const actorIds = [app?.servicePrincipalId, app?.appId, user?.id].flatMap((id) => (id ? [id] : []))
  const actor = app?.displayName ?? app?.servicePrincipalId ?? app?.appId ?? user?.id ?? 'unknown'
  return each.targetResources.flatMap((target): LogEntry[] => {
    const action = target.modifiedProperties?.map(flip).find((found) => found !== undefined)
    if (target.id == null || action === undefined) return []
    return [{ id: target.id, at: Date.parse(each.activityDateTime), action, ours: isOurs, actor, actorIds }]
  })
}

/** A real change of the switch. Values come as JSON arrays in text, `"[true]"`; a property merely included says nothing. */
function flip({ displayName, oldValue, newValue }: z.output<typeof property>): LogEntry['action'] | undefined {
  if (displayName.toLowerCase() !== 'accountenabled') return undefined
  const [from, to] = [booleanOf(oldValue), booleanOf(newValue)]
  if (from === true && to === false) return 'disable'
  return from === false && to === true ? 'enable' : undefined
}

function booleanOf(text: string | null | undefined): boolean | undefined {
  const word = text?.replace(/[[\]"\s]/g, '').toLowerCase()
  return word === 'true' ? true : word === 'false' ? false : undefined
}

/** One change of a user is logged twice, as an update and as `Disable account`, within moments of each other. */
function merged(entries: readonly LogEntry[]): LogEntry[] {
  const kept: LogEntry[] = []
  for (const entry of entries) {
    const last = kept.findLast((each) => each.id === entry.id)
    const isSame = last?.action === entry.action && last.ours === entry.ours && last.actor === entry.actor
    if (!isSame) kept.push(entry)
  }
  return kept
}
