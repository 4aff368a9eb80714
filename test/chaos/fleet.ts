import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'

export const adapters = ['contoso', 'fabrikam'] as const
export type AdapterName = (typeof adapters)[number]

export interface Account {
  readonly adapter: AdapterName
  readonly id: string
  readonly kind: 'agentIdentity' | 'agentUser' | 'servicePrincipal'
  readonly appId: string
}

export interface Member {
  readonly did: string
  readonly parent: string | undefined
  readonly accounts: readonly Account[]
}

export interface Tenancy {
  readonly name: AdapterName
  readonly tenant: EntraTenant
  readonly bridge: { readonly appId: string; readonly servicePrincipalId: string; readonly secret: string }
  readonly blueprint: { readonly id: string; readonly appId: string }
  /** Mapped groups with what they give. `nested` is a member of `outer`. */
  readonly groups: Readonly<Record<'plain' | 'outer' | 'nested', string>>
}

export const capabilityOf = { plain: 'read:ledger', outer: 'read:reports', nested: 'write:reports' } as const

/** How far the tenants lag behind their writes, and how far a stale replica does: together less than `settle`. */
export const lag = { staleMs: 300, replicaMs: 1200, auditDelayMs: 1000 }

const guid = (random: () => number): string => {
  const hex = (length: number) => Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join('')
  return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
}

/** One tenant; the second hides agent identities from its delta feed, so that they are listed in every pass. */
export const startTenancy = async (name: AdapterName, random: () => number, seed: number): Promise<Tenancy> => {
  const tenant = await startEntraTenant({
    tenantId: guid(random),
    ...lag,
    pageSize: 15,
    logPageSize: 500,
    deltaHidesAgents: name === 'fabrikam',
    eventGridRetryScale: 0.05,
    requestLogSize: 400_000,
    faultSeed: seed,
  })
  const bridge = tenant.registerApp({ appId: guid(random), name: 'bridge', roles: bridgeRoles, secret: 'chaos-only' })
  const blueprint = tenant.addBlueprintPrincipal({ id: guid(random), appId: guid(random), displayName: 'Agents' })
  const nested = tenant.addGroup({ id: guid(random), displayName: 'nested' })
  const groups = {
    plain: tenant.addGroup({ id: guid(random), displayName: 'plain' }),
    outer: tenant.addGroup({ id: guid(random), displayName: 'outer', members: [nested] }),
    nested,
  }
  return { name, tenant, bridge, blueprint, groups }
}

export type Tenancies = Readonly<Record<AdapterName, Tenancy>>

/** An agent identity in both tenants; some with a user account, some an older application. */
export const newMember = (
  tenancies: Tenancies,
  random: () => number,
  number: number,
  parent: string | undefined,
): Member => {
  const accounts: Account[] = []
  for (const name of adapters) {
    const { tenant, blueprint, bridge } = tenancies[name]
    if (number % 9 === 8) {
      const appId = guid(random)
      const ownerIds = [bridge.servicePrincipalId]
      const id = tenant.addServicePrincipal({ id: guid(random), appId, displayName: `classic-${number}`, ownerIds })
      accounts.push({ adapter: name, id, kind: 'servicePrincipal', appId })
      continue
    }
    const id = tenant.addAgentIdentity({
      id: guid(random),
      displayName: `agent-${number}`,
      blueprintAppId: blueprint.appId,
    })
    accounts.push({ adapter: name, id, kind: 'agentIdentity', appId: id })
    if (number % 7 !== 3 || name !== 'contoso') continue
    const user = tenant.addAgentUser({ id: guid(random), displayName: `user-${number}`, identityParentId: id })
    accounts.push({ adapter: name, id: user, kind: 'agentUser', appId: id })
  }
  return { did: `did:agentmesh:chaos-${number}`, parent, accounts }
}

/** Three quarters stand alone; the others are chains of three. */
export const createFleet = (tenancies: Tenancies, random: () => number, size: number): Member[] => {
  const fleet: Member[] = []
  for (let number = 0; number < size; number++) {
    const inChain = number >= (size * 3) / 4 && number % 3 !== 0
    fleet.push(newMember(tenancies, random, number, inChain ? fleet[number - 1]?.did : undefined))
  }
  return fleet
}

export const registration = ({ did, parent, accounts }: Member) => ({
  did,
  name: did.slice('did:agentmesh:'.length),
  parentDid: parent ?? null,
  capabilities: ['use:tools'],
  principals: accounts.map(({ adapter, id, kind, appId }) => ({ adapter, id, kind, appId })),
})
