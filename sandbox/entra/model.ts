/** What each kind of directory object is called, shows by default, can show, and lets a caller write. */
export type Kind = 'servicePrincipal' | 'agentIdentity' | 'blueprintPrincipal' | 'user' | 'agentUser' | 'group'
export type Collection = 'servicePrincipals' | 'users' | 'groups'
export type Properties = Readonly<Record<string, unknown>>

export interface KindModel {
  readonly type: string
  readonly collection: Collection
  /** Derived types carry `@odata.type` wherever their base type is expected. */
  readonly derived: boolean
  readonly defaults: readonly string[]
  readonly selectable: ReadonlySet<string>
  readonly writable: ReadonlySet<string>
}

const principalDefaults = [
  'id',
  'deletedDateTime',
  'accountEnabled',
  'alternativeNames',
  'appDisplayName',
  'appId',
  'appOwnerOrganizationId',
  'appRoleAssignmentRequired',
  'appRoles',
  'createdByAppId',
  'description',
  'disabledByMicrosoftStatus',
  'displayName',
  'homepage',
  'notes',
  'servicePrincipalNames',
  'servicePrincipalType',
  'signInAudience',
  'tags',
]
const principalExtras = ['isDisabled', 'customSecurityAttributes', 'replyUrls', 'keyCredentials', 'passwordCredentials']
const agentDefaults = [
  'id',
  'deletedDateTime',
  'accountEnabled',
  'disabledByMicrosoftStatus',
  'displayName',
  'agentIdentityBlueprintId',
  'createdByAppId',
  'createdDateTime',
  'servicePrincipalType',
  'tags',
]
// Graph's own default for users: accountEnabled is not among them.
const userDefaults = [
  'id',
  'businessPhones',
  'displayName',
  'givenName',
  'jobTitle',
  'mail',
  'mobilePhone',
  'officeLocation',
  'preferredLanguage',
  'surname',
  'userPrincipalName',
]
const userExtras = [
  'accountEnabled',
  'createdDateTime',
  'deletedDateTime',
  'department',
  'employeeId',
  'identityParentId',
  'mailNickname',
  'signInSessionsValidFromDateTime',
  'usageLocation',
  'userType',
]
const groupDefaults = [
  'id',
  'deletedDateTime',
  'classification',
  'createdDateTime',
  'description',
  'displayName',
  'groupTypes',
  'isAssignableToRole',
  'mail',
  'mailEnabled',
  'mailNickname',
  'membershipRule',
  'securityEnabled',
  'visibility',
]

function model(
  name: string,
  collection: Collection,
  derived: boolean,
  defaults: readonly string[],
  extras: readonly string[],
  writable: readonly string[],
): KindModel {
  return {
    type: `microsoft.graph.${name}`,
    collection,
    derived,
    defaults,
    selectable: new Set([...defaults, ...extras]),
    writable: new Set(writable),
  }
}

const principalWritable = ['accountEnabled', 'displayName', 'description', 'notes', 'tags', 'appRoleAssignmentRequired']
const userWritable = ['accountEnabled', 'displayName', 'department', 'jobTitle', 'usageLocation']
const agentExtras = [...principalDefaults, ...principalExtras]

export const models: Readonly<Record<Kind, KindModel>> = {
  servicePrincipal: model(
    'servicePrincipal',
    'servicePrincipals',
    false,
    principalDefaults,
    principalExtras,
    principalWritable,
  ),
  agentIdentity: model('agentIdentity', 'servicePrincipals', true, agentDefaults, agentExtras, [
    'accountEnabled',
    'displayName',
    'tags',
  ]),
  blueprintPrincipal: model(
    'agentIdentityBlueprintPrincipal',
    'servicePrincipals',
    true,
    principalDefaults,
    principalExtras,
    ['accountEnabled', 'displayName', 'tags'],
  ),
  user: model('user', 'users', false, userDefaults, userExtras, userWritable),
  agentUser: model('agentUser', 'users', true, userDefaults, userExtras, userWritable),
  group: model('group', 'groups', false, groupDefaults, [], ['displayName', 'description']),
}

/** The kind a collection answers with when no cast is asked for; its derived kinds come along. */
export const baseKind: Readonly<Record<Collection, Kind>> = {
  servicePrincipals: 'servicePrincipal',
  users: 'user',
  groups: 'group',
}

/** `microsoft.graph.agentIdentity`, or its alias `graph.agentIdentity`, in a path. */
export function castKind(segment: string | undefined): Kind | undefined {
  if (segment === undefined) return undefined
  const name = segment.startsWith('graph.') ? `microsoft.${segment}` : segment
  for (const [kind, entry] of entries) if (entry.type === name) return kind
  return undefined
}

/** Is an object of `kind` also one of `wanted`? */
export function isKind(kind: Kind, wanted: Kind): boolean {
  return kind === wanted || (!models[wanted].derived && models[kind].collection === models[wanted].collection)
}

const kinds: readonly Kind[] = ['servicePrincipal', 'agentIdentity', 'blueprintPrincipal', 'user', 'agentUser', 'group']
const entries: readonly (readonly [Kind, KindModel])[] = kinds.map((kind) => [kind, models[kind]])
