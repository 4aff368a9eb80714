import type { PrincipalRef } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Managed as ManagedUsers } from '../managed.ts'
import type { Sessions } from './account.ts'
import type { AwsConfig } from './config.ts'
import { idFault, type Role, roleOf } from './ids.ts'

export interface VetParts {
  readonly name: string
  readonly config: Pick<AwsConfig, 'accounts' | 'identityCenter' | 'manage' | 'never'>
  readonly sessions: Sessions
  readonly users: Pick<ManagedUsers, 'vet'>
}

/** See `Adapter.vet`. A role's id tells all there is to know of it; users may be bound to groups. */
export function openVet({ name, config, sessions, users }: VetParts): (ref: PrincipalRef) => BridgeError | undefined {
  const { manage, never } = config
  const known = { accounts: new Set(Object.keys(config.accounts)), store: config.identityCenter?.identityStoreId }
  const nevers = new Set(never)

  /** By its RoleId: the ARN with which it signs drops the path. */
  const isSelf = ({ roleId }: Role) => sessions.selves().some(({ id }) => id === roleId)

  const ofRole = (ref: PrincipalRef, role: Role): BridgeError | undefined => {
    if (!manage.kinds.some((kind) => kind === ref.kind)) {
      return new BridgeError('E_KIND_REFUSED', `accounts of kind ${JSON.stringify(ref.kind)} are not managed here`, {
        hint: `manage.kinds of the adapter ${name} lists ${manage.kinds.join(', ')}`,
      })
    }
    if (nevers.has(ref.id) || nevers.has(role.arn))
      return new BridgeError('E_NEVER', `${role.arn} is on the never list of ${name}`)
    if (isSelf(role)) return new BridgeError('E_NEVER', `${role.arn} is the bridge itself`)
    if (manage.paths.some((path) => role.path.startsWith(path))) return undefined
    return new BridgeError('E_KIND_REFUSED', `${role.arn} is under none of the paths that ${name} manages`, {
      hint: `add its path to manage.paths, which lists ${manage.paths.join(', ')}, or leave it out`,
    })
  }

  return (ref) => {
    const fault = idFault(ref, known)
    if (fault) return fault
    const role = roleOf(ref.id)
    return role ? ofRole(ref, role) : users.vet(ref)
  }
}
