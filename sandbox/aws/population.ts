import type { Listener } from '../listener.ts'
import { LocalTenant } from '../local.ts'
import { managedDocuments } from './authorize.ts'
import type { Role, StoreUser } from './model.ts'
import { suspension } from './policies.ts'
import { deniesAll, parsePolicy } from './policy.ts'
import {
  addRole,
  attach,
  deleteInline,
  detach,
  type NewRole,
  putInline,
  setBoundary,
  setTrust,
  tag,
  tellOfRole,
} from './roles.ts'
import type { Actor } from './trail.ts'
import {
  addGroup,
  addUser,
  isMember,
  type NewStoreGroup,
  type NewStoreUser,
  removeUser,
  setMember,
  setUserEnabled,
} from './users.ts'
import type { Surface, World } from './world.ts'

/** The account everything belongs to that names no other. */
export const mainAccount = '111122223333'
/** The store of its instance of Identity Center. */
export const mainStore = 'd-1234567890'

export interface PrincipalState {
  readonly id: string
  readonly kind: 'iamRole' | 'identityCenterUser'
  /** False: something denies everything to the role, or the user may not sign in. */
  readonly enabled: boolean
  /** Of a role: what denies it everything, by name. */
  readonly deniedBy: readonly string[]
  readonly label: string
}

/** The user of IAM, by name, at the console; `system` for the directory itself. The administrator when absent. */
export interface By {
  readonly by?: string
}

/** The roles, users and groups of the accounts and what administrators do to them. */
export class Population extends LocalTenant<Surface> {
  readonly #world: World
  readonly admin = 'admin'

  constructor(world: World, listener: Listener) {
    super({ ...world, listener })
    this.#world = world
  }

  /** Its principal id, `<role ARN>#<role id>`. */
  addRole(options: NewRole = {}): string {
    return idOf(addRole(this.#world, options.accountId ?? mainAccount, options))
  }

  /** Its principal id, `<store id>/<user id>`. */
  addUser(options: NewStoreUser = {}): string {
    const store = this.#store(options.storeId)
    return `${store.id}/${addUser(this.#world, store, options).id}`
  }

  /** `members` by principal id. Returns the id of the group. */
  addGroup(options: NewStoreGroup = {}): string {
    const members = (options.members ?? []).map((member) => this.#user(member).id)
    return addGroup(this.#world, this.#store(options.storeId), { ...options, members }).id
  }

  addMember(groupId: string, userId: string, { by }: By = {}): void {
    this.#setMember(groupId, userId, true, by)
  }

  removeMember(groupId: string, userId: string, { by }: By = {}): void {
    this.#setMember(groupId, userId, false, by)
  }

  isMember(groupId: string, userId: string): boolean {
    return isMember(this.#world, groupId, this.#user(userId).id)
  }

  /** An inline policy, put at the console. */
  putPolicy(id: string, name: string, document: object, { by }: By = {}): void {
    const role = this.#role(id)
    const text = JSON.stringify(document)
    putInline(this.#world, role, name, text)
    this.#tell(role, 'PutRolePolicy', by, { policyName: name, policyDocument: text })
  }

  deletePolicy(id: string, name: string, { by }: By = {}): void {
    const role = this.#role(id)
    deleteInline(this.#world, role, name)
    this.#tell(role, 'DeleteRolePolicy', by, { policyName: name })
  }

  /** A managed policy by its ARN. */
  attachPolicy(id: string, policyArn: string, { by }: By = {}): void {
    const role = this.#role(id)
    attach(this.#world, role, policyArn)
    this.#tell(role, 'AttachRolePolicy', by, { policyArn })
  }

  detachPolicy(id: string, policyArn: string, { by }: By = {}): void {
    const role = this.#role(id)
    detach(this.#world, role, policyArn)
    this.#tell(role, 'DetachRolePolicy', by, { policyArn })
  }

  setTrust(id: string, document: object, { by }: By = {}): void {
    const role = this.#role(id)
    const text = JSON.stringify(document)
    setTrust(this.#world, role, text)
    this.#tell(role, 'UpdateAssumeRolePolicy', by, { policyDocument: text })
  }

  /** Undefined takes it away. */
  setBoundary(id: string, boundary: string | undefined, { by }: By = {}): void {
    const role = this.#role(id)
    setBoundary(this.#world, role, boundary)
    const name = boundary === undefined ? 'DeleteRolePermissionsBoundary' : 'PutRolePermissionsBoundary'
    this.#tell(role, name, by, boundary === undefined ? {} : { permissionsBoundary: boundary })
  }

  tagRole(id: string, tags: Readonly<Record<string, string>>, { by }: By = {}): void {
    const role = this.#role(id)
    const list = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
    tag(this.#world, role, list)
    this.#tell(role, 'TagRole', by, { tags: list.map(({ Key: key, Value: value }) => ({ key, value })) })
  }

  /** Deleted and made anew: the same ARN, another role id. Returns the new principal id. */
  recreateRole(id: string, { by }: By = {}): string {
    const role = this.#role(id)
    this.removeRole(id, by === undefined ? {} : { by })
    const made = addRole(this.#world, role.accountId, { name: role.name, path: role.path, replicating: true })
    this.#tell(made, 'CreateRole', by)
    return idOf(made)
  }

  removeRole(id: string, { by }: By = {}): void {
    const role = this.#role(id)
    this.#world.roles.remove(role.id)
    this.#tell(role, 'DeleteRole', by)
  }

  /** Whichever it is, deleted. */
  remove(id: string, options: By = {}): void {
    const user = this.#userAt(id)
    if (user === undefined) this.removeRole(id, options)
    else removeUser(this.#world, user, this.#console(user, 'DeleteUser', options.by))
  }

  /**
   * An administrator's doing, told as theirs: a user is switched, a role gets an unconditional denial of its own name or
   * loses everything that denies it all. What it is already it stays.
   */
  setEnabled(id: string, enabled: boolean, { by }: By = {}): void {
    const state = this.get(id)
    if (state === undefined) throw new Error(`there is no account ${id}`)
    if (state.enabled === enabled) return
    const user = this.#userAt(id)
    const options = by === undefined ? {} : { by }
    if (user !== undefined) {
      setUserEnabled(this.#world, user, enabled, this.#console(user, enabled ? 'EnableUser' : 'DisableUser', by))
    } else if (enabled) this.#clear(id, state.deniedBy, options)
    else this.putPolicy(id, 'AdminDenyAll', suspension.document, options)
  }

  #clear(id: string, denials: readonly string[], options: By): void {
    const { attached, boundary, inline } = this.#role(id)
    for (const name of denials) {
      if (inline.has(name)) this.deletePolicy(id, name, options)
      else if (attached.includes(name)) this.detachPolicy(id, name, options)
      else if (name === boundary) this.setBoundary(id, undefined, options)
    }
  }

  /** Puts or takes away, as a person, the very policy by which the bridge suspends; a user is switched. */
  setSwitch(id: string, on: boolean, options: By = {}): void {
    const role = this.role(id)
    if (role === undefined) this.setEnabled(id, on, options)
    else if (!role.inline.has(suspension.name) === on) return
    else if (on) this.deletePolicy(id, suspension.name, options)
    else this.putPolicy(id, suspension.name, suspension.document, options)
  }

  /** The documents of a role as they really are; undefined when there is none, or no longer. */
  role(id: string): Role | undefined {
    return this.#world.roles.current(id.slice(id.indexOf('#') + 1))
  }

  /** The true state, whatever readers see; undefined when there is none, or no longer. */
  get(id: string): PrincipalState | undefined {
    const user = this.#userAt(id)
    if (user !== undefined) {
      const label = user.userName
      return { id, kind: 'identityCenterUser', enabled: user.enabled, deniedBy: [], label }
    }
    const role = this.role(id)
    if (role === undefined) return undefined
    const deniedBy = this.#denials(role)
    return { id: idOf(role), kind: 'iamRole', enabled: deniedBy.length === 0, deniedBy, label: role.name }
  }

  /** The true state of every account there is. */
  accounts(): PrincipalState[] {
    const { roles, users } = this.#world
    const ids = [
      ...roles.everyCurrent().map(idOf),
      ...users.everyCurrent().map(({ id, storeId }) => `${storeId}/${id}`),
    ]
    return ids.flatMap((id) => this.get(id) ?? [])
  }

  #denials({ attached, boundary, inline }: Role): string[] {
    const denies = (text: string) => {
      const parsed = parsePolicy(text, 'identity')
      return typeof parsed !== 'string' && deniesAll(parsed)
    }
    const managed = [...attached, ...(boundary === undefined ? [] : [boundary])]
    const byManaged = managed.filter((arn) => managedDocuments(this.#world, [arn]).some(deniesAll))
    return [...[...inline].filter(([, text]) => denies(text)).map(([name]) => name), ...byManaged]
  }

  #setMember(groupId: string, userId: string, wanted: boolean, by: string | undefined): void {
    const group = this.#world.groups.current(groupId)
    if (group === undefined) throw new Error(`there is no group ${groupId}`)
    const actor = this.actor(this.#store(group.storeId).accountId, by)
    setMember(this.#world, group, this.#user(userId).id, { actor, isMember: wanted })
  }

  #console(user: StoreUser, name: string, by: string | undefined) {
    const { accountId, id } = this.#store(user.storeId)
    const request = { identityStoreId: id, userId: user.id }
    return { source: 'sso-directory.amazonaws.com', name, actor: this.actor(accountId, by), request }
  }

  #tell(role: Role, name: string, by: string | undefined, request: object = {}): void {
    tellOfRole(this.#world, role, name, this.actor(role.accountId, by), request)
  }

  /** How the trail names whoever is at the console. */
  protected actor(accountId: string, by = 'admin'): Actor {
    return by === 'system' ? { type: 'service', name: 'iam.amazonaws.com' } : { type: 'console', accountId, name: by }
  }

  #role(id: string): Role {
    const role = this.role(id)
    if (role === undefined) throw new Error(`there is no role ${id}`)
    return role
  }

  #userAt(id: string): StoreUser | undefined {
    return this.#world.users.current(id.slice(id.indexOf('/') + 1))
  }

  #user(id: string): StoreUser {
    const user = this.#userAt(id)
    if (user === undefined) throw new Error(`there is no user ${id}`)
    return user
  }

  #store(id = mainStore) {
    const store = this.#world.stores.get(id)
    if (store === undefined) throw new Error(`there is no identity store ${id}`)
    return store
  }
}

export function idOf({ arn, id }: Role): string {
  return `${arn}#${id}`
}
