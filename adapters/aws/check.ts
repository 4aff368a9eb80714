import { LookupEventsCommand } from '@aws-sdk/client-cloudtrail'
import { GetAccountAuthorizationDetailsCommand } from '@aws-sdk/client-iam'
import { ListGroupMembershipsCommand, ListUsersCommand } from '@aws-sdk/client-identitystore'
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs'
import type { Finding } from '../../src/core/adapter.ts'
import { Findings } from '../checking.ts'
import type { ServerTime } from '../servertime.ts'
import { type Session, type Sessions, sessionFor } from './account.ts'
import type { AwsConfig } from './config.ts'
import type { Purpose } from './errors.ts'
import type { Managed } from './managedpolicy.ts'
import { purposes } from './purposes.ts'
import type { Suspension } from './roles.ts'

export interface CheckParts {
  readonly config: AwsConfig
  readonly sessions: Sessions
  readonly center: Session | undefined
  readonly queues: readonly { readonly url: string; readonly region: string; readonly session: Session }[]
  readonly suspensionOf: (account: string) => Suspension
  readonly managed: Managed
  readonly time: ServerTime
}

const MAX_GROUPS = 50

/** Signs in to every account, and reads one of everything that is configured. */
export async function check(parts: CheckParts, signal: AbortSignal): Promise<Finding[]> {
  const { config, sessions, center, queues, time } = parts
  const findings = new Findings()
  const asked = (purpose: Purpose) => ({ purpose, lane: 'read', signal, once: true }) as const
  const managesRoles = config.manage.kinds.includes('iamRole')

  for (const account of Object.keys(config.accounts)) {
    const what = (purpose: Purpose) => `${purpose.what} of the account ${account}`
    const isIn = await findings.attempt(`sign in to the account ${account}`, () =>
      sessionFor(sessions, account, signal),
    )
    const session = isIn ? sessions.of(account) : undefined
    if (!session || !managesRoles) continue
    const { api, clients } = session
    await findings.attempt(what(purposes.listRoles), () => {
      const command = new GetAccountAuthorizationDetailsCommand({ Filter: ['Role'], MaxItems: 1 })
      return api.read((sending) => clients.iam.send(command, sending), asked(purposes.listRoles))
    })
    if (config.attribution !== 'none')
      await findings.attempt(what(purposes.readTrail), () => {
        const LookupAttributes = [{ AttributeKey: 'EventName', AttributeValue: 'PutRolePolicy' } as const]
        const command = new LookupEventsCommand({ LookupAttributes, MaxResults: 1 })
        return api.read((sending) => clients.iamTrail.send(command, sending), asked(purposes.readTrail))
      })
    const { managedArn } = parts.suspensionOf(account)
    if (managedArn !== undefined)
      await findings.attempt(what(purposes.readManaged), async () => {
        const fault = await parts.managed.fault(session, managedArn, { lane: 'read', signal, once: true })
        if (fault) throw fault
      })
  }

  if (center && config.identityCenter) {
    const { identityStoreId: IdentityStoreId } = config.identityCenter
    const { api, clients } = center
    await findings.attempt(purposes.listUsers.what, () => {
      const command = new ListUsersCommand({ IdentityStoreId, MaxResults: 1 })
      return api.read((sending) => clients.identityStore.send(command, sending), asked(purposes.listUsers))
    })
    const groups = [...new Set([...Object.keys(config.groups), ...config.manage.groups])].slice(0, MAX_GROUPS)
    for (const GroupId of groups)
      await findings.attempt(`reading the group ${GroupId}`, () => {
        const command = new ListGroupMembershipsCommand({ IdentityStoreId, GroupId, MaxResults: 1 })
        return api.read((sending) => clients.identityStore.send(command, sending), asked(purposes.readGroups))
      })
  }

  for (const { url, region, session } of queues)
    await findings.attempt(purposes.readQueue.what, () => {
      const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] })
      const { api, clients } = session
      return api.read((sending) => clients.queue(region).send(command, sending), asked(purposes.readQueue))
    })

  findings.list.push(...ofConfig(config))
  findings.clock(time.skewMs())
  return findings.list
}

/** What the configuration gives up, said once where it is seen. */
function ofConfig({ attribution, credential, identityCenter, manage, mirror, suspension }: AwsConfig): Finding[] {
  const findings: Finding[] = []
  const warn = (code: string, text: string, mend: string) => findings.push({ code, level: 'warning', text, mend })
  const writes = mirror === 'both' || mirror === 'outbound'
  if (credential.type === 'accessKey')
    warn(
      'access-key',
      'the bridge signs with a static access key',
      'use credential.type webIdentity, container or instance',
    )
  if (credential.type === 'default') {
    const text = 'the bridge signs with whatever the default chain of the SDK finds on this host'
    warn('default-chain', text, 'name the credential: webIdentity, container or instance')
  }
  if (writes && manage.kinds.includes('identityCenterUser') && !identityCenter?.scim) {
    const text = 'users of Identity Center are read, and not switched off: there is no SCIM endpoint'
    warn('users-unswitched', text, 'set identityCenter.scim, or let the identity provider be mirrored and follow it')
  }
  if (writes && manage.kinds.includes('iamRole') && suspension.managedPolicy === undefined) {
    const text = 'a role whose inline policies are full cannot be suspended'
    warn(
      'no-managed-policy',
      text,
      'create the managed policy of docs/adapters/aws.md and set suspension.managedPolicy',
    )
  }
  if (writes && attribution === 'none') {
    const text = 'nobody can tell who suspended a role: what cannot be proven is never lifted by itself'
    warn('no-attribution', text, 'leave attribution out, and allow cloudtrail:LookupEvents')
  }
  return findings
}
