import { z } from 'zod'
import { Refusal } from './errors.ts'
import { type Operation, operation } from './operation.ts'
import { pageOf } from './paging.ts'
import type { TrailEvent } from './trail.ts'
import type { Output } from './wire.ts'

const retentionMs = 90 * 24 * 3_600_000

const attributes = {
  EventId: ({ id }) => [id],
  EventName: ({ draft }) => [draft.name],
  ReadOnly: ({ draft }) => [String(draft.readOnly)],
  Username: ({ username }) => (username === undefined ? [] : [username]),
  ResourceType: ({ draft }) => draft.resources?.map(({ type }) => type) ?? [],
  ResourceName: ({ draft }) => draft.resources?.map(({ name }) => name) ?? [],
  EventSource: ({ draft }) => [draft.source],
  AccessKeyId: ({ draft }) => (draft.actor.type === 'caller' ? [draft.actor.caller.accessKeyId] : []),
} as const satisfies Readonly<Record<string, (event: TrailEvent) => readonly string[]>>
type Key = keyof typeof attributes
const isKey = (name: string): name is Key => Object.hasOwn(attributes, name)

/** The part of CloudTrail that the bridge reads. Newest first, of one account and one region; one attribute at most. */
export const lookupOperations: Readonly<Record<string, Operation>> = {
  LookupEvents: operation({
    input: z.object({
      LookupAttributes: z
        .array(z.object({ AttributeKey: z.string().refine(isKey), AttributeValue: z.string().min(1).max(2000) }))
        .max(1)
        .default([]),
      StartTime: z.number().exactOptional(),
      EndTime: z.number().exactOptional(),
      MaxResults: z.int().min(1).max(50).default(50),
      NextToken: z.string().exactOptional(),
    }),
    readOnly: true,
    on: () => ({ arn: '*' }),
    run: (world, call, { EndTime, LookupAttributes, MaxResults, NextToken, StartTime }) => {
      const [from, to] = [(StartTime ?? 0) * 1000, (EndTime ?? Number.POSITIVE_INFINITY) * 1000]
      if (from > to) throw new Refusal('InvalidTimeRangeException', 'Start time must be before end time.')
      const oldest = world.now() - retentionMs
      const rows = world.trail.visible
        .filter(({ at, draft }) => draft.accountId === call.accountId && draft.region === call.region && at >= oldest)
        // Times in the history are whole seconds.
        .filter(({ at }) => secondsOf(at) * 1000 >= from - 999 && secondsOf(at) * 1000 <= to)
        .filter((event) =>
          LookupAttributes.every(({ AttributeKey, AttributeValue }) => has(event, AttributeKey, AttributeValue)),
        )
        .toReversed()
        .toSorted((a, b) => b.at - a.at)
      const list = JSON.stringify([call.accountId, call.region, LookupAttributes, StartTime, EndTime])
      const numbered = rows.map((event) => ({ event, ordinal: -Math.round(event.at * 1000) }))
      const page = pageOf(world, list, ordered(numbered), { size: MaxResults, token: NextToken })
      if (page === undefined) throw new Refusal('InvalidNextTokenException', 'Invalid token.')
      return { Events: page.rows.map(({ event }) => shown(event)), ...(page.next && { NextToken: page.next }) }
    },
  }),
}

/** Positions that grow with the list, even where several have one time. */
function ordered<T extends { ordinal: number }>(rows: readonly T[]): T[] {
  let last = Number.NEGATIVE_INFINITY
  return rows.map((row) => {
    last = Math.max(row.ordinal, last + 1)
    return { ...row, ordinal: last }
  })
}

function secondsOf(ms: number): number {
  return Math.floor(ms / 1000)
}

function has(event: TrailEvent, key: string, value: string): boolean {
  const of: (event: TrailEvent) => readonly string[] = isKey(key) ? attributes[key] : () => []
  return of(event).includes(value)
}

function shown(event: TrailEvent): Output {
  const { at, draft, id, record, username } = event
  return {
    EventId: id,
    EventName: draft.name,
    ReadOnly: String(draft.readOnly),
    EventTime: secondsOf(at),
    EventSource: draft.source,
    ...(username !== undefined && { Username: username }),
    ...(draft.actor.type === 'caller' && { AccessKeyId: draft.actor.caller.accessKeyId }),
    Resources: draft.resources?.map(({ name, type }) => ({ ResourceType: type, ResourceName: name })) ?? [],
    CloudTrailEvent: JSON.stringify(record),
  }
}
