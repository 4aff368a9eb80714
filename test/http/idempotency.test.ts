import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Role } from '../../src/core/roles.ts'
import { type Listening, listen } from './listen.ts'

const did = 'did:agentmesh:a'
const holds = `/v1/agents/${did}/holds`
const suspend = { severity: 'suspend', reason: 'r' }

const post = (server: Listening, path: string, as: Role, body?: unknown, key = 'key-1') =>
  server.ask(path, { as, method: 'POST', body, headers: { 'idempotency-key': key } })

test('a hold is placed once; the repeat reports it', async () => {
  await using server = await listen()
  const first = await post(server, holds, 'responder', suspend)
  const second = await post(server, holds, 'responder', { reason: 'r', severity: 'suspend' })
  assert.equal(second.status, 201)
  assert.deepEqual(second.json, first.json)
  assert.equal(server.bridge.holdsById.size, 1)
})

test('a repeat after the release is refused', async () => {
  await using server = await listen()
  const placed = await post(server, holds, 'responder', suspend)
  const killed = await post(server, '/v1/kill', 'runtime', { agentId: did, reason: 'r' })
  server.bridge.closeHold(String(placed.json?.id))
  server.bridge.closeHold(String(killed.json?.holdId))
  for (const again of [
    await post(server, holds, 'responder', suspend),
    await post(server, '/v1/kill', 'runtime', { agentId: did, reason: 'r' }),
  ]) {
    assert.equal(again.status, 409)
    assert.equal(again.json?.code, 'E_IDEMPOTENCY_RELEASED')
  }
  assert.equal(server.bridge.holdsById.size, 2)
})

test('another body, or another path, under the same key is refused', async () => {
  await using server = await listen()
  await post(server, holds, 'responder', suspend)
  for (const again of [
    await post(server, holds, 'responder', { ...suspend, reason: 'other' }),
    await post(server, '/v1/agents/did:agentmesh:b/holds', 'responder', suspend),
  ]) {
    assert.equal(again.status, 422)
    assert.equal(again.json?.code, 'E_IDEMPOTENCY_BODY')
  }
})

test('a key is of one client and one route', async () => {
  await using server = await listen()
  assert.equal((await post(server, holds, 'responder', suspend)).status, 201)
  assert.equal((await post(server, holds, 'operator', suspend)).status, 201)
  assert.equal((await post(server, '/v1/kill', 'responder', { did })).status, 202)
  assert.equal(server.bridge.holdsById.size, 3)
})

test('a repeated registration reports the agent as it is now, under the first status', async () => {
  await using server = await listen()
  assert.equal((await post(server, '/v1/agents', 'registrar', { did, name: 'a' })).status, 201)
  await server.ask(`/v1/agents/${did}`, { as: 'registrar', method: 'PATCH', body: { name: 'b' } })
  const again = await post(server, '/v1/agents', 'registrar', { did, name: 'a' })
  assert.equal(again.status, 201)
  assert.equal(again.json?.name, 'b')
  assert.equal(again.headers.etag, '"2"')
})

test('a kill is placed once, and an acknowledgement repeated after the release is still one', async () => {
  await using server = await listen()
  const body = { agentId: did, reason: 'r' }
  const first = await post(server, '/v1/kill', 'runtime', body)
  const second = await post(server, '/v1/kill', 'runtime', body)
  assert.deepEqual([second.status, second.json], [202, first.json])
  assert.equal(server.bridge.calls.kills.length, 1)
  const holdId = String(first.json?.holdId)
  const answered = { ...body, inResponseTo: holdId }
  await post(server, '/v1/kill', 'runtime', answered, 'key-2')
  server.bridge.closeHold(holdId)
  const again = await post(server, '/v1/kill', 'runtime', answered, 'key-2')
  assert.deepEqual([again.status, again.json?.status], [202, 'acknowledged'])
})

test('a repeated release reports that it waits, then the agent', async () => {
  await using server = await listen()
  const placed = await server.ask(holds, { as: 'responder', body: { severity: 'kill', reason: 'r' } })
  const id = String(placed.json?.id)
  const release = () => post(server, `${holds}/${id}/release`, 'responder', { reason: 'cleared' })
  const first = await release()
  assert.equal(first.status, 202)
  assert.deepEqual((await release()).json, first.json)
  const approve = () => post(server, `/v1/releases/release-${id}/approve`, 'approver')
  assert.deepEqual([(await approve()).status, (await approve()).status], [200, 200])
  const after = await release()
  assert.deepEqual([after.status, after.json], [200, { did, known: false }])
})

test('pause and the guard report what is; decisions and tokens are asked anew', async () => {
  await using server = await listen()
  const pause = { paused: true, reason: 'r' }
  assert.deepEqual((await post(server, '/v1/pause', 'operator', pause)).json, { paused: true })
  assert.deepEqual((await post(server, '/v1/pause', 'operator', pause)).json, { paused: false })
  const plan = { hash: 'f'.repeat(64) }
  const first = await post(server, '/v1/guard/contoso/approve', 'approver', plan)
  assert.equal(first.status, 202)
  assert.deepEqual((await post(server, '/v1/guard/contoso/approve', 'approver', plan)).json, first.json)
  assert.equal((await post(server, '/v1/decisions', 'gateway', { did })).json?.allow, true)
  await server.ask(holds, { as: 'responder', body: suspend })
  assert.equal((await post(server, '/v1/decisions', 'gateway', { did })).json?.allow, false)
  assert.equal((await post(server, '/v1/decisions', 'gateway', { did: 'did:mesh:b' })).status, 422)
  assert.equal((await post(server, '/v1/tokens/verify', 'gateway', { token: 'good' })).json?.valid, true)
})

test('of two identical requests in flight the second waits for the first', async () => {
  await using server = await listen()
  const gate = Promise.withResolvers<void>()
  server.bridge.gate = () => gate.promise
  const both = [post(server, holds, 'responder', suspend), post(server, holds, 'responder', suspend)]
  while (server.bridge.calls.callers.length < 1) await new Promise((resolve) => setImmediate(resolve))
  gate.resolve()
  const [first, second] = await Promise.all(both)
  assert.deepEqual(second?.json, first?.json)
  assert.equal(server.bridge.holdsById.size, 1)
  assert.equal(server.bridge.calls.callers.length, 1)
})

test('a failure keeps no key, and with a key that cannot be kept nothing is done', async () => {
  await using server = await listen()
  server.bridge.gate = () => Promise.reject(new Error('store is down'))
  assert.equal((await post(server, holds, 'responder', suspend)).status, 500)
  assert.equal(server.bridge.stored.size, 0)
  server.bridge.gate = async () => undefined
  server.bridge.stored.set = () => {
    throw new Error('disk is full')
  }
  assert.equal((await post(server, holds, 'responder', suspend)).status, 500)
  assert.equal(server.bridge.holdsById.size, 0)
  // Nothing is changed by a question: its answer does not wait for the key.
  assert.equal((await post(server, '/v1/decisions', 'gateway', { did })).status, 200)
  assert.ok(server.lines.some((line) => line.includes('idempotency key not stored')))
})

test('the second approval of a plan, repeated, reports what became of the plan', async () => {
  await using server = await listen()
  server.bridge.approveGuard = async (_adapter, _hash, _caller, keep) => {
    if (keep !== undefined) server.bridge.stored.set(`${keep.client} ${keep.route} ${keep.key}`, keep.entry('suspend'))
    throw new Error('the directory cannot be read')
  }
  const approve = () => post(server, '/v1/guard/contoso/approve', 'approver', { hash: 'f'.repeat(64) })
  assert.equal((await approve()).status, 500)
  const again = await approve()
  assert.deepEqual([again.status, again.json], [200, { status: 'done', approvalId: null, applied: 3, dropped: 1 }])
})
