import { type CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail'
import { GetRoleCommand } from '@aws-sdk/client-iam'
import type { LogEntry, SwitchLog } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { logSkewMs } from '../../src/core/switchlog.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { pause } from '../aborts.ts'
import type { ServerTime } from '../servertime.ts'
import { type Session, type Sessions, sessionFor } from './account.ts'
import { deniesAll } from './documents.ts'
import { malformed } from './errors.ts'
import { activeOf, roleOfRecord, type TrailRecord, trailRecord, userOfRecord } from './events.ts'
import { idOfRole, idOfUser, partsOf, roleOf } from './ids.ts'
import type { Names } from './names.ts'
import { purposes } from './purposes.ts'
import type { Suspension } from './roles.ts'

export interface TrailParts {
  readonly sessions: Sessions
  readonly accounts: readonly string[]
  readonly center:
    | { readonly session: Session; readonly store: string; readonly writer: string | undefined }
    | undefined
  readonly suspensionOf: (account: string) => Suspension
  readonly names: Names
  /** Whether a request over SCIM was one of ours, in this process. */
  readonly isOurScim: (requestId: string) => boolean
  readonly lagMs: number
  readonly clock: Clock
  readonly time: ServerTime
  readonly log: Logger
}

/** The event history reaches that far back (LookupEvents, read 2026-11). */
const RETENTION_MS = 90 * 86_400_000
/** Two requests a second, for each account and region. */
const PACE_MS = 550
const PAGE = 50
const MAX_PAGES = 2000
/** EventTime is in whole seconds, and clocks differ. */
const AHEAD_MS = 60_000

/**
 * Who switched which account, from the event history of CloudTrail: by the name of the call and the window, never by
 * account. What is missing yet comes within `lag`. It tells roles by their names: RoleIds are looked up, and a role that
 * was created anew is another one.
 */
export function openTrail(parts: TrailParts): SwitchLog {
  const { sessions, accounts, center, suspensionOf, names, isOurScim, lagMs, clock, time, log } = parts
  const askedAt = new WeakMap<CloudTrailClient, number>()

  const paced = async (client: CloudTrailClient, signal: AbortSignal): Promise<void> => {
    const now = clock.mono()
    const at = Math.max(now, (askedAt.get(client) ?? Number.NEGATIVE_INFINITY) + PACE_MS)
    askedAt.set(client, at)
    if (at > now) await pause(clock, at - now, signal)
  }

  async function* recordsOf(
    { api }: Session,
    client: CloudTrailClient,
    name: string,
    window: { from: number; to: number },
    signal: AbortSignal,
  ): AsyncGenerator<TrailRecord> {
    const options = { purpose: purposes.readTrail, lane: 'read', signal } as const
    let token: string | undefined
    for (let count = 0; count < MAX_PAGES; count++) {
      await paced(client, signal)
      const command = new LookupEventsCommand({
        LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: name }],
        StartTime: new Date(Math.floor(window.from / 1000) * 1000),
        EndTime: new Date(Math.ceil(window.to / 1000) * 1000),
        MaxResults: PAGE,
        NextToken: token,
      })
      const answer = await api.read((sending) => client.send(command, sending), options)
      for (const { CloudTrailEvent } of answer.Events ?? []) {
        const record = trailRecord.safeParse(jsonOf(CloudTrailEvent))
        if (!record.success) throw malformed(purposes.readTrail)
        if (record.data.errorCode === undefined && record.data.eventName === name) yield record.data
      }
      token = answer.NextToken
      if (token === undefined) return
    }
    throw malformed(purposes.readTrail, new Error(`more than ${MAX_PAGES} pages`))
  }

  /** The role that had this name then; undefined: it is gone, or younger than the event. */
  const roleAt = async (session: Session, object: string, at: number, signal: AbortSignal) => {
    const known = names.of(object)
    if (known) return known.createdAt > at + 1000 ? undefined : known.id
    const RoleName = object.slice(object.indexOf('/') + 1)
    const answer = await session.api.ask(
      (sending) => session.clients.iam.send(new GetRoleCommand({ RoleName }), sending),
      ['NoSuchEntity'],
      { purpose: purposes.readRole, lane: 'read', signal },
    )
    if ('told' in answer) return undefined
    const { Arn = '', RoleId, CreateDate } = answer.Role ?? {}
    if (!partsOf(Arn) || !RoleId) throw malformed(purposes.readRole)
    const createdAt = CreateDate?.getTime() ?? 0
    names.note(object, { id: idOfRole(Arn, RoleId), createdAt })
    return createdAt > at + 1000 ? undefined : idOfRole(Arn, RoleId)
  }

  const ofAccount = async (account: string, window: { from: number; to: number }, signal: AbortSignal) => {
    const session = await sessionFor(sessions, account, signal)
    const us = await session.self(signal)
    const { policyName, managedArn } = suspensionOf(account)
    const client = session.clients.iamTrail
    const entries: LogEntry[] = []
    const take = async (
      name: string,
      actionOf: (record: TrailRecord) => LogEntry['action'],
      concerns: (record: TrailRecord) => boolean,
    ) => {
      for await (const record of recordsOf(session, client, name, window, signal)) {
        const object = concerns(record) ? roleOfRecord({ ...record, recipientAccountId: account }) : undefined
        const id = object && (await roleAt(session, object, record.eventTime, signal))
        const [at, action, ours] = [record.eventTime, actionOf(record), writerOf(record) === us.id]
        if (id) entries.push({ id, at, action, ours, ...actorOf(record) })
      }
    }
    const named = ({ requestParameters }: TrailRecord) =>
      String(requestParameters?.policyName).toLowerCase() === policyName.toLowerCase()
    await take('PutRolePolicy', written, named)
    await take('DeleteRolePolicy', enable, named)
    if (managedArn === undefined) return entries
    const ours = ({ requestParameters }: TrailRecord) => requestParameters?.policyArn === managedArn
    await take('AttachRolePolicy', disable, ours)
    await take('DetachRolePolicy', enable, ours)
    return entries
  }

  const ofCenter = async (
    { session, store, writer }: NonNullable<TrailParts['center']>,
    window: { from: number; to: number },
    signal: AbortSignal,
  ) => {
    const entries: LogEntry[] = []
    const take = async (name: string, actionOf: (record: TrailRecord) => LogEntry['action'] | undefined) => {
      for await (const record of recordsOf(session, session.clients.centerTrail, name, window, signal)) {
        const userId = userOfRecord(record)
        const action = actionOf(record)
        if (userId === undefined || action === undefined) continue
        const byToken = writer !== undefined && record.userIdentity?.accessKeyId === writer
        const ours = byToken || (record.requestID !== undefined && isOurScim(record.requestID))
        entries.push({ id: idOfUser({ store, userId }), at: record.eventTime, action, ours, ...actorOf(record) })
      }
    }
    const console = (action: LogEntry['action']) => (record: TrailRecord) =>
      record.eventSource === 'sso-directory.amazonaws.com' ? action : undefined
    const scim = (record: TrailRecord) => {
      const active = record.eventSource === 'identitystore-scim.amazonaws.com' ? activeOf(record) : undefined
      return active === undefined ? undefined : active ? 'enable' : 'disable'
    }
    await take('DisableUser', console('disable'))
    await take('EnableUser', console('enable'))
    await take('PatchUser', scim)
    await take('PutUser', scim)
    return entries
  }

  return {
    retentionMs: RETENTION_MS,
    async read({ from, to }, signal) {
      const readAt = clock.now()
      const known = time.skewMs() ?? 0
      const since = Math.max(from + Math.min(0, known), readAt + known - RETENTION_MS)
      const until = Math.max(since + 1000, Math.min(to + Math.max(0, known), readAt + known + AHEAD_MS))
      const window = { from: since, to: until }
      const places = [
        ...accounts.map((account) => ({ account, reading: ofAccount(account, window, signal) })),
        ...(center ? [{ account: undefined, reading: ofCenter(center, window, signal) }] : []),
      ]
      const away = new Map<string | undefined, BridgeError>()
      const lists = await Promise.all(
        places.map(({ account, reading }) =>
          reading.catch((why: unknown): LogEntry[] => {
            if (!(why instanceof BridgeError) || signal.aborted) throw why
            away.set(account, why)
            return []
          }),
        ),
      )
      const [first] = away.values()
      if (first && away.size === places.length) throw first
      for (const [account = 'identityCenter', err] of away) log.warn({ account, err }, 'event history not read')
      const skewMs = time.skewMs() ?? 0
      if (Math.abs(skewMs) > logSkewMs) throw incomparable(skewMs)
      const completeUntil = Math.min(until, readAt + skewMs - lagMs) - Math.max(0, skewMs)
      // Each account is on its own: one that is away keeps no other's from being lifted.
      const unread = (id: string) => away.has(roleOf(id)?.account)
      return { entries: lists.flatMap(changesIn), completeUntil, ...(away.size > 0 && { unread }) }
    },
  }
}

/**
 * A log of calls is not yet one of changes: what was off by somebody else stays theirs when we write the same again. What
 * happened in one second has no order: then it was theirs.
 */
function changesIn(calls: readonly LogEntry[]): LogEntry[] {
  const byId = Map.groupBy(calls, ({ id }) => id)
  const isRepeated = ({ id, at, action, ours }: LogEntry): boolean => {
    if (!ours || action !== 'disable') return false
    const earlier = (byId.get(id) ?? []).filter((each) => each.at <= at)
    const theirs = earlier.filter((each) => !each.ours && each.action === 'disable').map((each) => each.at)
    const last = Math.max(...theirs)
    return theirs.length > 0 && !earlier.some((each) => each.action === 'enable' && each.at > last)
  }
  return calls.filter((call) => !isRepeated(call))
}

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}

/** A policy of our name that denies less than everything takes the place of one that denied it. */
function written({ requestParameters }: TrailRecord): LogEntry['action'] {
  const document = requestParameters?.policyDocument
  // Here it is not URL-encoded.
  return typeof document === 'string' && deniesAll(encodeURIComponent(document)) === false ? 'enable' : 'disable'
}

const disable = (): LogEntry['action'] => 'disable'
const enable = (): LogEntry['action'] => 'enable'

/** The role or user that made the call, without its session: those of one role are one writer. */
const writerOf = ({ userIdentity: who }: TrailRecord): string | undefined =>
  who?.sessionContext?.sessionIssuer?.principalId ?? who?.principalId?.split(':')[0]

function actorOf({ userIdentity: who }: TrailRecord): Pick<LogEntry, 'actor' | 'actorIds'> {
  const issuer = who?.sessionContext?.sessionIssuer
  const all = [who?.arn, issuer?.arn, issuer?.principalId, who?.principalId, who?.invokedBy, who?.accessKeyId]
  const actorIds = [...new Set(all.filter((each) => each !== undefined))]
  return { actor: who?.arn ?? who?.invokedBy ?? who?.userName ?? who?.type ?? 'unknown', actorIds }
}

/** What happened first, ours or somebody else's, could not be told. */
const incomparable = (skewMs: number): BridgeError => {
  const text = `the clock here is ${Math.round(Math.abs(skewMs) / 1000)} s off that of AWS: its event history cannot be judged`
  return new BridgeError('E_LOG_LATE', text, { hint: 'synchronise the clock of this host (NTP)' })
}
