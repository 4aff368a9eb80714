import { BridgeError } from '../../src/core/errors.ts'
import type { Sighting, Switch } from '../../src/core/types.ts'
import { stateOf } from '../switches.ts'
import type { EntraConfig } from './config.ts'
import type { Purpose } from './errors.ts'
import type { Row } from './wire.ts'

export type Kind = EntraConfig['manage']['kinds'][number]

const CAST = 'microsoft.graph.agentIdentity'
export const BLUEPRINT_CAST = 'microsoft.graph.agentIdentityBlueprintPrincipal'

const principalState = 'id,appId,displayName,accountEnabled,isDisabled,disabledByMicrosoftStatus'
export const selects = {
  agentIdentity: `${principalState},servicePrincipalType,agentIdentityBlueprintId`,
  servicePrincipal: `${principalState},servicePrincipalType`,
  blueprint: principalState,
  user: 'id,displayName,accountEnabled,identityParentId',
} as const

/** Least permission first; any one suffices (Graph permission reference, read 2026-11). */
export const purposes = {
  readAgents: {
    what: 'reading agent identities',
    permissions: ['AgentIdentity.Read.All', 'AgentIdentity.ReadWrite.All'],
  },
  readBlueprints: {
    what: 'reading blueprint principals',
    permissions: ['AgentIdentityBlueprintPrincipal.Read.All', 'AgentIdentityBlueprintPrincipal.ReadWrite.All'],
  },
  readPrincipals: {
    what: 'reading service principals',
    permissions: ['Application.Read.All', 'Directory.Read.All', 'Application.ReadWrite.All'],
  },
  readUsers: { what: 'reading users', permissions: ['User.Read.All', 'Directory.Read.All', 'User.ReadWrite.All'] },
  readGroups: {
    what: 'reading group members',
    permissions: ['GroupMember.Read.All', 'Group.Read.All', 'Directory.Read.All'],
  },
  readLog: { what: 'reading the audit log', permissions: ['AuditLog.Read.All'] },
  readPolicies: { what: 'reading Conditional Access policies', permissions: ['Policy.Read.All'] },
  watchUsers: {
    what: 'being told of changed users',
    permissions: ['User.Read.All', 'Directory.Read.All', 'User.ReadWrite.All'],
  },
  watchGroups: {
    what: 'being told of changed groups',
    permissions: ['Group.Read.All', 'Directory.Read.All', 'Group.ReadWrite.All'],
  },
  watchPrincipals: {
    what: 'being told of changed service principals',
    permissions: ['Application.Read.All', 'Directory.Read.All'],
  },
  listSubscriptions: { what: 'looking after change notifications', permissions: [] },
  readAny: { what: 'reading accounts', permissions: [] },
  writeAgents: {
    what: 'switching agent identities',
    permissions: ['AgentIdentity.EnableDisable.All', 'AgentIdentity.ReadWrite.All'],
  },
  writePrincipals: {
    what: 'switching service principals',
    permissions: ['Application.ReadWrite.OwnedBy', 'Application.ReadWrite.All'],
  },
  writeUsers: {
    what: 'switching users',
    permissions: ['User.EnableDisableAccount.All', 'User.ReadWrite.All'],
  },
  revokeSessions: { what: 'revoking sign-in sessions', permissions: ['User.RevokeSessions.All'] },
} as const satisfies Record<string, Purpose>

export const readPurpose: Readonly<Record<Kind, Purpose>> = {
  agentIdentity: purposes.readAgents,
  servicePrincipal: purposes.readPrincipals,
  agentUser: purposes.readUsers,
  user: purposes.readUsers,
}
export const writePurpose: Readonly<Record<Kind, Purpose>> = {
  agentIdentity: purposes.writeAgents,
  servicePrincipal: purposes.writePrincipals,
  agentUser: purposes.writeUsers,
  user: purposes.writeUsers,
}

/**
 * The two spellings of the path to one agent identity: the reference pages have the first, the permission map the
 * second (both read 2026-11). One is used until it proves wrong.
 */
export class Spelling {
  #castLast = true

  agent(id: string): string {
    return this.#castLast ? `/servicePrincipals/${id}/${CAST}` : `/servicePrincipals/${CAST}/${id}`
  }

  other(id: string): string {
    return this.#castLast ? `/servicePrincipals/${CAST}/${id}` : `/servicePrincipals/${id}/${CAST}`
  }

  flip(): void {
    this.#castLast = !this.#castLast
  }
}

export const agentList = `/servicePrincipals/${CAST}?$select=${selects.agentIdentity}&$top=100`
export const blueprintList = `/servicePrincipals/${BLUEPRINT_CAST}?$select=${selects.blueprint}`
export const blueprintPath = (appId: string): string =>
  `/servicePrincipals(appId='${appId}')/${BLUEPRINT_CAST}?$select=${selects.blueprint}`

export function readPath(kind: Kind, id: string, spelling: Spelling): string {
  if (kind === 'agentIdentity') return `${spelling.agent(id)}?$select=${selects.agentIdentity}`
  if (kind === 'servicePrincipal') return `/servicePrincipals/${id}?$select=${selects.servicePrincipal}`
  return `/users/${id}?$select=${selects.user}`
}

export function writePath(kind: Kind, id: string, spelling: Spelling): string {
  if (kind === 'agentIdentity') return spelling.agent(id)
  return kind === 'servicePrincipal' ? `/servicePrincipals/${id}` : `/users/${id}`
}

export const isKind = (text: string): text is Kind =>
  text === 'agentIdentity' || text === 'agentUser' || text === 'servicePrincipal' || text === 'user'

const isType = (each: Row, name: string) => each['@odata.type']?.toLowerCase() === `#microsoft.graph.${name}`

/** What a row is. `@odata.type` is left out where the path already casts, so `asked` decides there. */
export function kindOf(each: Row, asked: Kind): Kind | 'blueprint' {
  if (asked === 'user' || asked === 'agentUser')
    return isType(each, 'agentuser') || each.identityParentId != null ? 'agentUser' : 'user'
  if (isType(each, 'agentidentityblueprintprincipal')) return 'blueprint'
  if (isType(each, 'agentidentity') || each.agentIdentityBlueprintId != null) return 'agentIdentity'
  if (asked === 'servicePrincipal' && each.servicePrincipalType === 'ServiceIdentity') return 'agentIdentity'
  return asked
}

type State = Switch['state']
const ofBoolean = (value: boolean | null | undefined): State =>
  value === true ? 'on' : value === false ? 'off' : 'unknown'

/**
 * `isDisabled` is nullable and null unless somebody deactivated the application, so null is `on`; but an object that may
 * not be read has every property null, which a null `accountEnabled` gives away.
 */
function applicationState({ isDisabled, accountEnabled }: Row): State {
  if (isDisabled === null) return typeof accountEnabled === 'boolean' ? 'on' : 'unknown'
  return isDisabled === undefined ? 'unknown' : isDisabled ? 'off' : 'on'
}

/** Only null and `NotDisabled` are documented to mean on; a value nobody has seen yet means off. */
function vendorState({ disabledByMicrosoftStatus: status }: Row): State {
  if (status === undefined) return 'unknown'
  return status === null || status === 'NotDisabled' ? 'on' : 'off'
}

export function principalSwitches(each: Row): Switch[] {
  return [
    { name: 'identity', state: ofBoolean(each.accountEnabled), ours: true },
    { name: 'application', state: applicationState(each), ours: false },
    { name: 'vendor', state: vendorState(each), ours: false },
  ]
}

export const userSwitch = (each: Row): Switch => ({ name: 'user', state: ofBoolean(each.accountEnabled), ours: true })

/** Conjunction of the switches of an object that switches others: a blueprint principal or a parent identity. */
export function combined(switches: readonly Switch[]): State {
  const state = stateOf(switches)
  return state === 'enabled' ? 'on' : state === 'disabled' ? 'off' : 'unknown'
}

export function sightingOf(
  each: Row,
  kind: Kind | 'blueprint',
  switches: readonly Switch[],
  read: Pick<Sighting, 'byId' | 'begunAt'>,
): Sighting {
  const dependsOn = each.agentIdentityBlueprintId ?? each.identityParentId ?? undefined
  return {
    id: each.id,
    kind,
    state: stateOf(switches),
    switches,
    ...read,
    appId: each.appId ?? undefined,
    displayName: each.displayName ?? undefined,
    ...(dependsOn === undefined ? {} : { dependsOn }),
  }
}

export const notAnId = (id: string): BridgeError =>
  new BridgeError('E_PRINCIPAL_ID', `${JSON.stringify(id.slice(0, 64))} is not a directory object id`, {
    hint: 'use the object id, a GUID; names and app ids can change hands',
  })
