import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text as read } from 'node:stream/consumers'
import { test } from 'node:test'
import { createLogger, type LogLevel } from '../../src/lib/log.ts'
import { eventually, listen, until } from './listen.ts'

test('readiness says which check fails, and answers 503', async () => {
  await using server = await listen()
  assert.equal((await server.ask('/readyz')).status, 200)
  server.bridge.isReady = false
  const { status, json, headers } = await server.ask('/readyz')
  assert.equal(status, 503)
  assert.match(headers['content-type'] ?? '', /^application\/json/)
  assert.deepEqual(json, { ready: false, checks: [{ name: 'store', ok: false, text: 'does not answer' }] })
})

test('health says that the process answers', async () => {
  await using server = await listen()
  const { json } = await server.ask('/healthz')
  assert.deepEqual(json, { status: 'ok', version: '1.2.3', time: '2026-11-21T10:00:00.000Z' })
  assert.equal((await server.ask('/healthz', { method: 'HEAD' })).status, 200)
})

test('requests are counted by route template, method and status class', async () => {
  await using server = await listen()
  await server.ask('/v1/agents/did:mesh:nobody', { as: 'reader' })
  await server.ask('/v1/agents/did:mesh:other', { as: 'reader' })
  await server.ask('/made/up/path')
  await server.ask('/v1/decisions', { as: 'gateway', body: { did: 'did:mesh:a' } })
  assert.match((await server.ask('/metrics')).headers['content-type'] ?? '', /^text\/plain/)
  const metric = async () => (await server.ask('/metrics')).text
  await eventually(metric, /http_requests_total\{route="\/v1\/agents\/:did",method="GET",status="4xx"\} 2/)
  await eventually(metric, /http_requests_total\{route="none",method="GET",status="4xx"\} 1/)
  const text = await eventually(metric, /http_request_seconds_count\{route="\/v1\/decisions",method="POST"\} 1/)
  assert.match(text, /decisions_total\{face="decisions",allow="true"\} 1/)
  assert.doesNotMatch(text, /made\/up|nobody/)
})

test('every request is one line of log', async () => {
  await using server = await listen()
  await server.ask('/v1/status?x=secret', { as: 'reader', headers: { 'x-request-id': 'id-1' } })
  await server.ask('/%zz')
  const logged = () => server.lines.filter((line) => line.includes('"msg":"request"'))
  await until(() => logged().length === 2)
  const lines = logged().map((line) => JSON.parse(line))
  const { method, route, path, status, client, requestId } = lines[0]
  assert.deepEqual(
    { method, route, path, status, client, requestId },
    { method: 'GET', route: '/v1/status', path: '/v1/status', status: 200, client: 'reader', requestId: 'id-1' },
  )
  assert.equal(lines[1].status, 400)
})

test('a question that is answered is a line for debugging only; one that is refused is a line', async () => {
  const asked = async (level: LogLevel): Promise<number[]> => {
    const lines: string[] = []
    await using server = await listen({
      log: createLogger({ level, destination: { write: (line) => void lines.push(line) } }),
    })
    await server.ask('/v1/decisions', { as: 'gateway', body: { did: 'did:mesh:a' } })
    await server.ask('/healthz')
    await server.ask('/v1/decisions', { body: { did: 'did:mesh:a' } })
    const statuses = () =>
      lines.filter((line) => line.includes('"msg":"request"')).map((line) => Number(JSON.parse(line).status))
    await until(() => statuses().includes(401))
    return statuses()
  }
  assert.deepEqual(await asked('info'), [401])
  assert.deepEqual(await asked('debug'), [200, 200, 401])
})

test('answers carry the security headers, and say nothing of the server', async () => {
  await using server = await listen()
  for (const path of ['/v1/agents', '/v1/nothing', '/healthz', '/openapi.json', '/%zz', '/errors/E_BUG']) {
    const { headers } = await server.ask(path, { as: 'reader' })
    assert.equal(headers['x-content-type-options'], 'nosniff', path)
    assert.equal(headers['cache-control'], 'no-store', path)
    assert.equal(headers['referrer-policy'], 'no-referrer', path)
    assert.match(String(headers['content-security-policy']), /frame-ancestors 'none'/, path)
    assert.equal(headers.server, undefined)
    assert.equal(headers['x-powered-by'], undefined)
  }
})

test('status, guard and pause are answered with times as text', async () => {
  await using server = await listen()
  const status = await server.ask('/v1/status', { as: 'reader' })
  assert.equal(status.json?.startedAt, '2026-11-21T10:00:00.000Z')
  assert.deepEqual(status.json?.alerts, [{ at: '2026-11-21T10:00:00.000Z', code: 'A_TEST', text: 'a test' }])
  const guard = await server.ask('/v1/guard/contoso', { as: 'reader' })
  assert.deepEqual(guard.json, {
    adapter: 'contoso',
    suspend: {
      tripped: true,
      since: '2026-11-21T10:00:00.000Z',
      count: 60,
      plan: {
        hash: 'f'.repeat(64),
        rows: [
          {
            holdId: 'hold-1',
            did: 'did:mesh:a',
            origin: 'adapter:contoso/p1',
            placedAt: '2026-11-21T10:00:00.000Z',
          },
        ],
      },
      approval: {
        hash: 'e'.repeat(64),
        rows: 3,
        by: 'carol',
        at: '2026-11-21T10:00:00.000Z',
        expiresAt: '2026-11-21T11:00:00.000Z',
        second: null,
        done: 0,
        applied: 0,
        dropped: 0,
      },
    },
    resume: { tripped: false, since: null, count: 0, plan: null, approval: null },
  })
  const approved = await server.ask('/v1/guard/contoso/approve', { as: 'approver', body: { hash: 'f'.repeat(64) } })
  assert.equal(approved.status, 202)
  assert.deepEqual(approved.json, { status: 'awaiting', approvalId: 'f'.repeat(64), applied: 0, dropped: 0 })
  const paused = await server.ask('/v1/pause', { as: 'operator', body: { paused: true, reason: 'r' } })
  assert.deepEqual(paused.json, { paused: true })
})

test('the audit log is filtered by time and sequence', async () => {
  await using server = await listen()
  const query =
    '/v1/audit?after=7&did=did:mesh:a&hold=h&actor=soc&from=2026-11-21T11:00:00%2B01:00&to=2026-11-21T10:00:01Z'
  const { json } = await server.ask(query, { as: 'reader' })
  const entry = {
    seq: 1,
    time: '2026-11-21T10:00:00.000Z',
    type: 'hold.placed',
    actor: 'soc',
    digests: {},
    prev: '0',
    hash: '1',
  }
  assert.deepEqual(json, { items: [entry], nextCursor: null })
  assert.deepEqual(server.bridge.calls.filters.at(-1), {
    after: 7,
    did: 'did:mesh:a',
    hold: 'h',
    actor: 'soc',
    from: Date.parse('2026-11-21T10:00:00Z'),
    to: Date.parse('2026-11-21T10:00:01Z'),
    limit: 100,
  })
  const verified = await server.ask('/v1/audit/verify', { as: 'reader' })
  assert.deepEqual(verified.json, { ok: true, entries: 1, head: '1', fault: null, checkpoint: null })
})

test('a question names exactly one of did, token and principal', async () => {
  await using server = await listen()
  const ask = async (body: object) => (await server.ask('/v1/decisions', { as: 'gateway', body })).status
  assert.equal(await ask({ capability: 'read:x' }), 400)
  assert.equal(await ask({ did: 'did:mesh:a', token: 't' }), 400)
  assert.equal(await ask({ principal: { adapter: 'contoso', id: 'p' }, scope: 's' }), 200)
  const verified = await server.ask('/v1/tokens/verify', { as: 'gateway', body: { token: 'good' } })
  assert.equal(verified.json?.expiresAt, '2026-11-21T11:00:00.000Z')
  const refused = await server.ask('/v1/tokens/verify', { as: 'gateway', body: { token: 'bad' } })
  assert.deepEqual([refused.status, refused.json], [200, { valid: false, codes: ['R_SIGNATURE'] }])
})

const head = (line: string, as: string) => `${line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${as}-token\r\n`

test('closing finishes what is in progress, refuses what comes after, and leaves no listener', async () => {
  const server = await listen()
  const gate = Promise.withResolvers<void>()
  server.bridge.gate = () => gate.promise
  const body = JSON.stringify({ severity: 'suspend', reason: 'r' })
  const busy = connect(server.port, '127.0.0.1')
  busy.write(
    `${head('POST /v1/agents/did:mesh:a/holds', 'responder')}Content-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  )
  const late = connect(server.port, '127.0.0.1')
  late.write('GET /v1/sta')
  await until(() => server.bridge.calls.callers.length > 0)
  const closing = server.app.close()
  await assert.rejects(async () => {
    while ((await server.ask('/healthz')).status === 200);
  })
  late.write(`${head('tus', 'reader')}\r\n`)
  gate.resolve()
  const [first, second] = await Promise.all([read(busy), read(late)])
  await closing
  assert.match(first, /^HTTP\/1\.1 201 /)
  assert.match(first, /connection: close/i)
  assert.match(second, /^HTTP\/1\.1 503 /)
  assert.match(second, /E_SHUTTING_DOWN/)
})

test('closing is not held up by connections that send nothing', async () => {
  const server = await listen({ graceMs: 50 })
  const silent = connect(server.port, '127.0.0.1')
  const slow = connect(server.port, '127.0.0.1')
  slow.write('GET /v1/sta')
  assert.equal((await server.ask('/healthz')).status, 200)
  await Promise.all([server.app.close(), read(silent).catch(String), read(slow).catch(String)])
})
