import assert from 'node:assert/strict'
import { test } from 'node:test'
import { start } from './bridge.ts'
import { listen } from './listen.ts'

const as = 'runtime'
const did = 'did:mesh:a'
const good = { did, score: 300, scale: '0-1000' }

test('a score alone and a batch are taken, with the agent named as any SDK does', async () => {
  await using server = await listen()
  const one = await server.ask('/v1/trust', { as, body: { ...good, at: '2026-11-21T11:00:00+01:00' } })
  assert.equal(one.status, 200)
  assert.deepEqual(one.json, { items: [{ did, status: 'ok', score: 300, hold: null }] })
  const items = [
    { agentId: 'did:mesh:b', score: 0.57, scale: '0-1' },
    { agent_did: 'did:mesh:c', score: 1, scale: '0-1' },
    { AgentId: 'did:mesh:d', score: 1, scale: '0-1000' },
  ]
  const many = await server.ask('/v1/trust', { as, body: { items } })
  assert.deepEqual(many.json, {
    items: [
      { did: 'did:mesh:b', status: 'ok', score: 570, hold: null },
      { did: 'did:mesh:c', status: 'ok', score: 1000, hold: null },
      { did: 'did:mesh:d', status: 'ok', score: 1, hold: null },
    ],
  })
  assert.deepEqual(server.bridge.calls.scores, [
    { did, score: 300, scale: '0-1000', at: start },
    { did: 'did:mesh:b', score: 0.57, scale: '0-1', at: undefined },
    { did: 'did:mesh:c', score: 1, scale: '0-1', at: undefined },
    { did: 'did:mesh:d', score: 1, scale: '0-1000', at: undefined },
  ])
})

test('what is no score is refused where it stands, and nothing of the request is taken', async () => {
  await using server = await listen()
  const rows: readonly (readonly [body: unknown, pointer: string, code: string])[] = [
    [{ did, score: 300 }, '/scale', 'required'],
    [{ did, score: 300, scale: 'auto' }, '/scale', 'invalid_value'],
    [{ did, scale: '0-1000' }, '/score', 'required'],
    [{ did, score: '300', scale: '0-1000' }, '/score', 'invalid_type'],
    [{ did, score: null, scale: '0-1000' }, '/score', 'invalid_type'],
    [{ did, score: true, scale: '0-1' }, '/score', 'invalid_type'],
    [{ did, score: 0.5, scale: '0-1000' }, '/score', 'off_scale'],
    [{ did, score: 1000.5, scale: '0-1000' }, '/score', 'off_scale'],
    [{ did, score: 1001, scale: '0-1000' }, '/score', 'off_scale'],
    [{ did, score: -1, scale: '0-1000' }, '/score', 'off_scale'],
    [{ did, score: 300, scale: '0-1' }, '/score', 'off_scale'],
    [{ did, score: -0.1, scale: '0-1' }, '/score', 'off_scale'],
    [{ score: 300, scale: '0-1000' }, '/did', 'required'],
    [{ ...good, agentId: did }, '/agentId', 'conflict'],
    [{ ...good, at: '2026-11-21' }, '/at', 'invalid_format'],
    [{ ...good, at: new Date(start + 61_000).toISOString() }, '/at', 'in_future'],
    [{ ...good, tier: 'trusted' }, '/tier', 'unknown_member'],
    [{ items: [] }, '/items', 'too_small'],
    [{ items: Array.from({ length: 1001 }, () => good) }, '/items', 'too_big'],
    [{ items: [good], did }, '/did', 'unknown_member'],
    [{ items: [good, { ...good, score: 0.5 }] }, '/items/1/score', 'off_scale'],
    [{ items: [good, { ...good, at: new Date(start + 61_000).toISOString() }] }, '/items/1/at', 'in_future'],
    [[good], '', 'invalid_type'],
    ['"300"', '', 'invalid_type'],
  ]
  for (const [body, pointer, code] of rows) {
    const { status, json, text } = await server.ask('/v1/trust', { as, body, method: 'POST' })
    assert.equal(status, 400, text)
    assert.equal(json?.code, 'E_VALIDATION')
    assert.deepEqual(json?.errors, [{ pointer, code }])
  }
  const tooLarge = await server.ask('/v1/trust', { as, body: `{"did":"${did}","score":1e999,"scale":"0-1"}` })
  assert.equal(tooLarge.json?.code, 'E_JSON')
  assert.deepEqual(server.bridge.calls.scores, [])
  const fraction = await server.ask('/v1/trust', { as, body: { did, score: 0.5, scale: '0-1000' } })
  assert.match(String(fraction.json?.detail), /0-1000: an integer from 0 to 1000; 0-1: a number from 0 to 1/)
})

test('a clock that is a minute ahead is no reason to refuse', async () => {
  await using server = await listen()
  const at = new Date(start + 60_000).toISOString()
  assert.equal((await server.ask('/v1/trust', { as, body: { ...good, at } })).status, 200)
})

test('a repeat under its key takes nothing in again and says how it stands; another body is refused', async () => {
  await using server = await listen()
  const headers = { 'idempotency-key': 'k1' }
  const first = await server.ask('/v1/trust', { as, body: good, headers })
  const again = await server.ask('/v1/trust', { as, body: good, headers })
  assert.deepEqual([again.status, again.json], [200, first.json])
  assert.equal(server.bridge.calls.scores.length, 1)
  const other = await server.ask('/v1/trust', { as, body: { ...good, score: 1 }, headers })
  assert.equal(other.json?.code, 'E_IDEMPOTENCY_BODY')
})
