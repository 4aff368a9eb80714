/** What differs between the parts of AWS that know nothing of each other (AWS partitions, read 2026-11). */
export interface Partition {
  readonly name: string
  readonly suffix: string
  /** Where IAM is signed for, and where its events are. */
  readonly iamRegion: string
  readonly iam: string
}

const commercial: Partition = {
  name: 'aws',
  suffix: 'amazonaws.com',
  iamRegion: 'us-east-1',
  iam: 'https://iam.amazonaws.com',
}
const china: Partition = {
  name: 'aws-cn',
  suffix: 'amazonaws.com.cn',
  iamRegion: 'cn-north-1',
  iam: 'https://iam.cn-north-1.amazonaws.com.cn',
}
const government: Partition = {
  name: 'aws-us-gov',
  suffix: 'amazonaws.com',
  iamRegion: 'us-gov-west-1',
  iam: 'https://iam.us-gov.amazonaws.com',
}

/** Europe's sovereign cloud and isolated regions are not among those that the adapter knows. */
export const regionName: RegExp = /^(?!eusc-|us-iso)[a-z]{2,3}(-[a-z]{2,12}){1,2}-\d{1,2}$/

export function partitionOf(region: string): Partition {
  if (region.startsWith('cn-')) return china
  return region.startsWith('us-gov-') ? government : commercial
}

export type Service = 'sts' | 'identitystore' | 'sqs' | 'cloudtrail' | 'sns'

/** The regional endpoint of a service, as the SDK resolves it. */
export const endpointOf = (service: Service, region: string): string =>
  `https://${service}.${region}.${partitionOf(region).suffix}`
