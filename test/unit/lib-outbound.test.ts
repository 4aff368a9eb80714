import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import { manualClock, systemClock } from '../../src/lib/clock.ts'
import { createOutbound, type OutboundOptions } from '../../src/lib/outbound.ts'

const limits = { timeoutMs: 5000, maxBytes: 1000 }
const never = new AbortController().signal

async function serve(t: TestContext, listener: RequestListener): Promise<{ origin: string; server: Server }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `http://127.0.0.1:${portOf(server)}`, server }
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

function open(t: TestContext, options: Partial<OutboundOptions> = {}) {
  const outbound = createOutbound({ userAgent: 'bridge-test', clock: systemClock, ...options })
  t.after(() => outbound.close())
  return outbound
}

/** The failure has the code, and nowhere a secret of the request. */
async function fails(call: Promise<unknown>, code: ErrorCode): Promise<BridgeError> {
  const error = await call.then(
    () => assert.fail(`expected ${code}`),
    (error: unknown) => error,
  )
  assert.ok(error instanceof BridgeError, inspect(error))
  assert.equal(error.code, code, inspect(error))
  assert.doesNotMatch(inspect(error, { depth: 9 }), /hush/)
  return error
}

describe('an outbound request', () => {
  it('carries method, headers and body, and brings the whole answer', async (t) => {
    const { origin } = await serve(t, async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const said = { method: request.method, agent: request.headers['user-agent'], x: request.headers['x-a'] }
      response.writeHead(201, { 'content-type': 'application/json', etag: 'e' })
      response.end(JSON.stringify({ ...said, body: Buffer.concat(chunks).toString() }))
    })
    const call = open(t).origin([origin], limits)
    const answer = await call(`${origin}/x?y=1`, {
      method: 'PATCH',
      headers: { 'x-a': '1' },
      body: '{}',
      signal: never,
    })
    assert.equal(answer.status, 201)
    assert.equal(answer.headers.get('etag'), 'e')
    assert.deepEqual(await answer.json(), { method: 'PATCH', agent: 'bridge-test', x: '1', body: '{}' })
  })

  it('takes any status for an answer, and bodiless ones', async (t) => {
    const { origin } = await serve(t, (request, response) => {
      response.writeHead(Number(request.url?.slice(1))).end()
    })
    const call = open(t).origin([origin], limits)
    for (const status of [204, 304, 401, 404, 429, 500, 503]) {
      assert.equal((await call(`${origin}/${status}`, { signal: never })).status, status)
    }
  })

  it('goes to no origin but its own, and sends nothing', async (t) => {
    let asked = 0
    const { origin } = await serve(t, (_, response) => {
      asked++
      response.end()
    })
    const outbound = open(t)
    const call = outbound.origin(['https://directory.example'], limits)
    const port = new URL(origin).port
    for (const url of [
      `${origin}/a?k=hush`,
      `http://localhost:${port}`,
      'not a url',
      'https://directory.example:444/',
      'http://directory.example/',
    ]) {
      await fails(call(url, { signal: never }), 'E_OUTBOUND_ORIGIN')
    }
    const own = outbound.origin([origin], limits)
    await fails(own(origin.replace('//', '//user:hush@'), { signal: never }), 'E_OUTBOUND_ORIGIN')
    assert.equal(asked, 0)
  })

  it('cannot be pinned to plain http but on loopback and for instance metadata', (t) => {
    const outbound = open(t)
    for (const origin of [
      'http://directory.example',
      'http://127.0.0.1.example',
      'http://10.0.0.1',
      'ftp://localhost',
    ]) {
      assert.throws(() => outbound.origin([origin], limits), { code: 'E_OUTBOUND_ORIGIN' })
    }
    for (const origin of [
      'https://directory.example/path',
      'https://user@directory.example',
      'directory.example',
      '',
    ]) {
      assert.throws(() => outbound.origin([origin], limits), { code: 'E_OUTBOUND_ORIGIN' })
    }
    const fine = [
      'https://directory.example',
      'http://localhost:1',
      'http://127.0.0.9:1',
      'http://[::1]:1',
      'http://169.254.169.254',
    ]
    assert.deepEqual([...outbound.origin(fine, limits).origins], fine)
  })

  it('follows no redirect, not even to its own origin', async (t) => {
    const paths: (string | undefined)[] = []
    const { origin } = await serve(t, (request, response) => {
      paths.push(request.url)
      response.writeHead(302, { location: '/next?token=hush' }).end()
    })
    await fails(open(t).origin([origin], limits)(`${origin}/first`, { signal: never }), 'E_OUTBOUND_REDIRECT')
    assert.deepEqual(paths, ['/first'])
  })

  it('refuses a body over the cap: declared, counted, or packed', async (t) => {
    const { origin } = await serve(t, (request, response) => {
      if (request.url === '/declared') response.writeHead(200, { 'content-length': 1001 }).write('x')
      if (request.url === '/counted') for (let i = 0; i < 20; i++) response.write('x'.repeat(100))
      if (request.url === '/packed') {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(100_000)))
      }
      if (request.url === '/exact')
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1000)))
    })
    const call = open(t).origin([origin], limits)
    for (const path of ['declared', 'counted', 'packed']) {
      await fails(call(`${origin}/${path}`, { signal: never }), 'E_OUTBOUND_BODY')
    }
    const exact = await call(`${origin}/exact`, { signal: never })
    assert.equal((await exact.text()).length, 1000)
    assert.equal(exact.headers.get('content-encoding'), null)
  })

  it('ends at its deadline: no answer, and an answer that drips', async (t) => {
    const asked: IncomingMessage[] = []
    const { origin, server } = await serve(t, (request, response) => {
      asked.push(request)
      if (request.url === '/drip') response.write('x')
    })
    const clock = manualClock()
    const call = open(t, { clock }).origin([origin], limits)
    for (const path of ['/silent', '/drip']) {
      const arrived = once(server, 'request')
      const failure = fails(
        call(origin + path, { signal: never, headers: { authorization: 'Bearer hush' } }),
        'E_OUTBOUND_TIMEOUT',
      )
      await arrived
      await clock.advance(4999)
      assert.equal(clock.sleeping, 1)
      await clock.advance(1)
      assert.match((await failure).message, new RegExp(`GET ${origin}${path} did not finish in 5000 ms`))
      assert.equal(clock.sleeping, 0)
    }
    for (const request of asked) if (!request.destroyed) await once(request, 'close')
  })

  it('ends when it is aborted, before and during', async (t) => {
    const { origin, server } = await serve(t, () => {})
    const call = open(t).origin([origin], limits)
    await fails(call(origin, { signal: AbortSignal.abort() }), 'E_ABORTED')
    const abort = new AbortController()
    const failure = fails(call(`${origin}/?k=hush`, { signal: abort.signal }), 'E_ABORTED')
    await once(server, 'request')
    abort.abort()
    await failure
  })

  it('says when nobody listens, or the connection breaks', async (t) => {
    const { origin } = await serve(t, (request) => request.socket.destroy())
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const nobody = `http://127.0.0.1:${portOf(closed)}`
    await new Promise((resolve) => closed.close(resolve))
    const call = open(t).origin([origin, nobody], limits)
    assert.match(
      (await fails(call(`${nobody}/p?q=hush`, { signal: never }), 'E_OUTBOUND_NETWORK')).message,
      /\/p failed \(ECONNREFUSED\)/,
    )
    await fails(call(`${origin}/`, { signal: never }), 'E_OUTBOUND_NETWORK')
    await fails(call(origin, { signal: never, headers: { authorization: 'hush\n' } }), 'E_OUTBOUND_NETWORK')
  })

  it('is measured once, whatever came of it', async (t) => {
    const { origin } = await serve(t, (_, response) => response.writeHead(404).end())
    const seen: string[] = []
    const metrics = { outbound: (at: string, outcome: string) => seen.push(`${at} ${outcome}`) }
    const call = open(t, { metrics }).origin([origin], { ...limits, maxBytes: 0 })
    await call(origin, { signal: never })
    assert.deepEqual(seen, [`${origin} 4xx`])
  })
})
