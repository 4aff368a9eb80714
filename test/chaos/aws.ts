import { mainAccount, mainStore, startAws } from '../../sandbox/aws/index.ts'
import { playable } from '../../sandbox/aws/playable.ts'
import { bridgePolicies, queuePolicy, rolePattern, suspension, userPattern } from '../../sandbox/aws/policies.ts'
import { at } from '../e2e/json.ts'
import { type GroupName, lag, type Opened, type Tenancy, writesOf } from './tenancy.ts'

const audience = 'api://agents'
const scim = { writer: 'the-chaos-token', token: 'the-access-token-of-the-chaos' }
const others = { name: 'SomebodyElse', document: suspension.document }
const switchable = new Set(['PutRolePolicy', 'DeleteRolePolicy'])
const kinds = ['iamRole', 'identityCenterUser']

/** A role for each agent; some with an Identity Center user beside it, some with a user instead. */
export const startAccounts = async ({ seed }: { readonly seed: number }): Promise<Tenancy> => {
  const cloud = await startAws({
    staleMs: lag.staleMs,
    trailDelayMs: lag.auditDelayMs,
    eventDelayMs: 200,
    pageSize: 15,
    // The limits of the real ones count by the second; a run stands for hours.
    limits: false,
    pushTimeoutMs: 1000,
    pushRetryMs: 500,
    requestLogSize: 400_000,
    faultSeed: seed,
  })
  const bridge = cloud.addIamUser({ name: 'idp-bridge', policies: bridgePolicies })
  const endpoint = cloud.addStore({ scimTokens: { [scim.writer]: scim.token } })
  const issuer = await cloud.enableFederation()
  const queueArn = `arn:aws:sqs:us-east-1:${mainAccount}:agentmesh-iam`
  const ruleArn = `arn:aws:events:us-east-1:${mainAccount}:rule/agentmesh-iam`
  const queue = cloud.addQueue({ name: 'agentmesh-iam', policy: queuePolicy(queueArn, ruleArn), visibilitySeconds: 5 })
  cloud.addRule({ name: 'agentmesh-iam', pattern: rolePattern, targets: [queueArn] })
  const topic = cloud.addTopic({ name: 'agentmesh-users' })
  cloud.addRule({ name: 'agentmesh-users', pattern: userPattern, targets: [topic] })
  const group = (displayName: GroupName) => cloud.addGroup({ displayName })
  const groups = { plain: group('plain'), outer: group('outer'), nested: group('nested') }
  let subscription: string | undefined

  const user = (number: number): Opened => ({
    id: cloud.addUser({ userName: `agent-${number}@contoso.example` }),
    kind: 'identityCenterUser',
  })
  const role = (number: number): Opened => {
    const id = cloud.addRole({ name: `agent-${number}` })
    return { id, kind: 'iamRole', appId: id.slice(0, id.indexOf('#')) }
  }
  const open = (number: number): Opened[] => {
    if (number % 9 === 8) return [user(number)]
    return number % 7 === 3 ? [role(number), user(number)] : [role(number)]
  }

  const byName = new Map<string, string>()
  const write = ({ body, method, path }: (typeof cloud.requests)[number]) => {
    const [, userId] = /^\/scim\/v2\/Users\/([^/?]+)$/.exec(path) ?? []
    if (method === 'PATCH' && userId !== undefined) {
      return { id: `${mainStore}/${userId}`, on: at(body, 'Operations', 0, 'value') === 'true' }
    }
    const [, action = ''] = /^\/iam\/(\w+)$/.exec(path) ?? []
    const name = String(at(body, 'RoleName'))
    if (!switchable.has(action) || at(body, 'PolicyName') !== suspension.name) return undefined
    const id = byName.get(name)
    return id === undefined ? undefined : { id, on: action === 'DeleteRolePolicy' }
  }

  const { origin } = cloud
  return {
    stage: playable(cloud),
    groups,
    config: {
      kind: 'aws',
      region: 'us-east-1',
      credential: { type: 'accessKey', ...bridge },
      accounts: { [mainAccount]: {} },
      identityCenter: { identityStoreId: mainStore, region: 'us-east-1', scim: { endpoint, ...scim } },
      manage: { kinds, paths: ['/agents/'] },
      events: { queues: [queue.url] },
      attribution: { lag: `${lag.auditDelayMs + 1000}ms` },
      reconcile: '10s',
      tokens: { audiences: [audience], outbound: { [mainAccount]: issuer } },
      hooks: { sns: { topics: [topic] } },
      endpoints: { iam: origin, sts: origin, identityStore: origin, sqs: origin, cloudTrail: origin, sns: origin },
    },
    open: (number) => {
      const opened = open(number)
      for (const { id, kind } of opened) {
        if (kind === 'iamRole') byName.set(id.slice(id.lastIndexOf('/') + 1, id.indexOf('#')), id)
      }
      return opened
    },
    condition(id) {
      const state = cloud.get(id)
      const own = state?.kind === 'iamRole' ? !state.deniedBy.includes(suspension.name) : state?.enabled === true
      const isOthers = state?.deniedBy.some((name) => name !== suspension.name) === true
      return { live: state !== undefined, own, others: !isOthers, above: undefined }
    },
    flip: (id, on) => cloud.setSwitch(id, on),
    // Deleted is deleted here: a role made anew is another one.
    removal: () => undefined,
    otherSwitch: (id, kind) =>
      kind !== 'iamRole'
        ? undefined
        : {
            does: 'denies everything by a policy of another name',
            undoes: 'deletes that policy',
            act: () => cloud.putPolicy(id, others.name, others.document),
            undo: () => cloud.deletePolicy(id, others.name),
          },
    isMember: (name, id) => cloud.get(id)?.kind === 'identityCenterUser' && cloud.isMember(groups[name], id),
    // Only users can be members.
    setMember(name, id, isMember) {
      if (cloud.get(id)?.kind !== 'identityCenterUser') return
      if (isMember) cloud.addMember(groups[name], id)
      else cloud.removeMember(groups[name], id)
    },
    token: (id, kind) => (kind === 'iamRole' ? cloud.issueToken({ role: id, audience }) : undefined),
    bell(id) {
      if (cloud.get(id)?.kind === 'iamRole') cloud.tagRole(id, { bell: String(Date.now()) })
    },
    async subscribe(url) {
      if (subscription !== undefined) await cloud.unsubscribe(subscription)
      subscription = undefined
      subscription = await cloud.subscribe(topic, url)
    },
    written: writesOf(() => cloud.requests, write),
    settle: () => cloud.settle(),
    clearFaults: () => cloud.clearFaults(),
    close: () => cloud.close(),
  }
}
