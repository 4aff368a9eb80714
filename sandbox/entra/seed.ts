import type { EntraTenant } from './tenant.ts'

/** The least the bridge needs to read agents, mirror suspensions, follow groups and read the log. */
export const bridgeRoles: readonly string[] = [
  'AgentIdentity.Read.All',
  'AgentIdentity.EnableDisable.All',
  'AgentIdentityBlueprintPrincipal.Read.All',
  'Application.Read.All',
  'Application.ReadWrite.OwnedBy',
  'AuditLog.Read.All',
  'GroupMember.Read.All',
  'User.EnableDisableAccount.All',
  'User.Read.All',
  'User.RevokeSessions.All',
]

export interface Contoso {
  readonly bridge: { readonly appId: string; readonly servicePrincipalId: string; readonly secret: string }
  readonly blueprint: { readonly id: string; readonly appId: string }
  /** The Conditional Access policy that the blueprint of the analyst names. */
  readonly policy: string
  /** Object ids; an agent identity's app id is the same. */
  readonly agents: {
    readonly analyst: string
    readonly reporter: string
    readonly reconciler: string
    readonly scout: string
  }
  /** The user account of `agents.analyst`. */
  readonly agentUser: string
  /** An older agent that is an ordinary app; the bridge owns it. */
  readonly classicAgent: { readonly id: string; readonly appId: string }
  readonly sponsors: { readonly alice: string; readonly bob: string }
  readonly groups: {
    /** Analyst and reporter. */
    readonly customerData: string
    /** Reconciler, the classic agent and, nested, `customerData`. */
    readonly finance: string
    /** The agent user and Alice. */
    readonly reports: string
  }
}

/** A company with a handful of agents. Ids are the same in every run, so that a tour can name them. */
export function seedContoso(tenant: EntraTenant): Contoso {
  const bridge = tenant.registerApp({
    appId: guid('b', 1),
    name: 'AgentMesh IdP Bridge',
    // Only to check that a policy exists, so not among the least.
    roles: [...bridgeRoles, 'Policy.Read.All'],
    secret: 'contoso-sandbox-only',
  })
  const alice = tenant.addUser({
    id: guid('a', 1),
    displayName: 'Alice Martin',
    userPrincipalName: 'alice@contoso.onmicrosoft.com',
  })
  const bob = tenant.addUser({
    id: guid('a', 2),
    displayName: 'Bob Nguyen',
    userPrincipalName: 'bob@contoso.onmicrosoft.com',
  })
  const blueprint = tenant.addBlueprintPrincipal({
    id: guid('e', 1),
    appId: guid('e', 2),
    displayName: 'Data Analyst Agent',
  })
  const policy = tenant.addPolicy({ id: guid('e', 3), displayName: 'Block agents at risk' })
  const agent = (number: number, displayName: string, sponsor: string) =>
    tenant.addAgentIdentity({
      id: guid('d', number),
      displayName,
      blueprintAppId: blueprint.appId,
      sponsorIds: [sponsor],
    })
  const agents = {
    analyst: agent(1, 'data-analyst-agent', alice),
    reporter: agent(2, 'report-writer-agent', alice),
    reconciler: agent(3, 'payment-reconciler-agent', bob),
    scout: agent(4, 'market-scout-agent', bob),
  }
  const agentUser = tenant.addAgentUser({
    id: guid('a', 3),
    displayName: 'Data Analyst (agent)',
    userPrincipalName: 'data-analyst@contoso.onmicrosoft.com',
    identityParentId: agents.analyst,
  })
  const classicId = tenant.addServicePrincipal({
    id: guid('c', 1),
    appId: guid('c', 2),
    displayName: 'invoice-copilot',
    ownerIds: [bridge.servicePrincipalId],
    properties: { tags: ['AgenticApp'] },
  })
  const customerData = tenant.addGroup({
    id: guid('f', 1),
    displayName: 'agents-customer-data',
    members: [agents.analyst, agents.reporter],
  })
  const finance = tenant.addGroup({
    id: guid('f', 2),
    displayName: 'agents-finance',
    members: [agents.reconciler, classicId, customerData],
  })
  const reports = tenant.addGroup({ id: guid('f', 3), displayName: 'report-readers', members: [agentUser, alice] })
  tenant.settle()
  return {
    bridge,
    blueprint,
    policy,
    agents,
    agentUser,
    classicAgent: { id: classicId, appId: guid('c', 2) },
    sponsors: { alice, bob },
    groups: { customerData, finance, reports },
  }
}

function guid(letter: string, number: number): string {
  const tail = String(number).padStart(4, '0')
  return `${letter.repeat(8)}-0000-4000-8000-00000000${tail}`
}
