import { generateKeyPairSync } from 'node:crypto'
import { mainAccount, startAws } from '../../sandbox/aws/index.ts'
import { bridgePolicies, suspension } from '../../sandbox/aws/policies.ts'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import { startOktaOrg } from '../../sandbox/okta/index.ts'
import * as okta from '../../sandbox/okta/seed.ts'
import { at } from '../e2e/json.ts'

export const agents = ['p', 'c'] as const
export type AgentName = (typeof agents)[number]

export interface SiteOptions {
  readonly now: () => number
  readonly staleMs: number
  readonly auditDelayMs: number
}

/** One local directory over sockets, whatever its vendor, with an account for each agent. */
export interface Site {
  /** Of the adapter. */
  readonly config: Readonly<Record<string, unknown> & { kind: string }>
  readonly ids: Readonly<Record<AgentName, string>>
  /** Of each of those accounts. */
  readonly kind: string
  isOn(id: string): boolean
  /** Turns its switch as an administrator. */
  flip(id: string, on: boolean): void
  /** Of its next write. lost: carried out, and nobody answers; dropped: neither; refused: answered with an error. */
  fail(id: string, fate: 'lost' | 'dropped' | 'refused'): void
  /** How many of its writes got no answer so far. */
  unanswered(id: string): number
  /** A write that nobody answered is carried out after all, in the name of the bridge. */
  land(id: string, on: boolean): void
  /** So often it cannot be read. */
  unreadable(id: string, times: number): void
  logDown(times: number): void
  /** The next request that changes something is carried out, and its connection is reset. */
  cut(): void
  clearFaults(): void
  close(): Promise<void>
}

const secret = 'the-client-secret-of-the-bridge'

export const entraSite = async ({ now, staleMs, auditDelayMs }: SiteOptions): Promise<Site> => {
  const tenant = await startEntraTenant({ throttle: false, now, staleMs, auditDelayMs })
  const { appId } = tenant.registerApp({ name: 'bridge', roles: [...bridgeRoles], secret })
  const blueprint = tenant.addBlueprintPrincipal({ displayName: 'blueprint' })
  const add = (displayName: string) => tenant.addAgentIdentity({ displayName, blueprintAppId: blueprint.appId })
  const ids = { p: add('p'), c: add('c') }
  tenant.settle()
  const match = (id: string) => new RegExp(`^PATCH /servicePrincipals/${id}`, 'i')
  return {
    config: {
      kind: 'entra',
      tenantId: tenant.tenantId,
      endpoints: { graph: tenant.origin, authority: tenant.origin },
      credential: { type: 'clientSecret', clientId: appId, secret },
      manage: { kinds: ['agentIdentity'] },
      tokens: { audiences: ['api://agents'] },
    },
    ids,
    kind: 'agentIdentity',
    isOn: (id) => tenant.get(id)?.properties['accountEnabled'] !== false,
    flip: (id, on) => tenant.setEnabled(id, on),
    fail: (id, fate) =>
      void tenant.fail(match(id), fate === 'refused' ? { status: 400 } : { status: 504, applied: fate === 'lost' }),
    unanswered: (id) =>
      tenant.requests.filter(({ method, path, status }) => status === 504 && match(id).test(`${method} ${path}`))
        .length,
    land: (id, on) => tenant.setEnabled(id, on, { by: appId }),
    unreadable: (id, times) =>
      void tenant.fail(new RegExp(`^GET /servicePrincipals/${id}`, 'i'), { status: 503, times }),
    logDown: (times) => void tenant.fail(/^GET \/auditLogs/, { status: 503, times }),
    cut: () => void tenant.fail(/\$batch/, { mode: 'reset-after-body' }),
    clearFaults: () => tenant.clearFaults(),
    close: () => tenant.close(),
  }
}

export const oktaSite = async ({ now, staleMs, auditDelayMs }: SiteOptions): Promise<Site> => {
  const org = await startOktaOrg({ limits: false, now, staleMs, logDelayMs: auditDelayMs })
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const bridge = org.addApp({
    label: 'bridge',
    keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bridge' }],
    scopes: okta.bridgeScopes,
    permissions: okta.bridgePermissions,
    roles: okta.bridgeRoles,
  })
  const ids = { p: org.addUser({ login: 'p@contoso.example' }), c: org.addUser({ login: 'c@contoso.example' }) }
  org.settle()
  const match = (id: string) => new RegExp(`^POST /api/v1/users/${id}/lifecycle/`)
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  return {
    config: {
      kind: 'okta',
      orgUrl: org.origin,
      credential: { type: 'privateKey', clientId: bridge, key, keyId: 'bridge' },
      manage: { kinds: ['user'] },
    },
    ids,
    kind: 'user',
    isOn: (id) => org.get(id)?.enabled === true,
    flip: (id, on) => org.setEnabled(id, on),
    fail: (id, fate) =>
      void org.fail(match(id), fate === 'refused' ? { status: 400 } : { status: 504, applied: fate === 'lost' }),
    unanswered: (id) =>
      org.requests.filter(({ method, path, status }) => status === 504 && match(id).test(`${method} ${path}`)).length,
    land: (id, on) => org.setEnabled(id, on, { by: bridge }),
    unreadable: (id, times) => void org.fail(new RegExp(`^GET /api/v1/users/${id}`), { status: 503, times }),
    logDown: (times) => void org.fail(/^GET \/api\/v1\/logs/, { status: 503, times }),
    cut: () => void org.fail(/\/lifecycle\//, { mode: 'reset-after-body' }),
    clearFaults: () => org.clearFaults(),
    close: () => org.close(),
  }
}

export const awsSite = async ({ now, staleMs, auditDelayMs }: SiteOptions): Promise<Site> => {
  // The clients sign by the real clock, which the trace's is far from.
  const signatureSkewMs = Number.POSITIVE_INFINITY
  const cloud = await startAws({ limits: false, now, staleMs, trailDelayMs: auditDelayMs, signatureSkewMs })
  const keys = cloud.addIamUser({ name: 'idp-bridge', policies: bridgePolicies })
  const ids = { p: cloud.addRole({ name: 'p' }), c: cloud.addRole({ name: 'c' }) }
  const nameOf = (id: string) => (id === ids.p ? 'p' : 'c')
  const isOf = (id: string, pattern: RegExp, { body, path }: { readonly body?: unknown; readonly path: string }) =>
    pattern.test(path) && at(body, 'RoleName') === nameOf(id)
  const writes = /^\/iam\/(Put|Delete)RolePolicy$/
  const isWrite = (id: string) => (request: { readonly body?: unknown; readonly path: string }) =>
    isOf(id, writes, request) && at(request.body, 'PolicyName') === suspension.name
  const fates = {
    lost: { status: 504, applied: true },
    dropped: { status: 504, applied: false },
    refused: { status: 400, code: 'InvalidInput', message: 'The request was refused.' },
  }
  const { origin } = cloud
  return {
    config: {
      kind: 'aws',
      region: 'us-east-1',
      credential: { type: 'accessKey', ...keys },
      accounts: { [mainAccount]: {} },
      manage: { paths: ['/agents/'] },
      attribution: { lag: `${auditDelayMs + 1000}ms` },
      endpoints: { iam: origin, sts: origin, cloudTrail: origin },
    },
    ids,
    kind: 'iamRole',
    isOn: (id) => cloud.get(id)?.enabled === true,
    flip: (id, on) => cloud.setSwitch(id, on),
    fail: (id, fate) => void cloud.fail(isWrite(id), fates[fate]),
    unanswered: (id) => cloud.requests.filter((request) => request.status === 504 && isWrite(id)(request)).length,
    land: (id, on) => cloud.setSwitch(id, on, { by: 'idp-bridge' }),
    unreadable: (id, times) =>
      void cloud.fail((request) => isOf(id, /^\/iam\/(Get|List)/, request), { status: 503, times }),
    logDown: (times) => void cloud.fail('/cloudtrail/LookupEvents', { status: 503, times }),
    cut: () => void cloud.fail(({ path }) => writes.test(path), { mode: 'reset-after-body' }),
    clearFaults: () => cloud.clearFaults(),
    close: () => cloud.close(),
  }
}
