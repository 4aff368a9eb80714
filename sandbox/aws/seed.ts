import type { AwsCloud } from './cloud.ts'
import { storeObjectId, uniqueId } from './ids.ts'
import { bridgePolicies, documents, managedPolicy, queuePolicy, rolePattern, userPattern } from './policies.ts'
import { mainAccount, mainStore } from './population.ts'

/** A second account, whose roles the bridge reaches by assuming one there. */
export const otherAccount = '444455556666'

export interface Contoso {
  /** The bridge's own role, in the main account, and a token of the cluster that it runs in, for which it gets sessions. */
  readonly bridge: { readonly roleArn: string; readonly token: string }
  readonly accounts: {
    readonly main: string
    readonly other: { readonly id: string; readonly roleArn: string; readonly externalId: string }
  }
  /** Roles of the agents by their principal ids; that of the reconciler is in the other account. */
  readonly agents: { readonly analyst: string; readonly reconciler: string; readonly scout: string }
  /** The reporter as a user of Identity Center. */
  readonly reporter: string
  readonly identityStoreId: string
  readonly scim: { readonly endpoint: string; readonly token: string; readonly writer: string }
  readonly groups: { readonly customerData: string }
  /** Changes of roles come to it. */
  readonly queueUrl: string
  /** Changes of users go to it. */
  readonly topicArn: string
  /** The issuer of the main account's tokens. */
  readonly issuer: string
}

/** The company of the Entra tenant's seed in AWS. Ids are the same in every run, so that a tour can name them. */
export async function seedContoso(cloud: AwsCloud): Promise<Contoso> {
  const externalId = 'contoso-sandbox-only'
  const [queueArn, ruleArn] = ['sqs:us-east-1', 'events:us-east-1'].map((place) => `arn:aws:${place}:${mainAccount}:`)
  const queue = {
    name: 'agentmesh-iam',
    policy: queuePolicy(`${queueArn}agentmesh-iam`, `${ruleArn}rule/agentmesh-iam`),
  }
  const { arn, url: queueUrl } = cloud.addQueue(queue)
  cloud.addRule({ name: 'agentmesh-iam', pattern: rolePattern, targets: [arn] })
  const topicArn = cloud.addTopic({ name: 'agentmesh-users' })
  cloud.addRule({ name: 'agentmesh-users', pattern: userPattern, targets: [topicArn] })

  const scim = { token: 'contoso-sandbox-only-scim', writer: 'agentmesh-scim-token' }
  const endpoint = cloud.addStore({ scimTokens: { [scim.writer]: scim.token } })
  for (const accountId of [mainAccount, otherAccount]) {
    cloud.addManagedPolicy(managedPolicy, documents.managed, { accountId })
  }
  const bridge = addBridge(cloud)
  const otherRole = `arn:aws:iam::${otherAccount}:role/idp-bridge`
  cloud.addRole({
    accountId: otherAccount,
    id: uniqueId('AROA', `${otherAccount} idp-bridge`),
    name: 'idp-bridge',
    path: '/',
    trust: trusting({ AWS: bridge.roleArn }, 'sts:AssumeRole', { 'sts:ExternalId': externalId }),
    inline: { Bridge: documents.account(otherAccount) },
  })
  const role = (name: string, accountId = mainAccount) =>
    cloud.addRole({ accountId, id: uniqueId('AROA', name), name, inline: { Work: work } })
  const agents = {
    analyst: role('data-analyst-agent'),
    reconciler: role('payment-reconciler-agent', otherAccount),
    scout: role('market-scout-agent'),
  }
  const userName = 'report-writer-agent@contoso.example'
  const reporter = cloud.addUser({ id: storeObjectId(mainStore, userName), userName })
  const customerData = cloud.addGroup({
    id: storeObjectId(mainStore, 'agents-customer-data'),
    displayName: 'agents-customer-data',
    members: [reporter],
  })
  const issuer = await cloud.enableFederation()
  cloud.settle()
  return {
    bridge,
    accounts: { main: mainAccount, other: { id: otherAccount, roleArn: otherRole, externalId } },
    agents,
    reporter,
    identityStoreId: mainStore,
    scim: { endpoint, ...scim },
    groups: { customerData },
    queueUrl,
    topicArn,
    issuer,
  }
}

/** A pod of a cluster whose tokens the main account takes: no key that could be lost. */
function addBridge(cloud: AwsCloud): Contoso['bridge'] {
  const issuer = cloud.addIssuer('id/AGENTMESH', { jwksPath: 'keys' })
  cloud.addOidcProvider(issuer, ['sts.amazonaws.com'])
  const host = issuer.replace('http://', '')
  const sub = 'system:serviceaccount:agentmesh:idp-bridge'
  const provider = { Federated: `arn:aws:iam::${mainAccount}:oidc-provider/${host}` }
  const id = cloud.addRole({
    id: uniqueId('AROA', 'idp-bridge'),
    name: 'idp-bridge',
    path: '/',
    trust: trusting(provider, 'sts:AssumeRoleWithWebIdentity', { [`${host}:sub`]: sub }),
    inline: Object.fromEntries(bridgePolicies.map((document, at) => [`Bridge${at}`, document])),
  })
  const iat = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, aud: 'sts.amazonaws.com', sub, iat, exp: iat + 30 * 24 * 3600 }
  return { roleArn: id.slice(0, id.indexOf('#')), token: cloud.signBy(issuer, claims) }
}

function trusting(principal: object, action: string, equals: Readonly<Record<string, string>>) {
  return {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: principal, Action: action, Condition: { StringEquals: equals } }],
  }
}

/** What an agent does with its role: it proves who it is. */
const work = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'sts:GetWebIdentityToken', Resource: '*' }],
}
