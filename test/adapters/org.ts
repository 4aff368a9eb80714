import { generateKeyPairSync } from 'node:crypto'
import { exportJWK, type JWK } from 'jose'
import { configs } from '../../adapters/index.ts'
import { type OktaOrg, type OktaOrgOptions, type StandardRole, startOktaOrg } from '../../sandbox/okta/index.ts'
import type { Adapter, PrincipalRef } from '../../src/core/adapter.ts'
import { type Clock, manualClock } from '../../src/lib/clock.ts'
import { opening } from './opening.ts'
import { hasty } from './tenant.ts'

export const HOOK_SECRET = 'the-shared-secret-of-the-event-hook'
/** Of the authorization server that every org begins with. */
export const AUDIENCE = 'api://default'
export const KEY_ID = 'bridge-key'

export interface KeyPair {
  readonly pem: string
  readonly privateJwk: JWK
  readonly publicJwk: JWK
}

export async function newKeyPair(type: 'rsa' | 'P-256' | 'P-384' | 'P-521' = 'P-256', kid = KEY_ID): Promise<KeyPair> {
  const { privateKey, publicKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: type })
  return {
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    privateJwk: { ...(await exportJWK(privateKey)), kid },
    publicJwk: { ...(await exportJWK(publicKey)), kid },
  }
}

/** One for all tests that are not about keys. */
export const pair: KeyPair = await newKeyPair()

/** What docs/adapters/okta.md tells to grant. */
export const scopes = [
  'okta.users.read',
  'okta.users.manage',
  'okta.apps.read',
  'okta.apps.manage',
  'okta.groups.read',
  'okta.logs.read',
]
export const permissions = [
  'okta.users.read',
  'okta.users.lifecycle.suspend',
  'okta.users.lifecycle.unsuspend',
  'okta.users.lifecycle.clearSessions',
  'okta.apps.read',
  'okta.apps.manage',
  'okta.groups.read',
]

export interface Org extends AsyncDisposable {
  readonly org: OktaOrg
  readonly adapter: Adapter
  /** Client id of the bridge. */
  readonly bridge: string
  logged(): string
  /** Another adapter on the same org. */
  open(settings: Record<string, unknown>): Adapter
  /** Accounts of one kind, switched on. */
  users(count: number): PrincipalRef[]
  apps(count: number): PrincipalRef[]
  agents(count: number): PrincipalRef[]
}

export interface OrgOptions extends OktaOrgOptions {
  readonly scopes?: readonly string[]
  readonly permissions?: readonly string[]
  readonly roles?: readonly StandardRole[]
  readonly dpopBound?: boolean
  readonly settings?: Record<string, unknown>
  readonly clock?: Clock
}

/** An org, the registered app of the bridge and the adapter on it, over sockets. AI agents are managed on request only. */
export async function bench(options: OrgOptions = {}): Promise<Org> {
  const { settings = {}, clock = hasty, dpopBound = false, ...rest } = options
  const org = await startOktaOrg({ limits: false, ...rest })
  const bridge = org.addApp({
    label: 'bridge',
    keys: [pair.publicJwk],
    scopes: options.scopes ?? scopes,
    permissions: options.permissions ?? permissions,
    roles: options.roles ?? ['REPORT_ADMIN'],
    dpopBound,
  })
  const adapters = opening(clock)

  const open: Org['open'] = (more) => {
    const config = configs.okta.parse({
      kind: 'okta',
      orgUrl: org.origin,
      credential: { type: 'privateKey', clientId: bridge, key: JSON.stringify(pair.privateJwk) },
      tokens: { audiences: [AUDIENCE] },
      hooks: { eventHook: { secret: HOOK_SECRET } },
      ...settings,
      ...more,
    })
    return adapters.open(config)
  }
  const many = (count: number, kind: string, add: (at: number) => string): PrincipalRef[] =>
    Array.from({ length: count }, (_, at) => ({ id: add(at), kind }))

  return {
    org,
    bridge,
    adapter: open({}),
    open,
    users: (count) => many(count, 'user', (at) => org.addUser({ firstName: 'Agent', lastName: String(at) })),
    apps: (count) => many(count, 'serviceApp', (at) => org.addApp({ label: `app ${at}` })),
    agents: (count) => many(count, 'aiAgent', (at) => org.addAgent({ name: `agent ${at}` })),
    logged: adapters.logged,
    async [Symbol.asyncDispose]() {
      await adapters[Symbol.asyncDispose]()
      await org.close()
    },
  }
}

/** An org and an adapter that share a clock which only the test moves. */
export async function timed(options: OrgOptions = {}) {
  const clock = manualClock()
  const base = await bench({ now: () => clock.now(), clock, ...options })
  return { ...base, clock, [Symbol.asyncDispose]: () => base[Symbol.asyncDispose]() }
}

/** What AI agents take: beta scopes, and a super administrator (facts of the agent API). */
export const withAgents = {
  scopes: [...scopes, 'okta.aiAgents.read', 'okta.aiAgents.manage'],
  roles: ['SUPER_ADMIN' as const],
  settings: { manage: { kinds: ['user', 'serviceApp', 'aiAgent'] } },
}

/** Well-formed, and nobody's. */
export const nobody = '00u00000000000000000'
