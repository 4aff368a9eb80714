import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TokenCaller } from '../../src/core/caller.ts'
import type { Role } from '../../src/core/roles.ts'
import type { Accounts, Standing } from '../../src/engine/callers.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import type { Client } from '../../src/http/auth.ts'
import { createLimits } from '../../src/http/limits.ts'
import { createVisitors } from '../../src/http/oidc.ts'
import type { ServerOptions } from '../../src/http/server.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { AUDIENCE, KeyServer, makeKey, token } from '../unit/issuer.ts'
import { certificate } from './certificates.ts'
import { certified, client } from './certified.ts'
import { type Listening, listen } from './listen.ts'

const OURS = 'api://idp-bridge'
const APP = 'our-portal'
const key = makeKey('k1')

const words = (value: unknown): string[] => (typeof value === 'string' && value !== '' ? value.split(' ') : [])

/** A directory that says in plain claims who calls, with keys on a real socket. */
async function directory(given: Partial<Record<Role, readonly string[]>>, applications: readonly string[] = []) {
  const keys = await KeyServer.start(key)
  const clock = manualClock()
  const source = createKeySource({ uri: keys.uri, fetch: keys.fetch, clock, random: () => 0 })
  const identify = ({ oid, app, roles, agent }: Record<string, unknown>): TokenCaller => {
    const through = typeof app === 'string' ? app : undefined
    const id = String(oid)
    return {
      id,
      kind: through === undefined ? 'service' : 'person',
      application: through ?? id,
      principals: [id, ...(through === undefined ? [] : [through])],
      isAgent: agent === true,
      roles: words(roles),
    }
  }
  const callers = { issuers: (audiences: readonly string[]) => [keys.issuer({ audiences })], identify }
  const none = async () => []
  const verifier = createVerifier({
    adapters: () => [{ name: 'contoso', issuers: [keys.issuer()], identify: () => undefined }],
    callers: [{ name: 'contoso', callers, audiences: [OURS], roles: given, applications }],
    keys: () => source,
    clock,
    store: { principalsById: none, principalsNamed: none, sharersOf: none },
  })
  return {
    keys,
    clock,
    verifier,
    token: (oid: string, roles: string, more: object = {}) =>
      token(key, clock.now(), { aud: OURS, oid, roles, ...more }),
    [Symbol.asyncDispose]: async () => {
      source.close()
      await keys[Symbol.asyncDispose]()
    },
  }
}

type Directory = Awaited<ReturnType<typeof directory>>

/** Options of a server whose clients are known by then. */
const visiting = (it: Directory, clients: () => readonly Client[]): Partial<ServerOptions> => ({
  visitors: createVisitors({ verifier: it.verifier, clients }),
})

const serve = async (it: Directory, more: Partial<ServerOptions> = {}): Promise<Listening> => {
  let clients: readonly Client[] = []
  const server = await listen({ ...visiting(it, () => clients), ...more })
  clients = server.clients
  return server
}

const bearer = (text: string) => ({ headers: { authorization: `Bearer ${text}` } })
const whoami = (server: Listening, text: string) => server.ask('/v1/whoami', bearer(text))
const did = 'did:agentmesh:a'

const mapped = {
  operator: ['B.Operator'],
  reader: ['B.Reader', 'Audit'],
  runtime: ['B.Runtime'],
  gateway: ['B.Gate'],
  responder: ['B.Responder'],
}

test('an account has the roles that its directory gave it, by the name of both', async () => {
  await using it = await directory(mapped)
  await using server = await serve(it)
  const { status, json } = await whoami(server, it.token('svc-1', 'B.Reader Audit B.Gate Unknown'))
  assert.equal(status, 200)
  assert.deepEqual(json, { name: 'contoso/svc-1', roles: ['reader', 'gateway'], agents: null })
  const hold = await server.ask(`/v1/agents/${did}/holds`, {
    body: { severity: 'suspend', reason: 'r' },
    ...bearer(it.token('boss', 'B.Operator')),
  })
  assert.equal(hold.status, 201)
  const reader = await server.ask(`/v1/agents/${did}/holds`, {
    body: { severity: 'suspend', reason: 'r' },
    ...bearer(it.token('svc-1', 'B.Reader')),
  })
  assert.deepEqual([reader.status, reader.json?.code], [403, 'E_FORBIDDEN'])
  const nobody = await whoami(server, it.token('svc-2', 'Unknown operator'))
  assert.deepEqual([nobody.status, nobody.json?.code], [403, 'E_FORBIDDEN'], 'known, and nothing besides')
})

test('whatever is wrong with a token, it is no credential; static tokens go on', async () => {
  await using it = await directory(mapped)
  await using server = await serve(it)
  const good = it.token('boss', 'B.Operator')
  const table = {
    'for agents': it.token('boss', 'B.Operator', { aud: AUDIENCE }),
    'for agents as well': it.token('boss', 'B.Operator', { aud: [OURS, AUDIENCE] }),
    expired: it.token('boss', 'B.Operator', { exp: Math.floor(it.clock.now() / 1000) - 61 }),
    'not valid yet': it.token('boss', 'B.Operator', { nbf: Math.floor(it.clock.now() / 1000) + 600 }),
    'of another issuer': it.token('boss', 'B.Operator', { iss: 'https://login.example.com/other' }),
    'signed by another': token(makeKey('k1'), it.clock.now(), { aud: OURS, oid: 'boss', roles: 'B.Operator' }),
    'bound to a key': it.token('boss', 'B.Operator', { cnf: { jkt: 'x' } }),
    'with its end cut off': good.slice(0, good.lastIndexOf('.') + 1),
    'with an end too many': `${good}.x`,
  }
  for (const [name, text] of Object.entries(table)) {
    const answer = await whoami(server, text)
    assert.deepEqual([answer.status, answer.json?.code], [401, 'E_UNAUTHENTICATED'], name)
    assert.equal(answer.headers['www-authenticate'], 'Bearer', name)
    assert.ok(!answer.text.includes(text), 'nothing repeats it')
  }
  assert.match((await whoami(server, table.expired)).text, /R_EXPIRED/)
  assert.equal((await whoami(server, good)).status, 200)
  assert.equal((await server.ask('/v1/whoami', { as: 'operator' })).status, 200)
  assert.ok(!server.lines.join('').includes(good.slice(-40)), 'nor does the log')
})

test('a person calls through the applications that are named, and through no other', async () => {
  await using it = await directory(mapped, [APP])
  await using server = await serve(it)
  const { json } = await whoami(server, it.token('alice', 'B.Operator', { app: APP }))
  assert.deepEqual(json, { name: 'contoso/alice', roles: ['operator'], agents: null })
  const other = await whoami(server, it.token('alice', 'B.Operator', { app: 'phishing' }))
  assert.deepEqual([other.status, other.json?.code], [401, 'E_UNAUTHENTICATED'])
  assert.match(other.text, /application/)
})

test('a client of the file is itself by its account, with what both the file and the directory give', async () => {
  await using it = await directory(mapped)
  await using server = await serve(it)
  const labels = { unit: 'payments' }
  server.clients.push({
    name: 'agt-2',
    roles: ['runtime', 'reader'],
    tokenSha256: [],
    accounts: ['contoso/rt'],
    labels,
  })
  const roles = async (given: string, oid = 'rt') => {
    const { json, status } = await whoami(server, it.token(oid, given))
    return json?.roles === undefined ? status : [json.name, json.roles, json.agents]
  }
  assert.deepEqual(await roles('B.Runtime Audit'), ['agt-2', ['reader', 'runtime'], { labels }])
  assert.deepEqual(await roles('B.Runtime'), ['agt-2', ['runtime'], { labels }])
  assert.deepEqual(await roles('B.Operator'), ['agt-2', ['reader'], { labels }], 'no more than the file gives')
  assert.equal(await roles('B.Gate'), 403, 'nor than the directory')
  assert.equal(await roles('B.Runtime', 'rt-unlisted'), 403, 'a runtime is one that receipts can name')
  server.clients.pop()
  assert.deepEqual(await roles('B.Runtime Audit'), ['contoso/rt', ['reader'], null], 'at once after a reload')
})

test('what a role stands for counts on both sides', async () => {
  await using it = await directory({ ...mapped, approver: ['B.Approver'] })
  await using server = await serve(it)
  server.clients.push({
    name: 'ann',
    roles: ['operator'],
    tokenSha256: [],
    accounts: ['contoso/ann'],
    labels: undefined,
  })
  const roles = async (given: string) => (await whoami(server, it.token('ann', given))).json?.roles
  assert.deepEqual(await roles('B.Operator'), ['operator'])
  assert.deepEqual(await roles('B.Approver B.Responder'), ['responder', 'approver'])
  assert.equal(await roles('B.Runtime B.Gate'), undefined, 'an operator is no runtime')
})

test('under a name of another in HTTP Basic it is nobody', async () => {
  await using it = await directory(mapped)
  await using server = await serve(it)
  server.clients.push({
    name: 'gw',
    roles: ['gateway'],
    tokenSha256: [],
    accounts: ['contoso/gate'],
    labels: undefined,
  })
  const introspect = async (name: string) => {
    const text = `${name}:${it.token('gate', 'B.Gate')}`
    const headers = {
      authorization: `Basic ${Buffer.from(text).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    }
    return (await server.ask('/oauth2/introspect', { method: 'POST', body: 'token=x', headers })).status
  }
  assert.equal(await introspect('gw'), 200)
  assert.equal(await introspect('gateway'), 401)
})

test('an agent is never an operator, and none of it while it is held; its token from before a release is not either', async () => {
  await using it = await directory(mapped, [APP])
  const asked: Accounts[] = []
  const state: { standing: Standing } = { standing: { dids: [], held: false } }
  const of = (accounts: Accounts): Standing => {
    asked.push(accounts)
    return state.standing
  }
  await using server = await serve(it, { standings: { of } })
  const text = it.token('svc', 'B.Operator B.Gate')
  const roles = async (by = text) => {
    const { status, json } = await whoami(server, by)
    return json?.roles ?? status
  }
  assert.deepEqual(await roles(), ['gateway', 'operator'])
  state.standing = { dids: [did], held: false }
  assert.deepEqual(await roles(), ['gateway'])
  await server.ask(`/v1/agents/${did}/holds`, {
    body: { severity: 'suspend', reason: 'r' },
    ...bearer(it.token('svc', 'B.Responder')),
  })
  assert.deepEqual(server.bridge.calls.callers.at(-1)?.dids, [did], 'which agent it is goes along')
  state.standing = { dids: [did], held: true }
  assert.equal(await roles(), 403)
  const issuedAt = Math.floor(it.clock.now() / 1000) * 1000
  assert.deepEqual(asked[0], { ids: ['svc'], adapter: 'contoso', issuedAt })
  assert.equal(asked[1], asked[0], 'what is known of it goes by the same object')
  await roles(it.token('alice', 'B.Operator', { app: APP }))
  assert.deepEqual(asked.at(-1)?.ids, ['alice', APP], 'the application through which a person calls, too')
  state.standing = { dids: [], held: false }
  assert.deepEqual(await roles(it.token('svc', 'B.Operator B.Gate', { agent: true })), ['gateway'], 'as its token says')
})

test('while the keys cannot be had a token is neither good nor bad, and static tokens go on', async () => {
  await using it = await directory(mapped)
  await using server = await serve(it)
  it.keys.down()
  const { status, json, headers } = await whoami(server, it.token('boss', 'B.Operator'))
  assert.deepEqual([status, json?.code], [503, 'E_JWKS_DOWN'])
  assert.match(String(headers['retry-after']), /^[1-9]\d*$/)
  assert.equal((await server.ask('/v1/whoami', { as: 'operator' })).status, 200)
  assert.equal((await whoami(server, 'not-a-jwt')).status, 401)
})

test('a token and a certificate of two callers are nobody, and those of one are one', async () => {
  await using it = await directory(mapped)
  const own = certificate()
  const boss = client('boss', {
    certificateSha256: [own.fingerprint],
    accounts: ['contoso/boss'],
    roles: ['reader'],
  })
  await using tls = await certified(
    undefined,
    [boss],
    visiting(it, () => [boss]),
  )
  const ask = async (oid: string) => {
    const { status, name } = await tls.ask({ by: own, token: it.token(oid, 'B.Reader') })
    return status === 200 ? name : status
  }
  assert.equal(await ask('boss'), 'boss')
  assert.equal(await ask('other'), 401)
})

test('a stream ends when its token does', async () => {
  await using it = await directory(mapped)
  await using server = await serve(it, { streams: { heartbeatMs: 5 } })
  server.clients.push({
    name: 'agt-2',
    roles: ['runtime'],
    tokenSha256: [],
    accounts: ['contoso/rt'],
    labels: undefined,
  })
  const { signal } = new AbortController()
  const response = await fetch(`http://127.0.0.1:${server.port}/v1/signals`, {
    signal,
    headers: { authorization: `Bearer ${it.token('rt', 'B.Runtime')}` },
  })
  assert.equal(response.status, 200)
  const reader = response.body?.getReader()
  await reader?.read()
  // Past `exp` and the minute by which clocks may differ.
  it.clock.advance(3_660_001)
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read());
})

test('refused tokens are counted by address, good ones by the name of the caller', async () => {
  await using it = await directory(mapped)
  const two = { perSecond: 1, burst: 2 }
  const rates = { questions: two, stops: two, unauthenticated: two }
  const clock = { mono: () => 0 }
  await using server = await serve(it, { limits: createLimits(() => rates, clock) })
  const bad = async () => (await whoami(server, it.token('a', 'B.Reader', { aud: AUDIENCE }))).status
  assert.deepEqual([await bad(), await bad(), await bad()], [401, 401, 429])
  const asked = async (oid: string) => (await whoami(server, it.token(oid, 'B.Reader'))).status
  assert.deepEqual([await asked('a'), await asked('a'), await asked('a'), await asked('b')], [200, 200, 429, 200])
})

test('an agent that is held, and whoever asks while keys cannot be had, are counted by address', async () => {
  await using it = await directory(mapped)
  const one = { perSecond: 1, burst: 1 }
  const rates = { questions: one, stops: one, unauthenticated: one }
  const standings = { of: ({ ids }: Accounts): Standing => ({ dids: [did], held: ids.includes('held') }) }
  const limits = () => createLimits(() => rates, { mono: () => 0 })
  await using server = await serve(it, { standings, limits: limits() })
  const asked = async (at: Listening, oid: string) => (await whoami(at, it.token(oid, 'B.Gate'))).status
  assert.deepEqual(
    [await asked(server, 'held'), await asked(server, 'held'), await asked(server, 'a')],
    [403, 429, 200],
  )
  await using dark = await directory(mapped)
  dark.keys.down()
  await using other = await serve(dark, { limits: limits() })
  assert.deepEqual([await asked(other, 'a'), await asked(other, 'a')], [503, 429])
})
