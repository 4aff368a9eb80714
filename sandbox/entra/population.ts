import { randomUUID } from 'node:crypto'
import type { Listener } from '../listener.ts'
import { LocalTenant } from '../local.ts'
import {
  agentProperties,
  groupProperties,
  type NewAgentIdentity,
  type NewAgentUser,
  type NewGroup,
  type NewObject,
  type NewPrincipal,
  type NewUser,
  principalProperties,
  userProperties,
} from './additions.ts'
import type { RegisterApp } from './apps.ts'
import type { Actor } from './audit.ts'
import type { Row } from './directory.ts'
import { type Kind, models, type Properties } from './model.ts'
import type { World } from './world.ts'
import { writeCreated, writeMember, writeProperties, writePurged, writeRemoved, writeRestored } from './writes.ts'

export interface ObjectState {
  readonly id: string
  readonly kind: Kind
  readonly life: 'live' | 'deleted' | 'purged'
  readonly enabled: boolean
  readonly properties: Properties
}

/** Which administrator or app does something: an object id of a user, or an app id. */
export interface By {
  readonly by?: string
}

/** The objects of a tenant and what administrators do to them. */
export class Population extends LocalTenant {
  readonly #world: World
  /** Administrator in whose name changes are logged when no other actor is given. */
  readonly admin: string

  constructor(world: World, listener: Listener) {
    super({ ...world, listener })
    this.#world = world
    const named = { displayName: 'Global Admin', userPrincipalName: 'admin@contoso.onmicrosoft.com' }
    const row = world.directory.add(randomUUID(), 'user', userProperties('Admin', named), false)
    this.admin = row.id
  }

  /** Registers an application with its service principal. The secret is made up unless given. */
  registerApp(options: RegisterApp): { appId: string; servicePrincipalId: string; secret: string } {
    const appId = (options.appId ?? randomUUID()).toLowerCase()
    const existing = this.#world.directory.alias(appId)
    const row = existing ?? this.#add('servicePrincipal', undefined, principalProperties(options.name, appId), {})
    if (options.managedIdentity === true) this.#world.directory.write(row, { servicePrincipalType: 'ManagedIdentity' })
    const { secret } = this.#world.apps.register(options, appId, row)
    return { appId, servicePrincipalId: row.id, secret }
  }

  addServicePrincipal(options: NewPrincipal): string {
    const appId = options.appId ?? randomUUID()
    const row = this.#add(
      'servicePrincipal',
      options.id,
      principalProperties(options.displayName ?? 'App', appId),
      options,
    )
    row.owners = new Set(options.ownerIds ?? [])
    return row.id
  }

  /** A blueprint's principal in this tenant; returns its object id and the blueprint's app id. */
  addBlueprintPrincipal(options: NewPrincipal): { id: string; appId: string } {
    const appId = options.appId ?? randomUUID()
    const properties = principalProperties(options.displayName ?? 'Blueprint', appId)
    return { id: this.#add('blueprintPrincipal', options.id, properties, options).id, appId }
  }

  /** An agent identity: its app id is its object id. */
  addAgentIdentity(options: NewAgentIdentity): string {
    const id = options.id ?? randomUUID()
    const properties = agentProperties(id, options, this.#world.now())
    const row = this.#add('agentIdentity', id, properties, options)
    row.sponsors = options.sponsorIds ?? []
    return row.id
  }

  addUser(options: NewUser = {}): string {
    return this.#add('user', options.id, userProperties('User', options), options).id
  }

  /** The user account of an agent identity. */
  addAgentUser(options: NewAgentUser): string {
    const properties = { ...userProperties('Agent user', options), identityParentId: options.identityParentId }
    return this.#add('agentUser', options.id, properties, options).id
  }

  addGroup(options: NewGroup = {}): string {
    const row = this.#add('group', options.id, groupProperties(options, this.#world.now()), options)
    for (const member of options.members ?? []) this.addMember(row.id, member)
    return row.id
  }

  addMember(groupId: string, memberId: string, { by }: By = {}): void {
    writeMember(this.#world, this.#row(groupId), this.#row(memberId), true, this.actor(by))
  }

  removeMember(groupId: string, memberId: string, { by }: By = {}): void {
    writeMember(this.#world, this.#row(groupId), this.#row(memberId), false, this.actor(by))
  }

  /** Soft delete: restorable, found under `/directory/deletedItems`. */
  remove(id: string, { by }: By = {}): void {
    writeRemoved(this.#world, this.#row(id), this.actor(by))
  }

  /** Gone for good. */
  purge(id: string, { by }: By = {}): void {
    writePurged(this.#world, this.#row(id), this.actor(by))
  }

  restore(id: string, { by }: By = {}): void {
    writeRestored(this.#world, this.#row(id), this.actor(by))
  }

  /** An administrator's or another app's flip of the switch, logged as theirs. */
  setEnabled(id: string, enabled: boolean, { by }: By = {}): void {
    writeProperties(this.#world, this.#row(id), { accountEnabled: enabled }, this.actor(by))
  }

  /** Microsoft's own switch; `false` lifts it. */
  setDisabledByMicrosoft(id: string, disabled: boolean): void {
    const status = disabled ? 'DisabledDueToViolationOfServicesAgreement' : 'NotDisabled'
    const microsoft: Actor = { kind: 'app', appId: randomUUID(), servicePrincipalId: '', displayName: 'Microsoft' }
    writeProperties(this.#world, this.#row(id), { disabledByMicrosoftStatus: status }, microsoft)
  }

  /** The application owner's switch, effective in all tenants. */
  setIsDisabled(id: string, disabled: boolean, { by }: By = {}): void {
    writeProperties(this.#world, this.#row(id), { isDisabled: disabled }, this.actor(by))
  }

  /** Any other change of properties, by an administrator. */
  update(id: string, properties: Properties, { by }: By = {}): void {
    writeProperties(this.#world, this.#row(id), properties, this.actor(by))
  }

  /** The true state, whatever readers see; undefined when the id was never used. */
  get(id: string): ObjectState | undefined {
    const row = this.#world.directory.row(id)
    const state = row?.state.current
    if (row === undefined || state === undefined) return undefined
    const enabled = state.life === 'live' && state.properties.accountEnabled !== false
    return { id: row.id, kind: row.kind, life: state.life, enabled, properties: state.properties }
  }

  /** The true state of a direct membership, whatever readers see. */
  isMember(groupId: string, memberId: string): boolean {
    return this.#row(groupId).edgeByMember.get(this.#row(memberId).id)?.present.current === true
  }

  /** How the log names whoever has that object id or app id; the administrator when none is given. */
  actor(by: string = this.admin): Actor {
    const row = this.#world.directory.row(by)
    if (row !== undefined && models[row.kind].collection === 'users') {
      const upn = row.state.current?.properties.userPrincipalName
      return { kind: 'user', id: row.id, userPrincipalName: typeof upn === 'string' ? upn : '' }
    }
    const appId = row?.state.current?.properties.appId
    return this.#world.apps.actor(typeof appId === 'string' ? appId : by)
  }

  #add(kind: Kind, id: string | undefined, properties: Properties, options: NewObject): Row {
    const enabled = options.enabled === undefined ? {} : { accountEnabled: options.enabled }
    const all = { ...properties, ...enabled, ...options.properties }
    const row = this.#world.directory.add(id ?? randomUUID(), kind, all, options.replicating === true)
    row.isProtected = options.protected === true
    writeCreated(this.#world, row, this.actor())
    return row
  }

  #row(id: string): Row {
    const row = this.#world.directory.row(id)
    if (row === undefined) throw new Error(`there is no object ${id}`)
    return row
  }
}
