import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import fc from 'fast-check'
import { createAsk } from '../../clients/mcp/asking.ts'
import type { Authority } from '../../clients/mcp/index.ts'
import { writtenServer } from '../../src/core/tools.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { alice, audience, registrar, runtime, soc } from '../engine/harness.ts'
import { call, contact, guarded, issuer, listTools, mcpWorld, openStream, resource, yes } from './mcprig.ts'

const capabilityOf = { question: ({ tool }: { tool: string }) => ({ capability: `call:crm:${tool}` }) }
const allowed = { capabilities: ['call:crm:read'] }
const challengeOf = (answer: { headers: Readonly<Record<string, unknown>> }): string =>
  String(answer.headers['www-authenticate'])

test('the metadata document is at the path of the resource, with nothing of the request in it', async () => {
  await using mcp = await mcpWorld({ scopes: ['mcp'], name: 'CRM', documentation: 'https://docs.contoso.com/crm' })
  const path = '/.well-known/oauth-protected-resource/crm'
  const got = await mcp
    .as(undefined)
    .ask(`${path}?x=1`, { headers: { host: 'evil.example', 'x-forwarded-host': 'evil' } })
  assert.equal(got.status, 200)
  assert.deepEqual(got.body, {
    resource,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    scopes_supported: ['mcp'],
    resource_name: 'CRM',
    resource_documentation: 'https://docs.contoso.com/crm',
  })
  assert.equal(got.headers['access-control-allow-origin'], '*')
  assert.equal((await mcp.as(undefined).ask(path, { method: 'OPTIONS' })).status, 204)
  assert.equal((await mcp.as(undefined).ask(path, { method: 'DELETE' })).status, 405)
  // The next in line is the guard.
  assert.equal((await mcp.as(undefined).get('/.well-known/oauth-protected-resource')).status, 401)
  const { metadata } = guarded({
    authority: { decide: async () => Promise.reject() },
    resource: 'https://h.example/',
  }).guard
  assert.equal(metadata.url, 'https://h.example/.well-known/oauth-protected-resource')
})

test('a token comes in one Authorization header, or not at all', async () => {
  await using mcp = await mcpWorld({ scopes: ['mcp'] })
  await mcp.faces.world.agent('a')
  const token = await mcp.token('a', { scope: 'mcp' })
  const nobody = mcp.as(undefined)
  const metadata = 'resource_metadata="https://mcp.contoso.com/.well-known/oauth-protected-resource/crm"'
  const missing = await nobody.post('/mcp', listTools)
  assert.equal(missing.status, 401)
  assert.equal(challengeOf(missing), `Bearer ${metadata}, scope="mcp"`)
  assert.equal(missing.headers['cache-control'], 'no-store')
  const send = (authorization: string) => nobody.post('/mcp', listTools, { authorization })
  for (const [header, status, error] of [
    [`bearer ${token}`, 200],
    [`BEARER   ${token}`, 200],
    [`Basic ${token}`, 401],
    [token, 401],
    ['Bearer', 401, 'invalid_token'],
    [`Bearer ${token} ${token}`, 401, 'invalid_token'],
    [`Bearer ${token}, Bearer ${token}`, 401, 'invalid_token'],
    [`Bearer "${token}"`, 401, 'invalid_token'],
    [`Bearer\t${token}`, 401, 'invalid_token'],
    [`Bearer ${token}x`, 401, 'invalid_token'],
  ] as const) {
    const answer = await send(header)
    assert.equal(answer.status, status, header.slice(0, 20))
    if (error !== undefined) assert.match(challengeOf(answer), new RegExp(`error="${error}"`))
    else if (status === 401) assert.doesNotMatch(challengeOf(answer), /error=/)
    assert.ok(!answer.text.includes(token))
  }
  for (const path of [`/mcp?access_token=${token}`, `/mcp?a=1&access%5Ftoken=${token}`, '/mcp?access_token=']) {
    for (const one of [nobody, mcp.as(token)]) {
      const answer = await one.post(path, listTools)
      assert.equal(answer.status, 400, path.slice(0, 20))
      assert.match(challengeOf(answer), /error="invalid_request"/)
    }
  }
  assert.equal(mcp.passed.length, 2)
})

test('of two Authorization headers none counts', async () => {
  await using mcp = await mcpWorld()
  await mcp.faces.world.agent('a')
  const token = await mcp.token('a')
  const body = JSON.stringify(listTools)
  const ask = async (...headers: readonly string[]): Promise<string> => {
    const socket = connect(Number(new URL(mcp.origin).port), '127.0.0.1')
    const head = ['POST /mcp HTTP/1.1', 'host: mcp.contoso.com', 'connection: close', `content-length: ${body.length}`]
    socket.write(`${[...head, ...headers].join('\r\n')}\r\n\r\n${body}`)
    return (await text(socket)).slice(0, 12)
  }
  assert.equal(await ask(`Authorization: Bearer ${token}`), 'HTTP/1.1 200')
  assert.equal(await ask(`Authorization: Bearer ${token}`, 'AUTHORIZATION: Bearer x'), 'HTTP/1.1 400')
  assert.equal(await ask('authorization: Basic x', `authorization: Bearer ${token}`), 'HTTP/1.1 400')
  assert.equal(mcp.passed.length, 1)
})

test('a token that was issued for another resource is no good here, and nothing is told of its agent', async () => {
  await using mcp = await mcpWorld()
  const { world } = mcp.faces
  const did = await world.agent('a')
  await world.bridge.place(did, { severity: 'suspend', reason: 'r', publicReason: 'under review' }, soc)
  for (const aud of [audience, [audience, `${resource}/`], [audience, 'https://mcp.contoso.com/CRM'], [audience, '']]) {
    const answer = await mcp.as(await mcp.token('a', { aud })).post('/mcp', listTools, { host: 'mcp.contoso.com' })
    assert.equal(answer.status, 401)
    assert.match(challengeOf(answer), /error="invalid_token"/)
    assert.deepEqual(at(answer.body, 'error', 'data'), { codes: ['R_AUDIENCE'] })
    assert.doesNotMatch(answer.text + challengeOf(answer), /review|did:mesh|suspended/)
  }
  // Of a token that is refused before anything in it is believed nothing is told either.
  const forged = await mcp.as(`${await mcp.token('a')}x`).post('/mcp', listTools)
  assert.equal(forged.status, 401)
  assert.deepEqual(at(forged.body, 'error', 'data'), { codes: ['R_TOKEN'] })
  assert.equal(mcp.passed.length, 0)
})

test('what a token must be for can be told apart from what the server is called', async () => {
  await using mcp = await mcpWorld({ audiences: ['api://crm', audience] })
  await mcp.faces.world.agent('a')
  assert.equal((await mcp.as(await mcp.token('a', { aud: audience })).post('/mcp', listTools)).status, 200)
})

test('a token without the scopes of the server is told which, so that its holder can ask for them', async () => {
  await using mcp = await mcpWorld({ scopes: ['mcp', 'crm'] })
  await mcp.faces.world.agent('a')
  const narrow = await mcp.as(await mcp.token('a', { scope: 'mcp' })).post('/mcp', listTools)
  assert.equal(narrow.status, 403)
  assert.match(challengeOf(narrow), /error="insufficient_scope"/)
  assert.match(challengeOf(narrow), /scope="mcp crm"/)
  assert.equal((await mcp.as(await mcp.token('a', { scope: 'crm x mcp' })).post('/mcp', listTools)).status, 200)
})

test('a suspended agent is told so, why, and whom to ask; after the release it needs a new token', async () => {
  await using mcp = await mcpWorld(capabilityOf)
  const { world } = mcp.faces
  const did = await world.agent('a', allowed)
  const token = await mcp.token('a', { obo: 'alice' })
  const agent = mcp.as(token)
  assert.equal((await agent.post('/mcp', call('read'))).status, 200)
  const { id } = await world.bridge.place(
    did,
    { severity: 'suspend', reason: 'case 4711', publicReason: 'under "review"' },
    soc,
  )
  for (const body of [call('read', {}, 7), call('write', {}, 7), { ...listTools, id: 7 }]) {
    const held = await agent.post('/mcp', body)
    assert.equal(held.status, 403)
    assert.partialDeepStrictEqual(held.body, {
      jsonrpc: '2.0',
      id: 7,
      error: {
        message: `The agent is suspended. Reason: under "review". Ask ${contact}.`,
        data: { status: 'suspended', reasons: ['under "review"'], contact, did },
      },
    })
    assert.ok(listAt(held.body, 'error', 'data', 'codes').includes('R_SUSPENDED'))
    assert.match(challengeOf(held), /error="access_denied", error_description="The agent is suspended\."/)
    assert.doesNotMatch(held.text, /4711/)
  }
  assert.equal((await agent.ask('/mcp', { method: 'DELETE' })).status, 403)
  assert.equal((await openStream(mcp.origin, token)).status, 403)
  assert.equal(mcp.passed.length, 1)
  await world.bridge.release(did, id, 'closed', soc)
  world.clock.advance(2_000)
  const old = await agent.post('/mcp', call('read'))
  assert.equal(old.status, 401)
  assert.deepEqual(at(old.body, 'error', 'data', 'codes'), ['R_BEFORE_RESUME'])
  assert.equal((await mcp.as(await mcp.token('a')).post('/mcp', call('read'))).status, 200)
  const person = { id: 'alice', kind: 'person' }
  assert.deepEqual(
    mcp.records.map(({ at: _, checks, epoch, generation, ...rest }) => ({
      ...rest,
      known: epoch !== null && generation !== null && checks.includes('signature'),
    })),
    [
      [true, person, 'read', []],
      [false, person, 'read', ['R_SUSPENDED']],
      [false, person, 'write', ['R_SUSPENDED', 'R_CAPABILITY']],
      [false, person, 'read', ['R_BEFORE_RESUME']],
      [true, null, 'read', []],
    ].map(([allow, onBehalfOf, tool, codes]) => ({
      did,
      principal: { adapter: 'north', id: 'a' },
      onBehalfOf,
      tool,
      allow,
      codes,
      known: true,
    })),
  )
})

test('a call that is not granted is answered as a call, and the agent stays in', async () => {
  await using mcp = await mcpWorld(capabilityOf)
  await mcp.faces.world.agent('a', allowed)
  const agent = mcp.as(await mcp.token('a'))
  const refused = await agent.post('/mcp', call('write', { secret: 'rosebud' }, 'x'))
  assert.equal(refused.status, 200)
  assert.deepEqual(refused.body, {
    jsonrpc: '2.0',
    id: 'x',
    error: {
      code: -32012,
      message: 'The agent lacks the capability for this.',
      data: { codes: ['R_CAPABILITY'], did: 'did:mesh:a' },
    },
  })
  const { id: _, ...silent } = call('write')
  assert.equal((await agent.post('/mcp', silent)).status, 403)
  assert.equal(mcp.passed.length, 0)
  assert.equal((await agent.post('/mcp', call('read', { secret: 'rosebud' }))).status, 200)
  assert.doesNotMatch(JSON.stringify(mcp.records), /rosebud|eyJ/)
})

test('of a batch every call is judged, and it runs whole or not at all', async () => {
  await using mcp = await mcpWorld(capabilityOf)
  await mcp.faces.world.agent('a', allowed)
  const agent = mcp.as(await mcp.token('a'))
  const good = [
    call('read', {}, 1),
    { ...listTools, id: 2 },
    call('read', {}, 3),
    { jsonrpc: '2.0', method: 'notifications/x' },
  ]
  assert.equal((await agent.post('/mcp', good)).status, 200)
  assert.equal(mcp.records.splice(0).length, 2)
  const bad = await agent.post('/mcp', [...good, call('write', {}, 4)])
  assert.equal(bad.status, 200)
  const errors = listAt({ errors: bad.body }, 'errors')
  assert.deepEqual(
    errors.map((one) => [at(one, 'id'), textAt(one, 'error', 'message')]),
    [
      [1, 'Not run: another message of the batch was refused.'],
      [2, 'Not run: another message of the batch was refused.'],
      [3, 'Not run: another message of the batch was refused.'],
      [4, 'The agent lacks the capability for this.'],
    ],
  )
  assert.deepEqual(
    mcp.records.map(({ tool, allow, codes }) => [tool, allow, codes]),
    [
      ['read', false, []],
      ['read', false, []],
      ['write', false, ['R_CAPABILITY']],
    ],
  )
  assert.equal(mcp.passed.length, 1)
})

test('whoever has no good token costs the authority one question, however many calls are in a batch', async () => {
  const asked: unknown[] = []
  const authority: Authority = {
    decide: async ({ tool, token }) => {
      asked.push(tool)
      const codes = token === 'bad' ? ['R_SIGNATURE'] : []
      return { ...yes, allow: codes.length === 0, codes, ...(codes.length > 0 && { token: null, actor: null }) }
    },
  }
  await using mcp = await mcpWorld({ authority })
  const batch = [listTools, ...Array.from({ length: 99 }, (_, id) => call('read', {}, id + 2))]
  const answer = await mcp.as('bad').post('/mcp', batch)
  assert.deepEqual([answer.status, asked], [401, [undefined]])
  assert.deepEqual(new Set(mcp.records.splice(0).map(({ codes }) => codes.join())), new Set(['R_SIGNATURE']))
  assert.equal((await mcp.as('good').post('/mcp', batch)).status, 200)
  assert.equal(asked.filter((tool) => tool === 'read').length, 99)
  assert.equal(mcp.records.length, 99)
})

test('what is not understood is not handed on', async () => {
  await using mcp = await mcpWorld({ ...capabilityOf, maxBodyBytes: 20_000 })
  await mcp.faces.world.agent('a', { capabilities: ['call:crm:*'] })
  const agent = mcp.as(await mcp.token('a'))
  const tool = (params: unknown) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
  const bodies: readonly (readonly [unknown, number])[] = [
    ['', 400],
    ['{', 400],
    ['null', 400],
    ['"tools/call"', 400],
    ['[]', 400],
    [[[call('read')]], 400],
    [Array.from({ length: 101 }, () => listTools), 400],
    [{ ...call('read'), jsonrpc: '1.0' }, 400],
    [tool(undefined), 400],
    [tool([]), 400],
    [tool({ name: ['read'] }), 400],
    [tool({ name: '' }), 400],
    [tool({ name: 'r'.repeat(257) }), 400],
    [tool({ name: 'read', arguments: 'x' }), 400],
    [tool({ name: 'read', arguments: [] }), 400],
    [call('read', { x: 'x'.repeat(20_000) }), 413],
    [call('read', { x: 'x'.repeat(400_000) }), 413],
  ]
  for (const [body, status] of bodies) {
    const answer = await agent.post('/mcp', body)
    assert.equal(answer.status, status, JSON.stringify(body).slice(0, 60))
    assert.equal(at(answer.body, 'jsonrpc'), '2.0')
  }
  for (const method of ['PUT', 'PATCH', 'OPTIONS']) {
    const answer = await agent.ask('/mcp', { method, body: call('read') })
    assert.equal(answer.status, 405)
    assert.equal(answer.headers.allow, 'GET, POST, DELETE')
  }
  assert.equal(mcp.passed.length, 0)
  // The last of two names is the one that is judged, and the one that is handed on.
  const twice = '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"x","name":"read"}}'
  assert.equal((await agent.post('/mcp', twice)).status, 200)
  assert.equal(mcp.records.at(-1)?.tool, 'read')
  assert.equal(at(mcp.passed[0]?.body, 'params', 'name'), 'read')
})

test('a call that would reach the authority as another one is not asked about, and not made', async () => {
  await using mcp = await mcpWorld()
  const { bridge } = mcp.faces.world
  await mcp.faces.world.agent('a', { capabilities: ['call:crm'] })
  const rule = {
    capability: 'call:crm',
    parameters: { '/amount': { enum: [null, 1] } },
    otherParameters: 'allow' as const,
  }
  const tools = { pay: rule, open: { capability: 'call:crm', otherParameters: 'deny' as const } }
  await bridge.defineToolServer('crm', writtenServer({ resource, unlisted: 'call:crm', tools }), registrar, undefined)
  const agent = mcp.as(await mcp.token('a'))
  const send = (name: string, args: string) =>
    agent.post('/mcp', `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":${args}}}`)
  const long = 'x'.repeat(20_000)
  for (const args of [
    // As JSON it is null again.
    '{"amount":1e999}',
    '{"amount":1,"list":[{"x":-1e999}]}',
    '{"amount":1,"__proto__":{"amount":2}}',
    '{"amount":1,"inner":[{"\\u005f_proto__":{}}]}',
    '{"amount":1,"constructor":{"prototype":{}}}',
    '{"amount":1,"half":"\\ud800"}',
    '{"amount":1,"\\udfff":1}',
    `{"amount":1,"long":"${long}","__proto__":{}}`,
  ]) {
    for (const tool of ['pay', 'open']) {
      const { status, body } = await send(tool, args)
      assert.deepEqual([status, at(body, 'error', 'code'), at(body, 'id')], [400, -32602, 1], args.slice(0, 60))
    }
  }
  assert.equal((await send('x\\ud800', '{}')).status, 400)
  assert.deepEqual([mcp.passed.length, mcp.errors], [0, []])
  for (const args of ['{"amount":null}', '{"amount":1,"constructor":"x","prototype":{},"text":"\\ud83d\\ude00"}']) {
    assert.equal((await send('pay', args)).status, 200)
  }
  assert.equal(mcp.passed.length, 2)
})

test('tools are handed who calls and for whom, and no token', async () => {
  await using mcp = await mcpWorld(capabilityOf)
  const did = await mcp.faces.world.agent('a', allowed)
  const token = await mcp.token('a', { obo: 'alice', scope: 'x y' })
  await mcp.as(token).post('/mcp', call('read'))
  const auth = mcp.passed[0]?.auth
  const party = { did, principal: { adapter: 'north', id: 'a' }, onBehalfOf: { id: 'alice', kind: 'person' } }
  assert.partialDeepStrictEqual(auth, { token: '', clientId: 'a', scopes: ['x', 'y'], extra: party })
  assert.equal(auth?.resource?.href, resource)
  assert.doesNotMatch(JSON.stringify([mcp.passed[0]?.headers, mcp.passed[0]?.rawHeaders]), /eyJ|authorization/i)
  const caller = mcp.guard.caller(auth)
  assert.ok(caller !== undefined)
  assert.partialDeepStrictEqual(caller, party)
  assert.doesNotMatch(JSON.stringify([auth, caller]), /eyJ/)
  const ask = async () => (await caller.ask({ capability: 'call:crm:read' })).allow
  assert.equal(await ask(), true)
  await mcp.faces.world.bridge.kill({ did, reason: 'r' }, runtime)
  assert.equal(await ask(), false)
  assert.equal(mcp.guard.caller({ ...auth }), undefined)
  assert.equal(mcp.guard.caller(undefined), undefined)
})

test('a session is for the agent, and the person, that it was begun for', async () => {
  await using mcp = await mcpWorld(capabilityOf)
  for (const name of ['a', 'b']) await mcp.faces.world.agent(name, allowed)
  const own = mcp.as(await mcp.token('a', { obo: 'alice' }))
  const session = { 'mcp-session-id': 's-1' }
  assert.equal((await own.post('/mcp', listTools, session)).status, 200)
  for (const claims of [{ sub: 'b' }, { sub: 'a' }, { sub: 'a', obo: 'bob' }]) {
    const other = mcp.as(await mcp.token(claims.sub, claims))
    const answer = await other.post('/mcp', call('read'), session)
    assert.equal(answer.status, 404)
    assert.equal(mcp.records.pop()?.codes.join(), 'R_SESSION')
    assert.equal((await other.post('/mcp', call('read'), { 'mcp-session-id': 's-2' })).status, 200)
    assert.equal((await other.ask('/mcp', { method: 'DELETE', headers: { 'mcp-session-id': 's-2' } })).status, 200)
  }
  // A new token of the same agent goes on.
  assert.equal(
    (await mcp.as(await mcp.token('a', { obo: 'alice', n: 2 })).post('/mcp', listTools, session)).status,
    200,
  )
})

test('a stream that is open is cut when its agent is stopped, and only that', async () => {
  await using mcp = await mcpWorld({ recheckMs: 20 })
  for (const name of ['a', 'b']) await mcp.faces.world.agent(name)
  const [a, b] = [await mcp.token('a'), await mcp.token('b')]
  const streams = [await openStream(mcp.origin, a), await openStream(mcp.origin, a)]
  const other = await openStream(mcp.origin, b)
  const signal = mcp.guard.caller(mcp.passed[0]?.auth)?.signal
  assert.equal(signal?.aborted, false)
  await mcp.faces.world.bridge.kill({ did: 'did:mesh:a', reason: 'r' }, runtime)
  assert.deepEqual(await Promise.all(streams.map(({ ended }) => ended)), ['cut', 'cut'])
  assert.equal(signal.aborted, true)
  assert.equal(mcp.guard.caller(mcp.passed[2]?.auth)?.signal.aborted, false)
  other.close()
  assert.equal(await other.ended, 'cut')
})

test('a call of which no question can be made is not made, and is recorded', async () => {
  const question = ({ tool }: { tool: string }) => {
    if (tool === 'odd') throw new Error('unknown')
    return {}
  }
  await using mcp = await mcpWorld({ question })
  await mcp.faces.world.agent('a')
  assert.equal((await mcp.as(await mcp.token('a')).post('/mcp', call('odd'))).status, 503)
  assert.deepEqual(
    [mcp.records.map(({ tool, allow }) => [tool, allow]), mcp.errors.map(({ code }) => code), mcp.passed],
    [[['odd', false]], ['E_QUESTION'], []],
  )
})

test('what is no question is not asked in the place of one', async () => {
  for (const given of ['', 'null', '"crm"', '[]']) {
    const asked: unknown[] = []
    const authority: Authority = {
      decide: async (question) => {
        asked.push(question)
        return yes
      },
    }
    // As plain JavaScript may, where nobody looks at the type.
    await using mcp = await mcpWorld({ authority, question: () => JSON.parse(`[${given}]`)[0] })
    assert.equal((await mcp.as('t').post('/mcp', call('read'))).status, 503)
    assert.deepEqual([mcp.errors.map(({ code }) => code), mcp.passed, asked], [['E_QUESTION'], [], []])
  }
  await using mcp = await mcpWorld({ question: async ({ tool }) => ({ capability: `call:crm:${tool}` }) })
  await mcp.faces.world.agent('a', allowed)
  const agent = mcp.as(await mcp.token('a'))
  for (const tool of ['read', 'write']) assert.equal((await agent.post('/mcp', call(tool))).status, 200)
  assert.deepEqual(
    mcp.records.map(({ tool, allow, codes }) => [tool, allow, codes]),
    [
      ['read', true, []],
      ['write', false, ['R_CAPABILITY']],
    ],
  )
})

test('a decommissioned agent is told so, and of an ambiguous token nothing about holds', async () => {
  await using mcp = await mcpWorld()
  const { world } = mcp.faces
  for (const name of ['a', 'b']) await world.agent(name)
  await world.bridge.kill({ did: 'did:mesh:b', reason: 'r' }, runtime)
  const ambiguous = await mcp.as(await mcp.token('a', { azp: 'b' })).post('/mcp', listTools)
  assert.deepEqual([ambiguous.status, at(ambiguous.body, 'error', 'data', 'codes')], [403, ['R_AMBIGUOUS']])
  const token = await mcp.token('a')
  await world.bridge.decommission('did:mesh:a', 'r', alice)
  const gone = await mcp.as(token).post('/mcp', listTools)
  assert.deepEqual([gone.status, at(gone.body, 'error', 'data', 'status')], [403, 'decommissioned'])
  assert.match(textAt(gone.body, 'error', 'message'), /^The agent was decommissioned\./)
})

test('a call that cannot be recorded is not made', async () => {
  const refuses = { onCall: () => Promise.reject(new Error('disk full')) }
  await using mcp = await mcpWorld({ ...capabilityOf, ...refuses })
  await mcp.faces.world.agent('a', allowed)
  const agent = mcp.as(await mcp.token('a'))
  assert.equal((await agent.post('/mcp', call('read'))).status, 503)
  assert.equal((await agent.post('/mcp', listTools)).status, 200)
  assert.deepEqual(
    mcp.errors.map(({ code }) => code),
    ['E_RECORD'],
  )
  assert.equal(mcp.passed.length, 1)
})

test('an authority that cannot tell, or whose answer is not one, lets nobody in', async () => {
  const { token: _, ...older } = yes
  let answer: () => unknown = () => yes
  const authority: Authority = { decide: async () => JSON.parse(JSON.stringify(answer())) }
  await using mcp = await mcpWorld({ authority, recheckMs: 10 })
  const post = async () => mcp.as('t').post('/mcp', call('read'))
  assert.equal((await post()).status, 200)
  const stream = await openStream(mcp.origin, 't')
  assert.equal(stream.status, 200)
  const answers: readonly (() => unknown)[] = [
    () => {
      throw new Error('down')
    },
    () => null,
    () => ({ ...yes, allow: 'true' }),
    () => ({ ...yes, codes: ['R_SUSPENDED'] }),
    () => ({ ...yes, allow: false }),
    () => older,
    () => ({ ...yes, token: null }),
    () => ({ ...yes, actor: null }),
    () => ({ ...yes, allow: false, codes: ['R_REPLICA'] }),
  ]
  for (const one of answers) {
    answer = one
    const refused = await post()
    assert.equal(refused.status, 503, one.toString())
    assert.equal(refused.headers['retry-after'], '1')
  }
  const { at: _when, ...untold } = mcp.records[1] ?? { at: 0 }
  assert.deepEqual(untold, {
    did: null,
    principal: null,
    onBehalfOf: null,
    tool: 'read',
    allow: false,
    codes: [],
    checks: [],
    epoch: null,
    generation: null,
  })
  assert.equal(await stream.ended, 'cut')
  // A code that came later is nothing that another token, or another call, would help with.
  answer = () => ({ ...yes, allow: false, codes: ['R_CAPABILITY', 'R_WEATHER'] })
  assert.equal((await post()).status, 403)
  assert.equal(mcp.passed.length, 2)
  await until('every failure is reported', () => mcp.errors.length >= 8)
})

test('an authority that never answers says no', async () => {
  const errors: string[] = []
  const authority: Authority = { decide: () => new Promise(() => undefined) }
  const report = ({ code }: { code: string }) => errors.push(code)
  const { refusal } = await createAsk({ authority, audiences: [resource], scopes: [], report }, 20)('t')
  assert.deepEqual([refusal?.kind, errors], ['unsure', ['E_AUTHORITY']])
})

test('whatever is sent, no call gets through that is not granted, and every call is recorded', async () => {
  const decided: Authority = {
    decide: async ({ tool }) => {
      const codes = tool === undefined || tool === 'read' ? [] : ['R_CAPABILITY']
      return { ...yes, allow: codes.length === 0, codes }
    },
  }
  await using mcp = await mcpWorld({ authority: decided })
  const agent = mcp.as('t')
  const junk = fc.jsonValue({ maxDepth: 2 })
  const name = fc.constantFrom<unknown>('read', 'write', 'READ', 'read ', '', '__proto__', 7, null)
  const one = fc.oneof(
    fc.record({
      jsonrpc: fc.constant('2.0'),
      id: fc.nat(9),
      method: fc.constant('tools/call'),
      params: fc.record({ name }),
    }),
    fc.record(
      {
        jsonrpc: fc.constantFrom<unknown>('2.0', 2),
        id: junk,
        method: fc.constantFrom<unknown>('tools/call', 'tools/list', 'TOOLS/CALL', ['tools/call'], null),
        params: fc.oneof(junk, fc.record({ name, arguments: junk })),
      },
      { requiredKeys: [] },
    ),
  )
  const bodies = fc.oneof(one, fc.array(one, { maxLength: 5 }), junk)
  const calls = (body: unknown): unknown[] =>
    (Array.isArray(body) ? body : [body]).filter((message) => at(message, 'method') === 'tools/call')
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      mcp.records.length = 0
      mcp.passed.length = 0
      const { status } = await agent.post('/mcp', JSON.stringify(body))
      const [handed] = mcp.passed
      if (handed === undefined) assert.ok([200, 400, 403].includes(status))
      else assert.deepEqual(handed.body, JSON.parse(JSON.stringify(body)))
      assert.ok(calls(handed?.body).every((message) => at(message, 'params', 'name') === 'read'))
      const granted = calls(body).every((message) => at(message, 'params', 'name') === 'read')
      if (status !== 400) assert.equal(mcp.records.length, calls(body).length)
      if (status !== 400) assert.equal(handed !== undefined, granted)
      assert.ok(mcp.records.every(({ allow }) => allow === (handed !== undefined)))
    }),
    { numRuns: 300 },
  )
  assert.deepEqual(mcp.errors, [])
})

test('of a list that nobody known asked for nothing is shown', async () => {
  const { guard } = guarded({ authority: { decide: async () => yes } })
  const server = new McpServer({ name: 'crm', version: '1.0.0' })
  guard.filterTools(server)
  server.registerTool('read', {}, () => ({ content: [] }))
  const [here, there] = InMemoryTransport.createLinkedPair()
  await server.connect(there)
  const client = new Client({ name: 'agent', version: '1.0.0' })
  await client.connect(here)
  assert.deepEqual((await client.listTools()).tools, [])
  await client.close()
})
