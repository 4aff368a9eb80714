import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Controller, startSpire } from '../../sandbox/spire/index.ts'
import { entriesOf, isHeld } from '../adapters/trustdomain.ts'
import { fetchTokens, SpireClient } from '../sandbox/spireclient.ts'
import { account, assertDenied, kill, path, register } from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { audience, settleMs, startWorld } from './world.ts'

const did = 'did:agentmesh:workload:1b2c3d4e5f607182'
const id = 'spiffe://example.org/agents/a1'
/** In ten minutes: what the mirror takes before it pauses. The first is an entry that is made while the agent is held. */
const drifts = 5

test('a controller that resets its entries is fought five times; then the leg is contested, and the alert names it', async () => {
  await using spire = await startSpire()
  const { socket, trustDomain } = spire
  spire.addEntry({ id: 'scm.a1', spiffeId: id, selectors: ['unix:uid:7'] })
  using agent = new SpireClient(await spire.workload(['unix:uid:7']))
  const controller = new Controller(spire, 'scm.')
  const spiffe = {
    kind: 'spiffe',
    trustDomain,
    server: { address: socket },
    manage: { paths: ['/agents/'] },
    tokens: { audiences: [audience] },
    settle: `${settleMs}ms`,
    sync: { accounts: '* * * * * *' },
  }
  await using world = await startWorld({ adapters: { spiffe } })
  await using daemon = await world.daemon()
  const principals = [{ adapter: 'spiffe', id, kind: 'workload' }]
  await register(daemon.as('registrar'), { did, name: 'workload', principals })
  const holdId = await kill(daemon, did)
  const held = () => until('the entries are held', () => isHeld(spire, id), 60_000)
  await held()

  // Made while the agent is held, and not the controller's.
  const later = spire.addEntry({ id: 'later', spiffeId: id, selectors: ['k8s:ns:agents'] })
  await until('an entry made meanwhile is held', () => isHeld(spire, id), 60_000)

  for (let round = 1; round < drifts; round += 1) {
    assert.equal(controller.reconcile(), 1)
    assert.equal(isHeld(spire, id), false)
    await held()
  }
  assert.equal(controller.reconcile(), 1)
  await account(daemon, did, id, { contested: true }, 60_000)
  const revisions = () => entriesOf(spire, id).map(({ revision_number }) => Number(revision_number))
  const before = revisions()
  const reads = () => spire.requests.filter(({ path }) => path.endsWith('/ListEntries')).length
  const seen = reads()
  await until('it is read further on', () => reads() > seen + 3, 60_000)
  assert.deepEqual(revisions(), before, 'nothing is written')
  assert.equal(typeof (await fetchTokens(agent, audience)), 'object', 'the controller gave it its identity back')
  await assertDenied(daemon, { did })
  assert.ok(spire.entry(later.id)?.selectors.some(({ type }) => type === 'agentmesh'))

  const { body } = await daemon.as('alice').get(path(did, `/receipts/${holdId}`))
  const leg = listAt(body, 'legs').find((one) => at(one, 'id') === id)
  assert.equal(at(leg, 'state'), 'contested', JSON.stringify(leg))
  const alerts = listAt((await daemon.as('alice').get('/v1/status')).body, 'alerts')
  const text = textAt(
    alerts.find((one) => at(one, 'code') === 'contested'),
    'text',
  )
  assert.match(text, /SPIRE controller manager/)
  assert.match(text, /entryIDPrefix/)

  // A ban takes a whole node along, and SPIRE deletes what has expired: neither is ever sent.
  const sent = spire.requests.filter(({ surface }) => surface === 'server')
  const known = ['BatchUpdateEntry', 'GetBundle', 'ListAgents', 'ListEntries']
  assert.deepEqual(
    sent.filter(({ path }) => !known.includes(path.split('/').at(-1) ?? '')),
    [],
  )
  const masks = sent.filter(({ path }) => path.endsWith('/BatchUpdateEntry')).map(({ body }) => at(body, 'input_mask'))
  for (const mask of masks) assert.deepEqual([at(mask, 'selectors'), at(mask, 'expires_at')], [true, false])
})
