import type { AwsConfig } from './config.ts'
import { endpointOf, type Partition, partitionOf, type Service } from './partitions.ts'
import type { Suspension } from './roles.ts'

/** Where each service is called: what is none of these is never called. */
export interface Places {
  readonly partition: Partition
  readonly iam: string
  readonly sts: string
  readonly trail: (region: string) => string
  readonly identityStore: (region: string) => string
  readonly sqs: (region: string) => string
  readonly sns: (region: string) => string
  /** Every origin that signed requests may go to. */
  readonly origins: readonly string[]
}

/** The endpoints of the regions, or those configured in their place. */
export function endpointsOf(config: AwsConfig): Places {
  const { endpoints, region, identityCenter } = config
  const partition = partitionOf(region)
  const at = (service: Service, own: string | undefined) => (where: string) => own ?? endpointOf(service, where)
  const iam = endpoints.iam ?? partition.iam
  const sts = at('sts', endpoints.sts)(region)
  const trail = at('cloudtrail', endpoints.cloudTrail)
  const identityStore = at('identitystore', endpoints.identityStore)
  const sqs = at('sqs', endpoints.sqs)
  const center = identityCenter ? [identityStore(identityCenter.region), trail(identityCenter.region)] : []
  const queues = queuesOf(config).map((queue) => sqs(queue.region))
  const origins = [...new Set([iam, sts, trail(partition.iamRegion), ...center, ...queues])]
  return { partition, iam, sts, trail, identityStore, sqs, sns: at('sns', endpoints.sns), origins }
}

/** Each queue with its region, which its address tells: `https://sqs.<region>.amazonaws.com/<account>/<name>`. */
export function queuesOf({ events, region }: AwsConfig): { readonly url: string; readonly region: string }[] {
  return (events?.queues ?? []).map((url) => {
    const [, named] = /^sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(new URL(url).hostname) ?? []
    return { url, region: named ?? region }
  })
}

export function suspensionFor(config: AwsConfig): (account: string) => Suspension {
  const { policyName, managedPolicy, denyPolicies } = config.suspension
  const partition = partitionOf(config.region).name
  const denyArns = new Set(denyPolicies)
  return (account) => ({
    policyName,
    managedArn:
      managedPolicy === undefined
        ? undefined
        : `arn:${partition}:iam::${account}:policy/${managedPolicy.replace(/^\//, '')}`,
    denyArns,
  })
}
