import { randomUUID } from 'node:crypto'
import type { StatusFault, Target } from '../faults.ts'
import { readAudit } from './audit.ts'
import { readPolicies } from './conditionalaccess.ts'
import { readDelta } from './delta.ts'
import { checkMemberGroups, getMemberGroups, listRelation, listSponsors, type Relation } from './memberships.ts'
import { baseKind, type Collection, castKind, type Kind, models } from './model.ts'
import { getDeleted, getObject, listObjects, patchObject, revokeSessions } from './objects.ts'
import { type Answer, type Call, noSegment, notFound, Refusal, refusalAnswer } from './wire.ts'
import type { World } from './world.ts'

/** Runs one call, alone or from a batch: throttling, then the route. Refusals become error documents here. */
export function runCall(world: World, call: Call): Answer {
  const requestId = randomUUID()
  const clientRequestId = call.header('client-request-id') ?? requestId
  const ids = { 'request-id': requestId, 'client-request-id': clientRequestId }
  try {
    const charged = world.throttle.charge(call)
    const answer = route(world, call)
    return { ...answer, headers: { ...ids, ...charged, ...answer.headers } }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const answer = refusalAnswer(error, { requestId, clientRequestId }, world.now())
    return { ...answer, headers: { ...ids, ...answer.headers } }
  }
}

/** A fault of kind `status` as an answer; other faults belong to the connection. */
export function faultAnswer(world: World, target: Target, fault: StatusFault): Answer {
  const requestId = randomUUID()
  const refusal = new Refusal(
    fault.status,
    fault.code ?? defaultCodes.get(fault.status) ?? 'UnknownError',
    fault.message ?? '',
    fault.headers,
  )
  const clientRequestId = target.header('client-request-id') ?? requestId
  const answer = refusalAnswer(refusal, { requestId, clientRequestId }, world.now())
  return fault.body === undefined ? answer : { ...answer, body: fault.body }
}

const defaultCodes: ReadonlyMap<number, string> = new Map([
  [401, 'InvalidAuthenticationToken'],
  [403, 'Authorization_RequestDenied'],
  [404, 'Request_ResourceNotFound'],
  [409, 'Request_Conflict'],
  [429, 'TooManyRequests'],
  [500, 'InternalServerError'],
  [503, 'serviceNotAvailable'],
  [504, 'gatewayTimeout'],
])

function route(world: World, call: Call): Answer {
  const [head = '', ...rest] = call.segments
  if (head === 'directory' && rest[0] === 'deletedItems' && rest.length === 2) {
    return get(call, () => getDeleted(world, call, rest[1] ?? ''))
  }
  if (head === 'auditLogs' && rest.length === 1 && rest[0] === 'directoryAudits') {
    return get(call, () => readAudit(world, call))
  }
  if (head === 'subscriptions') return world.subscriptions.answer(call, rest)
  if (head === 'identity') return get(call, () => readPolicies(world, call))
  if (head === 'directoryObjects' && rest.length === 2)
    return memberAction(world, call, rest[0] ?? '', undefined, rest[1])
  const keyed = /^(servicePrincipals|users|groups)(?:\(appId='([^']*)'\))?$/.exec(head)
  const collection = collections.find((each) => each === keyed?.[1])
  if (collection === undefined) throw noSegment(head)
  if (keyed?.[2] === undefined) return inCollection(world, call, collection, rest)
  if (collection !== 'servicePrincipals') throw noSegment(head)
  const row = world.directory.alias(keyed[2])
  if (row === undefined) throw notFound(keyed[2])
  return inObject(world, call, collection, row.id, rest)
}

const collections: readonly Collection[] = ['servicePrincipals', 'users', 'groups']

function inCollection(world: World, call: Call, collection: Collection, rest: readonly string[]): Answer {
  const [second, ...more] = rest
  if (second === undefined) return get(call, () => listObjects(world, call, collection, baseKind[collection]))
  if (second === 'delta' || second === 'delta()' || second === 'microsoft.graph.delta()') {
    if (more.length > 0) throw noSegment(more[0])
    return get(call, () => readDelta(world, call, collection))
  }
  const cast = castKind(second)
  if (cast === undefined) return inObject(world, call, collection, second, more)
  if (models[cast].collection !== collection) throw noSegment(second)
  const [key, ...below] = more
  if (key === undefined) return get(call, () => listObjects(world, call, collection, cast))
  return inKind(world, call, key, cast, below)
}

function inObject(world: World, call: Call, collection: Collection, key: string, rest: readonly string[]): Answer {
  const cast = castKind(rest[0])
  if (cast === undefined) return inKind(world, call, key, baseKind[collection], rest)
  if (models[cast].collection !== collection) throw noSegment(rest[0])
  return inKind(world, call, key, cast, rest.slice(1))
}

const relations: readonly Relation[] = ['members', 'transitiveMembers', 'memberOf', 'transitiveMemberOf']

function inKind(world: World, call: Call, key: string, kind: Kind, rest: readonly string[]): Answer {
  const [name, castName, ...more] = rest
  if (more.length > 0) throw noSegment(more[0])
  if (name === undefined) {
    if (call.method === 'GET') return getObject(world, call, key, kind)
    if (call.method === 'PATCH' && kind !== 'group') return patchObject(world, call, key, kind)
    throw notAllowed()
  }
  const { collection } = models[kind]
  const relation = relations.find((each) => each === name)
  if (relation !== undefined && (collection === 'groups' || relation.endsWith('emberOf'))) {
    const cast = castKind(castName)
    if (castName !== undefined && cast === undefined) throw noSegment(castName)
    return get(call, () => listRelation(world, call, key, kind, relation, cast))
  }
  if (castName !== undefined) throw noSegment(castName)
  if (name === 'sponsors' && collection === 'servicePrincipals') {
    return get(call, () => listSponsors(world, call, key, kind))
  }
  if (name === 'revokeSignInSessions' && collection === 'users') {
    if (call.method !== 'POST') throw notAllowed()
    return revokeSessions(world, call, key)
  }
  return memberAction(world, call, key, kind, name)
}

function memberAction(world: World, call: Call, key: string, kind: Kind | undefined, name: string | undefined): Answer {
  const groups = name === 'getMemberGroups' || name === 'getMemberObjects'
  if (!groups && name !== 'checkMemberGroups') throw noSegment(name)
  if (call.method !== 'POST') throw notAllowed()
  return groups ? getMemberGroups(world, call, key, kind) : checkMemberGroups(world, call, key, kind)
}

function get(call: Call, run: () => Answer): Answer {
  if (call.method !== 'GET') throw notAllowed()
  return run()
}

function notAllowed(): Refusal {
  return new Refusal(405, 'Request_BadRequest', 'Specified HTTP method is not allowed for the request target.')
}
