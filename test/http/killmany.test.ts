import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MassKillInput } from '../../src/engine/killapi.ts'
import { at, listAt } from '../e2e/json.ts'
import { listen } from './listen.ts'

const dids = ['did:mesh:a', 'did:mesh:b', 'did:mesh:c']

const told: readonly (readonly [string, object, MassKillInput])[] = [
  [
    'a list',
    { agentIds: dids, reason: 'breach', action: 'stop', killedAt: '2026-11-21T10:00:00Z', ticket: 4711 },
    {
      targets: { dids },
      reason: 'breach',
      action: 'stop',
      killedAt: '2026-11-21T10:00:00.000Z',
      details: { ticket: 4711 },
    },
  ],
  ['a list in snake case', { agent_ids: dids, details: 'words' }, { targets: { dids }, reason: 'words' }],
  ['a list in .NET', { AgentIds: dids, Reason: 0 }, { targets: { dids }, reason: 'PolicyViolation' }],
  [
    'a selector',
    { selector: { sponsor: 'a@b.c', adapter: 'contoso' }, reason: 'left' },
    { targets: { selector: { sponsor: 'a@b.c', adapter: 'contoso' } }, reason: 'left' },
  ],
  [
    'no reason at all',
    { selector: { parent: 'did:mesh:a' }, dryRun: false },
    { targets: { selector: { parent: 'did:mesh:a' } }, reason: 'no reason given' },
  ],
]

for (const [name, body, wanted] of told) {
  test(`a kill of many: ${name}`, async () => {
    await using server = await listen()
    const answer = await server.ask('/v1/kill', { as: 'responder', body: body })
    assert.equal(answer.status, 202, JSON.stringify(answer.json))
    assert.deepEqual(server.bridge.masses, [wanted])
    assert.deepEqual(server.bridge.calls.kills, [], 'and no single one')
  })
}

const refused: readonly (readonly [string, object, string])[] = [
  ['both a list and a selector', { agentIds: dids, selector: { sponsor: 'x' } }, '/selector'],
  ['both one agent and a list', { agentId: dids[0], agentIds: dids }, '/agentIds'],
  ['both a scope and a selector', { scope: { kind: 'agent', value: 'x' }, selector: { sponsor: 'x' } }, '/selector'],
  ['two lists', { agentIds: dids, agent_ids: dids }, '/agent_ids'],
  ['an empty list', { agentIds: [] }, '/agentIds'],
  ['no list', { agentIds: 'did:mesh:a' }, '/agentIds'],
  ['something else in the list', { agentIds: ['did:mesh:a', 7] }, '/agentIds/1'],
  ['too long a list', { agentIds: Array.from({ length: 10_001 }, (_, n) => `did:mesh:${n}`) }, '/agentIds'],
  ['an empty selector', { selector: {} }, '/selector'],
  ['a selector that is a text', { selector: '*' }, '/selector'],
  ['a list as selector', { selector: ['sponsor'] }, '/selector'],
  ['a member no selector has', { selector: { sponsor: 'x', label: 'unit=payments' } }, '/selector/label'],
  ['a misspelled member', { selector: { Sponsor: 'x' } }, '/selector/Sponsor'],
  ['an empty member', { selector: { sponsor: '' } }, '/selector/sponsor'],
  ['a member that is null', { selector: { sponsor: null } }, '/selector/sponsor'],
  ['a member that is a list', { selector: { sponsor: ['x'] } }, '/selector/sponsor'],
  ['a prototype as member', JSON.parse('{"selector":{"constructor":"x"}}'), '/selector/constructor'],
  ['a dry run that is a text', { agentIds: dids, dryRun: 'false' }, '/dryRun'],
  ['an answer to a hold', { agentIds: dids, inResponseTo: 'hold-1' }, '/inResponseTo'],
  ['a cleared switch', { agentIds: dids, active: false }, '/active'],
]

for (const [name, body, pointer] of refused) {
  test(`a kill of many is refused and holds nobody: ${name}`, async () => {
    await using server = await listen()
    const answer = await server.ask('/v1/kill', { as: 'responder', body: { reason: 'r', ...body } })
    assert.equal(answer.status, 400, JSON.stringify(answer.json))
    assert.equal(at(answer.json, 'errors', 0, 'pointer'), pointer)
    assert.deepEqual([server.bridge.masses, server.bridge.calls.kills], [[], []])
  })
}

test('the answer gives the first targets, and the rest page by page', async () => {
  await using server = await listen()
  const answer = await server.ask('/v1/kill', { as: 'responder', body: { agentIds: dids, reason: 'breach' } })
  assert.partialDeepStrictEqual(answer.json, {
    killId: 'kill-1',
    agents: 3,
    placed: 3,
    selector: null,
    accounts: { total: 3, pending: 3 },
    nextCursor: '2',
  })
  assert.deepEqual(at(answer.json, 'items', 0), {
    did: 'did:mesh:a',
    holdId: 'hold-1',
    known: false,
    released: false,
    receipt: '/v1/agents/did%3Amesh%3Aa/receipts/hold-1',
  })
  const rest = await server.ask('/v1/kills/kill-1?cursor=2', { as: 'responder' })
  assert.equal(rest.status, 200, JSON.stringify(rest.json))
  assert.deepEqual(
    listAt(rest.json, 'items').map((item) => at(item, 'did')),
    ['did:mesh:c'],
  )
  assert.equal(at(rest.json, 'nextCursor'), null)
  assert.equal((await server.ask('/v1/kills/none', { as: 'responder' })).status, 404)
})

test('a dry run tells whom it would hold and holds nobody', async () => {
  await using server = await listen()
  const headers = { 'idempotency-key': 'dry' }
  for (let time = 0; time < 2; time += 1) {
    const answer = await server.ask('/v1/kill', { as: 'responder', body: { agentIds: dids, dryRun: true }, headers })
    assert.equal(answer.status, 200, JSON.stringify(answer.json))
    assert.partialDeepStrictEqual(answer.json, { dryRun: true, agents: 3 })
    assert.equal(listAt(answer.json, 'items').length, 3)
  }
  assert.deepEqual(server.bridge.masses, [])
})

test('a repeat under the same key kills once, reports how it stands, and conflicts once all were released', async () => {
  await using server = await listen()
  const headers = { 'idempotency-key': 'many' }
  const send = (body: object) => server.ask('/v1/kill', { as: 'responder', body: body, headers })
  const first = await send({ agentIds: dids, reason: 'r' })
  server.bridge.closeHold('hold-1')
  const again = await send({ agentIds: dids, reason: 'r' })
  assert.equal(again.status, 202)
  assert.equal(at(again.json, 'killId'), at(first.json, 'killId'))
  assert.equal(at(again.json, 'released'), 1)
  assert.equal(server.bridge.masses.length, 1)
  assert.equal((await send({ agentIds: dids.slice(1), reason: 'r' })).status, 422)
  server.bridge.closeHold('hold-2')
  server.bridge.closeHold('hold-3')
  const released = await send({ agentIds: dids, reason: 'r' })
  assert.equal(released.status, 409)
  assert.equal(at(released.json, 'code'), 'E_IDEMPOTENCY_RELEASED')
})

test('a list larger than a body may be is refused before it is read', async () => {
  await using server = await listen()
  const huge = Array.from({ length: 10_000 }, (_, n) => `did:mesh:${'x'.repeat(200)}${n}`)
  assert.equal((await server.ask('/v1/kill', { as: 'responder', body: { agentIds: huge } })).status, 413)
})
