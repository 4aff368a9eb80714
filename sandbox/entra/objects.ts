import type { Row } from './directory.ts'
import { matches } from './filter.ts'
import { baseKind, type Collection, isKind, type Kind, models } from './model.ts'
import { checkFilter, checkSelect, context, parseQuery, project, type Query, visible } from './odata.ts'
import { agentLimits, directoryLimits, listBody, readPage } from './paging.ts'
import { permissions, requireAny, requireRead, requireWrite } from './permissions.ts'
import { type Answer, badRequest, type Call, denied, notFound, ok } from './wire.ts'
import type { World } from './world.ts'
import { writeProperties } from './writes.ts'

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** `GET /servicePrincipals`, `/users`, `/groups` and their casts. */
export function listObjects(world: World, call: Call, collection: Collection, asked: Kind): Answer {
  requireRead(call.caller, asked)
  const query = parseQuery(call, ['$select', '$filter', '$top', '$count', '$skiptoken'])
  checkSelect(query.select, models[asked])
  checkFilter(query, models[asked])
  const at = world.directory.readAt(query.eventual)
  const rows = world.directory.list(models[asked].derived ? asked : collection)
  // On a cast path the declared type is the derived one, so rows carry no @odata.type.
  const item = (row: Row) => listed(world, row, query, at, !models[asked].derived)
  const limits = asked === 'agentIdentity' ? agentLimits : directoryLimits
  const page = readPage(world, call, query, rows, limits, item)
  const count = query.count ? rows.filter((row) => item(row) !== undefined).length : undefined
  const set = models[asked].derived ? `${collection}/${models[asked].type}` : collection
  return ok(listBody(context(world.origin, set, query.select), page, count))
}

function listed(world: World, row: Row, query: Query, at: number, typed: boolean) {
  const snapshot = world.directory.live(row, at)
  if (snapshot === undefined) return undefined
  if (query.filter !== undefined && !matches(query.filter, snapshot.properties)) return undefined
  return project(row, snapshot, query.select, typed)
}

/** `GET /{collection}/{id}`. */
export function getObject(world: World, call: Call, key: string, asked: Kind): Answer {
  const row = find(world, key, asked)
  requireRead(call.caller, asked, row)
  const query = parseQuery(call, ['$select'])
  checkSelect(query.select, models[asked])
  const found = visible(world.directory, row, (kind) => isKind(kind, asked), world.directory.readAt(query.eventual))
  if (found === undefined) throw notFound(key)
  const set = models[asked].derived ? `${models[asked].collection}/${models[asked].type}` : models[asked].collection
  return ok({
    '@odata.context': context(world.origin, set, query.select, true),
    ...(models[asked].derived ? { '@odata.type': `#${models[asked].type}` } : {}),
    ...project(found.row, found.snapshot, query.select, !models[asked].derived),
  })
}

/** `PATCH /{collection}/{id}` → 204. An object that is not replicated yet is 404, though it exists. */
export function patchObject(world: World, call: Call, key: string, asked: Kind): Answer {
  const row = find(world, key, asked)
  parseQuery(call, [])
  if (row === undefined) {
    if (!mayWriteSome(call, asked)) throw denied()
    throw notFound(key)
  }
  const patch = patchOf(call.body)
  requireWrite(call.caller, asked, row, Object.keys(patch))
  const found = visible(world.directory, row, (kind) => isKind(kind, asked), world.directory.readAt())
  if (found === undefined || row.state.current?.life !== 'live') throw notFound(key)
  const model = models[row.kind]
  for (const [name, value] of Object.entries(patch)) {
    if (!model.selectable.has(name)) {
      throw badRequest(`Property '${name}' does not exist as a declared property or extension property.`)
    }
    if (!model.writable.has(name)) throw badRequest(`Property '${name}' is read-only and cannot be set.`)
    if (!fits(name, value))
      throw badRequest(`Invalid value specified for property '${name}' of resource '${model.type}'.`)
  }
  writeProperties(world, row, patch, world.apps.actor(call.caller.appId))
  return { status: 204, headers: {} }
}

/** `POST /users/{id}/revokeSignInSessions`. */
export function revokeSessions(world: World, call: Call, key: string): Answer {
  requireAny(call.caller, permissions.revokeSessions)
  parseQuery(call, [])
  const row = find(world, key, 'user')
  const found = visible(world.directory, row, (kind) => isKind(kind, 'user'), world.directory.readAt())
  if (found === undefined) throw notFound(key)
  const at = new Date(world.now()).toISOString()
  writeProperties(world, found.row, { signInSessionsValidFromDateTime: at }, world.apps.actor(call.caller.appId))
  return ok({ '@odata.context': `${world.origin}/v1.0/$metadata#Edm.Boolean`, value: true })
}

/** `GET /directory/deletedItems/{id}`: soft-deleted objects only. */
export function getDeleted(world: World, call: Call, key: string): Answer {
  const row = find(world, key, undefined)
  const readable = [permissions.readServicePrincipals, permissions.readUsers, permissions.readGroups]
  if (row === undefined) requireAny(call.caller, readable.flat())
  else requireRead(call.caller, baseKind[models[row.kind].collection], row)
  const query = parseQuery(call, ['$select'])
  const snapshot = row?.state.seen(world.directory.readAt(query.eventual))
  if (row === undefined || snapshot?.life !== 'deleted') throw notFound(key)
  checkSelect(query.select, models[row.kind])
  return ok({
    '@odata.context': `${world.origin}/v1.0/$metadata#directoryObjects/$entity`,
    '@odata.type': `#${models[row.kind].type}`,
    ...project(row, snapshot, query.select, false),
  })
}

/** By object id; users by principal name too. A key that can be neither is 400. */
export function find(world: World, key: string, asked: Kind | undefined): Row | undefined {
  if (guid.test(key)) return world.directory.row(key)
  const isUser = asked !== undefined && models[asked].collection === 'users'
  if (!isUser || !key.includes('@')) throw badRequest(`Invalid object identifier '${key}'.`)
  return world.directory.alias(key)
}

function mayWriteSome(call: Call, asked: Kind): boolean {
  const prefixes: Readonly<Record<Kind, readonly string[]>> = {
    servicePrincipal: ['Application.ReadWrite.'],
    agentIdentity: ['AgentIdentity.EnableDisable.', 'AgentIdentity.ReadWrite.'],
    blueprintPrincipal: [
      'AgentIdentityBlueprintPrincipal.EnableDisable.',
      'AgentIdentityBlueprintPrincipal.ReadWrite.',
    ],
    user: ['User.EnableDisableAccount.', 'User.ReadWrite.'],
    agentUser: ['User.EnableDisableAccount.', 'User.ReadWrite.', 'AgentIdUser.ReadWrite.'],
    group: ['Group.ReadWrite.'],
  }
  return [...call.caller.roles].some((role) => prefixes[asked].some((prefix) => role.startsWith(prefix)))
}

function patchOf(body: unknown): Record<string, unknown> {
  if (body === undefined) throw badRequest('Empty Payload. JSON content expected.')
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest('Unable to read JSON request payload. Please ensure Content-Type header is set.')
  }
  return Object.fromEntries(Object.entries(body).filter(([name]) => name !== '@odata.type'))
}

function fits(name: string, value: unknown): boolean {
  if (name === 'accountEnabled' || name === 'appRoleAssignmentRequired') return typeof value === 'boolean'
  if (name === 'tags') return Array.isArray(value) && value.every((tag) => typeof tag === 'string')
  return value === null || typeof value === 'string'
}
