import {
  GetRoleCommand,
  GetRolePolicyCommand,
  ListAttachedRolePoliciesCommand,
  ListRolePoliciesCommand,
} from '@aws-sdk/client-iam'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { inParallel } from '../parallel.ts'
import type { Session } from './account.ts'
import type { CallOptions } from './api.ts'
import { malformed, type Purpose } from './errors.ts'
import { idOfRole, type Role } from './ids.ts'
import type { Managed } from './managedpolicy.ts'
import { purposes } from './purposes.ts'
import { absentSighting, type RoleParts, roleSighting, type Suspension } from './roles.ts'

export type ReadOptions = Omit<CallOptions, 'purpose'>

const MISSING = ['NoSuchEntity']
const PAGE = 100
/** More inline policies than this are not read one by one: whether others suspended the role is then unknown. */
const MAX_POLICIES = 60
const MAX_PAGES = 50
const WIDTH = 4

/** Whether it is that role still: of one created anew under the name the RoleId differs. */
export async function standing(
  { api, clients }: Session,
  role: Role,
  options: ReadOptions,
): Promise<Pick<RoleParts, 'trust' | 'boundary'> | 'absent'> {
  const ask = new GetRoleCommand({ RoleName: role.name })
  const named = { ...options, purpose: purposes.readRole }
  const answer = await api.ask((sending) => clients.iam.send(ask, sending), MISSING, named)
  if ('told' in answer) return 'absent'
  const { Role: found } = answer
  if (!found?.RoleId || !found.Arn) throw malformed(purposes.readRole)
  // The path can differ too: the same name elsewhere in the account is the same role no more.
  if (found.RoleId !== role.roleId || found.Arn !== role.arn) return 'absent'
  return { trust: found.AssumeRolePolicyDocument, boundary: found.PermissionsBoundary?.PermissionsBoundaryArn }
}

/** One inline policy, as IAM encodes it; undefined when the role has none of this name. */
export async function inlinePolicy(
  { api, clients }: Session,
  role: Pick<Role, 'name'>,
  policy: string,
  options: ReadOptions,
): Promise<string | undefined> {
  const ask = new GetRolePolicyCommand({ RoleName: role.name, PolicyName: policy })
  const named = { ...options, purpose: purposes.readPolicy }
  const answer = await api.ask((sending) => clients.iam.send(ask, sending), MISSING, named)
  if ('told' in answer) return undefined
  if (answer.PolicyDocument === undefined) throw malformed(purposes.readPolicy)
  return answer.PolicyDocument
}

async function paged<T>(
  read: (marker: string | undefined) => Promise<{ rows: readonly T[]; next: string | undefined }>,
) {
  const all: T[] = []
  let marker: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { rows, next } = await read(marker)
    all.push(...rows)
    if (next === undefined) return all
    marker = next
  }
  throw malformed(purposes.listPolicies, new Error(`more than ${MAX_PAGES} pages`))
}

/** A list that says there is more must say where. */
export const nextOf = (answer: {
  IsTruncated?: boolean | undefined
  Marker?: string | undefined
}): string | undefined => {
  if (answer.IsTruncated !== true) return undefined
  if (!answer.Marker) throw malformed(purposes.listRoles, new Error('truncated without a marker'))
  return answer.Marker
}

const attachedTo = ({ api, clients }: Session, { name }: Role, options: ReadOptions) =>
  paged(async (marker) => {
    const ask = new ListAttachedRolePoliciesCommand({ RoleName: name, MaxItems: PAGE, Marker: marker })
    const named = { ...options, purpose: purposes.listAttached }
    const answer = await api.read((sending) => clients.iam.send(ask, sending), named)
    return { rows: (answer.AttachedPolicies ?? []).flatMap(({ PolicyArn }) => PolicyArn ?? []), next: nextOf(answer) }
  })

const inlineNames = ({ api, clients }: Session, { name }: Role, options: ReadOptions) =>
  paged(async (marker) => {
    const ask = new ListRolePoliciesCommand({ RoleName: name, MaxItems: PAGE, Marker: marker })
    const named = { ...options, purpose: purposes.listPolicies }
    const answer = await api.read((sending) => clients.iam.send(ask, sending), named)
    return { rows: answer.PolicyNames ?? [], next: nextOf(answer) }
  })

export interface RoleReading {
  readonly session: Session
  readonly clock: Pick<Clock, 'now'>
  readonly role: Role
  readonly suspension: Suspension
  readonly managed: Managed
}

/**
 * Attached policies without our managed one, when that does not deny everything any more: it suspends nobody then.
 * Undefined: nobody can tell.
 */
export async function sound(
  attached: readonly string[] | undefined,
  { session, suspension, managed }: Omit<RoleReading, 'role' | 'clock'>,
  options: ReadOptions,
): Promise<readonly string[] | undefined> {
  const { managedArn } = suspension
  if (attached === undefined || managedArn === undefined || !attached.includes(managedArn)) return attached
  const fault = await orUnknown(
    managed.fault(session, managedArn, options).then((found) => found ?? 'none'),
    options.signal,
  )
  if (fault === undefined) return undefined
  return fault === 'none' ? attached : attached.filter((arn) => arn !== managedArn)
}

/** A part that cannot be read leaves its switches unknown; whatever was read of the others still counts. */
const orUnknown = <T>(reading: Promise<T>, signal: AbortSignal): Promise<T | undefined> =>
  reading.catch((error) => {
    if (signal.aborted) throw error
    return undefined
  })

/**
 * One role by its name, proven to be that role by its RoleId, with everything that switches it.
 * @throws BridgeError when the role or our own policy could not be read
 */
export async function readRole(
  { session, clock, role, suspension, managed }: RoleReading,
  options: ReadOptions,
): Promise<Sighting> {
  const begunAt = clock.now()
  const { signal } = options
  const { policyName } = suspension
  const [found, own, names, attached] = await Promise.all([
    standing(session, role, options),
    inlinePolicy(session, role, policyName, options),
    orUnknown(inlineNames(session, role, options), signal),
    orUnknown(attachedTo(session, role, options), signal),
  ])
  if (found === 'absent') return absentSighting(idOfRole(role.arn, role.roleId), begunAt)
  const others = (names ?? []).filter((name) => name.toLowerCase() !== policyName.toLowerCase())
  const documents = await inParallel(others.slice(0, MAX_POLICIES), WIDTH, async (name) => {
    const document = await orUnknown(inlinePolicy(session, role, name, options), signal)
    return [name, document] as const
  })
  const inline = new Map<string, string | undefined>(documents)
  if (own !== undefined) inline.set(policyName, own)
  const complete = names !== undefined && others.length <= MAX_POLICIES
  const shown = await sound(attached, { session, suspension, managed }, options)
  const { arn, roleId, name, account } = role
  const parts = { arn, roleId, name, account, inline, complete, attached: shown }
  return roleSighting({ ...parts, ...found }, suspension, { byId: true, begunAt })
}

/**
 * What a write needs to know first, in as few calls: whether it is that role, and whether we suspended it. What others
 * did was not read, so that this reading never says that the role is free.
 * @throws BridgeError
 */
export async function proveRole(
  { session, clock, role, suspension, managed }: RoleReading,
  options: ReadOptions,
): Promise<Sighting> {
  const begunAt = clock.now()
  const [found, own, attached] = await Promise.all([
    standing(session, role, options),
    inlinePolicy(session, role, suspension.policyName, options),
    suspension.managedArn === undefined ? [] : orUnknown(attachedTo(session, role, options), options.signal),
  ])
  if (found === 'absent') return absentSighting(idOfRole(role.arn, role.roleId), begunAt)
  const inline = new Map(own === undefined ? [] : [[suspension.policyName, own]])
  const shown = await sound(attached, { session, suspension, managed }, options)
  const { arn, roleId, name, account } = role
  const parts = { arn, roleId, name, account, inline, complete: false, attached: shown }
  return roleSighting({ ...parts, ...found }, suspension, { byId: true, begunAt })
}

/** Each read of a role that a reading needs, of one of its own, to see whether it is permitted. */
export function tryRole({ api, clients }: Session, RoleName: string, signal: AbortSignal) {
  const of = (purpose: Purpose) => ({ purpose, lane: 'read', signal, once: true }) as const
  const { iam } = clients
  const { listAttached, listPolicies, readPolicy, readRole: role } = purposes
  // Nobody has a policy of this name, and whoever may not read it is told that first.
  const PolicyName = 'agentmesh-bridge-none'
  return [
    [role, () => api.ask((to) => iam.send(new GetRoleCommand({ RoleName }), to), MISSING, of(role))],
    [
      listPolicies,
      () => api.ask((to) => iam.send(new ListRolePoliciesCommand({ RoleName }), to), MISSING, of(listPolicies)),
    ],
    [
      listAttached,
      () => api.ask((to) => iam.send(new ListAttachedRolePoliciesCommand({ RoleName }), to), MISSING, of(listAttached)),
    ],
    [
      readPolicy,
      () => api.ask((to) => iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }), to), MISSING, of(readPolicy)),
    ],
  ] as const
}
