import { z } from 'zod'
import { applyOutages, controlled, orderedFault, orderedOutages, own } from '../controlling.ts'
import type { Incoming } from '../incoming.ts'
import { split } from './batch.ts'
import { policyStates } from './conditionalaccess.ts'
import type { EntraTenant } from './tenant.ts'
import type { Answer } from './wire.ts'
import type { World } from './world.ts'

const id = z.string()
const by = z.strictObject({ by: z.string().exactOptional() })
const object = {
  id: id.exactOptional(),
  displayName: z.string().exactOptional(),
  enabled: z.boolean().exactOptional(),
  replicating: z.boolean().exactOptional(),
  protected: z.boolean().exactOptional(),
}
const principal = z.strictObject({ ...object, appId: id.exactOptional() })
const agent = z.strictObject({
  ...object,
  displayName: z.string(),
  blueprintAppId: id,
  sponsorIds: z.array(id).exactOptional(),
})
const user = z.strictObject({ ...object, userPrincipalName: z.string().exactOptional() })
const agentUser = z.strictObject({ ...user.shape, identityParentId: id })
const group = z.strictObject({ ...object, members: z.array(id).exactOptional() })
const app = z.strictObject({
  appId: id.exactOptional(),
  name: z.string(),
  roles: z.array(z.string()),
  secret: z.string().exactOptional(),
  federatedIssuer: z.string().exactOptional(),
  federatedSubject: z.string().exactOptional(),
  certificate: z.string().exactOptional(),
  managedIdentity: z.boolean().exactOptional(),
})
const state = z.enum(policyStates)
const policy = z.strictObject({ id: id.exactOptional(), displayName: z.string(), state: state.exactOptional() })
const policyState = z.strictObject({ id, state })
const policyId = z.strictObject({ id })
const token = z.strictObject({
  kind: z.enum(['app', 'agent', 'obo', 'agentUser', 'human']),
  version: z.enum(['v1', 'v2']).exactOptional(),
  id,
  user: id.exactOptional(),
  audience: z.string(),
  roles: z.array(z.string()).exactOptional(),
  scopes: z.array(z.string()).exactOptional(),
  lifetimeMs: z.number().exactOptional(),
  claims: z.record(z.string(), z.unknown()).exactOptional(),
})
const throttle = z.strictObject({ count: z.int().min(1), retryAfter: z.number().exactOptional() })
const auth = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('entra'), audience: z.string(), version: z.enum(['v1', 'v2']).exactOptional() }),
  z.strictObject({
    type: z.literal('key'),
    key: z.string(),
    header: z.string().exactOptional(),
    query: z.string().exactOptional(),
  }),
])
const subscription = z.strictObject({
  url: z.url(),
  schema: z.enum(['eventgrid', 'cloudevents']),
  auth,
  subscriptionName: z.string().exactOptional(),
  clientState: z.string().exactOptional(),
})
const custom = z.strictObject({
  type: z.string(),
  subject: z.string(),
  data: z.json(),
  id: id.exactOptional(),
})
const rotation = z.strictObject({ withdraw: z.boolean().exactOptional() })
const expiry = z.strictObject({ how: z.enum(['gone', 'syncStateNotFound']).exactOptional() })
const member = z.strictObject({ memberId: id, by: z.string().exactOptional() })

type Handler = (tenant: EntraTenant, body: unknown, id: string, world: World) => unknown

const changes: Readonly<Record<string, Handler>> = {
  disable: (tenant, body, target) => tenant.setEnabled(target, false, by.parse(body)),
  enable: (tenant, body, target) => tenant.setEnabled(target, true, by.parse(body)),
  remove: (tenant, body, target) => tenant.remove(target, by.parse(body)),
  purge: (tenant, body, target) => tenant.purge(target, by.parse(body)),
  restore: (tenant, body, target) => tenant.restore(target, by.parse(body)),
  'disable-by-microsoft': (tenant, _body, target) => tenant.setDisabledByMicrosoft(target, true),
  'enable-by-microsoft': (tenant, _body, target) => tenant.setDisabledByMicrosoft(target, false),
  'is-disabled': (tenant, body, target) => tenant.setIsDisabled(target, true, by.parse(body)),
  'is-not-disabled': (tenant, body, target) => tenant.setIsDisabled(target, false, by.parse(body)),
}

const posts: Readonly<Record<string, Handler>> = {
  apps: (tenant, body) => tenant.registerApp(app.parse(body)),
  servicePrincipals: (tenant, body) => ({ id: tenant.addServicePrincipal(principal.parse(body)) }),
  blueprintPrincipals: (tenant, body) => tenant.addBlueprintPrincipal(principal.parse(body)),
  agentIdentities: (tenant, body) => ({ id: tenant.addAgentIdentity(agent.parse(body)) }),
  users: (tenant, body) => ({ id: tenant.addUser(user.parse(body)) }),
  agentUsers: (tenant, body) => ({ id: tenant.addAgentUser(agentUser.parse(body)) }),
  groups: (tenant, body) => ({ id: tenant.addGroup(group.parse(body)) }),
  policies: (tenant, body) => ({ id: tenant.addPolicy(policy.parse(body)) }),
  policyState: (tenant, body) => {
    const { id, state } = policyState.parse(body)
    tenant.setPolicyState(id, state)
  },
  removePolicy: (tenant, body) => tenant.removePolicy(policyId.parse(body).id),
  tokens: (tenant, body) => ({ token: tenant.issueToken(token.parse(body)) }),
  settle: (tenant) => tenant.settle(),
  rotateKeys: (tenant, body) => tenant.rotateKeys(rotation.parse(body)),
  expireDelta: (tenant, body) => tenant.expireDelta(expiry.parse(body).how),
  replayDelta: (tenant) => tenant.replayDelta(),
  throttle: (tenant, body) => {
    const { count, ...rest } = throttle.parse(body)
    tenant.throttleNext(count, rest)
  },
  faults: (tenant, body) => {
    const { path, ...rest } = orderedFault.parse(body)
    tenant.fail(path, rest)
  },
  clearFaults: (tenant) => tenant.clearFaults(),
  outages: (tenant, body) => applyOutages(tenant, orderedOutages.parse(body)),
  eventGridSubscriptions: async (tenant, body) => ({
    subscriptionName: await tenant.subscribeEventGrid(subscription.parse(body)),
  }),
  customEvents: (tenant, body) => ({ id: tenant.publishCustomEvent(custom.parse(body)) }),
}

const gets: Readonly<Record<string, Handler>> = {
  tenant: (tenant, _body, _id, world) => ({
    tenantId: tenant.tenantId,
    origin: tenant.origin,
    admin: tenant.admin,
    objects: world.directory.size,
  }),
  agentIdentities: (tenant, _body, _id, world) =>
    world.directory.list('agentIdentity').map((row) => tenant.get(row.id)),
  requests: (tenant) => tenant.requests,
  deliveries: (tenant) => tenant.deliveries,
}

/**
 * The control API, JSON on loopback, for a person with curl and for `idp-bridge sandbox entra …`:
 *
 * - `GET /_sandbox/tenant` · `agentIdentities` · `requests` · `deliveries` · `objects/{id}`
 * - `POST /_sandbox/objects/{id}/disable` (`enable`, `remove`, `purge`, `restore`, `disable-by-microsoft`,
 *   `enable-by-microsoft`, `is-disabled`, `is-not-disabled`), optionally `{"by": "<user object id or app id>"}`
 * - `POST /_sandbox/groups/{id}/members` (`removeMember`) `{"memberId": "…"}`
 * - `POST /_sandbox/apps` · `servicePrincipals` · `blueprintPrincipals` · `agentIdentities` · `users` · `agentUsers` ·
 *   `groups` · `policies` · `policyState` · `removePolicy` · `tokens` · `settle` · `rotateKeys` · `expireDelta` · `replayDelta` · `throttle` · `faults` · `clearFaults` ·
 *   `outages` · `eventGridSubscriptions` · `customEvents`, with the fields of the methods of `EntraTenant`
 *
 * `curl -X POST http://127.0.0.1:PORT/_sandbox/objects/ID/disable`
 */
export async function serveControl(tenant: EntraTenant, world: World, request: Incoming): Promise<Answer> {
  const [, name = '', target = '', verb = '', ...more] = split(request.path).segments
  if (more.length > 0) return { status: 404, headers: {} }
  if (name === 'workload') return workload(tenant, world, request)
  const run = handler(request.method, name, target, verb)
  if (run === undefined) return { status: 404, headers: {}, body: { error: `no ${request.method} ${request.path}` } }
  return controlled(request.text, (body) => run(tenant, body, target, world))
}

function handler(method: string, name: string, target: string, verb: string): Handler | undefined {
  if (method === 'GET' && name === 'objects' && verb === '') return found
  if (method === 'GET' && target === '') return own(gets, name)
  if (method !== 'POST') return undefined
  if (target === '') return own(posts, name)
  if (name === 'objects') return own(changes, verb)
  if (name !== 'groups' || (verb !== 'members' && verb !== 'removeMember')) return undefined
  return (tenant, body, groupId) => {
    const { memberId, ...rest } = member.parse(body)
    if (verb === 'members') tenant.addMember(groupId, memberId, rest)
    else tenant.removeMember(groupId, memberId, rest)
  }
}

const found: Handler = (tenant, _body, target) => {
  const state = tenant.get(target)
  if (state === undefined) throw new Error(`there is no object ${target}`)
  return state
}

/** The issuer of workload tokens, as a cluster would publish it. */
function workload(tenant: EntraTenant, world: World, request: Incoming): Answer {
  const issuer = `${tenant.origin}/_sandbox/workload`
  if (request.path.endsWith('/keys')) return { status: 200, headers: {}, body: world.keys.jwks(undefined) }
  return { status: 200, headers: {}, body: { issuer, jwks_uri: `${issuer}/keys` } }
}
