import assert from 'node:assert/strict'
import { test } from 'node:test'
import { soc } from '../engine/harness.ts'
import { type FaceWorld, faceWorld } from './faceworld.ts'
import { hashOf } from './listen.ts'

const path = '/oauth2/introspect'
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const encoded = (fields: Record<string, string> | [string, string][]) => new URLSearchParams(fields).toString()
const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

const introspect = ({ post }: FaceWorld, token: string, more: Record<string, string> = {}) =>
  post(path, encoded({ token, ...more }), form)

test('an active token says who acts, for whom, what it may, and how current that is', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  const did = await world.agent('a', { capabilities: ['read:reports'] })
  await world.agent('b')
  const claims = { sub: 'a', azp: 'client-7', obo: 'alice', scope: 'Reports.Read Mail.Send', jti: 'j1', nbf: 1 }
  const { status, json, headers } = await introspect(
    faces,
    await faces.token({ ...claims, azp: 'a', act: { sub: 'b' } }),
  )
  const { agt_epoch, exp, iat, ...rest } = json ?? {}
  assert.equal(status, 200)
  assert.deepEqual(rest, {
    active: true,
    token_type: 'Bearer',
    iss: world.north.tokens.issuer,
    sub: 'a',
    aud: ['api://agents'],
    client_id: 'a',
    scope: 'Reports.Read Mail.Send',
    nbf: 1,
    jti: 'j1',
    act: { sub: 'b' },
    agt_did: did,
    agt_status: 'active',
    agt_generation: 'generation',
    agt_on_behalf_of: { id: 'alice', kind: 'person' },
    capabilities: ['read:reports'],
  })
  assert.ok(typeof agt_epoch === 'number' && agt_epoch > 0)
  assert.equal(Number(exp) - Number(iat), 3600)
  assert.equal(Math.floor(world.clock.now() / 1000), iat)
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers.pragma, 'no-cache')
  const plain = await introspect(faces, await faces.token({ sub: 'a', client_id: 'an application' }))
  assert.equal(plain.json?.client_id, 'an application')
  for (const left of ['scope', 'act', 'nbf', 'jti', 'agt_on_behalf_of']) assert.ok(!(left in (plain.json ?? {})), left)
  assert.match(await world.metrics.text(), /decisions_total\{face="introspection",allow="true"\} 2/)
})

test('it is inactive from the moment a hold commits, and says nothing else', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  const did = await world.agent('a')
  const token = await faces.token({ sub: 'a' })
  assert.equal((await introspect(faces, token)).json?.active, true)
  await world.bridge.place(did, { severity: 'suspend', reason: 'case 4711' }, soc)
  const { status, text } = await introspect(faces, token)
  assert.deepEqual([status, text], [200, '{"active":false}'])
})

test('whatever is no good token is inactive, in the same words', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  await world.agent('a')
  const good = await faces.token({ sub: 'a' })
  const [head = '', body = '', signature = ''] = good.split('.')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const wrong = [
    'x',
    `${head}.${body}`,
    `${head}.${body}.`,
    `${none}.${body}.`,
    `${head}.${body}.${signature.slice(0, -4)}AAAA`,
    `${good}.${signature}`,
    ` ${good}`,
    `${good}\u0000`,
    `${good}\ud800`,
    'a'.repeat(20_000),
    await faces.token({ sub: 'a', aud: 'api://elsewhere' }),
    await faces.token({ sub: 'a', exp: 1 }),
    await faces.token({ sub: 'nobody' }),
    await faces.token({ sub: 'a', cnf: { jkt: 'k' } }),
    await faces.token({ sub: 'a', act: 'text' }),
    await faces.token({ sub: 'a', act: { sub: 'stranger' } }),
    await faces.token({ sub: 'alice', obo: 'a' }),
  ]
  for (const token of wrong) {
    const { status, text } = await introspect(faces, token)
    assert.deepEqual([status, text], [200, '{"active":false}'], token.slice(0, 60))
  }
  for (const hint of ['access_token', 'refresh_token', 'made-up']) {
    assert.equal((await introspect(faces, good, { token_type_hint: hint })).json?.active, true, hint)
  }
})

test('keys that cannot be had are a failure and no answer', async () => {
  await using faces = await faceWorld()
  await faces.world.agent('a')
  const token = await faces.token({ sub: 'a' })
  faces.world.north.tokens.down = true
  const { status, json } = await introspect(faces, token)
  assert.deepEqual([status, json?.code, json?.error], [503, 'E_JWKS_DOWN', 'temporarily_unavailable'])
  assert.ok(!('active' in (json ?? {})))
})

test('only a form is taken, with one token in it; failures carry what OAuth clients read', async () => {
  await using faces = await faceWorld()
  await faces.world.agent('a')
  const token = await faces.token({ sub: 'a' })
  const rows: readonly [string, string, Record<string, string>, number][] = [
    ['JSON', JSON.stringify({ token }), { 'content-type': 'application/json' }, 415],
    ['text', encoded({ token }), { 'content-type': 'text/plain' }, 415],
    ['no token', 'a=b', form, 400],
    ['an empty one', 'token=', form, 400],
    ['nothing', '', form, 400],
    [
      'two tokens',
      encoded([
        ['token', token],
        ['token', 'other'],
      ]),
      form,
      400,
    ],
    [
      'the same one twice',
      encoded([
        ['token', token],
        ['token', token],
      ]),
      form,
      400,
    ],
    ['many fields', encoded(Array.from({ length: 40 }, (_, at): [string, string] => [`f${at}`, 'x'])), form, 400],
    ['a large body', `token=${'a'.repeat(70_000)}`, form, 413],
  ]
  for (const [label, body, headers, wanted] of rows) {
    const { status, json } = await faces.post(path, body, headers)
    assert.deepEqual([status, json?.error], [wanted, 'invalid_request'], label)
    assert.equal(typeof json?.error_description, 'string', label)
    assert.ok(!JSON.stringify(json).includes(token), label)
  }
  assert.equal(
    (await faces.post(`${path}?token=${token}`, 'a=b', form)).status,
    400,
    'a token in the query counts for nothing',
  )
  const charset = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }
  assert.equal(
    (await faces.post(path, encoded({ token, __proto__x: 'y', constructor: 'z' }), charset)).json?.active,
    true,
  )
})

test('callers come by bearer token or by HTTP Basic, form-encoded or not', async () => {
  await using faces = await faceWorld()
  const { server } = faces
  const secret = 'a+b/c~d.e_f-0=='
  const others = { name: 'other', roles: ['gateway' as const], tokenSha256: [hashOf('theirs')], labels: undefined }
  server.clients.push(
    { name: 'kong-1.eu', roles: ['gateway'], tokenSha256: [hashOf(secret)], labels: undefined },
    { name: 'lookout', roles: ['reader'], tokenSha256: [hashOf('reads')], labels: undefined },
    others,
  )
  const ask = async (authorization: string, to = path) =>
    (await server.ask(to, { body: 'token=x', headers: { ...form, authorization } })).status
  const every = [...secret].map((one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`).join('')
  const accepted = [
    `Bearer ${secret}`,
    basic('kong-1.eu', secret),
    basic('kong-1.eu', encodeURIComponent(secret)),
    basic('kong-1.eu', new URLSearchParams({ x: secret }).toString().slice(2)),
    basic('kong%2D1%2Eeu', every.toUpperCase()),
    basic('kong-1.eu', secret).replace('Basic', 'bAsIc  '),
  ]
  for (const one of accepted) assert.equal(await ask(one), 200, one)
  const refused = [
    basic('other', secret),
    basic('kong-1.eu', 'theirs'),
    basic('KONG-1.EU', secret),
    basic('kong-1.eu ', secret),
    basic('', secret),
    basic('kong-1.eu', ''),
    basic('kong-1.eu', `${secret}%`),
    basic('kong-1.eu', `${secret}%00`),
    basic('kong-1.eu', `${secret}%ff`),
    basic('kong-1.eu', hashOf(secret)),
    `Basic ${Buffer.from(secret).toString('base64')}`,
    'Basic',
    'Basic ====',
    `Basic ${Buffer.from(`kong-1.eu:${secret}`).toString('base64')} x`,
    `Digest ${Buffer.from(`kong-1.eu:${secret}`).toString('base64')}`,
  ]
  for (const one of refused) assert.equal(await ask(one), 401, one)
  assert.equal(await ask(basic('lookout', 'reads')), 403, 'a role is needed all the same')
  for (const to of ['/v1/decisions', '/v1/status', '/access/v1/evaluation']) {
    assert.equal(await ask(basic('kong-1.eu', secret), to), to === '/v1/status' ? 405 : 401, to)
  }
  const none = await server.ask(path, { body: 'token=x', headers: form })
  assert.equal(none.json?.error, 'invalid_client')
  assert.equal(none.headers['www-authenticate'], 'Basic realm="idp-bridge", Bearer')
  server.clients.splice(server.clients.indexOf(others), 1)
  assert.equal(await ask(basic('other', 'theirs')), 401, 'looked up for each request')
})
