import type { JWK } from 'jose'
import type { Listener } from '../listener.ts'
import { LocalTenant } from '../local.ts'
import { type Actor, type Origin, system } from './actors.ts'
import {
  type NewAgent,
  type NewApp,
  type NewGroup,
  type NewUser,
  newAgent,
  newApp,
  newGroup,
  newKey,
  newUser,
} from './additions.ts'
import { switchAgent, tellOfAgent } from './agents.ts'
import { appTarget, switchApp } from './apps.ts'
import { groupTarget, setMember } from './groups.ts'
import { oktaId, requestId } from './ids.ts'
import type { App, User, UserStatus } from './model.ts'
import type { Rights, StandardRole } from './rights.ts'
import { change, deleteUser, lifecycle, userTarget, type Verb } from './users.ts'
import type { Surface, World } from './world.ts'

export interface PrincipalState {
  readonly id: string
  readonly kind: 'user' | 'serviceApp' | 'aiAgent'
  readonly status: string
  readonly enabled: boolean
  readonly label: string
}

/** Who does something: a user id, a client id, or `system` for the directory itself. The administrator when absent. */
export interface By {
  readonly by?: string
}

/** The accounts of an org and what administrators do to them. */
export class Population extends LocalTenant<Surface> {
  readonly #world: World
  /** Super administrator in whose name changes are logged when no other actor is given. */
  readonly admin: string
  /** The built-in group that has all users. */
  readonly everyone: string

  constructor(world: World, listener: Listener) {
    super({ ...world, listener })
    this.#world = world
    this.everyone = world.groups.add(newGroup({ name: 'Everyone' }, 'BUILT_IN', world.now())).id
    this.admin = this.addUser({ login: 'admin@contoso.example', firstName: 'Org', lastName: 'Admin' })
    this.setRights(this.admin, { roles: ['SUPER_ADMIN'] })
    this.addApp({ label: 'Okta Admin Console', name: 'saasure', signOnMode: 'BOOKMARK' })
  }

  addUser(options: NewUser = {}): string {
    return this.#world.users.add(newUser(options, this.#world.now())).id
  }

  addApp(options: NewApp = {}): string {
    const { id } = this.#world.apps.add(newApp(options, this.#world.now()))
    if (options.roles !== undefined || options.permissions !== undefined) this.setRights(id, options)
    return id
  }

  addAgent(options: NewAgent = {}): string {
    return this.#world.agents.add(newAgent(options, this.#world.now(), this.admin)).id
  }

  setOwners(agentId: string, ownerIds: readonly string[]): void {
    const agent = this.#world.agents.current(agentId)
    if (agent === undefined) throw new Error(`there is no AI agent ${agentId}`)
    this.#world.agents.set({ ...agent, ownerIds })
  }

  addGroup(options: NewGroup = {}): string {
    const group = this.#world.groups.add(newGroup(options, options.type ?? 'OKTA_GROUP', this.#world.now()))
    this.#world.members.start(group.id, options.members ?? [])
    return group.id
  }

  addMember(groupId: string, userId: string, { by }: By = {}): void {
    setMember(this.#world, groupId, userId, true, this.console(`/admin/group/${groupId}`, by), { imported: true })
  }

  removeMember(groupId: string, userId: string, { by }: By = {}): void {
    setMember(this.#world, groupId, userId, false, this.console(`/admin/group/${groupId}`, by), { imported: true })
  }

  renameGroup(groupId: string, name: string): void {
    const group = this.#world.groups.current(groupId)
    if (group === undefined) throw new Error(`there is no group ${groupId}`)
    this.#world.groups.set({ ...group, name, lastUpdated: this.#world.now() })
    const targets = [groupTarget({ ...group, name })]
    this.#world.log.write({ eventType: 'group.profile.update', targets }, this.console('/admin/groups'))
  }

  removeGroup(groupId: string, { by }: By = {}): void {
    const group = this.#world.groups.current(groupId)
    if (group === undefined) throw new Error(`there is no group ${groupId}`)
    this.#world.groups.remove(groupId)
    const targets = [groupTarget(group)]
    this.#world.log.write({ eventType: 'group.lifecycle.delete', targets }, this.console('/admin/groups', by))
  }

  /** A lifecycle action in the admin console: the API's preconditions hold there too. */
  act(userId: string, verb: Verb, { by }: By = {}): void {
    lifecycle(this.#world, userId, verb, this.console(`/admin/user/${verb}/${userId}`, by))
  }

  /** Attributes of the profile are changed; the status is not touched. */
  updateProfile(userId: string, profile: Readonly<Record<string, unknown>>, { by }: By = {}): void {
    const user = this.#user(userId)
    this.#world.users.set({ ...user, profile: { ...user.profile, ...profile }, lastUpdated: this.#world.now() })
    const draft = { eventType: 'user.account.update_profile' as const, targets: [userTarget(user)] }
    this.#world.log.write(draft, this.console(`/admin/user/profile/${userId}`, by))
  }

  /** Too many failed sign-ins. */
  lockOut(userId: string): void {
    this.#force(userId, 'LOCKED_OUT', 'user.account.lock', 'system')
  }

  expirePassword(userId: string, { by }: By = {}): void {
    this.#force(userId, 'PASSWORD_EXPIRED', 'user.account.expire_password', by)
  }

  resetPassword(userId: string, { by }: By = {}): void {
    this.#force(userId, 'RECOVERY', 'user.account.reset_password', by)
  }

  /** Signs the user in, which only an active one can: returns a session's id. */
  signIn(userId: string): string {
    const user = this.#user(userId)
    if (user.status !== 'ACTIVE') throw new Error(`${userId} is ${user.status} and cannot sign in`)
    const session = oktaId('trs')
    const sessions = this.#world.sessions.get(userId) ?? new Set()
    this.#world.sessions.set(userId, sessions.add(session))
    this.#world.users.set({ ...user, lastLogin: this.#world.now() })
    const { alternateId, displayName, id } = userTarget(user)
    const origin = { ...this.console('/api/v1/authn'), actor: { id, type: 'User' as const, alternateId, displayName } }
    this.#world.log.write({ eventType: 'user.session.start', targets: [userTarget(user)] }, origin)
    return session
  }

  sessionsOf(userId: string): number {
    return this.#world.sessions.get(userId)?.size ?? 0
  }

  /** Deactivated, if it is not yet, and deleted. */
  removeUser(userId: string, { by }: By = {}): void {
    const origin = () => this.console(`/admin/user/delete/${userId}`, by)
    if (this.#user(userId).status !== 'DEPROVISIONED') deleteUser(this.#world, userId, origin())
    deleteUser(this.#world, userId, origin())
  }

  removeApp(appId: string, { by }: By = {}): void {
    const app = this.#world.apps.current(appId)
    if (app === undefined) throw new Error(`there is no app ${appId}`)
    this.#world.apps.remove(appId)
    const targets = [appTarget(app)]
    this.#world.log.write({ eventType: 'application.lifecycle.delete', targets }, this.console('/admin', by))
  }

  removeAgent(agentId: string, { by }: By = {}): void {
    const agent = this.#world.agents.current(agentId)
    if (agent === undefined) throw new Error(`there is no AI agent ${agentId}`)
    this.#world.agents.remove(agentId)
    tellOfAgent(this.#world, agent, 'delete', this.console('/admin/ai-agents', by))
  }

  /** An administrator's or another app's flip of the switch, logged as theirs. What it is already it stays. */
  setEnabled(id: string, enabled: boolean, { by }: By = {}): void {
    const state = this.get(id)
    if (state === undefined) throw new Error(`there is no account ${id}`)
    if (state.enabled === enabled) return
    const status = enabled ? 'ACTIVE' : 'INACTIVE'
    const origin = this.console('/admin', by)
    if (state.kind === 'user') lifecycle(this.#world, id, enabled ? 'unsuspend' : 'suspend', origin)
    else if (state.kind === 'serviceApp') switchApp(this.#world, id, status, origin)
    else {
      const why = switchAgent(this.#world, id, status, origin)
      if (why !== undefined) throw new Error(why.message)
    }
  }

  /** Whichever it is, deleted. */
  remove(id: string, options: By = {}): void {
    const kind = this.get(id)?.kind
    if (kind === 'user') this.removeUser(id, options)
    else if (kind === 'serviceApp') this.removeApp(id, options)
    else this.removeAgent(id, options)
  }

  /** The true state, whatever readers see; undefined when there is none, or no longer. */
  get(id: string): PrincipalState | undefined {
    const user = this.#world.users.current(id)
    if (user !== undefined) return state(user.id, 'user', user.status, user.profile.login)
    const app = this.#world.apps.current(id)
    if (app !== undefined) return state(app.id, 'serviceApp', app.status, app.label)
    const agent = this.#world.agents.current(id)
    return agent === undefined ? undefined : state(agent.id, 'aiAgent', agent.status, agent.name)
  }

  /** The true state of every account there is. */
  accounts(): PrincipalState[] {
    const { agents, apps, users } = this.#world
    const ids = [...users.everyCurrent(), ...apps.everyCurrent(), ...agents.everyCurrent()]
    return ids.flatMap(({ id }) => this.get(id) ?? [])
  }

  isMember(groupId: string, userId: string): boolean {
    return this.#world.members.isMember(groupId, userId)
  }

  /** Admin roles of a user or a service app; they count from the next call on, whatever its tokens say. */
  setRights(
    principal: string,
    { permissions = [], roles = [] }: { roles?: readonly StandardRole[]; permissions?: readonly string[] },
  ): void {
    const rights: Rights = { roles: new Set(roles), permissions: new Set(permissions) }
    this.#world.rights.set(principal, rights)
  }

  /** Scopes of the org server granted to an app; they show in tokens issued from now on. */
  setScopes(appId: string, scopes: readonly string[]): void {
    this.#world.apps.set({ ...this.#app(appId), granted: new Set(scopes) })
  }

  addKey(appId: string, jwk: JWK): string {
    const app = this.#app(appId)
    const key = newKey(jwk, this.#world.now())
    this.#world.apps.set({ ...app, keys: [...app.keys, key] })
    return key.id
  }

  /** How the log names whoever has that id. */
  actor(by: string = this.admin): Actor {
    if (by === 'system') return system
    const user = this.#world.users.current(by)
    if (user !== undefined) {
      const { alternateId, displayName } = userTarget(user)
      return { id: by, type: 'User', alternateId, displayName }
    }
    const label = this.#world.apps.current(by)?.label ?? by
    return { id: by, type: 'PublicClientApp', alternateId: by, displayName: label }
  }

  /** As if it came from the admin console. */
  protected console(requestUri: string, by?: string): Origin {
    const actor = this.actor(by)
    const clientId = actor.type === 'PublicClientApp' ? actor.id : undefined
    const through = { requestId: requestId(), requestUri, userAgent: 'Mozilla/5.0', clientId, apiTokenId: undefined }
    return { actor, through }
  }

  #force(userId: string, status: UserStatus, event: Parameters<typeof change>[3], by: string | undefined): void {
    const user = this.#user(userId)
    if (user.status !== 'ACTIVE') throw new Error(`${userId} is ${user.status}`)
    change(this.#world, user, status, event, this.console(`/admin/user/${userId}`, by))
  }

  #user(id: string): User {
    const user = this.#world.users.current(id)
    if (user === undefined) throw new Error(`there is no user ${id}`)
    return user
  }

  #app(id: string): App {
    const app = this.#world.apps.current(id)
    if (app === undefined) throw new Error(`there is no app ${id}`)
    return app
  }
}

/** What may not act by itself: every status that lets nobody sign in. */
function state(id: string, kind: PrincipalState['kind'], status: string, label: string): PrincipalState {
  return { id, kind, status, enabled: status === 'ACTIVE', label }
}
