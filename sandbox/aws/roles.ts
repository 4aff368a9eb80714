import { Refusal } from './errors.ts'
import { roleArn, uniqueId } from './ids.ts'
import { isUnmodifiable, type Role, type Tag } from './model.ts'
import { parsePolicy } from './policy.ts'
import type { Actor } from './trail.ts'
import type { World } from './world.ts'

const inlineSpace = 10_240
const keyOf = (accountId: string, name: string) => `${accountId} ${name.toLowerCase()}`

/** The role that has the name; `seen`: as far as it has propagated. Names are unique whatever their case. */
export function roleNamed(
  world: World,
  accountId: string,
  name: string,
  { seen = true }: { seen?: boolean } = {},
): Role | undefined {
  for (const id of world.roleIds.get(keyOf(accountId, name)) ?? []) {
    const role = seen ? world.roles.seen(id) : world.roles.current(id)
    if (role !== undefined) return role
  }
  return undefined
}

export interface NewRole {
  readonly accountId?: string
  /** The role id. */
  readonly id?: string
  readonly name?: string
  readonly path?: string
  /** Who may assume it: principals of this account when absent. */
  readonly trust?: object
  readonly inline?: Readonly<Record<string, object>>
  /** ARNs of managed policies. */
  readonly attached?: readonly string[]
  readonly boundary?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly description?: string
  /** Not visible to readers until `staleMs` has passed, as a freshly created one is; otherwise at once. */
  readonly replicating?: boolean
}

export function addRole(world: World, accountId: string, options: NewRole): Role {
  const { boundary, description, id = uniqueId('AROA'), inline = {}, path = '/agents/', replicating = false } = options
  const name = options.name ?? `agent-${id.slice(-6).toLowerCase()}`
  if (roleNamed(world, accountId, name, { seen: false }) !== undefined) {
    throw new Refusal('EntityAlreadyExists', `Role with name ${name} already exists.`, 409)
  }
  const trust = options.trust ?? {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${accountId}:root` }, Action: 'sts:AssumeRole' }],
  }
  const role: Role = {
    id,
    accountId,
    path,
    name,
    arn: roleArn(accountId, path, name),
    created: world.now(),
    description,
    maxSessionSeconds: 3600,
    trust: JSON.stringify(trust),
    inline: new Map(Object.entries(inline).map(([policy, document]) => [policy, JSON.stringify(document)])),
    attached: options.attached ?? [],
    boundary,
    tags: Object.entries(options.tags ?? {}).map(([Key, Value]) => ({ Key, Value })),
  }
  const key = keyOf(accountId, name)
  world.roleIds.set(key, [...(world.roleIds.get(key) ?? []), id])
  return world.roles.add(role, replicating)
}

/** Writes work on the truth, whatever readers see of it. */
export function modifiable(world: World, accountId: string, name: string): Role {
  const role = roleNamed(world, accountId, name, { seen: false })
  if (role === undefined) throw noRole(name)
  if (isUnmodifiable(role)) {
    const why = role.path.startsWith('/aws-service-role/')
      ? `Cannot perform the operation on the protected role '${name}' - this role is only modifiable by AWS`
      : `Cannot perform the operation on the protected role '${name}' - this role is only modifiable by Identity Center`
    throw new Refusal('UnmodifiableEntity', why, 400)
  }
  return role
}

export function noRole(name: string): Refusal {
  return new Refusal('NoSuchEntity', `The role with name ${name} cannot be found.`, 404)
}

export function noPolicy(name: string): Refusal {
  return new Refusal('NoSuchEntity', `The role policy with name ${name} cannot be found.`, 404)
}

export function putInline(world: World, role: Role, name: string, document: string): Role {
  const parsed = parsePolicy(document, 'identity')
  if (typeof parsed === 'string') throw new Refusal('MalformedPolicyDocument', parsed)
  const inline = new Map(role.inline).set(name, document)
  const size = [...inline.values()].reduce((sum, each) => sum + each.replaceAll(/\s/g, '').length, 0)
  if (size > inlineSpace) {
    throw new Refusal(
      'LimitExceeded',
      `Maximum policy size of ${inlineSpace} bytes exceeded for role ${role.name}`,
      409,
    )
  }
  return world.roles.set({ ...role, inline })
}

export function deleteInline(world: World, role: Role, name: string): Role {
  if (!role.inline.has(name)) throw noPolicy(name)
  return world.roles.set({ ...role, inline: new Map([...role.inline].filter(([each]) => each !== name)) })
}

export function setTrust(world: World, role: Role, document: string): Role {
  const parsed = parsePolicy(document, 'trust')
  if (typeof parsed === 'string') throw new Refusal('MalformedPolicyDocument', parsed)
  if (document.length > 2048) throw new Refusal('LimitExceeded', 'Cannot exceed quota for ACLSizePerRole: 2048', 409)
  return world.roles.set({ ...role, trust: document })
}

export function setBoundary(world: World, role: Role, boundary: string | undefined): Role {
  if (boundary !== undefined && !world.managed.has(boundary)) {
    throw new Refusal('NoSuchEntity', `Scope ARN: ${boundary} does not exist or is not attachable.`, 404)
  }
  if (boundary === undefined && role.boundary === undefined) {
    throw new Refusal('NoSuchEntity', `No permissions boundary is set for role ${role.name}`, 404)
  }
  return world.roles.set({ ...role, boundary })
}

export function attach(world: World, role: Role, arn: string): Role {
  if (!world.managed.has(arn)) {
    throw new Refusal('NoSuchEntity', `Policy ${arn} does not exist or is not attachable.`, 404)
  }
  if (role.attached.includes(arn)) return role
  if (role.attached.length >= 10) throw new Refusal('LimitExceeded', 'Cannot exceed quota for PoliciesPerRole: 10', 409)
  return world.roles.set({ ...role, attached: [...role.attached, arn] })
}

export function detach(world: World, role: Role, arn: string): Role {
  if (!role.attached.includes(arn)) throw new Refusal('NoSuchEntity', `Policy ${arn} was not found.`, 404)
  return world.roles.set({ ...role, attached: role.attached.filter((each) => each !== arn) })
}

/** Keys are told apart whatever their case, and keep it. */
export function tag(world: World, role: Role, tags: readonly Tag[]): Role {
  const names = new Set(tags.map(({ Key }) => Key.toLowerCase()))
  if (names.size < tags.length) throw new Refusal('InvalidInput', 'Duplicate tag keys found.', 400)
  const merged = [...role.tags.filter(({ Key }) => !names.has(Key.toLowerCase())), ...tags]
  if (merged.length > 50) throw new Refusal('LimitExceeded', 'The number of tags has reached the maximum limit.', 409)
  return world.roles.set({ ...role, tags: merged })
}

export function untag(world: World, role: Role, keys: readonly string[]): Role {
  const gone = new Set(keys.map((key) => key.toLowerCase()))
  return world.roles.set({ ...role, tags: role.tags.filter(({ Key }) => !gone.has(Key.toLowerCase())) })
}

/** A person at the console, or whoever else changes a role without a signed call. */
export function tellOfRole(world: World, role: Role, name: string, actor: Actor, request: object = {}): void {
  world.trail.write({
    source: 'iam.amazonaws.com',
    name,
    region: 'us-east-1',
    accountId: role.accountId,
    actor,
    readOnly: false,
    request: { roleName: role.name, ...request },
    resources: [{ type: 'AWS::IAM::Role', name: role.name }],
  })
}
