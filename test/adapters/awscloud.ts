import { readFileSync } from 'node:fs'
import { configs } from '../../adapters/index.ts'
import { type AwsCloud, type AwsOptions, mainAccount, mainStore, startAws } from '../../sandbox/aws/index.ts'
import type { Adapter, PrincipalRef } from '../../src/core/adapter.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { opening } from './opening.ts'
import { hasty } from './tenant.ts'

export const AUDIENCE = 'https://agents.contoso.example'
export const SCIM_TOKEN = 'the-access-token-of-automatic-provisioning'
/** As the event history names that token. */
export const SCIM_WRITER = 'the-bridge-token'
export const QUEUE = 'arn:aws:sqs:us-east-1:111122223333:agentmesh-iam'
export const MANAGED = '/AgentMeshSuspended'
export const otherAccount = '444455556666'

/** The documents of docs/adapters/aws.md, by the name on their fence. */
export function documented(name: 'account' | 'identityCenter' | 'queue' | 'assume' | 'managed'): object {
  const text = readFileSync(new URL('../../docs/adapters/aws.md', import.meta.url), 'utf8')
  const [, json] = new RegExp(`^\`\`\`json policy=${name}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text) ?? []
  if (json === undefined) throw new Error(`docs/adapters/aws.md has no policy ${name}`)
  const document: unknown = JSON.parse(json)
  if (typeof document !== 'object' || document === null) throw new Error(`the policy ${name} is no document`)
  return document
}

/** What docs/adapters/aws.md tells to grant to the credential of the bridge. */
export const granted = (): object[] => [
  documented('account'),
  documented('identityCenter'),
  documented('queue'),
  documented('assume'),
]

export const EXTERNAL_ID = 'the-external-id-of-the-bridge'
/** The other account, as the configuration names it. */
export const elsewhere = {
  [otherAccount]: { assumeRole: { roleArn: `arn:aws:iam::${otherAccount}:role/idp-bridge`, externalId: EXTERNAL_ID } },
}

/** The role of the bridge in the other account, as docs/adapters/aws.md tells to make it. */
function addBridgeElsewhere(cloud: AwsCloud): void {
  const document = JSON.stringify(documented('account')).replaceAll(mainAccount, otherAccount)
  const policy: object = JSON.parse(document)
  const Statement = [
    {
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${mainAccount}:user/idp-bridge` },
      Action: 'sts:AssumeRole',
      Condition: { StringEquals: { 'sts:ExternalId': EXTERNAL_ID } },
    },
  ]
  const trust = { Version: '2012-10-17', Statement }
  cloud.addRole({ accountId: otherAccount, path: '/', name: 'idp-bridge', trust, inline: { bridge: policy } })
  cloud.addManagedPolicy(MANAGED, documented('managed'), { accountId: otherAccount })
}

export interface Bench extends AsyncDisposable {
  readonly cloud: AwsCloud
  readonly adapter: Adapter
  readonly secret: string
  /** An agent's role, and one that is a user of Identity Center. */
  role(name?: string, accountId?: string): PrincipalRef
  user(): PrincipalRef
  logged(): string
  /** Another adapter on the same accounts. */
  open(settings: Record<string, unknown>): Adapter
}

export interface BenchOptions extends AwsOptions {
  readonly policies?: readonly object[]
  readonly settings?: Record<string, unknown>
  readonly clock?: Clock
}

/** Accounts, the bridge with the documented permissions, and the adapter on them, over sockets. */
export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const { policies = granted(), settings = {}, clock = hasty, ...rest } = options
  const cloud = await startAws({ limits: false, ...rest })
  const keys = cloud.addIamUser({ name: 'idp-bridge', policies })
  const scim = cloud.addStore({ scimTokens: { [SCIM_WRITER]: SCIM_TOKEN } })
  cloud.addManagedPolicy(MANAGED, documented('managed'))
  addBridgeElsewhere(cloud)
  const adapters = opening(clock)

  const { origin } = cloud
  const open: Bench['open'] = (more) =>
    adapters.open(
      configs.aws.parse({
        kind: 'aws',
        region: 'us-east-1',
        credential: { type: 'accessKey', ...keys },
        accounts: { [mainAccount]: {} },
        identityCenter: {
          identityStoreId: mainStore,
          region: 'us-east-1',
          scim: { endpoint: scim, token: SCIM_TOKEN, writer: SCIM_WRITER },
        },
        manage: { kinds: ['iamRole', 'identityCenterUser'], paths: ['/agents/'] },
        suspension: { managedPolicy: MANAGED },
        endpoints: { iam: origin, sts: origin, identityStore: origin, sqs: origin, cloudTrail: origin, sns: origin },
        ...settings,
        ...more,
      }),
    )

  return {
    cloud,
    adapter: open({}),
    secret: keys.secretAccessKey,
    role: (name, accountId = mainAccount) => ({
      id: cloud.addRole({ accountId, ...(name !== undefined && { name }) }),
      kind: 'iamRole',
    }),
    user: () => ({ id: cloud.addUser(), kind: 'identityCenterUser' }),
    open,
    logged: adapters.logged,
    async [Symbol.asyncDispose]() {
      await adapters[Symbol.asyncDispose]()
      await cloud.close()
    },
  }
}
