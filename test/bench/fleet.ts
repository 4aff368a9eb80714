import { openStore } from '../../src/store/index.ts'
import type { World } from '../e2e/world.ts'
import { agent, idle, principal } from '../store/fixture.ts'

export interface Member {
  readonly did: string
  readonly id: string
}

export interface Fleet {
  /** Agent identities. */
  readonly identities: readonly Member[]
  /** Accounts of kind agent user, an agent each: the directory notifies about users. */
  readonly users: readonly Member[]
  readonly groups: readonly string[]
}

export interface FleetSize {
  readonly identities: number
  readonly users: number
  readonly groups: number
  /** Registered as the parent of all, without an account. */
  readonly parent?: string
  /** So many of the last identities have no parent all the same. */
  readonly orphans?: number
}

/** Fills the tenant with agents, spread over groups, and registers them in the store before a daemon opens it. */
export const createFleet = async (world: World, size: FleetSize): Promise<Fleet> => {
  const { tenant, contoso } = world
  const identities = Array.from({ length: size.identities }, (_, n) => ({
    did: `did:agentmesh:fleet:${n}`,
    id: tenant.addAgentIdentity({ displayName: `fleet-${n}`, blueprintAppId: contoso.blueprint.appId }),
  }))
  const users = Array.from({ length: size.users }, (_, n) => ({
    did: `did:agentmesh:user:${n}`,
    id: tenant.addAgentUser({ displayName: `user-${n}`, identityParentId: contoso.agents.reconciler }),
  }))
  const all = [...identities, ...users]
  const share = Math.ceil(all.length / size.groups)
  const groups = Array.from({ length: size.groups }, (_, n) =>
    tenant.addGroup({ displayName: `group-${n}`, members: all.slice(n * share, (n + 1) * share).map(({ id }) => id) }),
  )
  tenant.settle()

  const { parent } = size
  const orphans = new Set(identities.slice(identities.length - (size.orphans ?? 0)))
  await enrol(world, [
    ...(parent === undefined ? [] : [{ did: parent }]),
    ...identities.map((member) => ({ ...member, parentDid: orphans.has(member) ? undefined : parent })),
    ...users.map((member) => ({ ...member, kind: 'agentUser', parentDid: parent })),
  ])
  return { identities, users, groups }
}

/** An agent of a directory to be: with an account when it has an `id`, of kind `agentIdentity` unless said otherwise. */
export interface Recruit {
  readonly did: string
  readonly id?: string
  readonly kind?: string
  readonly parentDid?: string | undefined
}

/** Registers agents in the store before a daemon opens it, parents before their children. */
export const enrol = async ({ databaseFile }: World, recruits: readonly Recruit[]): Promise<void> => {
  const store = await openStore({ url: `sqlite:${databaseFile}`, now: Date.now })
  for (let at = 0; at < recruits.length; at += 500) {
    await store.write(async (tx) => {
      for (const { did, id, kind = 'agentIdentity', parentDid } of recruits.slice(at, at + 500)) {
        await tx.insertAgent(agent(did, { parentDid }))
        if (id !== undefined) await tx.insertPrincipal(principal(did, id, { kind, appId: id }), idle)
      }
    })
  }
  await store.close()
}
