import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs'
import type { Finding } from '../../src/core/adapter.ts'
import { MAX_GROUPS } from '../checking.ts'
import type { ServerTime } from '../servertime.ts'
import type { Session } from './account.ts'
import type { AwsConfig } from './config.ts'
import { type DoctorParts, examine, readGroups } from './doctor.ts'
import { grant } from './grants.ts'
import { purposes } from './purposes.ts'

export interface CheckParts extends DoctorParts {
  readonly queues: readonly { readonly url: string; readonly region: string; readonly session: Session }[]
  readonly time: ServerTime
}

/** Signs in to every account, and reads one of everything that is configured. */
export async function check(parts: CheckParts, signal: AbortSignal): Promise<Finding[]> {
  const { config, queues, time } = parts
  const kinds = config.identityCenter ? [...config.manage.kinds, 'identityCenterUser'] : config.manage.kinds
  const findings = await examine(parts, kinds, signal)
  const groups = [...new Set([...Object.keys(config.groups), ...config.manage.groups])]
  await readGroups(parts, groups.slice(0, MAX_GROUPS), findings, signal)

  for (const { url, region, session } of queues) {
    const { action, what } = purposes.readQueue
    const actions = [action, purposes.receive.action, purposes.taken.action]
    const read = () => {
      const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] })
      const { api, clients } = session
      const options = { purpose: purposes.readQueue, lane: 'read', signal, once: true } as const
      return api.read((sending) => clients.queue(region).send(command, sending), options)
    }
    const [, account, queue] = new URL(url).pathname.split('/')
    await findings.attempt(what, read, grant(session.known(), actions, `arn:*:sqs:${region}:${account}:${queue}`))
    // Receiving would take what the feed is waiting for.
    for (const each of [purposes.receive, purposes.taken]) findings.unproven(`${each.what} (${each.action})`)
  }

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
