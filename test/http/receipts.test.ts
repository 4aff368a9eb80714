import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from './listen.ts'

const did = 'did:mesh:a b/ü'

test('a kill and a hold say where their receipt is read; whoever may read gets it there', async () => {
  await using server = await listen()
  const killed = await server.ask('/v1/kill', { as: 'runtime', body: { agentId: 'did:mesh:a/b', reason: 'loop' } })
  assert.equal(killed.status, 202)
  assert.equal(killed.json?.receipt, '/v1/agents/did%3Amesh%3Aa%2Fb/receipts/hold-1')
  const receipt = await server.ask(String(killed.json?.receipt), { as: 'reader' })
  assert.equal(receipt.status, 200, receipt.text)
  assert.partialDeepStrictEqual(receipt.json, { did: 'did:mesh:a/b', status: 'open', jws: 'a.b.c' })
  const holds = await server.ask('/v1/agents/did%3Amesh%3Aa%2Fb/holds', { as: 'reader' })
  assert.match(holds.text, /"receipt":"\/v1\/agents\/did%3Amesh%3Aa%2Fb\/receipts\/hold-1"/)
  const none = await server.ask(`/v1/agents/${encodeURIComponent(did)}/receipts/none`, { as: 'reader' })
  assert.equal(none.json?.code, 'E_HOLD_UNKNOWN')
})

test('the public keys are anybody’s, and may be kept for a while', async () => {
  await using server = await listen()
  const keys = await server.ask('/.well-known/jwks.json')
  assert.equal(keys.status, 200)
  assert.equal(keys.headers['cache-control'], 'public, max-age=300')
  assert.match(String(keys.headers['content-type']), /^application\/json/)
  assert.deepEqual(keys.json, {
    keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'x', kid: 'kid-1', use: 'sig', alg: 'EdDSA' }],
  })
  const post = await server.ask('/.well-known/jwks.json', { method: 'POST', body: {} })
  assert.equal(post.status, 405)
})
