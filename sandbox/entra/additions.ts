import { randomUUID } from 'node:crypto'
import type { Properties } from './model.ts'

/** What a new object of each kind starts with. */

export interface NewObject {
  readonly id?: string
  readonly displayName?: string
  readonly enabled?: boolean
  /** Not visible to readers until `staleMs` has passed, as a freshly created object is; otherwise at once. */
  readonly replicating?: boolean
  /** A privileged account: writes by application permissions are refused. */
  readonly protected?: boolean
  /** Further properties, as Graph names them. */
  readonly properties?: Properties
}

export interface NewPrincipal extends NewObject {
  readonly appId?: string
  readonly ownerIds?: readonly string[]
}

export interface NewAgentIdentity extends NewObject {
  readonly displayName: string
  readonly blueprintAppId: string
  readonly sponsorIds?: readonly string[]
}

export interface NewUser extends NewObject {
  readonly userPrincipalName?: string
}

export interface NewAgentUser extends NewUser {
  readonly identityParentId: string
}

export interface NewGroup extends NewObject {
  readonly members?: readonly string[]
}

export function principalProperties(displayName: string, appId: string): Properties {
  return {
    accountEnabled: true,
    appDisplayName: displayName,
    appId,
    appRoleAssignmentRequired: false,
    disabledByMicrosoftStatus: null,
    displayName,
    isDisabled: null,
    servicePrincipalNames: [appId],
    servicePrincipalType: 'Application',
    signInAudience: 'AzureADMyOrg',
    tags: [],
  }
}

export function userProperties(fallback: string, options: NewUser): Properties {
  const displayName = options.displayName ?? fallback
  const tail = `${randomUUID().slice(0, 6)}@contoso.onmicrosoft.com`
  const userPrincipalName = options.userPrincipalName ?? `${slug(displayName)}-${tail}`
  return {
    accountEnabled: true,
    displayName,
    mail: userPrincipalName,
    mailNickname: userPrincipalName.split('@')[0],
    userPrincipalName,
    userType: 'Member',
  }
}

export function agentProperties(id: string, options: NewAgentIdentity, now: number): Properties {
  return {
    accountEnabled: true,
    appId: id,
    agentIdentityBlueprintId: options.blueprintAppId,
    createdByAppId: options.blueprintAppId,
    createdDateTime: new Date(now).toISOString(),
    disabledByMicrosoftStatus: null,
    displayName: options.displayName,
    servicePrincipalNames: [id],
    servicePrincipalType: 'ServiceIdentity',
    tags: [],
  }
}

export function groupProperties(options: NewGroup, now: number): Properties {
  const displayName = options.displayName ?? 'Group'
  return {
    createdDateTime: new Date(now).toISOString(),
    description: null,
    displayName,
    groupTypes: [],
    mailEnabled: false,
    mailNickname: slug(displayName),
    securityEnabled: true,
    visibility: null,
  }
}

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
}
