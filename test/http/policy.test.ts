import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { listenForPolicy } from '../../src/http/listening.ts'
import type { PolicyAddress } from '../../src/http/policy.ts'
import { observeRequests } from '../../src/http/requests.ts'
import { createLogger } from '../../src/lib/log.ts'
import { audience, soc, World } from '../engine/harness.ts'

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

interface Sent {
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: unknown
}

interface Policy extends AsyncDisposable {
  readonly world: World
  readonly at: string
  readonly lines: readonly string[]
  ask(sent: Sent): Promise<Reply>
  allows(did: string): Promise<unknown>
}

const call = (where: RequestOptions, { path, method = 'POST', headers = {}, body }: Sent): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const type = payload === undefined ? {} : { 'content-type': 'application/json' }
    const sent = request({ ...where, path, method, agent: false, headers: { ...type, ...headers } })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.end(payload)
  })

const policyOn = async (world: World, address: PolicyAddress): Promise<Policy> => {
  const lines: string[] = []
  const log = createLogger({ level: 'debug', destination: { write: (line) => lines.push(line) } })
  const { bridge, metrics } = world
  const listening = await listenForPolicy(address, { bridge, metrics, log, requests: observeRequests() })
  const at = /"at":"([^"]+)"/.exec(lines.join(''))?.[1] ?? ''
  const where = at.startsWith('unix:')
    ? { socketPath: at.slice(5) }
    : { host: '127.0.0.1', port: Number(new URL(at).port) }
  const ask = (sent: Sent) => call(where, sent)
  return {
    world,
    at,
    lines,
    ask,
    allows: async (agentDid) => {
      const { status, text } = await ask({ path: '/v1/data/agentmesh/allow', body: { input: { agentDid } } })
      assert.equal(status, 200, text)
      return JSON.parse(text).result
    },
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  }
}

const tcp: PolicyAddress = { host: '127.0.0.1', port: 0 }

test('without a token it answers policy queries, annotations and external authorisation, and nothing else', async () => {
  await using world = await World.open()
  await using policy = await policyOn(world, tcp)
  const did = await world.agent('a')
  assert.equal(await policy.allows(did), true)
  const annotated = await policy.ask({ path: '/annotate', body: { input: did } })
  assert.equal(JSON.parse(annotated.text).allow, true)
  assert.equal((await policy.ask({ path: '/health', method: 'GET' })).status, 200)
  const others = ['/v1/decisions', '/v1/agents', '/v1/kill', '/v1/pause', '/oauth2/introspect', '/access/v1/evaluation']
  for (const path of others) assert.equal((await policy.ask({ path, body: {} })).status, 404, path)
  for (const path of ['/metrics', '/openapi.json', '/docs', '/v1/status', '/healthz']) {
    assert.equal((await policy.ask({ path, method: 'GET' })).status, 404, path)
  }
  await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  assert.equal(await policy.allows(did), false)
})

test('a page whose name was pointed here is told nothing', async () => {
  await using world = await World.open()
  await using policy = await policyOn(world, tcp)
  const did = await world.agent('a')
  const ask = async (host: string) => {
    const body = { input: { did } }
    return (await policy.ask({ path: '/v1/data/agentmesh/allow', headers: { host }, body })).status
  }
  for (const host of ['localhost', 'LOCALHOST:8181', '127.0.0.1:8181', '127.8.8.8', '[::1]:8181']) {
    assert.equal(await ask(host), 200, host)
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', 'localhost:x']) {
    assert.equal(await ask(host), 403, host)
  }
})

test('on a Unix socket only its owner and group reach it; one that was left behind makes way, one in use does not', async () => {
  await using world = await World.open()
  const folder = mkdtempSync(join(tmpdir(), 'idp-policy-'))
  try {
    const path = join(folder, 'policy.sock')
    const did = await world.agent('a')
    {
      await using policy = await policyOn(world, { path })
      assert.equal(statSync(path).mode & 0o777, 0o660)
      assert.equal(policy.at, `unix:${path}`)
      assert.equal(await policy.allows(did), true)
      const elsewhere = { path: '/v1/data/agentmesh/allow', headers: { host: 'opa' }, body: { input: { did } } }
      assert.equal((await policy.ask(elsewhere)).status, 200)
      await assert.rejects(policyOn(world, { path }), { code: 'E_CONFIG' })
      assert.equal(await policy.allows(did), true, 'the first is still there')
    }
    const left = createServer()
    await new Promise<void>((resolve) => left.listen(path, resolve))
    // A killed process leaves its socket file; closing would take it away.
    const kept = join(folder, 'kept.sock')
    linkSync(path, kept)
    await new Promise<void>((resolve) => left.close(() => resolve()))
    await using policy = await policyOn(world, { path: kept })
    assert.equal(await policy.allows(did), true)
    const file = join(folder, 'a file')
    writeFileSync(file, 'precious')
    await assert.rejects(policyOn(world, { path: file }), { code: 'E_CONFIG' })
    assert.equal(statSync(file).size, 8)
    await assert.rejects(policyOn(world, { path: join(folder, 'nowhere', 'policy.sock') }), { code: 'E_CONFIG' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

const onLinux = { skip: process.platform !== 'linux' && 'a full queue looks like no process at all' }

test('a socket whose process is too busy to answer is in use', onLinux, async () => {
  await using world = await World.open()
  const folder = mkdtempSync(join(tmpdir(), 'policy-'))
  const path = join(folder, 'policy.sock')
  const code = `require('node:net').createServer().listen({ path: ${JSON.stringify(path)}, backlog: 1 }, () => console.log('up'))`
  const busy = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const waiting: Socket[] = []
  try {
    await once(busy.stdout, 'data')
    busy.kill('SIGSTOP')
    const connects = async (): Promise<boolean> => {
      const socket = connect(path)
      waiting.push(socket)
      return once(socket, 'connect').then(
        () => true,
        () => false,
      )
    }
    while (await connects()) assert.ok(waiting.length < 100)
    await assert.rejects(policyOn(world, { path }), { code: 'E_CONFIG' })
    assert.ok(statSync(path).isSocket())
  } finally {
    for (const socket of waiting) socket.destroy()
    busy.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a proxy lets a request pass on 200 alone: the token of an agent that may act', async () => {
  await using world = await World.open()
  await using policy = await policyOn(world, tcp)
  const did = await world.agent('a', { capabilities: ['read:reports'] })
  await world.agent('b')
  const token = (claims: object) => world.north.tokens.sign({ aud: audience, ...claims })
  const good = await token({ sub: 'a', obo: 'alice' })
  const check = (authorization: string | undefined, more: Partial<Sent> = {}) =>
    policy.ask({
      path: '/ext_authz/orders/17?x=1',
      method: 'GET',
      ...more,
      // What the proxy's own caller sent: another host, and its token.
      headers: { host: 'orders.contoso.com', ...(authorization !== undefined && { authorization }), ...more.headers },
    })
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await check(`Bearer ${good}`, { method })
    assert.equal(status, 200, method)
    assert.equal(headers['x-agent-did'], encodeURIComponent(did))
    assert.equal(headers['x-agent-on-behalf-of'], 'alice')
    assert.ok(Number(headers['x-agent-epoch']) > 0)
  }
  const body = { headers: { 'content-type': 'text/csv' }, method: 'POST', body: 'a,b' }
  assert.equal((await check(`Bearer ${good}`, body)).status, 200, 'a body sent along is not looked at')
  assert.equal((await check(`Bearer ${good}`, { path: '/ext_authz' })).status, 200)
  const asking = (capability: string) => ({ headers: { 'x-bridge-capability': capability } })
  assert.equal((await check(`Bearer ${good}`, asking('read:reports'))).status, 200)
  const rows: [string | undefined, number, string, Partial<Sent>?][] = [
    [undefined, 401, 'R_TOKEN'],
    ['Basic YTpi', 401, 'R_TOKEN'],
    ['Bearer', 401, 'R_TOKEN'],
    ['Bearer x', 401, 'R_TOKEN'],
    [`Bearer ${good}, Bearer ${good}`, 401, 'R_TOKEN'],
    [`Bearer ${await token({ sub: 'a', exp: 1 })}`, 401, 'R_EXPIRED'],
    [`Bearer ${await token({ sub: 'a', act: 'text' })}`, 401, 'R_ACT'],
    [`Bearer ${await token({ sub: 'nobody' })}`, 403, 'R_UNMAPPED'],
    [`Bearer ${await token({ sub: 'a', act: { sub: 'nobody' } })}`, 403, 'R_ACTOR_UNKNOWN'],
    [`Bearer ${good}`, 403, 'R_CAPABILITY', asking('write:reports')],
    [`Bearer ${good}`, 403, 'R_CAPABILITY', asking('')],
  ]
  const twice = await token({ sub: 'b' })
  rows.push([undefined, 401, 'R_TOKEN', { headers: { authorization: [`Bearer ${good}`, `Bearer ${twice}`] } }])
  for (const [authorization, wanted, code, more] of rows) {
    const { status, text, headers } = await check(authorization, more)
    assert.deepEqual([status, JSON.parse(text).codes], [wanted, [code]], code)
    assert.equal(headers['www-authenticate']?.startsWith('Bearer') ?? false, wanted === 401)
    assert.ok(!('x-agent-did' in headers))
  }
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  assert.equal((await check(`Bearer ${good}`)).status, 403)
  await world.clock.advance(1_000)
  await world.bridge.release(did, hold.id, 'r', soc)
  assert.equal((await check(`Bearer ${good}`)).status, 401, 'a new token would do')
  world.north.tokens.down = true
  await world.restart()
  await using failing = await policyOn(world, tcp)
  const sent = { path: '/ext_authz/', method: 'GET', headers: { authorization: `Bearer ${good}` } }
  assert.equal((await failing.ask(sent)).status, 503)
})

test('no token is in its log', async () => {
  await using world = await World.open()
  await using policy = await policyOn(world, tcp)
  const did = await world.agent('a')
  const token = await world.north.tokens.sign({ aud: audience, sub: 'a' })
  await policy.allows(did)
  await policy.ask({
    path: `/ext_authz/x?access_token=${token}`,
    method: 'GET',
    headers: { authorization: `Bearer ${token}` },
  })
  assert.ok(!policy.lines.join('').includes(token.slice(-20)))
})
