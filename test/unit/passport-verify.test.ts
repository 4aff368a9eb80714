import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Io } from '../../src/cli/io.ts'
import { passportIssue, passportVerify, type VerifyOptions } from '../../src/cli/passport.ts'
import type { Passport } from '../../src/core/passport.ts'
import { setStatus } from '../../src/core/statuslist.ts'
import { publicJwk, signJson } from '../../src/lib/jws.ts'
import { packStatuses } from '../../src/lib/statuslist.ts'
import { signingKey } from '../engine/published.ts'

const now = Date.UTC(2026, 10, 21, 10)
const uri = 'https://bridge.test/statuslists/g-1'
const passport: Passport = {
  iss: 'https://bridge.test',
  sub: 'did:mesh:a',
  iat: now / 1000,
  exp: now / 1000 + 900,
  jti: 'j1',
  name: 'an\u001b[2J agent',
  principals: [{ adapter: 'contoso', kind: 'agentIdentity', realm: 't', id: 'a1' }],
  capabilities: ['read:x', 'write:y'],
  sponsor: null,
  delegation: [
    { did: 'did:mesh:root', depth: 0, granted: null, expiresAt: null, signed: null },
    { did: 'did:mesh:a', depth: 1, granted: ['read:x'], expiresAt: null, signed: null },
  ],
  status: { status_list: { idx: 5, uri } },
  cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: 'x'.repeat(43) } },
  delegation_claims: { authority_scope: [], issued_at: 'x', revocation_check_url: 'y' },
}
const key = signingKey()
const folder = mkdtempSync(join(tmpdir(), 'passport-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const file = (text: string): string => {
  files += 1
  const path = join(folder, `${files}`)
  writeFileSync(path, text)
  return path
}
const listOf = (value: number) => {
  const bytes = new Uint8Array(16)
  setStatus(bytes, 2, 5, value)
  const claims = {
    sub: uri,
    iat: now / 1000,
    exp: now / 1000 + 300,
    status_list: { bits: 2, lst: packStatuses(bytes) },
  }
  return signJson(claims, 'statuslist+jwt', key.pem)
}
const given = { token: '', jwks: '', key: '', valid: '', suspended: '', revoked: '', unrevoked: '' }
before(async () => {
  given.token = file(`${await signJson(passport, 'agent-passport+jwt', key.pem)}\n`)
  given.jwks = file(JSON.stringify({ keys: [await publicJwk(key.pem)] }))
  given.key = file(key.pem)
  given.valid = file(await listOf(0))
  given.suspended = file(await listOf(2))
  given.revoked = file(JSON.stringify({ revoked: [{ kid: key.kid }] }))
  given.unrevoked = file('{"revoked":[]}')
})

const ioOf = (env: Io['env'] = {}) => {
  const out: string[] = []
  const io: Io = {
    env,
    out: (line) => out.push(line),
    err: (line) => out.push(line),
    colour: false,
    stop: new AbortController().signal,
    onHangup: () => undefined,
    die: () => undefined,
  }
  return { io, out }
}
const verify = async (options: Partial<VerifyOptions>) => {
  const { io, out } = ioOf()
  const code = await passportVerify(io, given.token, { jwks: [], key: [], ...options }, now)
  return { code, out: out.join('\n') }
}

test('every check is told, and no control character of a name', async () => {
  const { jwks, unrevoked, valid } = given
  const { code, out } = await verify({ jwks: [jwks], revoked: unrevoked, statusList: valid, issuer: passport.iss })
  assert.equal(code, 0, out)
  assert.deepEqual(out.split('\n'), [
    'valid',
    `  ok  signature    signed with the key ${key.kid}`,
    '  ok  claims       passport j1 of did:mesh:a',
    '  ok  key          the key was not taken back',
    '  ok  issuer       issued by https://bridge.test',
    '  ok  audience     for anybody',
    '  ok  time         issued 2026-11-21T10:00:00.000Z, good until 2026-11-21T10:15:00.000Z',
    `  ok  status list  the list that the passport names, ${uri}`,
    '  ok  list time    as of 2026-11-21T10:00:00.000Z',
    '  ok  status       valid',
    '  ok  released     not released since it was issued',
    'did:mesh:a an�[2J agent',
    '  agentIdentity contoso/a1',
    '  may read:x, write:y',
    '  under did:mesh:root',
    `  ask for a proof of the key ${'x'.repeat(43)}`,
  ])
  assert.equal((await verify({ key: [given.key], statusList: valid })).code, 0)
})

test('what was not given is not said to have been looked at', async () => {
  const { jwks, unrevoked, valid } = given
  for (const [options, unseen] of [
    [{ revoked: unrevoked, statusList: valid }, []],
    [{ statusList: valid }, ['key']],
    [{ statusList: false }, ['key', 'status']],
  ] as const) {
    const { code, out } = await verify({ jwks: [jwks], ...options })
    assert.equal(code, 0, out)
    const told = [...out.matchAll(/^ {2}-- {2}(\w+) +not looked at$/gm)].map(([, label]) => label)
    assert.deepEqual(told, unseen)
    assert.equal(/not taken back/.test(out), !unseen.some((one) => one === 'key'))
    const json = JSON.parse((await verify({ jwks: [jwks], ...options, json: true })).out)
    assert.deepEqual(
      [json.keyChecked, json.statusChecked],
      ['key', 'status'].map((name) => !unseen.some((one) => one === name)),
    )
  }
})

test('one that does not hold ends with 70, and says which check failed', async () => {
  const { jwks, suspended, token, valid } = given
  const failing: [Partial<VerifyOptions>, RegExp][] = [
    [{ statusList: suspended }, /no {2}status {7}suspended/],
    [{ statusList: valid, revoked: given.revoked }, /no {2}key {10}the issuer took this key back/],
    [{ statusList: valid, issuer: 'https://other.test' }, /no {2}issuer {7}issued by .*, not by/],
    [{ statusList: token }, /no {2}status list {2}the status list: it is not a status list/],
    [{ statusList: false, key: [file(signingKey().pem)], jwks: [] }, /no {2}signature {4}it is not signed by any/],
  ]
  for (const [options, text] of failing) {
    const { code, out } = await verify({ jwks: [jwks], ...options })
    assert.equal(code, 70, out)
    assert.match(out, /^not valid$/m)
    assert.match(out, text)
    const json = await verify({ jwks: [jwks], ...options, json: true })
    assert.equal(json.code, 70)
    assert.partialDeepStrictEqual(JSON.parse(json.out), { valid: false })
  }
})

test('without a look at the status it says so', async () => {
  const { code, out } = await verify({ jwks: [given.jwks], statusList: false })
  assert.equal(code, 0)
  assert.match(out, /^ {2}-- {2}status {7}not looked at$/m)
  const json = await verify({ jwks: [given.jwks], statusList: false, json: true })
  assert.partialDeepStrictEqual(JSON.parse(json.out), {
    valid: true,
    statusChecked: false,
    passport: { sub: 'did:mesh:a' },
  })
})

test('keys and lists come from files or from URLs that the caller names', async () => {
  const asked: string[] = []
  const bodies: Readonly<Record<string, string>> = {
    '/jwks.json': JSON.stringify({ keys: [await publicJwk(key.pem)] }),
    '/list': await listOf(0),
  }
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/away') return response.writeHead(302, { location: '/list' }).end()
    const body = bodies[request.url ?? '']
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  try {
    const address = server.address()
    const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
    const { code, out } = await verify({ jwks: [`${origin}/jwks.json`], statusList: `${origin}/list` })
    assert.equal(code, 0, out)
    assert.deepEqual(asked, ['/jwks.json', '/list'])
    for (const statusList of [`${origin}/none`, `${origin}/away`, 'http://127.0.0.1:1/list']) {
      await assert.rejects(verify({ jwks: [given.jwks], statusList }), { code: 'E_UNREACHABLE' })
    }
  } finally {
    await new Promise((done) => server.close(done))
  }
})

test('what was not said, or makes no sense, is a mistake of usage', async () => {
  const { jwks, token, valid } = given
  const wrong: Partial<VerifyOptions>[] = [
    { jwks: [jwks] },
    { statusList: valid },
    { jwks: [token], statusList: valid },
    { jwks: [jwks], statusList: join(folder, 'none') },
    { jwks: [jwks], statusList: 'http://bridge.test/list' },
    { jwks: [jwks], statusList: 'https://user:secret@bridge.test/list' },
    { jwks: [jwks], statusList: valid, revoked: jwks },
    { key: [token], statusList: valid },
  ]
  for (const options of wrong) await assert.rejects(verify(options), { code: 'E_USAGE' }, JSON.stringify(options))
  const { io } = ioOf({ IDP_BRIDGE_URL: 'http://127.0.0.1:1', IDP_BRIDGE_TOKEN: 't' })
  for (const lifetime of ['', '1', '0m', '2h', '61m', '1d', '-1m', '1.5m']) {
    await assert.rejects(passportIssue(io, 'did:mesh:a', { lifetime, capability: [] }), { code: 'E_USAGE' }, lifetime)
  }
  await assert.rejects(passportIssue(io, 'did:mesh:a', { capability: [] }), { code: 'E_UNREACHABLE' })
})
