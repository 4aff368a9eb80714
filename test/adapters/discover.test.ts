import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discoveredOf } from '../../adapters/discovering.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import type { Discovered } from '../../src/core/discovery.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { elsewhere, otherAccount, bench as startCloud } from './awscloud.ts'
import { bench as startOrg, withAgents } from './org.ts'
import { signal, bench as startTenant } from './tenant.ts'
import { domain, SENTINEL } from './trustdomain.ts'

interface Walk {
  readonly found: readonly Discovered[]
  readonly pages: number
  readonly largest: number
}

/** Every page, each from the place alone that the one before named. */
const walk = async ({ discovery }: Adapter, everything = false): Promise<Walk> => {
  assert.ok(discovery)
  const found: Discovered[] = []
  let [pages, largest] = [0, 0]
  for (let from: string | undefined; ; ) {
    const page = await discovery.page(from, everything, signal())
    pages += 1
    largest = Math.max(largest, page.accounts.length)
    found.push(...page.accounts)
    if (page.next === undefined) return { found, pages, largest }
    from = page.next
  }
}

const names = ({ found }: Walk) => found.map(({ name }) => name).sort()
const one = ({ found }: Walk, id: string): Discovered => {
  const [first, ...more] = found.filter((each) => each.id === id)
  assert.ok(first && more.length === 0, `${id} is there once`)
  return first
}
const registrable = ({ vet }: Adapter, { found }: Walk): string[] =>
  found.filter((each) => vet(each) === undefined).map(({ id }) => id)

/** Fails with a code, and tells nothing. */
const fails = (adapter: Adapter) =>
  assert.rejects(walk(adapter), (error) => error instanceof BridgeError && error.code.startsWith('E_DIRECTORY'))

test('Entra: agent identities and what tags call agents; the rest on request, and what is of the vendor never', async () => {
  const settings = { manage: { kinds: ['agentIdentity', 'servicePrincipal', 'user'] } }
  await using rig = await startTenant({ pageSize: 2, settings })
  const { tenant, adapter, blueprint, bridge } = rig
  const vendorTenant = 'f8cdef31-a31e-4b4a-93e4-5f571e91255a'
  const agents = [0, 1, 2, 3, 4].map((n) =>
    tenant.addAgentIdentity({
      displayName: `agent ${n}`,
      blueprintAppId: blueprint.appId,
      enabled: n !== 3,
      ...(n === 1 && { properties: { tags: ['x', 'did:agentmesh:one'] } }),
    }),
  )
  tenant.addServicePrincipal({ displayName: 'copilot', properties: { tags: ['AgenticApp'] } })
  tenant.addServicePrincipal({ displayName: 'old copilot', properties: { tags: ['power-virtual-agents-1'] } })
  tenant.addServicePrincipal({ displayName: 'payroll' })
  tenant.addServicePrincipal({ displayName: 'Mail', properties: { appOwnerOrganizationId: vendorTenant } })
  tenant.addUser({ displayName: 'Alice' })
  tenant.settle()
  const few = await walk(adapter)
  assert.deepEqual(names(few), [...agents.map((_, n) => `agent ${n}`), 'copilot', 'old copilot'])
  assert.ok(few.found.every(({ isAgent }) => isAgent))
  assert.deepEqual(one(few, agents[1] ?? '').suggested, { did: 'did:agentmesh:one', by: 'label' })
  assert.deepEqual([one(few, agents[3] ?? '').state, one(few, agents[3] ?? '').kind], ['disabled', 'agentIdentity'])
  const all = await walk(adapter, true)
  for (const name of ['agent 0', 'Alice', 'copilot', 'payroll']) assert.ok(names(all).includes(name), name)
  assert.ok(!names(all).includes('Mail') && !names(all).includes('blueprint'))
  assert.equal(all.found.find(({ name }) => name === 'payroll')?.isAgent, false)
  assert.equal(new Set(all.found.map(({ id }) => id)).size, all.found.length, 'nothing is told twice')
  assert.ok(!registrable(adapter, all).includes(bridge.servicePrincipalId), 'the bridge is nobody’s agent')
  tenant.fail(/agentIdentity/, { status: 403, times: 99 })
  await fails(adapter)
})

test('Entra: agent identities alone are listed with the least permission', async () => {
  const roles = ['AgentIdentity.Read.All', 'AgentIdentityBlueprintPrincipal.Read.All']
  await using rig = await startTenant({ roles, settings: { manage: { kinds: ['agentIdentity'] } } })
  rig.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: rig.blueprint.appId })
  rig.tenant.settle()
  assert.deepEqual(names(await walk(rig.adapter)), ['a'])
})

test('Entra: 10,000 agents take a call for each hundred, and no page holds more', async () => {
  await using rig = await startTenant({ settings: { manage: { kinds: ['agentIdentity'] } } })
  for (let n = 0; n < 10_000; n++)
    rig.tenant.addAgentIdentity({ displayName: `a${n}`, blueprintAppId: rig.blueprint.appId })
  rig.tenant.settle()
  rig.tenant.clearRequests()
  const { found, largest } = await walk(rig.adapter)
  assert.equal(new Set(found.map(({ id }) => id)).size, 10_000)
  assert.ok(largest <= 100, `${largest}`)
  const asked = rig.tenant.requests.filter(({ path }) => path.includes('agentIdentity')).length
  assert.ok(asked <= 102, `${asked} calls`)
})

test('Okta: AI agents and service apps; users of the managed groups, or all on request', async () => {
  await using rig = await startOrg({ ...withAgents, pageSize: 2 })
  const { org, adapter, bridge } = rig
  const [apps, agents, users] = [rig.apps(3), rig.agents(3), rig.users(5)]
  org.addApp({ label: 'web', applicationType: 'web' })
  const [member] = users
  const group = org.addGroup({ name: 'agents', members: [member?.id ?? ''] })
  org.settle()
  const found = await walk(adapter)
  for (const { id, kind } of [...apps, ...agents]) {
    assert.deepEqual([one(found, id).kind, one(found, id).isAgent], [kind, true])
  }
  assert.ok(found.found.filter(({ kind }) => kind === 'user').every(({ isAgent }) => !isAgent))
  assert.ok(!names(found).includes('web'))
  assert.ok(!registrable(adapter, found).includes(bridge))
  const bounded = rig.open({ manage: { kinds: ['user'], groups: [group] } })
  const people = await walk(bounded)
  assert.deepEqual(registrable(bounded, people), [member?.id])
  assert.equal(one(people, member?.id ?? '').isAgent, true)
  org.fail(/groups/, { status: 500, times: 99 })
  await fails(rig.open({ manage: { kinds: ['user'], groups: [group] } }))
})

test('Okta: 10,000 users take a call for each two hundred', async () => {
  await using rig = await startOrg({ settings: { manage: { kinds: ['user'] } } })
  rig.users(10_000)
  rig.org.settle()
  rig.org.clearRequests()
  const { found, largest } = await walk(rig.adapter, true)
  assert.ok(new Set(found.map(({ id }) => id)).size >= 10_000)
  assert.ok(largest <= 200, `${largest}`)
  assert.ok(rig.org.requests.length <= 60, `${rig.org.requests.length} calls`)
})

test('AWS: roles of every account under the managed paths; elsewhere those that a tag or a service of agents marks', async () => {
  await using rig = await startCloud({ pageSize: 2, settings: { accounts: { '111122223333': {}, ...elsewhere } } })
  const { cloud } = rig
  const [a, b] = [rig.role('a'), rig.role('b', otherAccount)]
  const tagged = cloud.addRole({ path: '/', name: 'tagged', tags: { 'agentmesh:did': 'did:mesh:t' } })
  const core = {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { Service: 'bedrock-agentcore.amazonaws.com' }, Action: 'sts:AssumeRole' },
    ],
  }
  const served = cloud.addRole({ path: '/', name: 'served', trust: core })
  const other = cloud.addRole({ path: '/', name: 'other' })
  const linked = cloud.addRole({ path: '/aws-service-role/x.amazonaws.com/', name: 'linked' })
  const user = rig.user()
  cloud.settle()
  const narrow = await walk(rig.adapter)
  assert.deepEqual(registrable(rig.adapter, narrow).sort(), [a.id, b.id, user.id].sort())
  assert.deepEqual([one(narrow, a.id).isAgent, one(narrow, user.id).isAgent], [true, false])
  const wide = rig.open({ manage: { kinds: ['iamRole'], paths: ['/'] } })
  const roles = await walk(wide)
  assert.deepEqual(one(roles, tagged).suggested, { did: 'did:mesh:t', by: 'label' })
  assert.deepEqual(
    [tagged, served, other].map((id) => one(roles, id).isAgent),
    [true, true, false],
  )
  assert.ok(!roles.found.some(({ id }) => id === linked))
  cloud.fail(/GetAccountAuthorizationDetails/, { status: 500, times: 99 })
  await fails(rig.adapter)
})

test('SPIFFE: workloads by their entries, with the DID that the naming suggests', async () => {
  const naming = [{ spiffeId: 'spiffe://example.org/agents/{name}', did: 'did:agentmesh:prod:{name}' }]
  await using rig = await domain({ trustDomain: 'example.org', pageSize: 2, settings: { discovery: { naming } } })
  const [first, second] = rig.workloads(3)
  const { spire, adapter } = rig
  spire.addEntry({ spiffeId: first?.id ?? '', selectors: ['unix:uid:7'] })
  spire.addEntry({ spiffeId: 'spiffe://example.org/other', selectors: ['unix:uid:8'] })
  spire.addEntry({ spiffeId: 'spiffe://example.org/below', selectors: ['unix:uid:9'], more: { downstream: true } })
  const found = await walk(adapter)
  assert.deepEqual([...new Set(names(found))], ['agents/a0', 'agents/a1', 'agents/a2', 'other'])
  assert.deepEqual(one(found, second?.id ?? '').suggested, { did: 'did:agentmesh:prod:a1', by: 'naming' })
  assert.equal(one(found, 'spiffe://example.org/other').suggested, undefined)
  assert.ok(found.pages > 1)
  const plain = await walk(rig.open({ discovery: {} }))
  assert.ok(
    plain.found.every(({ suggested }) => suggested === undefined),
    'no DID is made of an ID by itself',
  )
})

test('SPIFFE: one entry that is not suspended is enough for the workload to be on, whatever the next one is', async () => {
  await using rig = await domain({ trustDomain: 'example.org' })
  const both = 'spiffe://example.org/both'
  rig.spire.addEntry({ spiffeId: both, selectors: ['unix:uid:1'] })
  rig.spire.addEntry({ spiffeId: both, selectors: ['unix:uid:2', `${SENTINEL.type}:${SENTINEL.value}`] })
  rig.spire.addEntry({ spiffeId: 'spiffe://example.org/off', selectors: [`${SENTINEL.type}:${SENTINEL.value}`] })
  const found = await walk(rig.adapter)
  assert.equal(one(found, both).state, 'enabled')
  assert.equal(one(found, 'spiffe://example.org/off').state, 'unknown')
})

test('a name that is cut is text still, and can be imported', () => {
  const sighting = { id: 'a', kind: 'user', state: 'enabled', switches: [], byId: false, begunAt: 0 } as const
  const named = (displayName: string) => discoveredOf({ ...sighting, displayName }, true)?.name ?? ''
  for (const name of [
    `${'x'.repeat(199)}\u{1F600}`,
    `${'x'.repeat(198)}\u{1F600}`,
    `  \u0000x ${'\u{1F600}'.repeat(200)}`,
  ]) {
    assert.ok(named(name).isWellFormed(), name)
    assert.ok(named(name).length <= 200 && named(name).length >= 198, `${named(name).length}`)
  }
  assert.equal(named('\u0000 \u0007'), 'a')
})

test('SPIFFE: 2,000 entries take a call for each five hundred', async () => {
  await using rig = await domain()
  rig.workloads(2_000)
  const { found, largest, pages } = await walk(rig.adapter)
  assert.equal(found.length, 2_000)
  assert.ok(largest <= 500 && pages <= 5, `${largest} in ${pages}`)
})
