import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDouble } from './bridge.ts'
import { listen } from './listen.ts'

test('who is pushed the signals is told to readers, with what was not taken, page by page', async () => {
  await using server = await listen()
  const list = await server.ask('/v1/webhooks', { as: 'reader' })
  assert.equal(list.status, 200, list.text)
  assert.partialDeepStrictEqual(list.json, { items: [{ name: 'payments', status: 'disabled', deadLetters: 2 }] })
  const first = await server.ask('/v1/webhooks/payments/deadletters?limit=1', { as: 'reader' })
  assert.partialDeepStrictEqual(first.json, {
    items: [{ seq: 41, id: 'double-41', error: 'HTTP 400' }],
    nextCursor: '41',
  })
  const rest = await server.ask('/v1/webhooks/payments/deadletters?limit=1&after=41', { as: 'reader' })
  assert.partialDeepStrictEqual(rest.json, { items: [{ seq: 42 }], nextCursor: null })
  assert.equal((await server.ask('/v1/webhooks/none/deadletters', { as: 'reader' })).status, 404)
  for (const as of ['runtime', 'gateway'] as const) assert.equal((await server.ask('/v1/webhooks', { as })).status, 403)
})

test('only an operator redelivers and enables; a repeat under the same key does nothing again', async () => {
  const bridge = createDouble()
  await using server = await listen({ bridge })
  const body = { seqs: [41] }
  assert.equal((await server.ask('/v1/webhooks/payments/redeliver', { as: 'responder', body })).status, 403)
  const ask = () =>
    server.ask('/v1/webhooks/payments/redeliver', { as: 'operator', body, headers: { 'idempotency-key': 'k1' } })
  assert.deepEqual((await ask()).json, { queued: 1 })
  const calls = bridge.calls.callers.length
  assert.deepEqual((await ask()).json, { queued: 1 })
  assert.equal(bridge.calls.callers.length, calls)
  assert.deepEqual((await server.ask('/v1/webhooks/payments/redeliver', { as: 'operator', body: {} })).json, {
    queued: 2,
  })
  assert.equal((await server.ask('/v1/webhooks/none/redeliver', { as: 'operator', body: {} })).status, 404)
  const enabled = await server.ask('/v1/webhooks/payments/enable', { as: 'operator', method: 'POST' })
  assert.equal(enabled.status, 200, enabled.text)
  assert.equal(enabled.json?.status, 'ok')
})
