import { LookupEventsCommand } from '@aws-sdk/client-cloudtrail'
import { GetAccountAuthorizationDetailsCommand } from '@aws-sdk/client-iam'
import { DescribeUserCommand, ListGroupMembershipsCommand, ListUsersCommand } from '@aws-sdk/client-identitystore'
import type { Doctor, Person, PersonState } from '../../src/core/doctor.ts'
import { Findings, found } from '../checking.ts'
import { inParallel } from '../parallel.ts'
import { type Session, type Sessions, sessionFor } from './account.ts'
import type { AwsConfig } from './config.ts'
import { malformed, type Purpose } from './errors.ts'
import { grant } from './grants.ts'
import { resourceId } from './ids.ts'
import type { Managed } from './managedpolicy.ts'
import { purposes } from './purposes.ts'
import { tryRole } from './reading.ts'
import type { Suspension } from './roles.ts'
import { userSighting } from './users.ts'

export interface DoctorParts {
  readonly config: AwsConfig
  readonly sessions: Sessions
  readonly center: { readonly session: Session; readonly store: string } | undefined
  readonly suspensionOf: (account: string) => Suspension
  readonly managed: Managed
}

const WIDTH = 4
const asked = (purpose: Purpose, signal: AbortSignal) => ({ purpose, lane: 'read', signal, once: true }) as const

const isWriting = ({ mirror }: AwsConfig): boolean => mirror === 'both' || mirror === 'outbound'

/** Rights to read are tried. There is no way to try the others: simulating policies takes a right of its own, and tells half. */
export async function examine(parts: DoctorParts, kinds: readonly string[], signal: AbortSignal): Promise<Findings> {
  const findings = new Findings()
  const ofRoles = kinds.includes('iamRole')
  const accounts = await inParallel(Object.keys(parts.config.accounts), WIDTH, async (account) => {
    const own = new Findings()
    const signIn = () => sessionFor(parts.sessions, account, signal)
    const isIn = await own.attempt(`sign in to the account ${account}`, signIn)
    const session = isIn ? parts.sessions.of(account) : undefined
    if (session && ofRoles) await ofAccount(parts, account, session, own, signal)
    return own.list
  })
  findings.list.push(...accounts.flat())
  if (parts.center && kinds.includes('identityCenterUser')) await ofCenter(parts, parts.center, findings, signal)
  return findings
}

async function ofAccount(
  parts: DoctorParts,
  account: string,
  session: Session,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { config, managed } = parts
  const { api, clients } = session
  const self = session.known()
  const named = (purpose: Purpose) => `${purpose.what} of the account ${account}`
  const attempt = (purpose: Purpose, resource: string, run: () => Promise<unknown>) =>
    findings.attempt(named(purpose), run, grant(self, [purpose.action], resource))

  let role: string | undefined
  await attempt(purposes.listRoles, '*', async () => {
    const command = new GetAccountAuthorizationDetailsCommand({ Filter: ['Role'], MaxItems: 100 })
    const { RoleDetailList = [] } = await api.read(
      (sending) => clients.iam.send(command, sending),
      asked(purposes.listRoles, signal),
    )
    const { paths } = config.manage
    role = RoleDetailList.find(({ Path = '/' }) => paths.some((path) => Path.startsWith(path)))?.RoleName
  })
  for (const [purpose, run] of tryRole(session, role ?? '', signal)) {
    if (role !== undefined) await attempt(purpose, `arn:*:iam::${account}:role/*`, run)
    else {
      const text = `${named(purpose)} (${purpose.action}): there is no role here to try it on`
      findings.list.push({ code: 'unproven', level: 'unknown', text })
    }
  }
  if (config.attribution !== 'none')
    await attempt(purposes.readTrail, '*', () => {
      const LookupAttributes = [{ AttributeKey: 'EventName', AttributeValue: 'PutRolePolicy' } as const]
      const command = new LookupEventsCommand({ LookupAttributes, MaxResults: 1 })
      return api.read((sending) => clients.iamTrail.send(command, sending), asked(purposes.readTrail, signal))
    })
  const { managedArn } = parts.suspensionOf(account)
  if (managedArn !== undefined) {
    const read = async () => {
      const fault = await managed.fault(session, managedArn, { lane: 'read', signal, once: true })
      if (fault) throw fault
    }
    const actions = [purposes.readManaged.action, purposes.readVersion.action]
    await findings.attempt(named(purposes.readManaged), read, grant(self, actions, managedArn))
  }
  if (!isWriting(config)) return
  const inline = [purposes.putPolicy, purposes.deletePolicy]
  const attached = managedArn === undefined ? [] : [purposes.attachPolicy, purposes.detachPolicy]
  for (const purpose of [...inline, ...attached]) findings.unproven(`${named(purpose)} (${purpose.action})`)
}

async function ofCenter(
  { config }: DoctorParts,
  { session, store: IdentityStoreId }: NonNullable<DoctorParts['center']>,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { api, clients } = session
  const self = session.known()
  let UserId: string | undefined
  const list = async () => {
    const command = new ListUsersCommand({ IdentityStoreId, MaxResults: 1 })
    const { Users = [] } = await api.read(
      (sending) => clients.identityStore.send(command, sending),
      asked(purposes.listUsers, signal),
    )
    UserId = Users[0]?.UserId
  }
  await findings.attempt(purposes.listUsers.what, list, grant(self, [purposes.listUsers.action], '*'))
  const { action, what } = purposes.readUser
  if (UserId === undefined) {
    const text = `${what} (${action}): there is no user to try it on`
    findings.list.push({ code: 'unproven', level: 'unknown', text })
  } else {
    const command = new DescribeUserCommand({ IdentityStoreId, UserId })
    const read = () =>
      api.read((sending) => clients.identityStore.send(command, sending), asked(purposes.readUser, signal))
    await findings.attempt(what, read, grant(self, [action], '*'))
  }
  if (isWriting(config) && config.identityCenter?.scim)
    findings.unproven(
      `${purposes.switchUser.what} (${purposes.switchUser.action})`,
      'the token lives a year: IAM Identity Center console, Settings › Automatic provisioning tells until when',
    )
}

/** Whether the members of each group can be read. */
export async function readGroups(
  { center }: DoctorParts,
  ids: readonly string[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  if (!center) return
  const { api, clients } = center.session
  const { action } = purposes.readGroups
  for (const GroupId of ids) {
    const command = new ListGroupMembershipsCommand({ IdentityStoreId: center.store, GroupId, MaxResults: 1 })
    const read = () =>
      api.read((sending) => clients.identityStore.send(command, sending), asked(purposes.readGroups, signal))
    await findings.attempt(`reading the group ${GroupId}`, read, grant(center.session.known(), [action], '*'))
  }
}

/** By the id of a user; else by user name, which is the e-mail address where a person has any: without it nothing is told. */
async function stateOfPerson(
  { session: { api, clients }, store: IdentityStoreId }: NonNullable<DoctorParts['center']>,
  who: Person,
  signal: AbortSignal,
): Promise<PersonState> {
  const stateOf = (user: Parameters<typeof userSighting>[1]) =>
    userSighting(IdentityStoreId, user, { byId: true, begunAt: 0 }).state
  if (who.objectId !== undefined) {
    const { objectId: UserId } = who
    if (!resourceId.test(UserId)) return 'absent'
    const command = new DescribeUserCommand({ IdentityStoreId, UserId })
    const options = asked(purposes.readUser, signal)
    const sent = await api.ask((sending) => clients.identityStore.send(command, sending), ['ResourceNotFound'], options)
    if ('told' in sent) return 'absent'
    if (sent.UserId !== UserId) throw malformed(purposes.readUser)
    return stateOf({ ...sent, UserId })
  }
  const Filters = [{ AttributePath: 'UserName', AttributeValue: who.email ?? '' }]
  const command = new ListUsersCommand({ IdentityStoreId, Filters, MaxResults: 1 })
  const options = asked(purposes.listUsers, signal)
  const { Users = [] } = await api.read((sending) => clients.identityStore.send(command, sending), options)
  const [user] = Users
  return user?.UserId === undefined ? 'unknown' : stateOf({ ...user, UserId: user.UserId })
}

/** See `core/doctor.ts`. Opens no connection. */
export function openDoctor(parts: DoctorParts): Doctor {
  const { center } = parts
  return {
    permissions: async (kinds, signal) => (await examine(parts, kinds, signal)).list,
    async groups(ids, signal) {
      const findings = new Findings()
      await readGroups(parts, ids, findings, signal)
      return findings.list
    },
    ...(center && {
      person: (who: Person, signal: AbortSignal) => found(() => stateOfPerson(center, who, signal)),
    }),
  }
}
