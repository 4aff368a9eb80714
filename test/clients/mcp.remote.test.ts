import assert from 'node:assert/strict'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { createMcpGuard, createRemoteAuthority, McpGuardError } from '../../clients/mcp/index.ts'
import { faceWorld } from '../http/faceworld.ts'
import { issuer, listenOn, resource } from './mcprig.ts'

const code = (wanted: string, status?: number) => (error: unknown) => {
  assert.ok(error instanceof McpGuardError)
  assert.deepEqual([error.code, error.status], [wanted, status])
  assert.doesNotMatch(error.message, /t-0-k-e-n/)
  return true
}

const answer = {
  allow: true,
  did: 'did:mesh:a',
  codes: [],
  holds: [],
  actor: { did: 'did:mesh:a', principal: null },
  onBehalfOf: null,
  act: [],
  grants: [],
  epoch: 1,
  generation: 'g',
}

const json = (response: ServerResponse, body: unknown) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))

/** A server that is no bridge, and an authority that takes it for one. */
const against = async (listener: RequestListener, path = '') => {
  await using stack = new AsyncDisposableStack()
  const { origin } = stack.use(await listenOn(listener))
  const options = { url: `${origin}${path}`, token: 't-0-k-e-n', timeoutMs: 20_000 }
  const authority = stack.use(createRemoteAuthority(options))
  const held = stack.move()
  return { origin, options, authority, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

test('a bridge that is asked over HTTP says what it says in its own process', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a', { capabilities: ['read:reports'] })
  const url = `http://127.0.0.1:${faces.server.port}`
  using authority = createRemoteAuthority({ url, token: async () => 'gateway-token', timeoutMs: 20_000 })
  for (const capability of ['read:reports', 'write:reports']) {
    const { json: asked } = await faces.post('/v1/decisions', { did, capability })
    assert.deepEqual(await authority.decide({ did, capability }), asked)
  }
  using reader = createRemoteAuthority({ url, token: 'reader-token', timeoutMs: 20_000 })
  await assert.rejects(reader.decide({ did }), code('E_AUTHORITY', 403))
  await assert.rejects(authority.decide({}), code('E_AUTHORITY', 400))
})

test('questions share a connection, and the path of the URL is a prefix', async () => {
  const connections = new Set<unknown>()
  const paths: (string | undefined)[] = []
  const listener = ({ socket, url }: IncomingMessage, response: ServerResponse) => {
    connections.add(socket)
    paths.push(url)
    json(response, answer)
  }
  await using bridge = await against(listener, '/idp')
  for (let count = 0; count < 5; count += 1) assert.equal((await bridge.authority.decide({ did: 'd' })).allow, true)
  assert.equal(connections.size, 1)
  assert.deepEqual([...new Set(paths)], ['/idp/v1/decisions'])
})

test('a connection that ends just as it is used costs no answer; one that always ends does', async () => {
  let asked = 0
  let cut: (count: number) => boolean = (count) => count === 2
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    asked += 1
    if (cut(asked)) request.socket.destroy()
    else json(response, answer)
  }
  await using bridge = await against(listener)
  const ask = () => bridge.authority.decide({ did: 'd' })
  await ask()
  assert.equal((await ask()).allow, true)
  assert.equal(asked, 3)
  cut = () => true
  await assert.rejects(ask(), code('E_AUTHORITY'))
  assert.equal(asked, 5)
})

test('whatever is no answer rejects', async () => {
  let reply: (response: ServerResponse) => void = () => undefined
  let elsewhere = 0
  await using other = await listenOn((_request, response) => {
    elsewhere += 1
    json(response, answer)
  })
  await using bridge = await against((_request, response) => reply(response))
  const replies: readonly (readonly [(response: ServerResponse) => void, number | undefined])[] = [
    [(response) => response.writeHead(307, { location: `${other.origin}/v1/decisions` }).end(), 307],
    [(response) => response.writeHead(503).end(JSON.stringify(answer)), 503],
    [(response) => response.end('{'), 200],
    [(response) => json(response, [answer]), 200],
    [(response) => json(response, { ...answer, allow: 1 }), 200],
    [(response) => json(response, { ...answer, codes: ['R_SUSPENDED'] }), 200],
    [(response) => json(response, { ...answer, allow: false }), 200],
    [(response) => json(response, { ...answer, token: { audience: 'x' } }), 200],
    [(response) => json(response, { ...answer, holds: [{}] }), 200],
    [(response) => json(response, { ...answer, epoch: '1' }), 200],
    [(response) => json(response, { ...answer, more: 'x'.repeat(300_000) }), undefined],
    [(response) => response.destroy(), undefined],
  ]
  for (const [one, status] of replies) {
    reply = one
    await assert.rejects(bridge.authority.decide({ did: 'd' }), code('E_AUTHORITY', status), one.toString())
  }
  assert.equal(elsewhere, 0)
  reply = () => undefined
  using hasty = createRemoteAuthority({ ...bridge.options, timeoutMs: 20 })
  await assert.rejects(hasty.decide({ did: 'd' }), code('E_AUTHORITY'))
  const waiting = assert.rejects(bridge.authority.decide({ did: 'd' }), code('E_AUTHORITY'))
  bridge.authority.close()
  await waiting
  await assert.rejects(bridge.authority.decide({ did: 'd' }), code('E_AUTHORITY'))
})

test('options that cannot work are told before anything is served', () => {
  const token = 't'
  for (const url of [
    'x',
    'http://bridge.contoso.com',
    'https://u:p@bridge.contoso.com',
    'https://b/?a',
    'https://b/#',
  ]) {
    assert.throws(() => createRemoteAuthority({ url, token }), code('E_OPTIONS'), url)
  }
  const url = 'https://bridge.contoso.com'
  assert.throws(() => createRemoteAuthority({ url, token: '' }), code('E_OPTIONS'))
  assert.throws(() => createRemoteAuthority({ url, token, timeoutMs: 0 }), code('E_OPTIONS'))
  assert.throws(() => createRemoteAuthority({ url, token, connections: 0 }), code('E_OPTIONS'))
  const good = { authority: { decide: () => Promise.reject(new Error()) }, resource, authorizationServers: [issuer] }
  createMcpGuard(good).close()
  for (const wrong of [
    { resource: 'http://mcp.contoso.com/crm' },
    { resource: `${resource}?x` },
    { resource: `${resource}#` },
    { resource: 'urn:crm' },
    { resource: 'https://MCP.contoso.com/crm' },
    { resource: 'https://mcp.contoso.com:443/crm' },
    { resource: 'https://mcp.contoso.com/a/../crm' },
    { authorizationServers: [] },
    { authorizationServers: ['http://login.contoso.com'] },
    { audiences: [] },
    { audiences: [''] },
    { scopes: ['a b'] },
    { scopes: ['a"'] },
    { recheckMs: 0 },
    { maxBodyBytes: 0 },
  ]) {
    assert.throws(() => createMcpGuard({ ...good, ...wrong }), code('E_OPTIONS'), JSON.stringify(wrong))
  }
})
