import { GetAccountAuthorizationDetailsCommand } from '@aws-sdk/client-iam'
import { ListUsersCommand } from '@aws-sdk/client-identitystore'
import type { Discovered, Discovery } from '../../src/core/discovery.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { didLabel, discoveredOf, inTurn, type List, labelled, some } from '../discovering.ts'
import type { Managed } from '../managed.ts'
import { type Session, type Sessions, sessionFor } from './account.ts'
import { servicesOf } from './documents.ts'
import { malformed } from './errors.ts'
import { unswitchable } from './ids.ts'
import { purposes } from './purposes.ts'
import { nextOf } from './reading.ts'
import { partsOfDetail, type RoleDetail, roleSighting, type Suspension } from './roles.ts'
import { userSighting } from './users.ts'

export interface DiscoverParts {
  readonly sessions: Sessions
  /** Accounts whose roles are managed; none when roles are not. */
  readonly accounts: readonly string[]
  /** The identity store, when its users are managed. */
  readonly center: { readonly session: Session; readonly store: string } | undefined
  readonly users: Pick<Managed, 'learn' | 'ready'>
  readonly suspensionOf: (account: string) => Suspension
  readonly manage: { readonly paths: readonly string[]; readonly groups: readonly string[] }
  readonly clock: Pick<Clock, 'now'>
}

const ROLES = 200
const USERS = 100
/** What runs agents as a role: Bedrock, and AgentCore (their service role pages, read 2026-11). */
const agentServices = new Set(['bedrock.amazonaws.com', 'bedrock-agentcore.amazonaws.com'])
const isOurTag = (key: string) => key.toLowerCase().startsWith('agentmesh:')

/**
 * Roles of each account, with the very call that the feed lists them by, and users of the identity store. A role is an
 * agent's when only the paths of agents are managed, when a tag says so, or when its trust policy lets a service of agents
 * assume it; a user when only groups of agents are managed.
 */
export function openDiscovery(parts: DiscoverParts): Discovery {
  const { sessions, accounts, center, users, suspensionOf, manage, clock } = parts
  const isNarrow = !manage.paths.includes('/')

  const role = (detail: RoleDetail, account: string, begunAt: number): Discovered | undefined => {
    const { Path: path = '', RoleName: name = '', Tags: tags = [], AssumeRolePolicyDocument: trust } = detail
    if (unswitchable({ path, name }) || path.includes('#')) return undefined
    const found = partsOfDetail(detail)
    if (!found || found.account !== account) throw malformed(purposes.listRoles)
    const own = tags.filter(({ Key: key = '' }) => isOurTag(key))
    const did = own.filter(({ Key: key }) => key?.toLowerCase() === didLabel).map(({ Value: value = '' }) => value)
    const isAgent = isNarrow || own.length > 0 || servicesOf(trust).some((each) => agentServices.has(each))
    const sighting = roleSighting(found, suspensionOf(account), { byId: false, begunAt })
    return discoveredOf(sighting, isAgent, labelled(did))
  }

  const rolesOf = (account: string): List => ({
    name: account,
    async read(at, signal) {
      const session = await sessionFor(sessions, account, signal)
      const begunAt = clock.now()
      const command = new GetAccountAuthorizationDetailsCommand({ Filter: ['Role'], MaxItems: ROLES, Marker: at })
      const options = { purpose: purposes.listRoles, lane: 'sync', signal } as const
      const answer = await session.api.read((sending) => session.clients.iam.send(command, sending), options)
      const roles = (answer.RoleDetailList ?? []).map((each) => role(each, account, begunAt))
      return { accounts: some(roles), next: nextOf(answer) }
    },
  })

  const usersOf = ({ session, store }: NonNullable<DiscoverParts['center']>): List => ({
    name: store,
    async read(at, signal) {
      await users.ready(signal)
      const begunAt = clock.now()
      const command = new ListUsersCommand({ IdentityStoreId: store, MaxResults: USERS, NextToken: at })
      const options = { purpose: purposes.listUsers, lane: 'sync', signal } as const
      const answer = await session.api.read((sending) => session.clients.identityStore.send(command, sending), options)
      const found = (answer.Users ?? []).map(({ UserId: userId, ...rest }) => {
        if (!userId) throw malformed(purposes.listUsers)
        const sighting = userSighting(store, { ...rest, UserId: userId }, { byId: false, begunAt })
        users.learn(sighting)
        return discoveredOf(sighting, manage.groups.length > 0)
      })
      return { accounts: some(found), next: answer.NextToken }
    },
  })

  return inTurn([...accounts.map(rolesOf), ...(center ? [usersOf(center)] : [])])
}
