import { z } from 'zod'
import type { Answer } from '../faults.ts'
import { parseJson } from '../incoming.ts'
import { uuid } from './ids.ts'
import type { Store, StoreGroup, StoreUser } from './model.ts'
import { setUserEnabled } from './users.ts'
import { iso } from './wire.ts'
import type { World } from './world.ts'

/** Automatic provisioning: the SCIM endpoint of a store whose identity source is an identity provider. */

export interface ScimRequest {
  readonly method: string
  readonly segments: readonly string[]
  readonly search: URLSearchParams
  readonly text: string
  readonly header: (name: string) => string | undefined
}

class ScimRefusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const patch = z.object({
  schemas: z.array(z.literal('urn:ietf:params:scim:api:messages:2.0:PatchOp')).length(1),
  Operations: z
    .array(z.object({ op: z.string(), path: z.string().exactOptional(), value: z.unknown() }))
    .min(1)
    .max(100),
})
const active = z.union([
  z.boolean(),
  z.string().transform((text) => ({ true: true, false: false })[text.toLowerCase()]),
])

export function scimTenantOf(path: string): string | undefined {
  return /^\/([^/]+)\/scim\/v2(\/|\?|$)/.exec(path)?.[1]
}

/** Whose bearer token it is: the store with the id that the token has in the trail. */
export function scimCaller(world: World, request: ScimRequest): { store: Store; tokenId: string } | undefined {
  const [tenant] = request.segments
  const token = /^Bearer (\S+)$/.exec(request.header('authorization') ?? '')?.[1] ?? ''
  const store = [...world.stores.values()].find(({ tenantId }) => tenantId === tenant)
  const tokenId = store?.scimTokens.get(token)
  return store === undefined || tokenId === undefined ? undefined : { store, tokenId }
}

export function serveScim(world: World, request: ScimRequest): Answer {
  const requestId = uuid()
  const said = (): Answer => {
    try {
      const caller = scimCaller(world, request)
      if (caller === undefined) throw new ScimRefusal(401, 'UnauthorizedException')
      return answer(200, routed(world, request, { ...caller, requestId }))
    } catch (error) {
      if (!(error instanceof ScimRefusal)) throw error
      return scimError(error.status, error.message, world.now())
    }
  }
  const { headers, ...rest } = said()
  return { ...rest, headers: { ...headers, 'x-amzn-RequestId': requestId } }
}

interface ScimCaller {
  readonly store: Store
  readonly tokenId: string
  readonly requestId: string
}

export function scimError(status: number, detail: string, now: number): Answer {
  return answer(status, {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
    schema: ['urn:ietf:params:scim:api:messages:2.0:Error'],
    detail,
    status: String(status),
    exceptionRequestId: uuid(),
    timeStamp: iso(now),
  })
}

function answer(status: number, body: unknown): Answer {
  return { status, headers: { 'Content-Type': 'application/scim+json' }, body }
}

function routed(world: World, request: ScimRequest, caller: ScimCaller): unknown {
  const { method } = request
  const { store } = caller
  const [, , , collection = '', id, ...more] = request.segments
  if (more.length > 0) throw new ScimRefusal(404, 'ResourceNotFoundException')
  const key = `${method} ${collection}${id === undefined ? '' : '/id'}`
  if (key === 'GET ServiceProviderConfig') return serviceProvider
  if (key === 'GET Users') return listed(request, users(world, store).map(userBody), ['userName', 'externalId', 'id'])
  if (key === 'GET Groups') return listed(request, groups(world, store).map(groupBody), ['displayName', 'externalId'])
  if (key === 'GET Users/id') return userBody(one(users(world, store), id))
  if (key === 'GET Groups/id') return groupBody(one(groups(world, store), id))
  if (key === 'PATCH Users/id') return userBody(patched(world, caller, { id: id ?? '', text: request.text }))
  throw new ScimRefusal(collection === 'Users' || collection === 'Groups' ? 405 : 404, 'UnsupportedOperationException')
}

function patched(
  world: World,
  { requestId, store, tokenId }: ScimCaller,
  { id, text }: { id: string; text: string },
): StoreUser {
  const body = parseJson(text)
  const parsed = patch.safeParse(body)
  if (!parsed.success) throw new ScimRefusal(400, 'Request is unparsable, syntactically incorrect, or violates schema')
  const { Operations } = parsed.data
  const [first] = Operations
  if (first?.path !== 'active') throw new ScimRefusal(400, 'Only `active` is patched here')
  if (Operations.length > 1) throw new ScimRefusal(400, 'Only one operation on `active` per request is supported')
  if (!['replace', 'add'].includes(first.op.toLowerCase()))
    throw new ScimRefusal(400, 'Unsupported operation on `active`')
  const value = active.safeParse(first.value)
  if (!value.success || value.data === undefined) throw new ScimRefusal(400, 'Invalid value of `active`')
  // Reads lag; a write finds what there is.
  const user = world.users.current(id)
  if (user === undefined || user.storeId !== store.id) throw new ScimRefusal(404, 'ResourceNotFoundException')
  return setUserEnabled(world, user, value.data, {
    source: 'identitystore-scim.amazonaws.com',
    name: 'PatchUser',
    actor: { type: 'scim', accountId: store.accountId, tokenId },
    request: { httpBody: body, tenantId: store.tenantId, id },
    response: { id, active: value.data, userName: 'HIDDEN_DUE_TO_SECURITY_REASONS' },
    requestId,
  })
}

function users(world: World, { id }: Store): StoreUser[] {
  return world.users.list().flatMap(({ value }) => (value.storeId === id ? [value] : []))
}

function groups(world: World, { id }: Store): StoreGroup[] {
  return world.groups.list().flatMap(({ value }) => (value.storeId === id ? [value] : []))
}

function one<T extends { readonly id: string }>(rows: readonly T[], id: string | undefined): T {
  const row = rows.find((each) => each.id === id)
  if (row === undefined) throw new ScimRefusal(404, 'ResourceNotFoundException')
  return row
}

/** At most 50, whatever is asked; filters know `eq` and `and` alone. */
function listed(request: ScimRequest, rows: readonly object[], names: readonly string[]): unknown {
  const wanted = request.search.get('filter')
  const terms = wanted === null ? [] : wanted.split(/ and /i).map((term) => /^(\w+) eq "([^"]*)"$/i.exec(term.trim()))
  const fits = (row: object) =>
    terms.every((term) => {
      const [, name = '', value = ''] = term ?? []
      if (!names.includes(name)) throw new ScimRefusal(400, 'Filter is not supported')
      return String(Reflect.get(row, name)).toLowerCase() === value.toLowerCase()
    })
  const found = rows.filter(fits)
  const start = Math.max(1, Number(request.search.get('startIndex') ?? '1'))
  const count = Math.min(50, Number(request.search.get('count') ?? '50'))
  const page = found.slice(start - 1, start - 1 + count)
  return {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:ListResponse'],
    totalResults: found.length,
    itemsPerPage: page.length,
    startIndex: start,
    Resources: page,
  }
}

function userBody(user: StoreUser) {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    id: user.id,
    ...(user.externalId !== undefined && { externalId: user.externalId }),
    meta: { resourceType: 'User', created: iso(user.created), lastModified: iso(user.updated) },
    userName: user.userName,
    name: { familyName: user.familyName, givenName: user.givenName },
    displayName: user.displayName,
    active: user.enabled,
    emails: user.email === undefined ? [] : [{ value: user.email, type: 'work', primary: true }],
  }
}

function groupBody(group: StoreGroup) {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
    id: group.id,
    ...(group.externalId !== undefined && { externalId: group.externalId }),
    meta: { resourceType: 'Group' },
    displayName: group.displayName,
    // Never listed: "members" is not returned.
    members: [],
  }
}

const serviceProvider = {
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
  patch: { supported: true },
  bulk: { supported: false, maxOperations: 1, maxPayloadSize: 1_048_576 },
  filter: { supported: true, maxResults: 50 },
  changePassword: { supported: false },
  sort: { supported: false },
  etag: { supported: false },
  authenticationSchemes: [{ type: 'oauthbearertoken', name: 'OAuth Bearer Token', primary: true }],
}
