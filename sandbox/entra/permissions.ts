import type { Row } from './directory.ts'
import type { Kind } from './model.ts'
import { type Caller, denied } from './wire.ts'

const readAgents = ['AgentIdentity.Read.All', 'AgentIdentity.ReadWrite.All']
const readBlueprints = ['AgentIdentityBlueprintPrincipal.Read.All', 'AgentIdentityBlueprintPrincipal.ReadWrite.All']
const readApplications = ['Application.Read.All', 'Application.ReadWrite.All', 'Directory.Read.All']
const readUsers = ['User.Read.All', 'User.ReadWrite.All', 'Directory.Read.All']
const readMembers = ['GroupMember.Read.All', 'Group.Read.All', 'Directory.Read.All']

/** Application permissions, any one of which suffices: the least-privilege table of Microsoft's reference, 2026-11. */
export const permissions = {
  readServicePrincipals: readApplications,
  readAgentIdentities: readAgents,
  readBlueprintPrincipals: readBlueprints,
  readUsers,
  readAgentUsers: [...readUsers, 'AgentIdUser.ReadWrite.All'],
  readGroups: [...readMembers, 'GroupMember.ReadBasic.All'],
  principalDelta: readApplications,
  userDelta: readUsers,
  groupDelta: [...readMembers, 'Group.ReadBasic.All'],
  groupDeltaMembers: readMembers,
  memberships: readApplications,
  userMemberships: [...readUsers, 'GroupMember.Read.All'],
  groupMemberships: readMembers,
  sponsors: readApplications,
  revokeSessions: ['User.RevokeSessions.All'],
  auditLogs: ['AuditLog.Read.All'],
  conditionalAccess: ['Policy.Read.All'],
  watchGroups: ['Group.Read.All', 'Directory.Read.All'],
} as const satisfies Record<string, readonly string[]>

/** Graph's app roles, as its own service principal lists them. */
export const graphAppRoles: readonly string[] = [
  ...new Set([
    ...Object.values(permissions).flat(),
    'AgentIdentity.EnableDisable.All',
    'AgentIdentityBlueprintPrincipal.EnableDisable.All',
    'AgentIdUser.ReadWrite.IdentityParentedBy',
    'Application.ReadWrite.OwnedBy',
    'User.EnableDisableAccount.All',
  ]),
]

export function requireAny(caller: Caller, roles: readonly string[]): void {
  if (!allows(caller, roles)) throw denied()
}

export function allows(caller: Caller, roles: readonly string[]): boolean {
  return roles.some((role) => caller.roles.has(role))
}

/** May the caller see this kind at all, say as a member of a group? Otherwise it gets the id and nulls. */
export function maySee(caller: Caller, kind: Kind): boolean {
  if (kind === 'group') return allows(caller, permissions.readGroups)
  if (kind === 'user') return allows(caller, permissions.readUsers)
  if (kind === 'agentUser') return allows(caller, permissions.readAgentUsers)
  if (allows(caller, permissions.readServicePrincipals)) return true
  return (
    (kind === 'agentIdentity' && allows(caller, readAgents)) ||
    (kind === 'blueprintPrincipal' && allows(caller, readBlueprints))
  )
}

/** Reading through the collection, or through a cast path that has narrower permissions. */
export function requireRead(caller: Caller, asked: Kind, row?: Row): void {
  if (asked === 'agentIdentity') requireAny(caller, readAgents)
  else if (asked === 'blueprintPrincipal') requireAny(caller, readBlueprints)
  else if (asked === 'servicePrincipal') {
    const owned = row?.owners.has(caller.oid) === true && caller.roles.has('Application.ReadWrite.OwnedBy')
    if (!owned) requireAny(caller, readApplications)
  } else if (asked === 'group') requireAny(caller, permissions.readGroups)
  else requireAny(caller, row?.kind === 'agentUser' || asked === 'agentUser' ? permissions.readAgentUsers : readUsers)
}

/** Writing: the narrow enable-disable permissions cover that one property and, for agents, only the cast path. */
export function requireWrite(caller: Caller, asked: Kind, row: Row, names: readonly string[]): void {
  const onlySwitch = names.every((name) => name === 'accountEnabled')
  if (row.isProtected || !mayWrite(caller, asked, row, onlySwitch)) throw denied()
}

function mayWrite(caller: Caller, asked: Kind, row: Row, onlySwitch: boolean): boolean {
  const has = (role: string) => caller.roles.has(role)
  switch (asked) {
    case 'agentIdentity':
      return has('AgentIdentity.ReadWrite.All') || (onlySwitch && has('AgentIdentity.EnableDisable.All'))
    case 'blueprintPrincipal':
      return (
        has('AgentIdentityBlueprintPrincipal.ReadWrite.All') ||
        (onlySwitch && has('AgentIdentityBlueprintPrincipal.EnableDisable.All'))
      )
    case 'servicePrincipal':
      return has('Application.ReadWrite.All') || (has('Application.ReadWrite.OwnedBy') && row.owners.has(caller.oid))
    case 'user':
    case 'agentUser':
      if (row.kind === 'agentUser' && has('AgentIdUser.ReadWrite.All')) return true
      if (has('User.ReadWrite.All')) return true
      return onlySwitch && has('User.EnableDisableAccount.All') && allows(caller, readUsers)
    case 'group':
      return has('Group.ReadWrite.All')
  }
}
