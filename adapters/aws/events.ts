import { z } from 'zod'
import { accountId, idOfUser, resourceId, roleObject } from './ids.ts'

/** Calls after which a role may be in another state. */
export const roleEvents = [
  'PutRolePolicy',
  'DeleteRolePolicy',
  'AttachRolePolicy',
  'DetachRolePolicy',
  'UpdateAssumeRolePolicy',
  'PutRolePermissionsBoundary',
  'DeleteRolePermissionsBoundary',
  'CreateRole',
  'DeleteRole',
] as const

/** Calls after which a user may be: of the public API, of the console, and of SCIM (Identity Center in CloudTrail, read 2026-11). */
const userEvents = new Set([
  'DisableUser',
  'EnableUser',
  'CreateUser',
  'UpdateUser',
  'DeleteUser',
  'PatchUser',
  'PutUser',
])
/** Who is in a group now is another matter than who is switched off. */
const groupEvents = new Set([
  'CreateGroupMembership',
  'DeleteGroupMembership',
  'AddMemberToGroup',
  'RemoveMemberFromGroup',
  'PatchGroup',
  'DeleteGroup',
])
const centerSources = new Set([
  'sso-directory.amazonaws.com',
  'identitystore.amazonaws.com',
  'identitystore-scim.amazonaws.com',
])

const word = z.string().min(1).max(512).optional().catch(undefined)
const members = z.record(z.string(), z.unknown()).nullish().catch(undefined)

/** What CloudTrail records of one call (record contents, read 2026-11). Names and ids are all that is believed. */
export const trailRecord = z.object({
  eventID: word,
  requestID: word,
  eventName: z.string().min(1).max(128),
  eventSource: z.string().max(128),
  eventTime: z.iso.datetime({ offset: true }).transform((time) => Date.parse(time)),
  recipientAccountId: z.string().regex(accountId).optional().catch(undefined),
  errorCode: word,
  userIdentity: z
    .object({
      type: word,
      principalId: word,
      arn: word,
      accountId: word,
      accessKeyId: word,
      invokedBy: word,
      userName: word,
      sessionContext: z
        .object({ sessionIssuer: z.object({ principalId: word, arn: word }).optional().catch(undefined) })
        .optional()
        .catch(undefined),
    })
    .optional()
    .catch(undefined),
  requestParameters: members,
  responseElements: members,
})
export type TrailRecord = z.output<typeof trailRecord>

/** An EventBridge event that carries such a record. */
const busEvent = z.object({
  id: z.string().min(1).max(128),
  'detail-type': z.literal('AWS API Call via CloudTrail'),
  account: z.string().regex(accountId).optional().catch(undefined),
  detail: trailRecord,
})

/** What a message tells: whom to read again. */
export interface Told {
  /** Of the event, wherever it comes from. */
  readonly id: string
  readonly touched: readonly string[]
  readonly groups: readonly string[]
}

/** One event of the bus, from the text of a message. Undefined: it is none. */
export function toldBy(text: string, store: string | undefined): Told | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const event = busEvent.safeParse(value)
  if (!event.success) return undefined
  const { id, account, detail } = event.data
  // A call that failed changed nothing.
  if (detail.errorCode !== undefined) return { id, touched: [], groups: [] }
  const record = { ...detail, recipientAccountId: detail.recipientAccountId ?? account }
  return { id, touched: touchedBy(record, store), groups: groupsOf(record) }
}

function touchedBy(record: TrailRecord, store: string | undefined): readonly string[] {
  const role = roleOfRecord(record)
  if (role !== undefined && roleEvents.some((name) => name === record.eventName)) return [role]
  if (store === undefined || !centerSources.has(record.eventSource) || !userEvents.has(record.eventName)) return []
  const userId = userOfRecord(record)
  return userId === undefined ? [] : [idOfUser({ store, userId })]
}

/** The name of the role that an IAM call is about: neither its path nor its RoleId is told. */
export function roleOfRecord({ eventSource, requestParameters, recipientAccountId }: TrailRecord): string | undefined {
  const name = requestParameters?.roleName
  if (eventSource !== 'iam.amazonaws.com' || recipientAccountId === undefined) return undefined
  return typeof name === 'string' && /^[\w+=,.@-]{1,64}$/.test(name) ? roleObject(recipientAccountId, name) : undefined
}

const asId = (value: unknown): string | undefined =>
  typeof value === 'string' && resourceId.test(value) ? value : undefined

/** The id of the user that a call of Identity Center is about; where it is depends on who recorded it. */
export function userOfRecord({ requestParameters, responseElements }: TrailRecord): string | undefined {
  for (const part of [requestParameters, responseElements]) {
    const found = asId(part?.userId) ?? asId(part?.id) ?? asId(part?.resourceId) ?? asId(part?.memberId)
    if (found !== undefined) return found
  }
  return undefined
}

function groupsOf({ eventSource, eventName, requestParameters: asked }: TrailRecord): readonly string[] {
  if (!centerSources.has(eventSource) || !groupEvents.has(eventName)) return []
  const group = asId(asked?.groupId) ?? asId(asked?.id)
  return group === undefined ? [] : [group]
}

/** `active` as a SCIM call asked for it; undefined: it was about something else. */
export function activeOf({ requestParameters }: TrailRecord): boolean | undefined {
  const body = z
    .object({
      active: z.unknown(),
      Operations: z.array(z.object({ path: z.unknown().optional(), value: z.unknown().optional() })).optional(),
    })
    .partial()
    .safeParse(requestParameters?.httpBody)
  if (!body.success) return undefined
  const asked = body.data.active ?? body.data.Operations?.findLast(({ path }) => path === 'active')?.value
  if (asked === true || asked === 'true' || asked === 'True') return true
  return asked === false || asked === 'false' || asked === 'False' ? false : undefined
}
