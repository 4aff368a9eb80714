import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFleet } from '../bench/fleet.ts'
import { assertAllowed, assertDenied, isAllowed, principal, register } from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { startWorld } from './world.ts'

const fleetSize = { identities: 500, users: 0, groups: 1 }
const patienceMs = 120_000

test('five hundred agents of a directory, killed in one call, within its published limits', async () => {
  await using world = await startWorld({}, { requestLogSize: 100_000 })
  const { identities } = await createFleet(world, fleetSize)
  await using daemon = await world.daemon()
  const { tenant } = world
  const alice = daemon.as('alice')
  await until('the first pass is over', () => isAllowed(daemon, { did: identities[499]?.did }), patienceMs)

  const body = { selector: { adapter: 'contoso' }, reason: 'directory compromised', action: 'lockdown' }
  const dry = await alice.post('/v1/kill', { ...body, dryRun: true })
  assert.deepEqual([dry.status, at(dry.body, 'agents')], [200, 500], dry.text)
  await assertAllowed(daemon, { did: identities[0]?.did })
  const refused = await daemon.as('runtime').post('/v1/kill', body)
  assert.equal(refused.status, 403, refused.text)

  const headers = { 'idempotency-key': 'lockdown-1' }
  const answer = await alice.post('/v1/kill', body, headers)
  assert.equal(answer.status, 202, answer.text)
  const killId = textAt(answer.body, 'killId')
  assert.partialDeepStrictEqual(answer.body, { agents: 500, placed: 500, nextCursor: '100' })
  for (const { did } of identities) await assertDenied(daemon, { did })
  const again = await alice.post('/v1/kill', body, headers)
  assert.deepEqual([again.status, at(again.body, 'killId')], [202, killId], again.text)

  const items: unknown[] = []
  for (let cursor: string | undefined = '0'; cursor !== undefined; ) {
    const page = await alice.get(`/v1/kills/${killId}?limit=200&cursor=${cursor}`)
    assert.equal(page.status, 200, page.text)
    items.push(...listAt(page.body, 'items'))
    const next: unknown = at(page.body, 'nextCursor')
    cursor = typeof next === 'string' ? next : undefined
  }
  assert.equal(new Set(items.map((item) => at(item, 'holdId'))).size, 500)
  assert.deepEqual(items.map((item) => at(item, 'did')).sort(), identities.map(({ did }) => did).sort())

  const progress = async () => at((await alice.get('/v1/status')).body, 'kills', 0)
  await until('every account is off', async () => at(await progress(), 'accounts', 'off') === 500, patienceMs)
  assert.partialDeepStrictEqual(await progress(), { killId, released: 0, accounts: { total: 500, off: 500 } })
  assert.deepEqual(
    identities.filter(({ id }) => tenant.get(id)?.enabled !== false),
    [],
  )
  const graph = tenant.requests.filter(({ surface }) => surface === 'graph')
  const patches = graph.filter(({ method }) => method === 'PATCH')
  assert.equal(patches.length, 500, 'each account is written once')
  assert.equal(new Set(patches.map(({ batch }) => batch)).size, 25, 'twenty a batch')
  assert.deepEqual(
    graph.filter(({ status }) => status === 429),
    [],
  )
  for (const { did } of identities.slice(0, 20)) {
    const holds = listAt((await alice.get(`/v1/agents/${encodeURIComponent(did)}/holds`)).body, 'items')
    assert.deepEqual(
      holds.map((hold) => at(hold, 'origin')),
      ['operator:alice'],
      'no echo became a hold',
    )
  }
})

test('a runtime kills a list within its labels and budget, or none of it', async () => {
  await using world = await startWorld({ auth: { killBudget: { max: 3, per: '10m' } } })
  await using daemon = await world.daemon()
  const { scout, analyst } = world.contoso.agents
  const [one, two] = ['did:mesh:one', 'did:mesh:two']
  await register(daemon.as('alice'), { did: one, name: 'one', principals: [principal(scout)] })
  await register(daemon.as('alice'), { did: two, name: 'two', principals: [principal(analyst)] })
  const send = (agentIds: readonly string[]) => daemon.as('runtime').post('/v1/kill', { agentIds, reason: 'loop' })
  const beyond = await send([one, two, 'did:mesh:x', 'did:mesh:y'])
  assert.deepEqual([beyond.status, at(beyond.body, 'code')], [429, 'E_BUDGET'], beyond.text)
  await assertAllowed(daemon, { did: one })
  const answer = await send([one, two, 'did:mesh:x'])
  assert.equal(answer.status, 202, answer.text)
  assert.deepEqual(
    listAt(answer.body, 'items').map((item) => at(item, 'known')),
    [true, true, false],
  )
  const own = await daemon.as('runtime').get(`/v1/kills/${textAt(answer.body, 'killId')}`)
  assert.equal(own.status, 200, own.text)
  await until('both are off', () => [scout, analyst].every((id) => world.tenant.get(id)?.enabled === false))
  assert.equal((await send([one])).status, 429)
})
