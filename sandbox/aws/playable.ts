import type { Playable } from '../schedule.ts'
import { stageOf } from '../stage.ts'
import type { AwsCloud } from './cloud.ts'

/** Every write has a connection of its own. */
const writes =
  /^POST \/iam\/(Put|Delete)Role(Policy|PermissionsBoundary)$|^POST \/iam\/(Attach|Detach)RolePolicy$|^POST \/iam\/UpdateAssumeRolePolicy$|^PATCH \/scim\//

/** What a fault schedule needs to know of AWS accounts. */
export function playable(cloud: AwsCloud): Playable {
  return stageOf(cloud, {
    any: /^/,
    lists:
      /^POST \/(iam\/(ListRoles|GetAccountAuthorizationDetails)|identitystore\/List\w+|cloudtrail\/LookupEvents)$|^GET \/scim\/v2\/Users(\?|$)/,
    reads: /^POST \/(iam\/(Get|List)|identitystore\/(Describe|List|Get|Is)|cloudtrail\/)|^GET \/scim\//,
    writes,
    carriers: writes,
  })
}
