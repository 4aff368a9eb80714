import { z } from 'zod'
import type { Sighting, Switch } from '../../src/core/types.ts'
import { stateOf } from '../switches.ts'
import type { Purpose } from './errors.ts'
import type { Kind } from './ids.ts'

/** No permission of a custom role opens the System Log or AI agents (role permissions, read 2026-11). */
const superAdministrator = 'the role Super administrator'
const permission = (name: string) => `a role with the permission ${name}`

/** OAuth scopes and admin roles, of which both are needed. */
export const purposes = {
  readUsers: { what: 'reading users', scope: 'okta.users.read', right: permission('okta.users.read') },
  readApps: { what: 'reading apps', scope: 'okta.apps.read', right: permission('okta.apps.read') },
  readAgents: { what: 'reading AI agents', scope: 'okta.aiAgents.read', right: superAdministrator },
  readGroups: { what: 'reading group members', scope: 'okta.groups.read', right: permission('okta.groups.read') },
  readLog: { what: 'reading the System Log', scope: 'okta.logs.read', right: 'the role Report administrator' },
  suspendUsers: {
    what: 'suspending users',
    scope: 'okta.users.manage',
    right: permission('okta.users.lifecycle.suspend'),
  },
  unsuspendUsers: {
    what: 'unsuspending users',
    scope: 'okta.users.manage',
    right: permission('okta.users.lifecycle.unsuspend'),
  },
  clearSessions: {
    what: 'ending sessions of users',
    scope: 'okta.users.manage',
    right: permission('okta.users.lifecycle.clearSessions'),
  },
  switchApps: { what: 'switching apps', scope: 'okta.apps.manage', right: permission('okta.apps.manage') },
  switchAgents: { what: 'switching AI agents', scope: 'okta.aiAgents.manage', right: superAdministrator },
} as const satisfies Record<string, Purpose>

export const readPurpose: Readonly<Record<Kind, Purpose>> = {
  user: purposes.readUsers,
  serviceApp: purposes.readApps,
  aiAgent: purposes.readAgents,
}

const collections: Readonly<Record<Kind, string>> = {
  user: '/api/v1/users',
  serviceApp: '/api/v1/apps',
  aiAgent: '/workload-principals/api/v1/ai-agents',
}

/** The path of one account. Its id must be one (`idFault`): Okta would take a login just as well. */
export const pathOf = (kind: Kind, id: string): string => `${collections[kind]}/${id}`
export const listPathOf = (kind: Kind): string => collections[kind]

const text = z.string().nullish()

export const user = z.object({
  id: z.string(),
  status: z.string(),
  transitioningToStatus: text,
  profile: z.object({ displayName: text, firstName: text, lastName: text }).nullish(),
})
export type User = z.output<typeof user>

export const app = z.object({
  id: z.string(),
  status: z.string(),
  label: text,
  signOnMode: text,
  credentials: z.object({ oauthClient: z.object({ client_id: text }).nullish() }).nullish(),
  settings: z.object({ oauthClient: z.object({ application_type: text }).nullish() }).nullish(),
})
export type App = z.output<typeof app>

export const agent = z.object({
  id: z.string(),
  status: z.string(),
  appId: text,
  profile: z.object({ name: text }).nullish(),
})
export type AiAgent = z.output<typeof agent>

type State = Switch['state']
type Read = Pick<Sighting, 'byId' | 'begunAt'>

/** `identity` is the switch we write. `lifecycle` is whether the account is in use at all, which we never change. */
const switches = (identity: State, lifecycle: State): Switch[] => [
  { name: 'identity', state: identity, ours: true },
  { name: 'lifecycle', state: lifecycle, ours: false },
]

/**
 * What each status of a user means for who may act. `SUSPENDED` alone is our switch. A locked-out or recovering user, or
 * one whose password expired, was switched off by nobody: sessions and refresh tokens go on, a lock ends by itself, and
 * anyone can cause one by guessing. These are on, and cannot be suspended either. Accounts that were never activated, or
 * were deactivated, cannot act. A status nobody has documented is unknown.
 */
const userStates: Readonly<Record<string, readonly [State, State]>> = {
  ACTIVE: ['on', 'on'],
  LOCKED_OUT: ['on', 'on'],
  PASSWORD_EXPIRED: ['on', 'on'],
  RECOVERY: ['on', 'on'],
  SUSPENDED: ['off', 'on'],
  STAGED: ['on', 'off'],
  PROVISIONED: ['on', 'off'],
  DEPROVISIONED: ['on', 'off'],
}

function userSwitches({ status, transitioningToStatus: next }: User): Switch[] {
  const [identity, lifecycle] = userStates[status] ?? ['unknown', 'unknown']
  // On its way from one to the other: a suspended user stays off until it arrived, of any other nothing is certain.
  return switches(identity, next == null || next === status ? lifecycle : 'unknown')
}

const appStates: Readonly<Record<string, readonly [State, State]>> = {
  ACTIVE: ['on', 'on'],
  INACTIVE: ['off', 'on'],
  DELETED: ['on', 'off'],
}

/** A staged agent was never activated: it cannot sign in. */
const agentStates: Readonly<Record<string, readonly [State, State]>> = {
  ACTIVE: ['on', 'on'],
  INACTIVE: ['off', 'on'],
  STAGED: ['on', 'off'],
}

const stated = (id: string, kind: string, list: readonly Switch[], read: Read) => ({
  id,
  kind,
  state: stateOf(list),
  switches: list,
  ...read,
})

export function userSighting(each: User, read: Read): Sighting {
  const { displayName, firstName, lastName } = each.profile ?? {}
  const name = displayName ?? [firstName, lastName].filter(Boolean).join(' ')
  return { ...stated(each.id, 'user', userSwitches(each), read), displayName: name === '' ? undefined : name }
}

/** Any app can be read by its id; only those that sign in as themselves may be managed. */
export function appSighting(each: App, read: Read): Sighting {
  const isService = each.settings?.oauthClient?.application_type === 'service'
  const list = switches(...(appStates[each.status] ?? (['unknown', 'unknown'] as const)))
  return {
    ...stated(each.id, isService ? 'serviceApp' : 'app', list, read),
    appId: each.credentials?.oauthClient?.client_id ?? undefined,
    displayName: each.label ?? undefined,
  }
}

export function agentSighting(each: AiAgent, read: Read): Sighting {
  const list = switches(...(agentStates[each.status] ?? (['unknown', 'unknown'] as const)))
  return {
    ...stated(each.id, 'aiAgent', list, read),
    appId: each.appId ?? undefined,
    displayName: each.profile?.name ?? undefined,
  }
}

export const absentSighting = (id: string, begunAt: number): Sighting => ({
  id,
  kind: undefined,
  state: 'absent',
  switches: [],
  byId: true,
  begunAt,
})
