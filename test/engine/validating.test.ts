import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import { type Bench, type BenchOptions, bench, never, signal } from '../adapters/tenant.ts'
import { directory } from '../store/fixture.ts'
import { registrar, World } from './harness.ts'

const did = 'did:mesh:a'

interface Setting extends AsyncDisposable {
  readonly world: World
  readonly bench: Bench
  readonly agent: string
  readonly appId: string
  readonly alice: string
  readonly group: string
  register(over?: { kind?: string; appId?: string | undefined; id?: string; sponsor?: object }): Promise<void>
  validate(): ReturnType<World['bridge']['validate']>
  codes(): Promise<string[]>
}

/** An agent of a tenant over sockets, whose sponsor and group are of that tenant. */
const setting = async (options: BenchOptions = {}): Promise<Setting> => {
  const it = await bench(options)
  const { tenant } = it
  const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: it.blueprint.appId })
  const appId = (await it.adapter.lookup([{ id: agent, kind: 'agentIdentity' }], signal())).get(agent)?.appId
  assert.ok(typeof appId === 'string')
  const alice = tenant.addUser({ displayName: 'Alice', userPrincipalName: 'alice@contoso.com' })
  const group = tenant.addGroup({ displayName: 'readers', members: [agent] })
  const groups = { [group]: ['read:reports'] }
  const own = it.open({ groups, manage: { kinds: ['agentIdentity', 'user'] } })
  const world = await World.open({
    adapters: { north: { adapter: () => ({ ...own, name: 'north' }), settings: { groups } } },
  })
  const validate = () => world.bridge.validate(did, registrar)
  return {
    world,
    bench: it,
    agent,
    appId,
    alice,
    group,
    async register({ id = agent, kind = 'agentIdentity', sponsor = { objectId: alice }, ...over } = {}) {
      const named = 'appId' in over ? over.appId : appId
      const principal = { adapter: 'north', id, kind, ...(named !== undefined && { appId: named }) }
      await world.bridge.register({ did, name: 'a', sponsor, principals: [principal] }, registrar)
    },
    validate,
    codes: async () => (await validate()).issues.map(({ code }) => code),
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await it[Symbol.asyncDispose]()
    },
  }
}

test('a registration that the live directory agrees with has no issue, and validating writes nothing anywhere', async () => {
  await using it = await setting()
  await it.register()
  const { head } = await it.world.bridge.verifyAudit()
  const before = it.bench.tenant.requests.length
  assert.deepEqual(await it.validate(), { ok: true, issues: [], unproven: [] })
  assert.equal((await it.world.bridge.verifyAudit()).head, head)
  const sent = it.bench.tenant.requests.slice(before).filter(({ surface }) => surface === 'graph')
  assert.ok(sent.length > 0 && sent.length <= 10, `${sent.length} requests`)
  assert.ok(sent.every(({ method, path }) => method === 'GET' || path.includes('$batch')))
})

test('an account that is gone, off, or registered as another one is told', async () => {
  await using it = await setting()
  await it.register()
  const { tenant } = it.bench
  tenant.setEnabled(it.agent, false)
  assert.deepEqual(await it.codes(), ['V_DISABLED'])
  tenant.remove(it.agent)
  assert.deepEqual(await it.codes(), ['V_ABSENT'])

  await using other = await setting()
  await other.register({ appId: never })
  const { issues, ok } = await other.validate()
  assert.deepEqual([ok, issues.map(({ code }) => code)], [false, ['V_APP_ID']])
  assert.ok(issues[0]?.mend?.includes(other.appId))

  await using bare = await setting()
  await bare.register({ appId: undefined })
  assert.deepEqual(await bare.codes(), ['V_NO_APP_ID'])

  await using user = await setting()
  const id = user.bench.tenant.addUser({ displayName: 'a user' })
  await user.register({ id, kind: 'user', appId: undefined })
  assert.deepEqual(await user.codes(), [], 'a user has no app id to miss')
})

test('a sponsor who is gone or off is told; one nobody may read is not taken to be there', async () => {
  await using it = await setting()
  await it.register({ sponsor: { email: 'alice@contoso.com' } })
  assert.deepEqual(await it.codes(), [])
  it.bench.tenant.setEnabled(it.alice, false)
  assert.deepEqual(await it.codes(), ['V_SPONSOR_DISABLED'])
  it.bench.tenant.remove(it.alice)
  assert.deepEqual(await it.codes(), ['V_SPONSOR_ABSENT'])

  await using blind = await setting({ roles: bridgeRoles.filter((role) => role !== 'User.Read.All') })
  await blind.register()
  const { issues } = await blind.validate()
  const unread = issues.find(({ code }) => code === 'V_SPONSOR_UNREAD')
  assert.match(unread?.mend ?? '', /^az ad app permission add .*User\.Read\.All/)
  assert.ok(!JSON.stringify(issues).includes('alice@'), 'nobody is named')
})

test('a permission that an account of its kind needs, and a group that cannot be read, are told with the command', async () => {
  for (const role of ['AgentIdentity.EnableDisable.All', 'AuditLog.Read.All']) {
    await using it = await setting({ roles: bridgeRoles.filter((one) => one !== role) })
    await it.register()
    const { issues } = await it.validate()
    assert.deepEqual(
      issues.map(({ code }) => code),
      ['V_PERMISSION'],
      role,
    )
    assert.ok(issues[0]?.mend?.includes(`'${role}'`))
  }
  await using it = await setting()
  await it.register()
  it.bench.tenant.remove(it.group)
  assert.deepEqual(await it.codes(), ['V_GROUP_UNREADABLE'])
})

test('what only a write would tell is unproven, and no issue', async () => {
  await using it = await setting()
  const own = it.bench.tenant.addServicePrincipal({ displayName: 's', ownerIds: [it.bench.bridge.servicePrincipalId] })
  await using world = await World.open({
    adapters: { north: { adapter: () => ({ ...it.bench.adapter, name: 'north' }) } },
  })
  const ref = { id: own, kind: 'servicePrincipal' }
  const appId = (await it.bench.adapter.lookup([ref], signal())).get(own)?.appId
  assert.ok(typeof appId === 'string')
  const principals = [{ adapter: 'north', ...ref, appId }]
  await world.bridge.register({ did, name: 's', sponsor: { objectId: it.alice }, principals }, registrar)
  const { issues, ok, unproven } = await world.bridge.validate(did, registrar)
  assert.deepEqual([ok, issues, unproven.map(({ code }) => code)], [true, [], ['V_UNPROVEN']])
})

test('a right that could not be looked at, for the directory did not answer that, is unproven', async () => {
  await using it = await setting()
  using folder = directory()
  const path = join(folder.path, 'token')
  const { bridge, tenant } = it.bench
  const sender = { kind: 'app', id: bridge.servicePrincipalId, roles: [...bridgeRoles] } as const
  writeFileSync(path, tenant.disguiseToken(tenant.issueToken({ ...sender, audience: 'https://graph.microsoft.com' })))
  const blind = it.bench.open({ credential: { type: 'tokenFile', path }, manage: { kinds: ['agentIdentity', 'user'] } })
  await using world = await World.open({ adapters: { north: { adapter: () => ({ ...blind, name: 'north' }) } } })
  const principals = [{ adapter: 'north', id: it.agent, kind: 'agentIdentity', appId: it.appId }]
  await world.bridge.register({ did, name: 'a', sponsor: { objectId: it.alice }, principals }, registrar)
  const told = async () => {
    const { issues, unproven } = await world.bridge.validate(did, registrar)
    assert.deepEqual(issues, [])
    return unproven.filter(({ text }) => text.includes('audit log')).map(({ code }) => code)
  }
  assert.deepEqual(await told(), [])
  tenant.fail(/^GET \/auditLogs\//, { status: 503, times: Number.POSITIVE_INFINITY })
  assert.deepEqual(await told(), ['V_UNPROVEN'])
})

test('a directory that does not answer is one issue, and nothing is concluded from its silence', async () => {
  await using it = await setting()
  await it.register()
  it.bench.tenant.fail(/^/, { status: 503, times: Number.POSITIVE_INFINITY })
  const codes = await it.codes()
  assert.deepEqual(codes.sort(), ['V_SPONSOR_UNREAD', 'V_UNREACHABLE'])
})
