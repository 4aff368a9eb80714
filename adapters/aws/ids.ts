import type { PrincipalRef } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'

/** IAM roles, and users of IAM Identity Center. */
export const kinds = ['iamRole', 'identityCenterUser'] as const
export type Kind = (typeof kinds)[number]

export const accountId: RegExp = /^\d{12}$/
export const storeId: RegExp = /^(d-[0-9a-f]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/
/** Users and groups of an identity store. */
export const resourceId: RegExp = /^([0-9a-f]{10}-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** A role: its path as it is, without `#`, which divides the two halves of an id. */
export const roleArn: RegExp =
  /^arn:(aws|aws-cn|aws-us-gov):iam::(\d{12}):role(\/(?:[\x21\x22\x24-\x7e]{1,510}\/)?)([\w+=,.@-]{1,64})$/
const roleId = /^AROA[A-Z0-9]{4,28}$/

/** A role as its id names it: the ARN can be used again by a role created later, the RoleId cannot (IAM identifiers, read 2026-11). */
export interface Role {
  readonly arn: string
  readonly account: string
  readonly path: string
  readonly name: string
  readonly roleId: string
}

export interface User {
  readonly store: string
  readonly userId: string
}

/** What an ARN says; undefined when it is not that of a role. */
export function partsOf(arn: string): Omit<Role, 'roleId'> | undefined {
  const [, , account, path, name] = roleArn.exec(arn) ?? []
  return account === undefined || path === undefined || name === undefined ? undefined : { arn, account, path, name }
}

export function roleOf(id: string): Role | undefined {
  const at = id.lastIndexOf('#')
  const parts = at < 0 ? undefined : partsOf(id.slice(0, at))
  const own = id.slice(at + 1)
  return parts && roleId.test(own) ? { ...parts, roleId: own } : undefined
}

export const idOfRole = (arn: string, own: string): string => `${arn}#${own}`

export function userOf(id: string): User | undefined {
  const [store = '', userId = '', ...more] = id.split('/')
  return storeId.test(store) && resourceId.test(userId) && more.length === 0 ? { store, userId } : undefined
}

export const idOfUser = ({ store, userId }: User): string => `${store}/${userId}`

export const kindOfId = (id: string): Kind | undefined =>
  roleOf(id) ? 'iamRole' : userOf(id) ? 'identityCenterUser' : undefined

/**
 * The name under which events speak of a role: they tell neither its path nor its RoleId. Names differ in more than
 * case within one account (IAM quotas, read 2026-11).
 */
export const roleObject = (account: string, name: string): string => `role:${account}/${name.toLowerCase()}`

const SERVICE_LINKED = '/aws-service-role/'
const PERMISSION_SET = '/aws-reserved/sso.amazonaws.com/'

/** Made by Identity Center, which alone lets users into it. */
export const isOfPermissionSet = ({ path }: Pick<Role, 'path'>): boolean => path.startsWith(PERMISSION_SET)

/** Roles that IAM lets nobody change. What can be done instead depends on who made them. */
export function unswitchable({ path, name }: Pick<Role, 'path' | 'name'>): BridgeError | undefined {
  if (path.startsWith(SERVICE_LINKED)) {
    return new BridgeError('E_NOT_SWITCHABLE', `${name} is a service-linked role, which nobody can suspend`, {
      hint: 'suspend the agent at the service that the role belongs to, or give the agent a role of its own',
    })
  }
  if (path.startsWith('/aws-reserved/')) {
    const why = isOfPermissionSet({ path }) ? 'a permission set of Identity Center' : 'AWS'
    return new BridgeError('E_NOT_SWITCHABLE', `${name} belongs to ${why}, and nobody can suspend it in IAM`, {
      hint: 'register the Identity Center user instead (kind identityCenterUser): the role is shared by all who are assigned to it',
    })
  }
  return undefined
}

export interface Known {
  readonly accounts: ReadonlySet<string>
  readonly store: string | undefined
}

/** Why no account of this kind can have this id. */
export function idFault({ id, kind }: PrincipalRef, { accounts, store }: Known): BridgeError | undefined {
  const quoted = JSON.stringify(id.slice(0, 200))
  const role = roleOf(id)
  const user = userOf(id)
  if (!role && !user) {
    return new BridgeError('E_PRINCIPAL_ID', `${quoted} is not the id of an IAM role or an Identity Center user`, {
      hint: 'write <role ARN>#<RoleId>, such as arn:aws:iam::111122223333:role/agents/a#AROAEXAMPLE, or <identity store id>/<user id>',
    })
  }
  const own = role ? 'iamRole' : 'identityCenterUser'
  if (kinds.some((each) => each === kind) && kind !== own) {
    return new BridgeError('E_PRINCIPAL_ID', `${quoted} is not the id of an account of kind ${kind}`, {
      hint: `register it with the kind ${own}`,
    })
  }
  if (role && !accounts.has(role.account)) {
    return new BridgeError('E_PRINCIPAL_ID', `${quoted} is of an AWS account that is not configured`, {
      hint: `add ${role.account} to accounts of the adapter`,
    })
  }
  if (user && user.store !== store) {
    return new BridgeError('E_PRINCIPAL_ID', `${quoted} is of an identity store that is not configured`, {
      hint: 'set identityCenter.identityStoreId of the adapter',
    })
  }
  return role && unswitchable(role)
}
