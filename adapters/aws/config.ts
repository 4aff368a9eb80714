import { z } from 'zod'
import { adapterBase, groupCapabilities } from '../../src/config/adapter.ts'
import { duration, httpsOrigin, httpsUrl, int, oneOrMany, says, secret, text } from '../../src/lib/fields.ts'
import { accountId, kindOfId, kinds, partsOf, resourceId, roleArn, storeId } from './ids.ts'
import { partitionOf, regionName } from './partitions.ts'

const region = z
  .string()
  .regex(
    regionName,
    says('is not a region', 'write a region such as eu-west-1; sovereign and isolated regions are not supported'),
  )
const account = z
  .string()
  .regex(accountId, says('is not an account id', 'write the 12 digits in quotes: "111122223333"'))
const role = z.string().regex(roleArn, says('is not the ARN of a role', 'write arn:aws:iam::111122223333:role/name'))
const principal = z
  .string()
  .refine(
    (id) => kindOfId(id) !== undefined,
    says('is not the id of an account', 'write <role ARN>#<RoleId> or <identity store id>/<user id>'),
  )
const never = z
  .string()
  .refine(
    (id) => kindOfId(id) !== undefined || partsOf(id) !== undefined,
    says(
      'is not the id of an account',
      'write <role ARN>#<RoleId>, the ARN of a role, or <identity store id>/<user id>',
    ),
  )
const group = z
  .string()
  .regex(resourceId, says('is not a group id', 'use the GroupId, a UUID: another group can take over a name'))
const policyName = z
  .string()
  .regex(/^[\w+=,.@-]{1,128}$/, says('is not the name of a policy', 'write up to 128 of A-Z a-z 0-9 _ + = , . @ -'))
const policyArn = z
  .string()
  .regex(
    /^arn:(aws|aws-cn|aws-us-gov):iam::(aws|\d{12}):policy\/[\x21-\x7e]{1,512}$/,
    says('is not the ARN of a managed policy', 'write arn:aws:iam::aws:policy/AWSDenyAll or one of an account'),
  )
const path = z
  .string()
  .regex(
    /^\/([\x21\x22\x24-\x7e]{1,510}\/)?$/,
    says('is not a path of roles', 'write / or a path that begins and ends with one, such as /agents/'),
  )
/** STS takes no fewer than two characters (AssumeRole, read 2026-11). */
const sessionName = z
  .string()
  .regex(/^[\w+=,.@-]{2,64}$/, says('is not a session name', 'write 2 to 64 of A-Z a-z 0-9 _ + = , . @ -'))

const assumeRole = z.strictObject({
  roleArn: role,
  externalId: secret({ min: 2 }).optional().describe('What the trust policy of the role expects in sts:ExternalId'),
})

const credential = z
  .discriminatedUnion('type', [
    z
      .strictObject({ type: z.literal('webIdentity'), roleArn: role, tokenFile: text.describe('Path of the token') })
      .describe('A token of an OIDC issuer that the account trusts, such as that of a Kubernetes service account'),
    z
      .strictObject({
        type: z.literal('container'),
        uri: text.optional().describe('Address of the credentials; that which the platform sets when left out'),
        tokenFile: text.optional(),
      })
      .describe('The task role of ECS, or EKS Pod Identity'),
    z.strictObject({ type: z.literal('instance') }).describe('The instance profile of EC2, by IMDSv2'),
    z
      .strictObject({
        type: z.literal('accessKey'),
        accessKeyId: text,
        secretAccessKey: secret({ min: 16 }),
        sessionToken: secret().optional(),
      })
      .describe('A static access key: for trials'),
    z
      .strictObject({ type: z.literal('default'), profile: text.optional() })
      .describe('Whatever the default chain of the SDK finds: environment, files, web identity, container, instance'),
  ])
  .describe('How the bridge signs its requests')

const scim = z.strictObject({
  endpoint: httpsUrl.describe('The SCIM endpoint of the instance, with its tenant: https://scim.…/<tenant>/scim/v2'),
  token: secret({ min: 16 }).describe('Access token of automatic provisioning'),
  writer: text
    .optional()
    .describe('The id by which CloudTrail names this token (userIdentity.accessKeyId): tells our changes from others’'),
})

const identityCenter = z.strictObject({
  identityStoreId: z.string().regex(storeId, says('is not an identity store id', 'write d- and ten hex digits')),
  region: region.describe('Home region of the instance'),
  account: account.optional().describe('The account whose credential reads it; that of `credential` when left out'),
  scim: scim.optional().describe('Without it users are read, and never switched'),
  sessionTail: duration({ maxMs: 48 * 3_600_000 })
    .prefault('13h')
    .describe(
      'How long role sessions go on after a user was switched off: an hour and the longest permission set session',
    ),
})

const subjects = z
  .record(text, z.union([principal, role]))
  .describe('Subject in tokens → principal id, or ARN of its role')

const tokens = z.strictObject({
  audiences: z.array(text).min(1, says('is an empty list', 'name at least one audience, such as api://agents')),
  outbound: z
    .record(account, httpsOrigin)
    .prefault({})
    .describe('Account → its issuer of outbound identity federation, https://….tokens.sts.global.api.aws'),
  eks: z
    .array(z.strictObject({ issuer: httpsUrl, audiences: z.array(text).min(1).optional(), subjects }))
    .prefault([])
    .describe('Issuers of service account tokens, https://oidc.eks.<region>.amazonaws.com/id/<id>'),
  cognito: z
    .array(
      z.strictObject({
        issuer: httpsUrl.describe('https://cognito-idp.<region>.amazonaws.com/<user pool id>'),
        clients: z.record(text, z.union([principal, role])).describe('Client id → principal id, or ARN of its role'),
      }),
    )
    .prefault([])
    .describe('User pools; access tokens of the client credentials grant'),
})

const topic = z
  .string()
  .regex(
    /^arn:(aws|aws-cn|aws-us-gov):sns:[a-z0-9-]{5,30}:\d{12}:[\w-]{1,256}$/,
    says(
      'is not the ARN of a topic',
      'write arn:aws:sns:us-east-1:111122223333:name; FIFO topics do not deliver by HTTPS',
    ),
  )

/** Some AWS accounts and one instance of Identity Center. */
export const awsConfig = adapterBase
  .extend({
    kind: z.literal('aws'),
    region: region.describe('Where the bridge signs in (STS), and where queues are unless their address says'),
    credential,
    sessionName: sessionName.prefault('idp-bridge').describe('What CloudTrail names the sessions of the bridge'),
    accounts: z
      .record(account, z.strictObject({ assumeRole: assumeRole.optional() }))
      .refine((map) => Object.keys(map).length > 0, says('is empty', 'name at least one account'))
      .describe('The accounts whose roles are managed, each with the role to assume there'),
    identityCenter: identityCenter.optional(),
    manage: z
      .strictObject({
        kinds: z
          .array(z.enum(kinds))
          .min(1, says('is an empty list', 'name at least one kind, such as iamRole'))
          .prefault(['iamRole']),
        paths: z.array(path).min(1).prefault(['/']).describe('Roles are managed under these paths only'),
        groups: z.array(group).prefault([]).describe('Identity Center users are managed in these groups only'),
      })
      .prefault({})
      .describe('The accounts the bridge may register and write; anything else is refused'),
    never: z.array(never).prefault([]).describe('Ids of accounts that the bridge must never map, disable or mirror'),
    suspension: z
      .strictObject({
        policyName: policyName.prefault('AgentMeshSuspended').describe('Inline policy that the bridge puts on a role'),
        managedPolicy: z
          .string()
          .regex(
            /^\/?([\x21\x22\x24-\x7e]{1,510}\/)?[\w+=,.@-]{1,128}$/,
            says('is not a policy', 'write its path and name'),
          )
          .optional()
          .describe(
            'Path and name of a deny-all managed policy of each account: attached where the inline space is full',
          ),
        denyPolicies: z
          .array(policyArn)
          .prefault(['arn:aws:iam::aws:policy/AWSDenyAll'])
          .describe('Managed policies by which others suspend: attached, or as permissions boundary'),
      })
      .prefault({}),
    attribution: z
      .strictObject({
        lag: duration({ maxMs: 3_600_000 }).prefault('15m').describe('How far CloudTrail may be behind'),
      })
      .or(z.literal('none'))
      .prefault({})
      .describe('Who switched what, by the event history of CloudTrail; none: nobody can tell'),
    events: z
      .strictObject({
        queues: z.array(httpsUrl).min(1).describe('Addresses of SQS queues fed by EventBridge'),
        account: account
          .optional()
          .describe('The account whose credential reads them; that of `credential` when left out'),
      })
      .optional()
      .describe('Shortens the time until a change is seen; listings stay the truth'),
    reconcile: duration({ minMs: 10_000, maxMs: 3_600_000 })
      .prefault('5m')
      .describe('How often everything is listed where queues tell of changes; without, in each pass of sync.accounts'),
    tokens: tokens.optional().describe('Without it no token is accepted'),
    groups: z.record(group, groupCapabilities).prefault({}).describe('Group id of the identity store → capabilities'),
    hooks: z
      .strictObject({
        sns: z.strictObject({ topics: oneOrMany(topic).describe('Topics whose messages are taken') }).optional(),
      })
      .prefault({}),
    limits: z
      .strictObject({
        concurrency: int(2, 50).prefault(10).describe('Requests open at once, in each account'),
      })
      .prefault({}),
    endpoints: z
      .strictObject({
        iam: httpsOrigin.optional(),
        sts: httpsOrigin.optional(),
        identityStore: httpsOrigin.optional(),
        sqs: httpsOrigin.optional(),
        cloudTrail: httpsOrigin.optional(),
        sns: httpsOrigin.optional(),
      })
      .prefault({})
      .describe('Other addresses than those of the regions: for stand-ins and private endpoints'),
  })
  .superRefine((config, context) => {
    const issue = (at: (string | number)[], message: string, hint: string) =>
      context.addIssue({ code: 'custom', path: at, message: says(message, hint) })
    const { identityCenter: center, events, manage, accounts } = config
    if (manage.kinds.includes('identityCenterUser') && !center)
      issue(['identityCenter'], 'is missing', 'users of Identity Center are managed: say where they are')
    if (!center && (manage.groups.length > 0 || Object.keys(config.groups).length > 0))
      issue(['identityCenter'], 'is missing', 'groups are those of an identity store: say where it is')
    const named = (at: (string | number)[], id: string | undefined) => {
      if (id !== undefined && !Object.hasOwn(accounts, id)) issue(at, 'is not configured', 'add it to accounts')
    }
    named(['identityCenter', 'account'], center?.account)
    named(['events', 'account'], events?.account)
    for (const id of Object.keys(config.tokens?.outbound ?? {})) named(['tokens', 'outbound', id], id)
    for (const [id, { assumeRole: assumed }] of Object.entries(accounts)) {
      const its = assumed && partsOf(assumed.roleArn)?.account
      if (its !== undefined && its !== id)
        issue(['accounts', id, 'assumeRole', 'roleArn'], 'is of another account', `name a role of ${id}`)
    }
    if (center && partitionOf(center.region) !== partitionOf(config.region))
      issue(['identityCenter', 'region'], 'is in another partition', 'use an adapter for each partition')
    if (Object.values(accounts).filter((each) => !each.assumeRole).length > 1)
      issue(['accounts'], 'has several accounts without assumeRole', 'the credential itself is of one account only')
    const issuers = Object.values(config.tokens?.outbound ?? {})
    if (new Set(issuers).size < issuers.length)
      issue(['tokens', 'outbound'], 'names one issuer for two accounts', 'each account has an issuer of its own')
  })
  .describe('AWS')

export type AwsConfig = z.output<typeof awsConfig>
