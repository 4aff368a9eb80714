import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import * as v2 from '@modelcontextprotocol/client'
import * as v1 from '@modelcontextprotocol/sdk/client/auth.js'
import { type Authority, createRemoteAuthority } from '../../clients/mcp/index.ts'
import { kill, principal, register } from '../e2e/agents.ts'
import { at, parsed } from '../e2e/json.ts'
import { startProcess } from '../e2e/process.ts'
import { until } from '../e2e/until.ts'
import { audience, type Daemon, startWorld, tokenOf, type World } from '../e2e/world.ts'
import { fenced, read, root } from '../golden/markdown.ts'
import { clients, hosts, servers } from './mcphosts.ts'
import { contact, guarded, issuer, listenOn, openStream, resource, yes } from './mcprig.ts'

const shared = new AsyncDisposableStack()
let world: World
let daemon: Daemon
let agents = 0

before(async () => {
  const tools = {
    lookup: { capability: 'read:customers', parameters: { '/customer': { prefix: 'c-' } } },
    erase: { capability: 'erase:customers' },
    note: { capability: 'write:notes' },
    get_customer: { capability: 'read:customers' },
  }
  world = shared.use(
    await startWorld({
      tools: { servers: { crm: { resource, tools } } },
      adapters: { contoso: { tokens: { audiences: [audience, resource] } } },
    }),
  )
  daemon = shared.use(await world.daemon())
})
after(() => shared.disposeAsync())

/** A new agent that may look customers up and note things, and a token of it for the guarded server, on behalf of Alice. */
const enrol = async () => {
  const { tenant, contoso } = world
  agents += 1
  const did = `did:mesh:agent-${agents}`
  const id = tenant.addAgentIdentity({ displayName: did, blueprintAppId: contoso.blueprint.appId })
  tenant.settle()
  const capabilities = ['read:customers', 'write:notes']
  await register(daemon.as('registrar'), { did, name: 'agent', capabilities, principals: [principal(id)] })
  const user = contoso.sponsors.alice
  return { did, id, user, token: tenant.issueToken({ kind: 'obo', id, user, audience: resource }) }
}

const rejection = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
  } catch (error) {
    return String(error)
  }
  throw new Error('it was let in')
}

const matrix = [
  ['v1, in sessions', 'Express 5', 'v1'],
  ['v1, in sessions', 'Fastify 5', 'v2'],
  ['v2, in sessions', 'Express 5', 'v2'],
  ['v2, in sessions', 'Fastify 5', 'v1'],
  ['v2, a request each', 'Express 5', 'v1'],
  ['v2, a request each', 'Express 5', 'v2, 2026-07-28'],
  ['v2, a request each', 'Fastify 5', 'v2, 2026-07-28'],
] as const

for (const [server, host, client] of matrix) {
  test(`SDK ${server} on ${host}, asked by the client of ${client}: stopped in the middle of its session`, async () => {
    await using stack = new AsyncDisposableStack()
    const { did, id, user, token } = await enrol()
    const authority = stack.use(
      createRemoteAuthority({ url: daemon.origin, token: tokenOf('gateway'), timeoutMs: 20_000 }),
    )
    const { guard, records, errors } = guarded({ authority, recheckMs: 50 })
    stack.use(guard)
    const serve = servers[server]?.(guard)
    assert.ok(serve)
    const listener = stack.use(await hosts[host]?.(guard, serve))
    assert.ok(listener)
    const connect = async (with_: string) => stack.use(await clients[client]?.(`${listener.origin}/mcp`, with_))

    const agent = await connect(token)
    assert.ok(agent)
    assert.deepEqual(await agent.tools(), ['lookup', 'note'])
    const onBehalfOf = { id: user, kind: 'person' }
    assert.deepEqual(await agent.call('lookup', { customer: 'c-1' }), { customer: 'c-1', did, onBehalfOf })
    const refuses = async (tool: string, customer: string, sentence: RegExp) =>
      assert.match(await rejection(agent.call(tool, { customer })), sentence)
    await refuses('erase', 'c-1', /The agent lacks the capability for this\./)
    await refuses('dump', 'c-1', /The agent may not call this tool\./)
    await refuses('lookup', 'x-1', /The agent may not call this tool with these arguments\./)
    const much = 'x'.repeat(20_000)
    await refuses('lookup', `c-${much}`, /with these arguments/)
    assert.deepEqual(await agent.call('note', { customer: much }), { customer: much, did, onBehalfOf })

    await kill(daemon, did)
    const refused = await rejection(agent.call('lookup', { customer: 'c-3' }))
    assert.match(refused, /The agent is suspended\./)
    assert.match(refused, new RegExp(`Ask ${contact}\\.`))
    assert.match(await rejection(agent.tools()), /The agent is suspended\./)
    // Nor does a new session begin.
    assert.match(await rejection(connect(token)), /suspended|403/)
    assert.deepEqual(
      records.map(({ tool, allow, codes, did: who, principal: account, onBehalfOf: person }) => {
        assert.deepEqual([who, account, person], [did, { adapter: 'contoso', id }, onBehalfOf])
        return [tool, allow, ...codes]
      }),
      [
        ['lookup', true],
        ['erase', false, 'R_CAPABILITY'],
        ['dump', false, 'R_TOOL'],
        ['lookup', false, 'R_PARAMETERS'],
        ['lookup', false, 'R_PARAMETERS'],
        ['note', true],
        ['lookup', false, 'R_SUSPENDED'],
      ],
    )
    assert.deepEqual(errors, [])
  })
}

test('a stream of a session is cut when its agent is stopped, and cannot be opened again', async () => {
  await using stack = new AsyncDisposableStack()
  const { did, token } = await enrol()
  const authority = stack.use(
    createRemoteAuthority({ url: daemon.origin, token: tokenOf('gateway'), timeoutMs: 20_000 }),
  )
  const { guard } = guarded({ authority, recheckMs: 50 })
  stack.use(guard)
  const serve = servers['v1, in sessions']?.(guard)
  assert.ok(serve)
  const { origin } = stack.use((await hosts['Express 5']?.(guard, serve)) ?? (await Promise.reject(new Error())))
  const agent = stack.use(await clients.v1?.(`${origin}/mcp`, token))
  assert.ok(agent)
  await kill(daemon, did)
  // The client opens one by itself, and tries again when it ends.
  await until('the client is told', () => agent.errors.some((error) => /SSE stream/.test(String(error))))
  assert.equal((await openStream(origin, token)).status, 403)
})

test('the clients of both SDKs read the challenges, and find by them where tokens come from', async () => {
  await using stack = new AsyncDisposableStack()
  const handler: { listener: RequestListener } = { listener: () => undefined }
  const { origin } = stack.use(await listenOn((request, response) => handler.listener(request, response)))
  const server = `${origin}/mcp`
  const authority = stack.use(
    createRemoteAuthority({ url: daemon.origin, token: tokenOf('gateway'), timeoutMs: 20_000 }),
  )
  const { guard } = guarded({ authority, resource: server, audiences: [resource], scopes: ['mcp', 'crm'] })
  stack.use(guard)
  handler.listener = (request, response) =>
    guard.metadata.serve(request, response, () => guard.protect(request, response, () => response.end()))

  const unauthorized = await fetch(server, { method: 'POST' })
  assert.equal(unauthorized.status, 401)
  for (const { extractWWWAuthenticateParams, discoverOAuthProtectedResourceMetadata } of [v1, v2]) {
    const { resourceMetadataUrl, scope, error } = extractWWWAuthenticateParams(unauthorized)
    assert.deepEqual([resourceMetadataUrl?.href, scope, error], [guard.metadata.url, 'mcp crm', undefined])
    const found = await discoverOAuthProtectedResourceMetadata(server, { resourceMetadataUrl: guard.metadata.url })
    assert.deepEqual([found.resource, found.authorization_servers], [server, [issuer]])
    // As they look for it without a challenge.
    assert.equal((await discoverOAuthProtectedResourceMetadata(server)).resource, server)
  }

  const { did, token } = await enrol()
  const connect = () => clients.v2?.(server, token) ?? Promise.reject(new Error('no client'))
  await assert.rejects(connect(), { name: 'InsufficientScopeError', requiredScope: 'mcp crm' })
  await kill(daemon, did)
  const held = await fetch(server, { headers: { authorization: `Bearer ${token}` } })
  for (const { extractWWWAuthenticateParams } of [v1, v2]) {
    assert.equal(extractWWWAuthenticateParams(held).error, 'access_denied')
  }
  assert.match(held.headers.get('www-authenticate') ?? '', new RegExp(`The agent is suspended\\. Ask ${contact}\\.`))
})

test('a list of tools shows none about which nobody could tell', async () => {
  await using stack = new AsyncDisposableStack()
  const codesOf: Readonly<Record<string, readonly string[]>> = {
    lookup: [],
    note: ['R_PARAMETERS'],
    dump: ['R_TOOL', 'R_PARAMETERS'],
  }
  const authority: Authority = {
    decide: async ({ tool }) => {
      const codes = tool === undefined ? [] : codesOf[tool]
      if (codes === undefined) throw new Error('down')
      return { ...yes, allow: codes.length === 0, codes }
    },
  }
  const { guard, errors } = guarded({ authority })
  stack.use(guard)
  const serve = servers['v2, a request each']?.(guard)
  assert.ok(serve)
  const listener = stack.use(await hosts['Express 5']?.(guard, serve))
  const agent = stack.use(await clients.v2?.(`${listener?.origin}/mcp`, 't'))
  assert.deepEqual(await agent?.tools(), ['lookup', 'note'])
  assert.deepEqual(
    errors.map(({ code }) => code),
    ['E_AUTHORITY'],
  )
})

test('the example of docs/mcp.md runs as it is written', async () => {
  await using stack = new AsyncDisposableStack()
  const { did, token } = await enrol()
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-mcp-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const guard = pathToFileURL(join(root, 'clients/mcp/index.ts')).href
  const [example = ''] = fenced(read('docs/mcp.md'), 'ts')
  const program = join(folder, 'server.mts')
  writeFileSync(program, example.replace("'agentmesh-idp-bridge/mcp'", `'${guard}'`))
  const env = { BRIDGE_URL: daemon.origin, BRIDGE_TOKEN: tokenOf('gateway'), PORT: '0' }
  const server = stack.use(startProcess([], { program, env }))
  const line = await server.line('the server listens', (text) => text.includes('"port"'), 60_000)
  const url = `http://127.0.0.1:${/"port":(\d+)/.exec(line)?.[1]}/crm`

  const agent = stack.use(await clients['v2, 2026-07-28']?.(url, token))
  assert.ok(agent)
  assert.deepEqual(await agent.tools(), ['get_customer'])
  assert.equal(await agent.say('get_customer', { customer: 'c-1' }), `c-1 for ${did}`)
  await kill(daemon, did)
  assert.match(await rejection(agent.tools()), new RegExp(`The agent is suspended\\. Ask ${contact}\\.`))
  const recorded = await server.line('the call is recorded', (text) => text.includes('"tool":"get_customer"'))
  assert.equal(at(parsed(recorded), 'did'), did)
})
