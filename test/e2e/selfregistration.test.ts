import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { signDelegation } from '../../clients/agt/index.ts'
import { assertAllowed, assertDenied, path, principal, register } from './agents.ts'
import { client } from './client.ts'
import { at, listAt, textAt } from './json.ts'
import { challenge, codeOf, meshOf, newIdentity, publicUrl, registerSelf, type Twist } from './selves.ts'
import { until } from './until.ts'
import { audience, type Daemon, startWorld, type World } from './world.ts'

const self = {
  server: { publicUrl },
  registration: { self: { adapters: ['contoso'] } },
  policy: { resume: 'automatic' },
}
const stack = new AsyncDisposableStack()
let world: World
let daemon: Daemon

before(async () => {
  world = stack.use(await startWorld(self))
  daemon = stack.use(await world.daemon())
})
after(() => stack.disposeAsync())

const newAccount = (): string => {
  const id = world.tenant.addAgentIdentity({ displayName: 'x', blueprintAppId: world.contoso.blueprint.appId })
  world.tenant.settle()
  return id
}
const tokenFor = (id: string, more: object = {}): string =>
  world.tenant.issueToken({ kind: 'agent', id, audience, ...more })
const agentAt = async (did: string) => (await daemon.as('alice').get(path(did))).body

/** Until it is let in to be looked at. */
const patiently: typeof registerSelf = (...args) =>
  until('a turn', async () => {
    const answer = await registerSelf(...args)
    return answer.status !== 429 && answer
  })

test('an agent registers itself with the key of its DID and a token of its account, and has nothing else', async () => {
  const identity = newIdentity()
  const account = newAccount()
  const answer = await patiently(daemon.origin, identity, tokenFor(account))
  assert.equal(answer.status, 201, answer.text)
  const did = meshOf(identity)
  assert.partialDeepStrictEqual(answer.body, { did, created: true, capabilities: [] })
  assert.deepEqual(listAt(answer.body, 'principals'), [{ adapter: 'contoso', id: account }])
  const agent = await agentAt(did)
  assert.partialDeepStrictEqual(agent, {
    did,
    status: 'active',
    labels: {},
    parentDid: null,
    sponsor: null,
    blueprint: null,
  })
  assert.equal(at(agent, 'keys', 0, 'binding'), 'fingerprint')
  assert.equal(at(agent, 'principals', 0, 'proven', 'key'), at(agent, 'keys', 0, 'thumbprint'))
  await assertAllowed(daemon, { token: tokenFor(account) })
  const audit = await daemon.as('alice').get(`/v1/audit?did=${encodeURIComponent(did)}`)
  const entries = listAt(audit.body, 'items').map((entry) => [at(entry, 'type'), at(entry, 'actor')])
  assert.deepEqual(
    entries.filter(([type]) => type === 'agent.registered' || type === 'account.proven'),
    [
      ['agent.registered', `agent:${did}`],
      ['account.proven', `agent:${did}`],
    ],
  )
  const again = await patiently(daemon.origin, identity, tokenFor(account))
  assert.deepEqual([again.status, at(again.body, 'created')], [200, false])
  assert.equal(at(again.body, 'proven', 'at'), at(answer.body, 'proven', 'at'), 'not written again at once')
})

test('the three-segment DID of the SDK itself registers too', async () => {
  const identity = newIdentity()
  const answer = await patiently(daemon.origin, identity, tokenFor(newAccount()), { did: identity.did })
  assert.equal(answer.status, 201, answer.text)
  assert.equal(at(answer.body, 'did'), identity.did)
})

test('a registered agent proves its mapping by a declared key, also under an alias', async () => {
  const identity = newIdentity()
  const account = newAccount()
  const did = 'did:mesh:researcher-1'
  const keys = [identity.toJWK()]
  await register(daemon.as('alice'), {
    did,
    name: 'n',
    keys,
    aliases: ['did:agentmesh:other'],
    principals: [principal(account)],
  })
  const proven = await patiently(daemon.origin, identity, tokenFor(account), { did })
  assert.equal(proven.status, 200, proven.text)
  const agent = await agentAt(did)
  assert.equal(at(agent, 'keys', 0, 'binding'), 'proven')
  assert.equal(typeof at(agent, 'principals', 0, 'proven', 'at'), 'string')
  const alias = await patiently(daemon.origin, identity, tokenFor(account), { did: 'did:agentmesh:other' })
  assert.deepEqual([alias.status, at(alias.body, 'did')], [200, did])
  // A key that is taken away takes with it what it proved.
  await daemon.as('alice').ask(path(did), { method: 'PATCH', body: { keys: null } })
  assert.equal(at(await agentAt(did), 'principals', 0, 'proven'), null)
})

test('under a parent an agent comes in by that one’s signature alone, with what was delegated', async () => {
  const [parent, identity, stranger] = [newIdentity('parent'), newIdentity(), newIdentity('stranger')]
  await register(daemon.as('alice'), { did: parent.did, name: 'p', capabilities: ['read:reports'], principals: [] })
  const did = meshOf(identity)
  const account = newAccount()
  const terms = { child: did, capabilities: ['read:reports'], depth: 1 }
  const asChild = (delegation: object | undefined, more: object = {}) =>
    patiently(daemon.origin, identity, tokenFor(account), { body: { parentDid: parent.did, delegation, ...more } })
  const unsigned = { capabilities: ['read:reports'] }
  const forged = signDelegation(stranger, { ...terms, parent: parent.did })
  const wider = signDelegation(parent, { ...terms, capabilities: ['write:reports'] })
  for (const delegation of [unsigned, forged, wider, signDelegation(parent, { ...terms, child: 'did:mesh:other' })]) {
    const refused = await asChild(delegation)
    assert.deepEqual([refused.status, codeOf(refused)], [403, 'E_FORBIDDEN'], JSON.stringify(delegation))
  }
  assert.equal((await asChild(undefined)).status, 400)
  assert.equal((await asChild(signDelegation(parent, terms), { parentDid: undefined })).status, 400)
  assert.equal(at(await agentAt(did), 'code'), 'E_AGENT_UNKNOWN')
  const answer = await asChild(signDelegation(parent, terms))
  assert.equal(answer.status, 201, answer.text)
  assert.deepEqual(at(answer.body, 'capabilities'), ['read:reports'])
  assert.partialDeepStrictEqual(await agentAt(did), { parentDid: parent.did, depth: 1 })
  // What is registered is changed by a registrar.
  assert.equal((await asChild(signDelegation(parent, terms))).status, 403)
})

test('proofs that are right and do not belong together are refused alike, whatever is known of the DID', async () => {
  const [identity, stranger] = [newIdentity(), newIdentity()]
  const [mine, theirs, free] = [newAccount(), newAccount(), newAccount()]
  const did = 'did:mesh:researcher-2'
  await register(daemon.as('alice'), { did, name: 'n', keys: [identity.toJWK()], principals: [principal(mine)] })
  await register(daemon.as('alice'), { did: 'did:mesh:other-2', name: 'o', principals: [principal(theirs)] })
  const refused = [
    await patiently(daemon.origin, stranger, tokenFor(mine), { did }),
    await patiently(daemon.origin, identity, tokenFor(free), { did }),
    await patiently(daemon.origin, identity, tokenFor(theirs), { did }),
    // An unknown DID: not derived from the key, an account that is taken, no kind, a kind that it is not.
    await patiently(daemon.origin, identity, tokenFor(free), { did: 'did:mesh:nobody' }),
    await patiently(daemon.origin, identity, tokenFor(free), { did: `did:mesh:${'0'.repeat(32)}` }),
    await patiently(daemon.origin, stranger, tokenFor(mine)),
    await patiently(daemon.origin, stranger, tokenFor(free), { body: { kind: undefined } }),
    await patiently(daemon.origin, stranger, tokenFor(free), { body: { kind: 'agentUser' } }),
    await patiently(daemon.origin, stranger, tokenFor(free), { body: { kind: 'no such kind' } }),
  ]
  for (const answer of refused) {
    assert.equal(answer.status, 403, answer.text)
    const { detail, hint, code } = Object(answer.body)
    const { detail: first, hint: also } = Object(refused[0]?.body)
    assert.deepEqual([code, detail, hint], ['E_FORBIDDEN', first, also])
  }
  assert.equal(at(await agentAt(did), 'principals', 0, 'proven'), null)
  assert.equal((await daemon.as('alice').get(path(meshOf(stranger)))).status, 404)
})

test('nothing of a request can be changed, left away or used for another', async () => {
  const [identity, stranger] = [newIdentity(), newIdentity()]
  const account = newAccount()
  const token = tokenFor(account)
  const whole = { did: meshOf(identity), publicKey: identity.toJWK(), token, name: 'x', kind: 'agentIdentity' }
  const twists: Readonly<Record<string, Twist>> = {
    'another body': { sent: JSON.stringify({ ...whole, name: 'y' }) },
    'a swapped token': { sent: JSON.stringify({ ...whole, token: tokenFor(newAccount()) }) },
    'the same body with a space': { sent: `${JSON.stringify(whole)} ` },
    'another path': { target: '/v1/agents/self/challenge' },
    'a query': { target: '/v1/agents/self?x=1' },
    'another method': { method: 'PUT' },
    'another audience': { audience: 'https://other.contoso.com' },
    'another content type': { contentType: 'text/plain' },
    'the key of another': { signer: stranger },
    'a key in the body that did not sign': { body: { publicKey: stranger.toJWK() } },
    'a kid that names the DID': {
      signer: stranger,
      body: { publicKey: { ...identity.toJWK(), kid: meshOf(stranger) } },
    },
    'another DID in the header': { headers: { 'x-agent-did': meshOf(stranger) } },
    'another DID in the body': { body: { did: meshOf(stranger) } },
    'a nonce that is not ours': { nonce: 'Z29sZGVuLW5vbmNlLTAwMQ' },
    'no nonce': { headers: { 'x-agent-nonce': undefined } },
    'no DID': { headers: { 'x-agent-did': undefined } },
    'no signature': { headers: { 'x-agent-signature': undefined } },
    'no timestamp': { headers: { 'x-agent-timestamp': undefined } },
    'an empty signature': { signature: Buffer.alloc(64).toString('base64') },
    'a signature cut short': { signature: 'AAAA' },
    'a time of long ago': { timestamp: new Date(Date.now() - 301_000).toISOString() },
    'a time of the future': { timestamp: new Date(Date.now() + 3_600_000).toISOString() },
    'a time without a zone': { timestamp: new Date().toISOString().slice(0, -1) },
    'a time changed after signing': { headers: { 'x-agent-timestamp': new Date(Date.now() - 1000).toISOString() } },
    'a huge header': { headers: { 'x-agent-signature': 'A'.repeat(4096) } },
  }
  for (const [what, twist] of Object.entries(twists)) {
    const answer = await patiently(daemon.origin, identity, token, twist)
    assert.deepEqual([answer.status, codeOf(answer)], [401, 'E_UNAUTHENTICATED'], `${what}: ${answer.text}`)
  }
  assert.equal((await daemon.as('alice').get(path(meshOf(identity)))).status, 404)
  assert.equal((await patiently(daemon.origin, identity, token)).status, 201)
})

test('a token that is not one of the account itself, for agents, and good now is no proof', async () => {
  const identity = newIdentity()
  const account = newAccount()
  const genuine = tokenFor(account)
  const past = Math.floor(Date.now() / 1000) - 7200
  const tokens: Readonly<Record<string, string>> = {
    'of another audience': world.tenant.issueToken({ kind: 'agent', id: account, audience: 'api://other' }),
    expired: tokenFor(account, { claims: { iat: past, nbf: past, exp: past + 3600 } }),
    'of another tenant': tokenFor(account, { claims: { tid: '99999999-2222-4333-8444-555555555555' } }),
    'with a signature cut': genuine.slice(0, -8),
    'with a key of its own': tokenFor(account, { claims: { cnf: { jkt: 'x' } } }),
    'for a person': world.tenant.issueToken({ kind: 'obo', id: account, user: world.contoso.sponsors.alice, audience }),
    'no token': 'x',
  }
  for (const [what, token] of Object.entries(tokens)) {
    const answer = await patiently(daemon.origin, identity, token)
    assert.deepEqual([answer.status, codeOf(answer)], [401, 'E_UNAUTHENTICATED'], `${what}: ${answer.text}`)
  }
})

test('one challenge lets one request in, however many come at once', async () => {
  const identity = newIdentity()
  const token = tokenFor(newAccount())
  const nonce = await challenge(daemon.origin)
  const answers = await until('a turn for some', async () => {
    const some = await Promise.all(
      Array.from({ length: 5 }, () => registerSelf(daemon.origin, identity, token, { nonce })),
    )
    return some.some(({ status }) => status !== 429) && some
  })
  assert.deepEqual(
    answers.map(({ status }) => status).filter((status) => status < 400),
    [201],
  )
  assert.equal((await patiently(daemon.origin, identity, token, { nonce })).status, 401, 'replayed')
})

test('who is held, ended, or was held until after the token, does not come in', async () => {
  const identity = newIdentity()
  const did = meshOf(identity)
  const account = newAccount()
  const alice = daemon.as('alice')
  // A kill of a DID that nobody registered.
  const killed = await daemon.as('runtime').post('/v1/kill', { agentId: did, reason: 'r' })
  const token = tokenFor(account)
  assert.equal((await patiently(daemon.origin, identity, token)).status, 403)
  assert.equal((await alice.get(path(did))).status, 404)
  const release = path(did, `/holds/${textAt(killed.body, 'holdId')}/release`)
  const asked = await alice.post(release, { reason: 'r' })
  await daemon.as('bob').post(`/v1/releases/${textAt(asked.body, 'releaseId')}/approve`, {})
  assert.equal((await patiently(daemon.origin, identity, token)).status, 403, 'a token from before the release')
  const soon = Math.floor(Date.now() / 1000) + 2
  const later = tokenFor(account, { claims: { iat: soon, nbf: soon - 60, exp: soon + 3600 } })
  assert.equal((await patiently(daemon.origin, identity, later)).status, 201)

  await alice.post(path(did, '/holds'), { severity: 'suspend', reason: 'r' })
  const held = await patiently(daemon.origin, identity, later)
  assert.deepEqual([held.status, codeOf(held)], [403, 'E_FORBIDDEN'])
  await alice.ask(path(did), { method: 'DELETE' })
  assert.equal((await patiently(daemon.origin, identity, later)).status, 403)
  await assertDenied(daemon, { did }, 'R_DECOMMISSIONED')
})

test('the key of another agent, or of a DID that was killed, brings nobody in under another spelling', async () => {
  const [declared, derived, killed] = [newIdentity(), newIdentity(), newIdentity()]
  const alice = daemon.as('alice')
  await register(alice, { did: 'did:mesh:first', name: 'n', keys: [declared.toJWK()], principals: [] })
  await register(alice, { did: meshOf(derived), name: 'n', principals: [] })
  await daemon.as('runtime').post('/v1/kill', { agentId: meshOf(killed), reason: 'r' })
  for (const identity of [declared, derived, killed]) {
    const answer = await patiently(daemon.origin, identity, tokenFor(newAccount()), { did: identity.did })
    assert.deepEqual([answer.status, codeOf(answer)], [403, 'E_FORBIDDEN'], answer.text)
    assert.equal((await alice.get(path(identity.did))).status, 404)
  }
})

test('an account that is switched off does not bring an agent in', async () => {
  const identity = newIdentity()
  const account = newAccount()
  world.tenant.setEnabled(account, false)
  world.tenant.settle()
  const answer = await patiently(daemon.origin, identity, tokenFor(account))
  assert.deepEqual([answer.status, codeOf(answer)], [403, 'E_FORBIDDEN'])
  assert.equal((await daemon.as('alice').get(path(meshOf(identity)))).status, 404)
})

test('more than the bridge bears at once is turned away before anything is checked', async () => {
  const ask = () => client(daemon.origin, undefined).post('/v1/agents/self', { x: 1 })
  // As long as it takes to answer them all, more of them may come.
  const answers = await until('some are turned away', async () => {
    const some = await Promise.all(Array.from({ length: 60 }, ask))
    return some.some(({ status }) => status === 429) && some
  })
  const busy = answers.filter(({ status }) => status === 429)
  assert.ok(busy.length > 0)
  assert.ok(busy.every((answer) => codeOf(answer) === 'E_BUDGET' && Number(answer.headers['retry-after']) >= 1))
  assert.ok(answers.every(({ status }) => status === 429 || status === 401))
  const large = await client(daemon.origin, undefined).post('/v1/agents/self', { x: 'x'.repeat(70_000) })
  assert.deepEqual([large.status, codeOf(large)], [413, 'E_TOO_LARGE'])
  const metrics = await client(daemon.origin, undefined).get('/metrics')
  assert.match(metrics.text, /idp_bridge_self_registrations_total\{outcome="busy"\} \d+/)
})

test('the example of the documentation works', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/self-registration.md'), 'utf8')
  const [, example = ''] = /```ts\n([\s\S]+?)```/.exec(page) ?? []
  const file = join(world.folder, 'example.ts')
  writeFileSync(file, example)
  const { registerSelf: run }: { registerSelf: (...args: unknown[]) => Promise<unknown> } = await import(file)
  const identity = newIdentity()
  const account = newAccount()
  const answer = await until('a turn', async () => {
    const done = await run(daemon.origin, identity, identity.did, tokenFor(account)).catch((error) => `${error}`)
    return !/429|E_BUDGET/.test(`${JSON.stringify(done)}`) && done
  })
  assert.partialDeepStrictEqual(answer, { did: identity.did, created: true })
})

test('a bridge where it is not configured has no such route', async () => {
  await using plain = await startWorld({ server: { publicUrl } })
  await using other = await plain.daemon()
  for (const route of ['/v1/agents/self', '/v1/agents/self/challenge']) {
    const answer = await client(other.origin, undefined).post(route, {})
    assert.deepEqual([answer.status, codeOf(answer)], [404, 'E_NOT_FOUND'])
  }
  plain.configure(self)
  await until('turned on by a reload', async () => {
    if ((await client(other.origin, undefined).post('/v1/agents/self/challenge', {})).status === 200) return true
    return false
  })
})
