import type { JWK } from 'jose'
import { oktaId } from './ids.ts'
import type { OktaOrg } from './org.ts'
import type { StandardRole } from './rights.ts'

/** The scopes the bridge's service app is granted, and below them the least its roles must allow. */
export const bridgeScopes: readonly string[] = [
  'okta.users.read',
  'okta.users.manage',
  'okta.groups.read',
  'okta.apps.read',
  'okta.apps.manage',
  'okta.logs.read',
]

export const bridgePermissions: readonly string[] = [
  'okta.users.read',
  'okta.users.lifecycle.suspend',
  'okta.users.lifecycle.unsuspend',
  'okta.users.lifecycle.clearSessions',
  'okta.groups.read',
  'okta.apps.read',
  'okta.apps.manage',
]

/** The System Log is read by a standard role. */
export const bridgeRoles: readonly StandardRole[] = ['REPORT_ADMIN']

export interface Contoso {
  /** Client id of the bridge's service app. */
  readonly bridge: string
  /** Users, one for each agent. */
  readonly agents: {
    readonly analyst: string
    readonly reporter: string
    readonly reconciler: string
    readonly scout: string
  }
  /** The service app of the analyst. */
  readonly analystApp: string
  /** The reconciler as a registered AI agent. */
  readonly aiAgent: string
  readonly sponsors: { readonly alice: string; readonly bob: string }
  readonly groups: {
    /** Analyst and reporter. */
    readonly customerData: string
    /** Reconciler. */
    readonly finance: string
    /** Managed by an import. */
    readonly imported: string
  }
  /** The custom authorization server of the agents. */
  readonly server: string
}

/** The company of the Entra tenant's seed in Okta. Ids are the same in every run, so that a tour can name them. */
export function seedContoso(org: OktaOrg, bridgeKey: JWK): Contoso {
  const bridge = org.addApp({
    id: oktaId('0oa', 'bridge'),
    label: 'AgentMesh IdP Bridge',
    keys: [bridgeKey],
    scopes: bridgeScopes,
    permissions: bridgePermissions,
    roles: bridgeRoles,
  })
  const user = (name: string, firstName: string, lastName: string) =>
    org.addUser({ id: oktaId('00u', name), login: `${name}@contoso.example`, firstName, lastName })
  const sponsors = { alice: user('alice', 'Alice', 'Martin'), bob: user('bob', 'Bob', 'Nguyen') }
  const agents = {
    analyst: user('data-analyst-agent', 'Data', 'Analyst'),
    reporter: user('report-writer-agent', 'Report', 'Writer'),
    reconciler: user('payment-reconciler-agent', 'Payment', 'Reconciler'),
    scout: user('market-scout-agent', 'Market', 'Scout'),
  }
  const analystApp = org.addApp({ id: oktaId('0oa', 'data-analyst-agent'), label: 'data-analyst-agent' })
  const aiAgent = org.addAgent({
    id: oktaId('wlp', 'payment-reconciler-agent'),
    name: 'payment-reconciler-agent',
    ownerIds: [sponsors.bob],
  })
  const group = (name: string, members: readonly string[], type?: 'APP_GROUP') =>
    org.addGroup({ id: oktaId('00g', name), name, members, ...(type === undefined ? {} : { type }) })
  const groups = {
    customerData: group('agents-customer-data', [agents.analyst, agents.reporter]),
    finance: group('agents-finance', [agents.reconciler]),
    imported: group('imported-agents', [agents.scout], 'APP_GROUP'),
  }
  const server = org.addServer({
    id: oktaId('aus', 'agentmesh'),
    name: 'agentmesh',
    audience: 'api://agents',
    scopes: ['agents.act'],
  })
  org.settle()
  return { bridge, agents, analystApp, aiAgent, sponsors, groups, server }
}
