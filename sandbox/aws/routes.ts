import { arnOf } from './authorize.ts'
import { Refusal, refusalOf } from './errors.ts'
import { iamReads } from './iam.ts'
import { iamWrites } from './iamwrites.ts'
import { identityStoreOperations } from './identitystore.ts'
import { lookupOperations } from './lookup.ts'
import type { Credential } from './model.ts'
import type { Call, Operation } from './operation.ts'
import { isSignedBy, parseAuthorization, type SignedRequest, timeOf } from './signature.ts'
import { snsOperations } from './sns.ts'
import { sqsOperations } from './sqs.ts'
import { stsOperations } from './sts.ts'
import { throttled } from './throttle.ts'
import { type Asked, isoSeconds, isQuery, type Output, type Service } from './wire.ts'
import type { World } from './world.ts'

const services: Readonly<Record<Service, Readonly<Record<string, Operation>>>> = {
  iam: { ...iamReads, ...iamWrites },
  sts: stsOperations,
  sns: snsOperations,
  identitystore: identityStoreOperations,
  sqs: sqsOperations,
  cloudtrail: lookupOperations,
}

/** Whoever signed the request. Throws in the words of the service that was asked. */
export function authenticate(
  world: World,
  request: SignedRequest,
  { service }: Asked,
): { caller: Credential; region: string } {
  const query = isQuery(service)
  const authorization = request.header('authorization')
  if (authorization === undefined) throw refusalOf('missingToken', query, 'Request is missing Authentication Token')
  const signed = parseAuthorization(authorization)
  if (signed === undefined) throw refusalOf('incomplete', query, 'Authorization header is not one of AWS4-HMAC-SHA256.')
  if (signed.service !== service) {
    throw refusalOf('signature', query, `Credential should be scoped to correct service: '${service}'.`)
  }
  const caller = world.credentials.get(signed.accessKeyId)
  if (caller === undefined || caller.token !== request.header('x-amz-security-token')) {
    throw refusalOf('unknownKey', query, 'The security token included in the request is invalid.')
  }
  const now = world.now()
  const at = timeOf(request.header('x-amz-date') ?? '')
  if (at === undefined || Math.abs(at - now) > world.signatureSkewMs) {
    const stamp = request.header('x-amz-date') ?? ''
    const why = `Signature expired: ${stamp} is too far from ${isoSeconds(now)}`
    throw refusalOf('signature', query, why)
  }
  if (!isSignedBy(caller.secret, signed, request)) {
    const why = 'The request signature we calculated does not match the signature you provided.'
    throw refusalOf('signature', query, why)
  }
  if (caller.expiresAt <= now) {
    throw refusalOf('expired', query, 'The security token included in the request is expired')
  }
  return { caller, region: signed.region }
}

/** One call whose caller is known: counted, carried out, and told to the trail however it ended. */
export function carryOut(world: World, call: Call): Output | undefined | Promise<Output | undefined> {
  const { action, service } = call
  const found = Object.hasOwn(services[service], action) ? services[service][action] : undefined
  if (found === undefined) {
    throw refusalOf('unknownAction', isQuery(service), `The action ${action} is not valid for this web service.`)
  }
  const target = { method: 'POST', path: `/${service}/${action}`, header: () => undefined }
  const about = { service, name: action, readOnly: found.readOnly }
  if (world.throttle.isExceeded(target, call.accountId, about)) throw throttled(service)
  try {
    const output = found.run(world, call)
    if (output instanceof Promise) return output
    tell(world, call, found)
    return output
  } catch (error) {
    if (error instanceof Refusal) tell(world, call, found, error)
    throw error
  }
}

function tell(world: World, call: Call, { readOnly, trailed }: Operation, error?: Refusal): void {
  if (!trailed) return
  const role = call.params.RoleName
  world.trail.write({
    source: `${call.service}.amazonaws.com`,
    name: call.action,
    // IAM is one for the whole world and tells of itself in one region.
    region: call.service === 'iam' ? 'us-east-1' : call.region,
    accountId: call.accountId,
    actor: { type: 'caller', caller: call.caller },
    readOnly,
    request: Object.keys(call.params).length === 0 ? null : lowered(call.params),
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
    requestId: call.requestId,
    userAgent: call.userAgent,
    ...(typeof role === 'string' && { resources: [{ type: 'AWS::IAM::Role', name: role }] }),
  })
}

/** The trail spells parameters with a small first letter. */
function lowered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lowered)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [`${name.slice(0, 1).toLowerCase()}${name.slice(1)}`, lowered(inner)]),
  )
}

/** For the log of requests. */
export function callerName({ identity }: Credential): string {
  return arnOf(identity)
}
