import { GetPolicyCommand, GetPolicyVersionCommand } from '@aws-sdk/client-iam'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Session } from './account.ts'
import { deniesAll } from './documents.ts'
import { malformed } from './errors.ts'
import { purposes } from './purposes.ts'
import type { ReadOptions } from './reading.ts'

export interface Managed {
  /**
   * Why the managed policy of an account cannot suspend: it is not there, or does not deny everything.
   * @throws BridgeError when it cannot be read
   */
  fault(session: Session, arn: string, options: ReadOptions): Promise<BridgeError | undefined>
}

/** How long one reading of it serves: whoever may change it can undo a suspension in any case. */
const FRESH_MS = 60_000

/** Operators make the managed policy; before it is relied on, its document is read. */
export function openManagedPolicy(clock: Pick<Clock, 'mono'>): Managed {
  const sound = new Map<string, number>()
  return {
    async fault(session, arn, options) {
      if (clock.mono() - (sound.get(arn) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return undefined
      const { api, clients } = session
      const policy = await api.ask(
        (sending) => clients.iam.send(new GetPolicyCommand({ PolicyArn: arn }), sending),
        ['NoSuchEntity'],
        { ...options, purpose: purposes.readManaged },
      )
      if ('told' in policy) {
        return new BridgeError('E_DIRECTORY_REFUSED', `the managed policy ${arn} does not exist`, {
          hint: 'create it (docs/adapters/aws.md has its document), or leave suspension.managedPolicy out',
        })
      }
      const VersionId = policy.Policy?.DefaultVersionId
      if (!VersionId) throw malformed(purposes.readManaged)
      const command = new GetPolicyVersionCommand({ PolicyArn: arn, VersionId })
      const named = { ...options, purpose: purposes.readVersion }
      const version = await api.read((sending) => clients.iam.send(command, sending), named)
      if (deniesAll(version.PolicyVersion?.Document) !== true) {
        return new BridgeError('E_DIRECTORY_REFUSED', `the managed policy ${arn} does not deny everything`, {
          hint: 'make the document of docs/adapters/aws.md its default version',
        })
      }
      sound.set(arn, clock.mono())
      return undefined
    },
  }
}
