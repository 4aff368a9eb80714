import { Refusal } from './errors.ts'
import type { Caller } from './wire.ts'

/** Standard admin roles the sandbox knows; a custom role is a list of permissions. */
export type StandardRole = 'SUPER_ADMIN' | 'ORG_ADMIN' | 'APP_ADMIN' | 'READ_ONLY_ADMIN' | 'REPORT_ADMIN'

/** What a principal may do, apart from scopes: roles may be changed while its tokens live. */
export interface Rights {
  readonly roles: ReadonlySet<StandardRole>
  /** Of its custom roles together. */
  readonly permissions: ReadonlySet<string>
}

const reads = ['okta.users.read', 'okta.groups.read', 'okta.apps.read']
const users = ['okta.users.read', 'okta.users.manage']
const groups = ['okta.groups.read', 'okta.groups.manage']
const apps = ['okta.apps.read', 'okta.apps.manage']

/** The System Log needs a standard role: none of the permissions of custom roles that are documented grants it. */
const logs = 'system log'

const granted: Readonly<Record<Exclude<StandardRole, 'SUPER_ADMIN'>, readonly string[]>> = {
  ORG_ADMIN: [...users, ...groups, 'okta.eventhooks.manage', 'okta.apps.read', logs],
  APP_ADMIN: [...apps, 'okta.users.read', 'okta.groups.read'],
  READ_ONLY_ADMIN: [...reads, 'okta.eventhooks.read', logs],
  REPORT_ADMIN: [logs],
}

/** A permission that comes with a wider one. */
const wider: Readonly<Record<string, readonly string[]>> = {
  'okta.users.read': ['okta.users.manage'],
  'okta.users.lifecycle.suspend': ['okta.users.lifecycle.manage', 'okta.users.manage'],
  'okta.users.lifecycle.unsuspend': ['okta.users.lifecycle.manage', 'okta.users.manage'],
  'okta.users.lifecycle.activate': ['okta.users.lifecycle.manage', 'okta.users.manage'],
  'okta.users.lifecycle.deactivate': ['okta.users.lifecycle.manage', 'okta.users.manage'],
  'okta.users.lifecycle.delete': ['okta.users.lifecycle.manage', 'okta.users.manage'],
  'okta.users.lifecycle.unlock': ['okta.users.lifecycle.manage', 'okta.users.manage'],
  'okta.users.lifecycle.clearSessions': ['okta.users.lifecycle.manage', 'okta.users.manage'],
  'okta.groups.read': ['okta.groups.manage'],
  'okta.groups.members.manage': ['okta.groups.manage'],
  'okta.apps.read': ['okta.apps.manage'],
  'okta.apps.clientCredentials.manage': ['okta.apps.manage'],
  'okta.eventhooks.read': ['okta.eventhooks.manage'],
}

/** What an endpoint asks of its caller: a scope of the token and a right of the principal. */
export interface Needs {
  readonly scope: string
  readonly right: string
}

export const superAdmin = 'super admin'
export const systemLog = logs

/** Refuses with 403 what the token's scopes or the principal's roles do not allow: both must. */
export function authorize(caller: Caller, { scope, right }: Needs): void {
  if (caller.scopes !== undefined && !caller.scopes.has(scope)) {
    const challenge = `Bearer error="insufficient_scope", error_description="The access token provided does not contain the required scopes.", resource="${scope}"`
    throw new Refusal('E0000006', { headers: { 'WWW-Authenticate': challenge } })
  }
  if (!holds(caller.rights, right)) throw new Refusal('E0000006')
}

function holds({ permissions, roles }: Rights, right: string): boolean {
  if (roles.has('SUPER_ADMIN')) return true
  const enough = [right, ...(wider[right] ?? [])]
  if (right !== logs && right !== superAdmin && enough.some((each) => permissions.has(each))) return true
  return [...roles].some((role) => role !== 'SUPER_ADMIN' && granted[role].some((each) => enough.includes(each)))
}
