import { randomUUID } from 'node:crypto'
import type { Actor, AuditTarget, ModifiedProperty } from './audit.ts'
import type { Row } from './directory.ts'
import { models, type Properties } from './model.ts'
import type { World } from './world.ts'

/** Every change of the tenant passes here: state, audit record and notification are written together. */

type Writing = Pick<World, 'directory' | 'audit' | 'eventGrid' | 'subscriptions'>

/** Property write, by Graph or by an administrator. A write that changes nothing is logged without modified properties. */
export function writeProperties(world: Writing, row: Row, patch: Properties, actor: Actor): string[] {
  const before = row.state.current?.properties ?? {}
  const changed = world.directory.write(row, patch)
  const modified = changed.map((name) => ({
    displayName: `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`,
    oldValue: logged(before[name]),
    newValue: logged(patch[name]),
  }))
  const included = {
    displayName: 'Included Updated Properties',
    oldValue: null,
    newValue: JSON.stringify(modified.map((each) => each.displayName).join(', ')),
  }
  const correlationId = randomUUID()
  const properties = changed.length === 0 ? [] : [...modified, included]
  log(world, `Update ${noun(row)}`, row, actor, properties, correlationId)
  if (models[row.kind].collection === 'users' && changed.includes('accountEnabled')) {
    const activity = patch.accountEnabled === true ? 'Enable account' : 'Disable account'
    const flip = modified.filter((each) => each.displayName === 'AccountEnabled')
    log(world, activity, row, actor, flip, correlationId)
  }
  if (changed.length > 0) notify(world, row, 'updated')
  return changed
}

export function writeCreated(world: Writing, row: Row, actor: Actor): void {
  log(world, `Add ${noun(row)}`, row, actor, [], randomUUID())
  notify(world, row, 'updated')
}

/** Soft delete; deleting a blueprint principal takes its agent identities along. */
export function writeRemoved(world: Writing, row: Row, actor: Actor): void {
  if (!world.directory.setLife(row, 'deleted')) return
  log(world, `Delete ${noun(row)}`, row, actor, [], randomUUID())
  notify(world, row, 'updated')
  if (row.kind !== 'blueprintPrincipal') return
  const blueprint = row.state.current?.properties.appId
  for (const agent of world.directory.list('agentIdentity')) {
    const current = agent.state.current
    if (current?.life === 'live' && current.properties.agentIdentityBlueprintId === blueprint) {
      writeRemoved(world, agent, actor)
    }
  }
}

export function writeRestored(world: Writing, row: Row, actor: Actor): void {
  if (row.state.current?.life !== 'deleted') throw new Error(`${row.id} is not soft-deleted`)
  world.directory.setLife(row, 'live')
  log(world, `Restore ${noun(row)}`, row, actor, [], randomUUID())
  notify(world, row, 'updated')
}

export function writePurged(world: Writing, row: Row, actor: Actor): void {
  if (!world.directory.setLife(row, 'purged')) return
  log(world, `Hard Delete ${noun(row)}`, row, actor, [], randomUUID())
  notify(world, row, 'deleted')
}

export function writeMember(world: Writing, group: Row, member: Row, present: boolean, actor: Actor): void {
  if (!world.directory.setMember(group, member, present)) return
  const activity = present ? 'Add member to group' : 'Remove member from group'
  const properties = [
    {
      displayName: 'Group.ObjectID',
      oldValue: present ? null : JSON.stringify(group.id),
      newValue: present ? JSON.stringify(group.id) : null,
    },
  ]
  const targets = [target(member, properties), target(group, [])]
  world.audit.write(activity, 'GroupManagement', actor, targets, randomUUID())
  notify(world, group, 'updated')
}

function notify(world: Writing, row: Row, change: 'updated' | 'deleted'): void {
  const { collection } = models[row.kind]
  world.subscriptions.directoryChanged(collection, row.id, change)
  // Service principals have no change notifications: their state can only be polled.
  if (collection !== 'servicePrincipals') world.eventGrid.directoryChanged(collection, row.id, change)
}

function log(
  world: Writing,
  activity: string,
  row: Row,
  actor: Actor,
  properties: readonly ModifiedProperty[],
  correlationId: string,
): void {
  const categories = {
    servicePrincipals: 'ApplicationManagement',
    users: 'UserManagement',
    groups: 'GroupManagement',
  } as const
  const category = categories[models[row.kind].collection]
  world.audit.write(activity, category, actor, [target(row, properties)], correlationId)
}

function target(row: Row, modifiedProperties: readonly ModifiedProperty[]): AuditTarget {
  const types = { servicePrincipals: 'ServicePrincipal', users: 'User', groups: 'Group' } as const
  const properties = row.state.current?.properties ?? {}
  return {
    id: row.id,
    displayName: text(properties.displayName),
    type: types[models[row.kind].collection],
    userPrincipalName: text(properties.userPrincipalName),
    modifiedProperties,
  }
}

function noun(row: Row): string {
  const nouns = { servicePrincipals: 'service principal', users: 'user', groups: 'group' } as const
  return nouns[models[row.kind].collection]
}

/** The log wraps values in an array: `[true]`. */
function logged(value: unknown): string {
  return JSON.stringify([value ?? null])
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
