import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { analystDid, assertDenied, kill, path, principal, register, registerAll, scoutDid } from './agents.ts'
import { type Answer, client } from './client.ts'
import { at, listAt, textAt } from './json.ts'
import { openStream } from './stream.ts'
import { until } from './until.ts'
import { audience, clientEntry, type Daemon, people, startWorld, type World } from './world.ts'

const ours = 'api://idp-bridge'
const portal = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
const roles = {
  operator: ['Bridge.Operator'],
  approver: ['Bridge.Approver'],
  reader: ['Bridge.Reader'],
  gateway: ['Bridge.Gateway'],
  runtime: ['Bridge.Runtime'],
}
const carol = '0c0c0c0c-1111-4222-8333-444444444444'
const dave = '0d0d0d0d-1111-4222-8333-444444444444'
const erin = '0e0e0e0e-1111-4222-8333-444444444444'

const stack = new AsyncDisposableStack()
let world: World
let daemon: Daemon
let runtime: string

before(async () => {
  world = stack.use(await startWorld())
  runtime = world.tenant.addServicePrincipal({ displayName: 'agt-2' })
  world.tenant.settle()
  const listed = { name: 'agt-2', role: ['runtime'], principals: [`contoso/${runtime.toUpperCase()}`] }
  const clients = Object.entries(people).map(([name, role]) => clientEntry(name, role))
  world.configure({
    auth: {
      clients: [...clients, listed],
      oidc: [{ adapter: 'contoso', audience: ours, roles, applications: [portal] }],
    },
  })
  daemon = stack.use(await world.daemon())
  await registerAll(daemon, world)
})
after(() => stack.disposeAsync())

/** A person through the portal. */
const person = (user: string, assigned: readonly string[], more: object = {}) =>
  client(
    daemon.origin,
    world.tenant.issueToken({
      kind: 'human',
      version: 'v2',
      id: portal,
      user,
      audience: ours,
      claims: { roles: assigned },
      ...more,
    }),
  )
const service = (id: string, assigned: readonly string[], more: object = {}) =>
  world.tenant.issueToken({ kind: 'app', id, audience: ours, roles: assigned, ...more })

const codeOf = ({ status, body }: Answer) => [status, at(body, 'code')]

test('people act by their directory account, two of them release, and the log names them by it', async () => {
  const { body } = await person(carol, ['Bridge.Operator']).get('/v1/whoami')
  assert.deepEqual(body, { name: `contoso/${carol}`, roles: ['operator'], agents: null })
  const held = await person(carol, ['Bridge.Operator']).post(path(scoutDid, '/holds'), {
    severity: 'kill',
    reason: 'by carol',
  })
  assert.equal(held.status, 201, held.text)
  assert.equal(at(held.body, 'origin'), `operator:contoso/${carol}`)
  const holdId = textAt(held.body, 'id')
  await assertDenied(daemon, { did: scoutDid })
  const release = (who: string) =>
    person(who, ['Bridge.Operator']).post(path(scoutDid, `/holds/${holdId}/release`), { reason: 'over' })
  assert.deepEqual(codeOf(await release(carol)), [403, 'E_SAME_PERSON'], 'who placed it')
  const asked = await release(dave)
  assert.equal(asked.status, 202, asked.text)
  const releaseId = textAt(asked.body, 'releaseId')
  const approve = (who: string, assigned: readonly string[]) =>
    person(who, assigned).post(`/v1/releases/${releaseId}/approve`)
  assert.deepEqual(codeOf(await approve(dave, ['Bridge.Approver'])), [403, 'E_SAME_PERSON'], 'one person is not two')
  assert.deepEqual(codeOf(await approve(erin, ['Bridge.Reader'])), [403, 'E_FORBIDDEN'])
  assert.equal((await approve(erin, ['Bridge.Approver'])).status, 200)
  const audit = await daemon.as('alice').get(`/v1/audit?did=${encodeURIComponent(scoutDid)}`)
  const actors = listAt(audit.body, 'items').map((entry) => String(at(entry, 'actor')))
  for (const who of [carol, dave, erin])
    assert.ok(
      actors.some((actor) => actor.includes(`contoso/${who}`)),
      actors.join(),
    )
  const byActor = await daemon.as('alice').get(`/v1/audit?actor=${encodeURIComponent(`contoso/${carol}`)}`)
  assert.ok(listAt(byActor.body, 'items').length > 0, byActor.text)
})

test("an agent's token is no credential, and a caller's none of an agent", async () => {
  const { analyst } = world.contoso.agents
  for (const kind of ['agent', 'obo'] as const) {
    const token = world.tenant.issueToken({ kind, id: analyst, audience, roles: ['Bridge.Operator'] })
    assert.deepEqual(codeOf(await client(daemon.origin, token).get('/v1/whoami')), [401, 'E_UNAUTHENTICATED'])
  }
  const token = service(world.contoso.classicAgent.id, ['Bridge.Gateway'])
  const verified = await daemon.as('gateway').post('/v1/tokens/verify', { token })
  assert.deepEqual(at(verified.body, 'codes'), ['R_AUDIENCE'])
  await assertDenied(daemon, { token }, 'R_AUDIENCE')
})

test('a gateway by its own account asks, of both versions, as its token allows', async () => {
  const id = world.tenant.addServicePrincipal({ displayName: 'gateway' })
  world.tenant.settle()
  for (const version of ['v1', 'v2'] as const) {
    const as = client(daemon.origin, service(id, ['Bridge.Gateway'], { version }))
    const { status, body } = await as.post('/v1/decisions', { did: analystDid })
    assert.equal(status, 200)
    assert.equal(at(body, 'allow'), true)
    assert.equal((await as.get('/v1/agents')).status, 403)
  }
  const wrong = { claims: { tid: '99999999-2222-4333-8444-555555555555' } }
  assert.equal((await client(daemon.origin, service(id, ['Bridge.Gateway'], wrong)).get('/v1/whoami')).status, 401)
})

test('an agent that calls is never an operator, and has no role while it is held', async () => {
  const id = world.tenant.addServicePrincipal({ displayName: 'curious' })
  world.tenant.settle()
  const did = 'did:agentmesh:curious'
  const as = () => client(daemon.origin, service(id, ['Bridge.Operator', 'Bridge.Gateway']))
  assert.deepEqual(at((await as().get('/v1/whoami')).body, 'roles'), ['gateway', 'operator'])
  await register(daemon.as('alice'), { did, name: 'curious', principals: [principal(id, 'servicePrincipal')] })
  assert.deepEqual(at((await as().get('/v1/whoami')).body, 'roles'), ['gateway'])
  const child = 'did:agentmesh:curious-child'
  await register(daemon.as('alice'), { did: child, name: 'child', parentDid: did, principals: [] })
  const holdId = await kill(daemon, child)
  const approver = client(daemon.origin, service(id, ['Bridge.Approver']))
  const release = await approver.post(path(child, `/holds/${holdId}/release`), { reason: 'mine' })
  assert.deepEqual(codeOf(release), [403, 'E_FORBIDDEN'], 'nobody releases a hold on its descendant')
  await kill(daemon, did)
  assert.deepEqual(codeOf(await as().get('/v1/whoami')), [403, 'E_FORBIDDEN'])
  const asked = await as().post('/v1/decisions', { did: analystDid })
  assert.deepEqual(codeOf(asked), [403, 'E_FORBIDDEN'])
})

test('a runtime that the file lists by its account is told, kills, and has a leg in receipts', async () => {
  const token = service(runtime, ['Bridge.Runtime'])
  await using stream = await openStream(daemon.origin, token)
  const did = 'did:agentmesh:worker'
  await register(daemon.as('alice'), { did, name: 'worker', principals: [] })
  const killed = await client(daemon.origin, token).post('/v1/kill', { agentId: did, reason: 'r' })
  assert.equal(killed.status, 202, killed.text)
  const receipt = await daemon.as('alice').get(textAt(killed.body, 'receipt'))
  const legs = JSON.stringify(listAt(receipt.body, 'legs'))
  assert.match(legs, /agt-2/)
  const holds = await daemon.as('alice').get(path(did, '/holds'))
  assert.match(holds.text, /runtime:agt-2/)
  await stream.frame('the kill', ({ event, data }) => event === 'suspended' && at(data, 'did') === did)
  const unlisted = service(world.contoso.classicAgent.id, ['Bridge.Runtime'])
  assert.equal((await client(daemon.origin, unlisted).get('/v1/whoami')).status, 403)
})

test('what the file says of callers is reloaded, and a faulty one leaves it as it was', async () => {
  const clients = [clientEntry('alice', ['operator']), clientEntry('gateway', ['gateway'])]
  const status = async (assigned: readonly string[]) => (await person(carol, assigned).get('/v1/whoami')).status
  const oidc = { adapter: 'contoso', audience: ours, roles: { reader: ['Bridge.Watcher'] }, applications: [portal] }
  world.configure({ auth: { clients, oidc: [{ ...oidc, audience }] } })
  daemon.process.signal('SIGHUP')
  await until('it was refused', () => daemon.process.lines.some((line) => line.includes('not reloaded')))
  assert.equal(await status(['Bridge.Operator']), 200)
  world.configure({ auth: { clients, oidc: [oidc] } })
  daemon.process.signal('SIGHUP')
  await until('it is in force', async () => (await status(['Bridge.Watcher'])) === 200)
  assert.equal(await status(['Bridge.Operator']), 403)
  world.configure({ auth: { clients, oidc: [] } })
  daemon.process.signal('SIGHUP')
  await until('nobody vouches', async () => (await status(['Bridge.Watcher'])) === 401)
})
