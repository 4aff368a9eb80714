import type { GetAccountAuthorizationDetailsCommandOutput } from '@aws-sdk/client-iam'
import type { Sighting, Switch } from '../../src/core/types.ts'
import { stateOf } from '../switches.ts'
import { deniesAll, trustsNobody } from './documents.ts'
import { idOfRole, partsOf, roleObject } from './ids.ts'

export type RoleDetail = NonNullable<GetAccountAuthorizationDetailsCommandOutput['RoleDetailList']>[number]

/** How the bridge suspends roles, and by what others do. */
export interface Suspension {
  readonly policyName: string
  /** ARN of the managed policy of this account that takes the place of the inline one; undefined: there is none. */
  readonly managedArn: string | undefined
  readonly denyArns: ReadonlySet<string>
}

/** What was read of a role. Undefined: that part could not be. */
export interface RoleParts {
  readonly arn: string
  readonly roleId: string
  readonly name: string
  readonly account: string
  readonly trust: string | undefined
  readonly boundary: string | undefined
  /** Name → document, as IAM encodes it. `complete`: these are all. */
  readonly inline: ReadonlyMap<string, string | undefined>
  readonly complete: boolean
  readonly attached: readonly string[] | undefined
}

type State = Switch['state']
const off = (is: boolean | 'unknown'): State => (is === 'unknown' ? 'unknown' : is ? 'off' : 'on')
const any = (list: readonly (boolean | 'unknown')[]): boolean | 'unknown' =>
  list.includes(true) ? true : list.includes('unknown') ? 'unknown' : false

/**
 * A role has no switch: what turns it off is a convention. `policy` is ours: our named inline policy, or our managed one,
 * as long as it denies everything. `deny` is any other unconditional deny of everything, `boundary` a permissions boundary
 * that is one, `trust` a trust policy that lets nobody assume the role. Roles that nobody suspended have all of them on.
 */
export function switchesOf(parts: RoleParts, { policyName, managedArn, denyArns }: Suspension): Switch[] {
  const { inline, complete, attached, boundary, trust } = parts
  const isOurs = (name: string) => name.toLowerCase() === policyName.toLowerCase()
  const own = [...inline].filter(([name]) => isOurs(name)).map(([, document]) => deniesAll(document))
  const others = [...inline].filter(([name]) => !isOurs(name)).map(([, document]) => deniesAll(document))
  const byManaged =
    managedArn === undefined ? false : attached === undefined ? 'unknown' : attached.includes(managedArn)
  const byOthers = attached === undefined ? 'unknown' : attached.some((arn) => denyArns.has(arn))
  return [
    { name: 'policy', state: off(any([...own, byManaged])), ours: true },
    { name: 'deny', state: off(any([...others, byOthers, complete ? false : 'unknown'])), ours: false },
    { name: 'boundary', state: off(boundary !== undefined && denyArns.has(boundary)), ours: false },
    { name: 'trust', state: off(trustsNobody(trust)), ours: false },
  ]
}

export function roleSighting(
  parts: RoleParts,
  suspension: Suspension,
  read: Pick<Sighting, 'byId' | 'begunAt'>,
): Sighting {
  const switches = switchesOf(parts, suspension)
  return {
    id: idOfRole(parts.arn, parts.roleId),
    kind: 'iamRole',
    state: stateOf(switches),
    switches,
    ...read,
    appId: parts.arn,
    displayName: parts.name,
    dependsOn: roleObject(parts.account, parts.name),
  }
}

/** One row of `GetAccountAuthorizationDetails`; undefined when it lacks what every role has. */
export function partsOfDetail(detail: RoleDetail): RoleParts | undefined {
  const { Arn: arn = '', RoleId: roleId, RolePolicyList, AttachedManagedPolicies, PermissionsBoundary } = detail
  const named = partsOf(arn)
  if (!named || roleId === undefined) return undefined
  return {
    arn,
    roleId,
    name: named.name,
    account: named.account,
    trust: detail.AssumeRolePolicyDocument,
    boundary: PermissionsBoundary?.PermissionsBoundaryArn,
    inline: new Map((RolePolicyList ?? []).map((each) => [each.PolicyName ?? '', each.PolicyDocument])),
    complete: true,
    attached: (AttachedManagedPolicies ?? []).flatMap(({ PolicyArn }) => PolicyArn ?? []),
  }
}

export const absentSighting = (id: string, begunAt: number): Sighting => ({
  id,
  kind: undefined,
  state: 'absent',
  switches: [],
  byId: true,
  begunAt,
})
