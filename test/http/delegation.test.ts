import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from './listen.ts'

const agent = { did: 'did:mesh:a', name: 'a', parentDid: 'did:mesh:p' }
const good = { capabilities: ['read:x'], expiresAt: '2100-01-01T00:00:00+01:00', depth: 1 }

test('a delegation is taken in every form the contract names', async () => {
  await using server = await listen()
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }
  const forms = [
    good,
    { capabilities: [] },
    { ...good, expiresAt: null, proof: null },
    { ...good, proof: { signature: 'AAAA' } },
    { ...good, proof: { signature: 'AAAA', key: 'MCow' } },
    { ...good, proof: { signature: 'AAAA', key: jwk } },
    null,
  ]
  for (const [at, delegation] of forms.entries()) {
    const body = { ...agent, did: `did:mesh:${at}`, delegation }
    assert.equal((await server.ask('/v1/agents', { as: 'registrar', body })).status, 201, JSON.stringify(delegation))
  }
})

test('a delegation that says something else is refused, and the answer says where', async () => {
  await using server = await listen()
  const wrong: readonly [unknown, string][] = [
    [{}, '/delegation/capabilities'],
    ['read:x', '/delegation'],
    [{ capabilities: 'read:x' }, '/delegation/capabilities'],
    [{ capabilities: [''] }, '/delegation/capabilities/0'],
    [{ ...good, expiresAt: 'tomorrow' }, '/delegation/expiresAt'],
    [{ ...good, expiresAt: 4102444800000 }, '/delegation/expiresAt'],
    [{ ...good, expiresAt: '2100-01-01T00:00:00' }, '/delegation/expiresAt'],
    [{ ...good, depth: -1 }, '/delegation/depth'],
    [{ ...good, depth: 1.5 }, '/delegation/depth'],
    [{ ...good, proof: {} }, '/delegation/proof/signature'],
    [{ ...good, proof: { signature: 'A'.repeat(129) } }, '/delegation/proof/signature'],
    [{ ...good, grantedBy: 'me' }, '/delegation/grantedBy'],
  ]
  for (const [delegation, pointer] of wrong) {
    const { status, json, text } = await server.ask('/v1/agents', {
      as: 'registrar',
      body: { ...agent, delegation },
    })
    assert.equal(status, 400, text)
    const errors = Array.isArray(json?.['errors']) ? json['errors'] : []
    assert.ok(
      errors.some((one: { pointer: string }) => one.pointer === pointer),
      `${JSON.stringify(delegation)}: ${text}`,
    )
  }
})

test('the chain of an agent is for readers', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: agent })
  const path = '/v1/agents/did:mesh:a/delegation'
  for (const as of ['gateway', 'runtime'] as const) assert.equal((await server.ask(path, { as })).status, 403)
  const { status, json } = await server.ask(path, { as: 'reader' })
  assert.equal(status, 200)
  assert.deepEqual(json, {
    items: [
      {
        did: 'did:mesh:a',
        status: 'active',
        parentDid: null,
        depth: 0,
        granted: null,
        effective: [],
        expiresAt: null,
        ended: false,
        signed: null,
      },
    ],
  })
  assert.equal((await server.ask('/v1/agents/did:mesh:b/delegation', { as: 'reader' })).status, 404)
})
