import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { startOktaOrg } from '../../sandbox/okta/index.ts'
import { playable } from '../../sandbox/okta/playable.ts'
import { bridgePermissions, bridgeRoles, bridgeScopes } from '../../sandbox/okta/seed.ts'
import { type GroupName, lag, type Opened, type Tenancy, writesOf } from './tenancy.ts'

const hookSecret = 'the-secret-of-the-chaos-hooks'
const events = [
  'user.lifecycle.suspend',
  'user.lifecycle.unsuspend',
  'user.account.update_profile',
  'application.lifecycle.activate',
  'application.lifecycle.deactivate',
  'workload_principal.ai_agent.activate',
  'workload_principal.ai_agent.deactivate',
  'group.user_membership.add',
  'group.user_membership.remove',
]
const kinds = ['user', 'serviceApp', 'aiAgent']
const switched = /^\/(?:api\/v1\/(?:users|apps)|workload-principals\/api\/v1\/ai-agents)\/([^/]+)\/lifecycle\/(\w+)$/
const turns: Readonly<Record<string, boolean>> = { suspend: false, deactivate: false, unsuspend: true, activate: true }

/** A user for each agent; some with an AI agent beside it, some a service app instead. */
export const startOkta = async ({ seed }: { readonly seed: number }): Promise<Tenancy> => {
  const org = await startOktaOrg({
    staleMs: lag.staleMs,
    logDelayMs: lag.auditDelayMs,
    pageSize: 15,
    // The limits of the real one count by the minute; a run stands for hours.
    limits: false,
    hookTimeoutMs: 1000,
    requestLogSize: 400_000,
    faultSeed: seed,
  })
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keyId = randomUUID()
  const bridge = org.addApp({
    label: 'bridge',
    keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyId }],
    scopes: [...bridgeScopes, 'okta.aiAgents.read', 'okta.aiAgents.manage'],
    permissions: bridgePermissions,
    roles: [...bridgeRoles, 'SUPER_ADMIN'],
  })
  const group = (name: GroupName) => org.addGroup({ name })
  const groups = { plain: group('plain'), outer: group('outer'), nested: group('nested') }
  const server = org.addServer({ name: 'agents', audience: 'api://agents', scopes: ['agents.act'] })
  let hook: string | undefined

  const open = (number: number): Opened[] => {
    if (number % 9 === 8) return [{ id: org.addApp({ label: `service-${number}` }), kind: 'serviceApp' }]
    const user = { id: org.addUser({ login: `agent-${number}@contoso.example` }), kind: 'user' }
    return number % 7 === 3 ? [user, { id: org.addAgent({ name: `agent-${number}` }), kind: 'aiAgent' }] : [user]
  }

  const write = ({ appId, method, path }: (typeof org.requests)[number]) => {
    const [, id, verb = ''] = switched.exec(path.split('?')[0] ?? '') ?? []
    const on = turns[verb]
    return method !== 'POST' || appId !== bridge || id === undefined || on === undefined ? undefined : { id, on }
  }

  return {
    stage: playable(org),
    groups,
    config: {
      kind: 'okta',
      orgUrl: org.origin,
      credential: {
        type: 'privateKey',
        clientId: bridge,
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
        keyId,
      },
      manage: { kinds },
      tokens: { audiences: ['api://agents'], authorizationServers: [server] },
      hooks: { eventHook: { secret: hookSecret } },
    },
    open,
    condition(id) {
      const state = org.get(id)
      return { live: state !== undefined, own: state?.enabled === true, others: true, above: undefined }
    },
    flip: (id, on) => org.setEnabled(id, on),
    // Deleted is deleted here, and what else keeps a user from signing in is no switch.
    removal: () => undefined,
    otherSwitch: () => undefined,
    isMember: (name, id) => org.isMember(groups[name], id),
    // Only users can be members.
    setMember(name, id, isMember) {
      if (org.get(id)?.kind !== 'user') return
      if (isMember) org.addMember(groups[name], id)
      else org.removeMember(groups[name], id)
    },
    token: (id, kind) => (kind === 'serviceApp' ? org.issueToken({ server, clientId: id }) : undefined),
    bell: (id) =>
      void org.writeLog({
        eventType: 'user.account.update_profile',
        targets: [{ id, type: 'User', alternateId: 'unknown', displayName: 'unknown' }],
      }),
    async subscribe(url) {
      if (hook !== undefined) org.unregisterHook(hook)
      hook = undefined
      hook = await org.registerHook({ url, events, secret: hookSecret })
    },
    written: writesOf(() => org.requests, write),
    settle: () => org.settle(),
    clearFaults: () => org.clearFaults(),
    close: () => org.close(),
  }
}
