import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Listening, listen } from './listen.ts'

const did = 'did:agentmesh:a'
const holds = `/v1/agents/${did}/holds`
const suspend = { severity: 'suspend', reason: 'case 4711', publicReason: 'under investigation' }
const kill = { severity: 'kill', reason: 'case 4711' }

const place = async (server: Listening, body: object = suspend) => {
  const { status, json } = await server.ask(holds, { as: 'responder', body })
  assert.equal(status, 201)
  return String(json?.id)
}

test('a hold is placed, listed and released', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: { did, name: 'a' } })
  const id = await place(server)
  const listed = await server.ask(holds, { as: 'reader' })
  const item = {
    id,
    did,
    origin: 'operator:responder',
    severity: 'suspend',
    publicReason: 'under investigation',
    placedAt: '2026-11-21T10:00:00.000Z',
    releasedAt: null,
    releasableAt: null,
    guarded: false,
    receipt: `/v1/agents/${encodeURIComponent(did)}/receipts/${id}`,
    reason: 'case 4711',
    actor: 'responder',
    onBehalfOf: null,
    evidence: { from: 'double' },
  }
  assert.deepEqual(listed.json, { items: [item], nextCursor: null })
  const released = await server.ask(`${holds}/${id}/release`, { as: 'responder', body: { reason: 'cleared' } })
  assert.equal(released.status, 200)
  assert.equal(released.json?.status, 'active')
})

test('a kill waits for a second person', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: { did, name: 'a' } })
  const id = await place(server, kill)
  const asked = await server.ask(`${holds}/${id}/release`, { as: 'responder', body: { reason: 'cleared' } })
  assert.equal(asked.status, 202)
  assert.deepEqual(asked.json, {
    releaseId: `release-${id}`,
    status: 'awaiting',
    holdId: id,
    did,
    kind: 'release',
    requestedBy: 'responder',
    requestedAt: '2026-11-21T10:00:00.000Z',
  })
  const approve = `/v1/releases/release-${id}/approve`
  const approved = await server.ask(approve, { as: 'approver', method: 'POST' })
  assert.equal(approved.status, 200)
  assert.equal(approved.json?.status, 'active')
  const odd = await server.ask(approve, { as: 'approver', body: { by: 'me' } })
  assert.deepEqual(odd.json?.errors, [{ pointer: '/by', code: 'unknown_member' }])
})

test('releasing the hold of a DID nobody registered says so', async () => {
  await using server = await listen()
  const id = await place(server)
  const { status, json } = await server.ask(`${holds}/${id}/release`, { as: 'operator', body: { reason: 'r' } })
  assert.equal(status, 200)
  assert.deepEqual(json, { did, known: false })
})

test('reason, actor and evidence are for those who may read', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: { did, name: 'a' } })
  await place(server)
  const own = await server.ask(holds, { as: 'runtime', body: suspend })
  assert.equal(own.status, 201)
  assert.equal(own.json?.publicReason, 'under investigation')
  for (const secret of ['reason', 'actor', 'evidence', 'onBehalfOf']) assert.ok(!(secret in (own.json ?? {})), secret)
  const released = await server.ask(`${holds}/${own.json?.id}/release`, { as: 'runtime', body: { reason: 'r' } })
  assert.equal(released.status, 200)
  assert.ok(!released.text.includes('case 4711'))
  const decision = await server.ask('/v1/decisions', { as: 'gateway', body: { did } })
  assert.deepEqual(decision.json?.codes, ['R_SUSPENDED'])
  assert.deepEqual(decision.json?.holds, [{ origin: 'operator:responder', publicReason: 'under investigation' }])
  assert.ok(!decision.text.includes('case 4711'))
})

test('a decommission is no hold that can be placed', async () => {
  await using server = await listen()
  const answer = await server.ask(holds, { as: 'operator', body: { severity: 'decommission', reason: 'r' } })
  assert.deepEqual(answer.json?.errors, [{ pointer: '/severity', code: 'invalid_value' }])
})
