import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { start } from './bridge.ts'
import { listen } from './listen.ts'

const path = '/v1/agents/did%3Amesh%3Aa/passport'
const uri = 'https://bridge.contoso.com/statuslists/first-1'

test('a passport is asked for by registrars and runtimes, with or without a body', async () => {
  await using server = await listen()
  const answer = await server.ask(path, { as: 'registrar', method: 'POST' })
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.deepEqual(answer.json, {
    did: 'did:mesh:a',
    passport: 'a.b.c',
    jti: 'jti-1',
    issuedAt: new Date(start).toISOString(),
    expiresAt: new Date(start + 900_000).toISOString(),
    capabilities: ['read:reports'],
    status: { uri, idx: 4711 },
    key: null,
  })
  const body = { lifetimeSeconds: 60, audience: 'shop', capabilities: ['read:x'], key: 'k' }
  const second = await server.ask(path, { as: 'runtime', body })
  assert.equal(second.status, 200, second.text)
  assert.partialDeepStrictEqual(second.json, { capabilities: ['read:x'], key: 'k' })
  assert.deepEqual(server.bridge.passports, [
    { lifetimeMs: undefined },
    { lifetimeMs: 60_000, audience: 'shop', capabilities: ['read:x'], key: 'k' },
  ])
  assert.deepEqual(
    server.bridge.calls.callers.map(({ labels, name }) => [name, labels]),
    [
      ['registrar', undefined],
      ['runtime', { unit: 'payments' }],
    ],
  )
  for (const as of ['reader', 'gateway', 'responder', 'approver'] as const) {
    assert.equal((await server.ask(path, { as, body: {} })).status, 403, as)
  }
  assert.equal((await server.ask(path, { body: {} })).status, 401)
})

test('what is no request for a passport is refused where it stands', async () => {
  await using server = await listen()
  for (const [body, pointer] of [
    [{ lifetimeSeconds: 0 }, '/lifetimeSeconds'],
    [{ lifetimeSeconds: 3601 }, '/lifetimeSeconds'],
    [{ lifetimeSeconds: '60' }, '/lifetimeSeconds'],
    [{ audience: '' }, '/audience'],
    [{ capabilities: 'read:x' }, '/capabilities'],
  ] as const) {
    const { json, status } = await server.ask(path, { as: 'registrar', body })
    assert.equal(status, 400)
    assert.partialDeepStrictEqual(json, { code: 'E_VALIDATION', errors: [{ pointer }] })
  }
  assert.equal((await server.ask(path, { as: 'registrar', body: { sub: 'did:mesh:b' } })).status, 400)
  assert.deepEqual(server.bridge.passports, [])
})

test('a status list is anybody’s, and may be kept for its ttl and no longer', async () => {
  await using server = await listen()
  const list = await server.ask('/statuslists/first-1')
  assert.equal(list.status, 200)
  assert.equal(list.text, 'd.e.f')
  const { headers } = list
  assert.equal(headers['content-type'], 'application/statuslist+jwt')
  assert.equal(headers['cache-control'], 'public, max-age=10')
  assert.equal(headers['access-control-allow-origin'], '*')
  assert.equal(headers.etag, '"etag-1"')
  for (const known of ['"etag-1"', 'W/"etag-1"', '"other", "etag-1"', '*']) {
    const again = await server.ask('/statuslists/first-1', { headers: { 'if-none-match': known } })
    assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', '"etag-1"'], known)
  }
  const other = await server.ask('/statuslists/first-1', { headers: { 'if-none-match': '"etag-2"' } })
  assert.equal(other.status, 200)
  const accepted = await server.ask('/statuslists/first-1', { headers: { accept: 'application/statuslist+jwt' } })
  assert.equal(accepted.status, 200)
  assert.equal((await server.ask('/statuslists/first-2')).json?.code, 'E_NOT_FOUND')
  const past = await server.ask('/statuslists/first-1?time=1686925000')
  assert.deepEqual([past.status, past.json?.code], [501, 'E_NOT_IMPLEMENTED'])
  const all = await server.ask('/statuslists')
  assert.deepEqual(all.json, { status_lists: [uri] })
})

test('keys that were taken back are listed as AGT reads them', async () => {
  await using server = await listen()
  const keys = await server.ask('/.well-known/jwks-revoked.json')
  assert.equal(keys.status, 200)
  assert.deepEqual(keys.json, { revoked: [{ kid: 'kid-0' }] })
  assert.equal(keys.headers['cache-control'], 'public, max-age=60')
})

test('without passports to tell of it refuses, by no 404 and no fault of the server, and nobody keeps that', async () => {
  await using server = await listen()
  server.bridge.revokedFor = async () => {
    throw new BridgeError('E_NO_PASSPORTS', 'Nothing is known of this passport.')
  }
  const { status, json, headers } = await server.ask('/statuslists/first-1/4711/1795255200/jwks-revoked.json')
  assert.deepEqual([status, json?.code, json?.revoked], [410, 'E_NO_PASSPORTS', undefined])
  assert.match(String(headers['cache-control']), /^no-(cache|store)$/)
})

test('what AGT reads about one passport is never a 404, which it takes for nothing revoked', async () => {
  await using server = await listen()
  const revoked = (rest: string) => server.ask(`/statuslists/first-1/${rest}/jwks-revoked.json`)
  assert.deepEqual((await revoked('4711/1795255200')).json, { revoked: [{ kid: 'kid-0' }] })
  const other = await revoked('4712/1795255200')
  assert.deepEqual(other.json, { revoked: [{ kid: 'kid-0' }, { kid: 'kid-1' }] })
  assert.equal(other.headers['cache-control'], 'no-cache')
  for (const rest of [
    'x/1',
    '1/x',
    '-1/1',
    '1.5/1',
    '131072/1',
    '1/-1',
    '%00/1',
    ' /1',
    '1e9/1',
    '0/99999999999999999999',
  ]) {
    assert.equal((await revoked(encodeURI(rest))).status, 400, rest)
  }
})
