import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { managedPolicy } from '../aws/policies.ts'
import type { Contoso as AwsContoso } from '../aws/seed.ts'
import type { Contoso as EntraContoso } from '../entra/seed.ts'
import type { Contoso as OktaContoso } from '../okta/seed.ts'
import type { Contoso as SpireContoso } from '../spire/seed.ts'

/** The people and programs of the tour; each gets a token of its own at every start. */
export const people = { alice: 'operator', bob: 'operator', runtime: 'runtime', gateway: 'gateway' } as const
export type Person = keyof typeof people
export type Tokens = Readonly<Record<Person, string>>

export interface Company {
  readonly entra: EntraContoso
  readonly okta: OktaContoso
  readonly aws: AwsContoso
  readonly spire: SpireContoso
}

export interface SettingsInput {
  readonly folder: string
  readonly port: number
  readonly entra: { readonly origin: string; readonly tenantId: string }
  readonly okta: { readonly origin: string; readonly key: string; readonly keyId: string }
  readonly aws: { readonly origin: string; readonly tokenFile: string }
  readonly spire: { readonly socket: string; readonly trustDomain: string }
  readonly company: Company
  readonly tokens: Tokens
  /** What Event Grid and the event hook carry. */
  readonly hookKey: string
}

/** The configuration of the daemon that `npm start` runs. */
export const settingsOf = ({ aws, company, entra, folder, hookKey, okta, port, spire, tokens }: SettingsInput) => ({
  version: 1,
  // A free port is not known yet: then nothing is published.
  server: { host: '127.0.0.1', port, ...(port !== 0 && { publicUrl: `http://127.0.0.1:${port}` }) },
  store: { url: `sqlite:${join(folder, 'bridge.db')}` },
  auth: {
    clients: (Object.keys(people) as Person[]).map((name) => ({
      name,
      role: people[name],
      tokenSha256: createHash('sha256').update(tokens[name]).digest('hex'),
    })),
  },
  policy: { confirmReleaseAfter: '2s' },
  signing: { keys: [{ file: join(folder, 'ed25519.pem') }] },
  blueprints: {
    'Data Analyst Agent': {
      description: 'Reads what its groups let it read, and the catalogue',
      capabilities: ['read:catalogue'],
      requireSponsor: true,
      maxDelegationDepth: 2,
      accessPolicy: { adapter: 'contoso', id: company.entra.policy },
    },
  },
  adapters: {
    contoso: {
      kind: 'entra',
      tenantId: entra.tenantId,
      endpoints: { graph: entra.origin, authority: entra.origin },
      credential: { type: 'clientSecret', clientId: company.entra.bridge.appId, secret: company.entra.bridge.secret },
      settle: '2s',
      tokens: { audiences: ['api://agents'] },
      groups: {
        [company.entra.groups.customerData]: ['read:customer-data', 'read:reports'],
        [company.entra.groups.finance]: ['read:ledger'],
      },
      sync: { accounts: '*/2 * * * * *', groups: '*/5 * * * * *' },
      hooks: { eventGrid: { auth: 'key', key: hookKey } },
    },
    'contoso-okta': {
      kind: 'okta',
      orgUrl: okta.origin,
      credential: { type: 'privateKey', clientId: company.okta.bridge, key: okta.key, keyId: okta.keyId },
      settle: '2s',
      tokens: { audiences: ['api://agents'], authorizationServers: [company.okta.server] },
      groups: { [company.okta.groups.finance]: ['approve:payments'] },
      sync: { accounts: '*/2 * * * * *', groups: '*/5 * * * * *' },
      hooks: { eventHook: { secret: hookKey } },
    },
    'contoso-aws': awsSettings(aws, company.aws),
    'contoso-spire': {
      kind: 'spiffe',
      trustDomain: spire.trustDomain,
      server: { address: spire.socket },
      manage: { paths: ['/agents/'] },
      settle: '2s',
      tokens: { audiences: ['api://agents'] },
      sync: { accounts: '*/2 * * * * *' },
    },
  },
})

const awsSettings = ({ origin, tokenFile }: SettingsInput['aws'], { accounts, bridge, ...aws }: AwsContoso) => ({
  kind: 'aws',
  region: 'us-east-1',
  credential: { type: 'webIdentity', roleArn: bridge.roleArn, tokenFile },
  accounts: {
    [accounts.main]: {},
    [accounts.other.id]: {
      assumeRole: { roleArn: accounts.other.roleArn, externalId: accounts.other.externalId },
    },
  },
  identityCenter: { identityStoreId: aws.identityStoreId, region: 'us-east-1', scim: aws.scim },
  manage: { kinds: ['iamRole', 'identityCenterUser'], paths: ['/agents/'], groups: [aws.groups.customerData] },
  events: { queues: [aws.queueUrl] },
  suspension: { managedPolicy },
  attribution: { lag: '2s' },
  settle: '2s',
  tokens: { audiences: ['api://agents'], outbound: { [accounts.main]: aws.issuer } },
  groups: { [aws.groups.customerData]: ['read:lake'] },
  sync: { accounts: '*/2 * * * * *', groups: '*/5 * * * * *' },
  hooks: { sns: { topics: aws.topicArn } },
  endpoints: { iam: origin, sts: origin, identityStore: origin, sqs: origin, cloudTrail: origin, sns: origin },
})

/** The agents as they are registered. Some have an account in every directory. */
export const agentsOf = ({ aws, entra, okta, spire }: Company) => {
  const identity = (id: string) => ({ adapter: 'contoso', id, kind: 'agentIdentity', appId: id })
  const user = (id: string) => ({ adapter: 'contoso-okta', id, kind: 'user' })
  const role = (id: string) => ({ adapter: 'contoso-aws', id, kind: 'iamRole', appId: id.slice(0, id.indexOf('#')) })
  const workload = (id: string) => ({ adapter: 'contoso-spire', id, kind: 'workload' })
  return [
    {
      did: 'did:agentmesh:data-analyst:a7f3b2c1d4e5f607',
      name: 'data-analyst-agent',
      sponsor: { email: 'alice@contoso.onmicrosoft.com', objectId: entra.sponsors.alice },
      blueprint: 'Data Analyst Agent',
      capabilities: ['write:notes'],
      principals: [
        identity(entra.agents.analyst),
        { adapter: 'contoso', id: entra.agentUser, kind: 'agentUser', appId: entra.agents.analyst },
        user(okta.agents.analyst),
        { adapter: 'contoso-okta', id: okta.analystApp, kind: 'serviceApp' },
        role(aws.agents.analyst),
        workload(spire.agents.analyst),
      ],
    },
    {
      did: 'did:agentmesh:report-writer:0b1c2d3e4f506172',
      name: 'report-writer-agent',
      parentDid: 'did:agentmesh:data-analyst:a7f3b2c1d4e5f607',
      principals: [
        identity(entra.agents.reporter),
        user(okta.agents.reporter),
        { adapter: 'contoso-aws', id: aws.reporter, kind: 'identityCenterUser' },
      ],
    },
    {
      did: 'did:agentmesh:payment-reconciler',
      name: 'payment-reconciler-agent',
      principals: [identity(entra.agents.reconciler), user(okta.agents.reconciler), role(aws.agents.reconciler)],
    },
    {
      did: 'did:mesh:34872769aa0c4d5e8f90123456789abc',
      name: 'market-scout-agent',
      principals: [identity(entra.agents.scout), role(aws.agents.scout), workload(spire.agents.scout)],
    },
  ]
}
