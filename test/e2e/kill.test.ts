import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  account,
  agentOf,
  analystDid,
  assertAllowed,
  assertDenied,
  isAllowed,
  kill,
  path,
  principal,
  register,
  registerAll,
  reporterDid,
  scoutDid,
  settledOff,
} from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { clientEntry, startWorld } from './world.ts'

test('a kill denies at once and reaches every account of the agent and of its children', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  const question = { did: analystDid, capability: 'read:reports' }
  await until('the group was read', () => isAllowed(daemon, question))
  await assertAllowed(daemon, { did: reporterDid })
  await using stream = await daemon.stream('runtime')
  await stream.frame('a snapshot first', ({ event }) => event === 'snapshot')

  const { analyst, reporter, scout } = contoso.agents
  const held = tenant.hold((target) => target.path.startsWith('/$batch'))
  const holdId = await kill(daemon, analystDid)
  await assertDenied(daemon, question)
  await assertDenied(daemon, { did: reporterDid })
  await assertDenied(daemon, { principal: { adapter: 'contoso', id: contoso.agentUser } })
  assert.equal(tenant.get(analyst)?.enabled, true, 'the directory was not asked yet')
  held.release()

  for (const id of [analyst, reporter, contoso.agentUser]) {
    const seen = await tenant.waitForRequest(
      ({ method, path: asked, status }) => method === 'PATCH' && asked.includes(id) && status !== undefined,
    )
    assert.equal(seen.status, 204)
    assert.deepEqual(seen.body, { accountEnabled: false })
    assert.equal(seen.appId, contoso.bridge.appId)
    assert.equal(tenant.get(id)?.enabled, false)
  }
  assert.equal(tenant.get(scout)?.enabled, true)
  await assertAllowed(daemon, { did: scoutDid })

  const signal = await stream.frame('suspended', ({ data }) => at(data, 'holdId') === holdId)
  assert.equal(signal.event, 'suspended')
  assert.partialDeepStrictEqual(signal.data, {
    type: 'suspended',
    did: analystDid,
    severity: 'kill',
    origin: 'runtime:runtime',
    reason: 'policy violation',
  })
  await stream.frame('the child', ({ event, data }) => event === 'suspended' && at(data, 'did') === reporterDid)
  await account(daemon, analystDid, analyst, { mark: 'ours', desired: 'disabled', observed: 'disabled' })
})

test('a runtime that answers a signal acknowledges it and places no hold', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await using stream = await daemon.stream('runtime')
  const placed = await daemon.as('alice').post(path(scoutDid, '/holds'), { severity: 'suspend', reason: 'case 4711' })
  assert.equal(placed.status, 201, placed.text)
  const holdId = textAt(placed.body, 'id')
  const signal = await stream.frame('suspended', ({ data }) => at(data, 'holdId') === holdId)
  const echo = await daemon
    .as('runtime')
    .post('/v1/kill', { agentId: scoutDid, inResponseTo: holdId, reason: 'told so' })
  assert.equal(echo.status, 202, echo.text)
  assert.partialDeepStrictEqual(echo.body, { holdId, status: 'acknowledged' })
  const ack = await daemon.as('runtime').post(`/v1/signals/${at(signal.data, 'seq')}/ack`)
  assert.ok(ack.status < 300, ack.text)
  assert.equal(listAt(await agentOf(daemon, scoutDid), 'holds').length, 1)
})

test('two people release a kill: the account is on again, and tokens from before stay refused', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  const { scout } = contoso.agents
  const before = tenant.issueToken({ kind: 'agent', id: scout, audience: 'api://agents' })
  await assertAllowed(daemon, { token: before })
  await using stream = await daemon.stream('runtime')
  const holdId = await kill(daemon, scoutDid)
  await settledOff(daemon, scoutDid, scout)

  const release = path(scoutDid, `/holds/${holdId}/release`)
  const asked = await daemon.as('alice').post(release, { reason: 'false alarm' })
  assert.equal(asked.status, 202, asked.text)
  assert.equal(at(asked.body, 'status'), 'awaiting')
  const approve = `/v1/releases/${textAt(asked.body, 'releaseId')}/approve`
  const same = await daemon.as('alice').post(approve, {})
  assert.equal(same.status, 403, same.text)
  assert.equal(at(same.body, 'code'), 'E_SAME_PERSON')
  assert.equal((await daemon.as('runtime').post(approve, {})).status, 403)
  await assertDenied(daemon, { did: scoutDid })
  assert.equal(tenant.get(scout)?.enabled, false)

  const done = await daemon.as('bob').post(approve, {})
  assert.equal(done.status, 200, done.text)
  assert.partialDeepStrictEqual(done.body, { did: scoutDid, status: 'active', holds: [] })
  await until('the account is on', () => tenant.get(scout)?.enabled)
  await account(daemon, scoutDid, scout, { mark: 'none', observed: 'enabled' })
  await assertAllowed(daemon, { did: scoutDid })
  await stream.frame('resumed', ({ event, data }) => event === 'resumed' && at(data, 'holdId') === holdId)
  await assertDenied(daemon, { token: before }, 'R_BEFORE_RESUME')
  const fresh = await until('a second that began after the release', () => {
    const token = tenant.issueToken({ kind: 'agent', id: scout, audience: 'api://agents' })
    return isAllowed(daemon, { token }).then((allowed) => allowed && token)
  })
  await assertAllowed(daemon, { token: fresh })
  const again = await daemon.as('bob').post(release, { reason: 'again' })
  assert.equal(again.status, 409)
  assert.equal(at(again.body, 'code'), 'E_ALREADY_RELEASED')
  const enables = tenant.requests.filter(
    ({ method, body }) => method === 'PATCH' && at(body, 'accountEnabled') === true,
  )
  assert.equal(enables.length, 1)
})

test('a runtime lifts its own suspension alone, and nobody else’s', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { scout } = world.contoso.agents
  const own = await daemon.as('runtime').post(path(scoutDid, '/holds'), { severity: 'suspend', reason: 'paused' })
  assert.equal(own.status, 201, own.text)
  const soc = await daemon.as('alice').post(path(scoutDid, '/holds'), { severity: 'disable', reason: 'case 4711' })
  assert.equal(soc.status, 201, soc.text)
  await settledOff(daemon, scoutDid, scout)
  const lifted = await daemon
    .as('runtime')
    .post(path(scoutDid, `/holds/${textAt(own.body, 'id')}/release`), { reason: 'ok' })
  assert.equal(lifted.status, 200, lifted.text)
  const other = await daemon
    .as('runtime')
    .post(path(scoutDid, `/holds/${textAt(soc.body, 'id')}/release`), { reason: 'ok' })
  assert.equal(other.status, 403, other.text)
  await assertDenied(daemon, { did: scoutDid })
  assert.equal(world.tenant.get(scout)?.enabled, false)
})

test('a kill that comes before its agent is kept and applies at registration', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const did = 'did:mesh:not-yet-here'
  const { scout } = world.contoso.agents
  const answer = await daemon.as('runtime').post('/v1/kill', { agent_did: did, reason: 'PolicyViolation' })
  assert.equal(answer.status, 202, answer.text)
  assert.partialDeepStrictEqual(answer.body, { did, known: false, status: 'suspended' })
  await assertDenied(daemon, { did })
  const { body } = await register(daemon.as('alice'), { did, name: 'late', principals: [principal(scout)] })
  assert.equal(at(body, 'status'), 'suspended')
  await assertDenied(daemon, { did })
  await until('the account is off', () => world.tenant.get(scout)?.enabled === false)
})

test('a repeated kill with its Idempotency-Key places one hold; another body is refused', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const send = (reason: string) =>
    daemon.as('runtime').post('/v1/kill', { agentId: scoutDid, reason }, { 'idempotency-key': 'kill-1' })
  const [first, second] = [await send('loop'), await send('loop')]
  assert.equal(first.status, 202)
  assert.deepEqual(second.body, first.body)
  const other = await send('another')
  assert.equal(other.status, 422, other.text)
  assert.equal(at(other.body, 'code'), 'E_IDEMPOTENCY_BODY')
  assert.equal(listAt(await agentOf(daemon, scoutDid), 'holds').length, 1)
})

test('a runtime stops only the agents its labels allow, and no more than its budget', async () => {
  const bounded = {
    ...clientEntry('payments', ['runtime']),
    agents: { labels: { unit: 'payments' } },
  }
  const clients = [
    clientEntry('alice', ['operator']),
    clientEntry('registrar', ['registrar']),
    clientEntry('gateway', ['gateway']),
  ]
  await using world = await startWorld({ auth: { clients: [...clients, bounded], killBudget: { max: 1, per: '10m' } } })
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const send = (did: string) => daemon.as('payments').post('/v1/kill', { agentId: did, reason: 'loop' })
  const foreign = await send(scoutDid)
  assert.equal(foreign.status, 403, foreign.text)
  assert.equal(at(foreign.body, 'code'), 'E_FORBIDDEN')
  await assertAllowed(daemon, { did: scoutDid })
  assert.equal((await send(analystDid)).status, 202)
  const beyond = await send(analystDid)
  assert.equal(beyond.status, 429, beyond.text)
  assert.equal(at(beyond.body, 'code'), 'E_BUDGET')
  assert.ok(Number(beyond.headers['retry-after']) > 0)
  assert.equal(listAt(await agentOf(daemon, analystDid), 'holds').length, 1)
})
