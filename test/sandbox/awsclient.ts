import { CloudTrailClient } from '@aws-sdk/client-cloudtrail'
import { IAMClient } from '@aws-sdk/client-iam'
import { IdentitystoreClient } from '@aws-sdk/client-identitystore'
import { SQSClient } from '@aws-sdk/client-sqs'
import { STSClient } from '@aws-sdk/client-sts'
import { type AwsCloud, type AwsOptions, type Keys, startAws } from '../../sandbox/aws/index.ts'

/** The vendor's own clients on the local accounts, without their retries. */
export function clients(cloud: Pick<AwsCloud, 'origin'>, credentials: Keys, region = 'us-east-1') {
  // The clients write into what they are given.
  const options = { endpoint: cloud.origin, region, credentials: { ...credentials }, maxAttempts: 1 }
  const iam = new IAMClient(options)
  const sts = new STSClient(options)
  const store = new IdentitystoreClient(options)
  const sqs = new SQSClient(options)
  const trail = new CloudTrailClient(options)
  return {
    iam,
    sts,
    store,
    sqs,
    trail,
    [Symbol.dispose]: () => {
      for (const client of [iam, sts, store, sqs, trail]) client.destroy()
    },
  }
}

const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }

/** Local accounts and the clients of somebody who may do anything in them. */
export async function withAdmin(options: AwsOptions = {}) {
  const cloud = await startAws({ limits: false, ...options })
  const keys = cloud.addIamUser({ name: 'root-like', policies: [everything] })
  const own = clients(cloud, keys)
  return {
    cloud,
    keys,
    ...own,
    [Symbol.asyncDispose]: async () => {
      own[Symbol.dispose]()
      await cloud.close()
    },
  }
}

/** The name of the error that a call of a client ends with. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (error instanceof Error) return error.name
    throw error
  }
  return 'none'
}

/** The name and path of a role from its principal id. */
export function nameOf(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1, id.indexOf('#'))
}
