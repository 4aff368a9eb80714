import * as agents from './agents.ts'
import * as apps from './apps.ts'
import { invalid, notFound, Refusal } from './errors.ts'
import * as groups from './groups.ts'
import * as hookRoutes from './hookroutes.ts'
import { revokeEverywhere } from './logout.ts'
import { readLog } from './logs.ts'
import { authorize, type Needs, superAdmin, systemLog } from './rights.ts'
import * as users from './users.ts'
import { type Call, type LinkedAnswer, noContent, ok, originOf } from './wire.ts'
import type { World } from './world.ts'

type Run = (world: World, call: Call, first: string, second: string) => LinkedAnswer | Promise<LinkedAnswer>

interface Route extends Needs {
  readonly method: string
  readonly pattern: readonly string[]
  readonly run: Run
  /** Media types of a body; none is taken where it is absent. */
  readonly takes?: readonly string[]
}

const json = ['application/json']
const read = (name: string) => ({ scope: `okta.${name}.read` })
const manage = (name: string) => ({ scope: `okta.${name}.manage` })

function route(text: string, needs: Needs, run: Run, takes?: readonly string[]): Route {
  const [method = '', path = ''] = text.split(' ')
  const pattern = path.split('/').filter((part) => part !== '')
  return { method, pattern, run, ...needs, ...(takes === undefined ? {} : { takes }) }
}

const verb = (name: users.Verb) => {
  const right = `okta.users.lifecycle.${name === 'reactivate' ? 'activate' : name}`
  const run: Run = (world, call, id) => {
    const sendEmail = flag(call, 'sendEmail')
    const async = call.header('prefer')?.includes('respond-async') === true
    const options = { async, ...(sendEmail === undefined ? {} : { sendEmail }) }
    return ok(users.lifecycle(world, id, name, originOf(call), options))
  }
  return route(`POST /api/v1/users/:/lifecycle/${name}`, { ...manage('users'), right }, run, json)
}

function flag(call: Call, name: string): boolean | undefined {
  const text = call.search.get(name)
  if (text === null) return undefined
  if (text !== 'true' && text !== 'false') throw invalid(name, `${name}: The value must be true or false.`)
  return text === 'true'
}

const onUsers = { ...read('users'), right: 'okta.users.read' }
const sessions = { ...manage('users'), right: 'okta.users.lifecycle.clearSessions' }
const onGroups = { ...read('groups'), right: 'okta.groups.read' }
const membership = { ...manage('groups'), right: 'okta.groups.members.manage' }
const onApps = { ...read('apps'), right: 'okta.apps.read' }
const appWrites = { ...manage('apps'), right: 'okta.apps.manage' }
const keyWrites = { ...manage('apps'), right: 'okta.apps.clientCredentials.manage' }
const onHooks = { ...read('eventHooks'), right: 'okta.eventhooks.read' }
const hookWrites = { ...manage('eventHooks'), right: 'okta.eventhooks.manage' }
const onAgents = { ...read('aiAgents'), right: superAdmin }
const agentWrites = { ...manage('aiAgents'), right: superAdmin }
const rotation = { ...manage('authorizationServers'), right: superAdmin }
const agentsPath = '/workload-principals/api/v1/ai-agents'

const routes: readonly Route[] = [
  route('GET /api/v1/users', onUsers, users.listUsers),
  route('GET /api/v1/users/:', onUsers, users.getUser),
  route('DELETE /api/v1/users/:', { ...manage('users'), right: 'okta.users.lifecycle.delete' }, (world, call, id) =>
    users.deleteUser(world, id, originOf(call)),
  ),
  ...(['suspend', 'unsuspend', 'activate', 'deactivate', 'reactivate', 'unlock'] as const).map(verb),
  route('GET /api/v1/users/:/groups', onUsers, groups.listGroupsOf),
  route('DELETE /api/v1/users/:/sessions', sessions, (world, call, id) => {
    flag(call, 'forgetDevices')
    return users.clearSessions(world, id, flag(call, 'oauthTokens') ?? false, originOf(call))
  }),
  route('DELETE /api/v1/users/:/grants', sessions, (world, _call, id) => {
    const user = users.seenUser(world, id)
    world.issued.revoke((token) => token.userId === user.id && token.refreshable)
    return noContent
  }),
  route('DELETE /api/v1/users/:/clients/:/tokens', sessions, (world, _call, id, clientId) => {
    const user = users.seenUser(world, id)
    world.issued.revoke((token) => token.userId === user.id && token.clientId === clientId && token.kind === 'refresh')
    return noContent
  }),

  route('GET /api/v1/groups', onGroups, groups.listGroups),
  route('GET /api/v1/groups/:', onGroups, groups.getGroup),
  route('GET /api/v1/groups/:/users', onGroups, groups.listMembers),
  route('PUT /api/v1/groups/:/users/:', membership, (world, call, id, userId) =>
    groups.setMember(world, id, userId, true, originOf(call)),
  ),
  route('DELETE /api/v1/groups/:/users/:', membership, (world, call, id, userId) =>
    groups.setMember(world, id, userId, false, originOf(call)),
  ),

  route('GET /api/v1/apps', onApps, apps.listApps),
  route('GET /api/v1/apps/:', onApps, apps.getApp),
  route('GET /api/v1/apps/:/groups', onApps, apps.listAppGroups),
  route('POST /api/v1/apps/:/lifecycle/activate', appWrites, (world, call, id) =>
    apps.switchApp(world, id, 'ACTIVE', originOf(call)),
  ),
  route('POST /api/v1/apps/:/lifecycle/deactivate', appWrites, (world, call, id) =>
    apps.switchApp(world, id, 'INACTIVE', originOf(call)),
  ),
  route('DELETE /api/v1/apps/:/tokens', appWrites, (world, _call, id) => apps.revokeAppTokens(world, id)),
  route('GET /api/v1/apps/:/credentials/jwks', onApps, apps.listKeys),
  route('POST /api/v1/apps/:/credentials/jwks', keyWrites, apps.addKey, json),
  route('GET /api/v1/apps/:/credentials/jwks/:', onApps, apps.getKey),
  route('DELETE /api/v1/apps/:/credentials/jwks/:', keyWrites, (world, _call, id, key) =>
    apps.deleteKey(world, id, key),
  ),
  route('POST /api/v1/apps/:/credentials/jwks/:/lifecycle/activate', keyWrites, (world, call, id, key) =>
    apps.switchKey(world, id, key, 'ACTIVE', originOf(call)),
  ),
  route('POST /api/v1/apps/:/credentials/jwks/:/lifecycle/deactivate', keyWrites, (world, call, id, key) =>
    apps.switchKey(world, id, key, 'INACTIVE', originOf(call)),
  ),

  route('GET /api/v1/logs', { scope: 'okta.logs.read', right: systemLog }, readLog),

  route('GET /api/v1/eventHooks', onHooks, hookRoutes.list),
  route('POST /api/v1/eventHooks', hookWrites, hookRoutes.create, json),
  route('GET /api/v1/eventHooks/:', onHooks, hookRoutes.get),
  route('PUT /api/v1/eventHooks/:', hookWrites, hookRoutes.replace, json),
  route('DELETE /api/v1/eventHooks/:', hookWrites, hookRoutes.remove),
  route('POST /api/v1/eventHooks/:/lifecycle/verify', hookWrites, hookRoutes.verify),
  route('POST /api/v1/eventHooks/:/lifecycle/activate', hookWrites, hookRoutes.turn('ACTIVE')),
  route('POST /api/v1/eventHooks/:/lifecycle/deactivate', hookWrites, hookRoutes.turn('INACTIVE')),

  route(
    'POST /api/v1/authorizationServers/:/credentials/lifecycle/keyRotate',
    rotation,
    (world, call, id) => {
      const server = world.servers.get(id)
      if (server === undefined) throw notFound(id, 'AuthorizationServer')
      server.keys.rotate({ emergency: true })
      world.log.write({ eventType: 'app.oauth2.as.key.rollover', targets: [] }, originOf(call))
      return ok(server.keys.jwks().keys)
    },
    json,
  ),
  route(
    'POST /oauth2/v1/global-token-revocation',
    { ...manage('universalLogout'), right: superAdmin },
    revokeEverywhere,
    json,
  ),

  route(`GET ${agentsPath}`, onAgents, agents.listAgents),
  route(`POST ${agentsPath}`, agentWrites, agents.register, json),
  route(`GET ${agentsPath}/:`, onAgents, agents.getAgent),
  route(`PUT ${agentsPath}/:`, agentWrites, agents.update, json),
  route(`PATCH ${agentsPath}/:`, agentWrites, agents.update, ['application/merge-patch+json']),
  route(`DELETE ${agentsPath}/:`, agentWrites, agents.remove),
  route(`POST ${agentsPath}/:/lifecycle/activate`, agentWrites, agents.turn('ACTIVE')),
  route(`POST ${agentsPath}/:/lifecycle/deactivate`, agentWrites, agents.turn('INACTIVE')),
  route('GET /workload-principals/api/v1/operations/:', onAgents, agents.getOperation),
]

function params(pattern: readonly string[], segments: readonly string[]): string[] | undefined {
  if (pattern.length !== segments.length) return undefined
  const found: string[] = []
  for (const [at, part] of pattern.entries()) {
    const segment = segments[at] ?? ''
    if (part === ':') found.push(segment)
    else if (part !== segment) return undefined
  }
  return found
}

/** Runs the call: its path, its method, what it needs and its body are checked in that order. */
export function run(world: World, call: Call): LinkedAnswer | Promise<LinkedAnswer> {
  const here = routes.flatMap((each) => {
    const found = params(each.pattern, call.segments)
    return found === undefined ? [] : [{ each, found }]
  })
  if (here.length === 0) throw new Refusal('E0000008')
  const match = here.find(({ each }) => each.method === call.method)
  if (match === undefined) {
    throw new Refusal('E0000022', { headers: { Allow: here.map(({ each }) => each.method).join(', ') } })
  }
  const { each, found } = match
  authorize(call.caller, each)
  checkBody(call, each.takes)
  return each.run(world, call, found[0] ?? '', found[1] ?? '')
}

function checkBody(call: Call, takes: readonly string[] | undefined): void {
  const accept = call.header('accept')
  if (accept !== undefined && !/\*\/\*|application\/(\*|json)/.test(accept)) throw new Refusal('E0000021')
  if (call.text === '') return
  const type = call.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  if (takes !== undefined && (type === undefined || !takes.includes(type))) throw new Refusal('E0000021')
  if (takes !== undefined && call.body === undefined) throw new Refusal('E0000003')
}
