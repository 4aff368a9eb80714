import type { AwsConfig } from './config.ts'
import { endpointOf, type Partition, partitionOf } from './partitions.ts'
import type { Suspension } from './roles.ts'

export interface Places {
  readonly partition: Partition
  /** Every origin that signed requests may go to. */
  readonly origins: readonly string[]
  /** Where SNS is in a region. */
  readonly sns: (region: string) => string
}

/** The endpoints that the SDK resolves, or those configured in their place: what is none of them is never called. */
export function endpointsOf(config: AwsConfig): Places {
  const { endpoints, region, identityCenter } = config
  const partition = partitionOf(region)
  const trail = (where: string) => endpoints.cloudTrail ?? endpointOf('cloudtrail', where)
  const center = identityCenter
    ? [endpoints.identityStore ?? endpointOf('identitystore', identityCenter.region), trail(identityCenter.region)]
    : []
  const queues = queuesOf(config).map((queue) => endpoints.sqs ?? endpointOf('sqs', queue.region))
  return {
    partition,
    origins: [
      ...new Set([
        endpoints.iam ?? partition.iam,
        endpoints.sts ?? endpointOf('sts', region),
        trail(partition.iamRegion),
        ...center,
        ...queues,
      ]),
    ],
    sns: (where) => endpoints.sns ?? endpointOf('sns', where),
  }
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
