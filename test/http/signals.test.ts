import assert from 'node:assert/strict'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import type { SignalFrame } from '../../src/engine/api.ts'
import type { Client } from '../../src/http/auth.ts'
import type { ServerOptions } from '../../src/http/server.ts'
import { stream, untilAborted } from './bridge.ts'
import { clientOf, eventually, hashOf, type Listening, listen, until } from './listen.ts'

const suspended: SignalFrame = {
  id: '41',
  event: 'suspended',
  data: { seq: 41, type: 'suspended', did: 'did:mesh:a', reason: 'two\nlines' },
}
const frame =
  'id: 41\nevent: suspended\ndata: {"seq":41,"type":"suspended","did":"did:mesh:a","reason":"two\\nlines"}\n\n'

interface Stream extends Disposable {
  readonly response: IncomingMessage
  readonly ended: Promise<void>
  /** What came so far, once it contains the text. */
  until(text: string): Promise<string>
}

const open = (server: Listening, path = '/v1/signals', headers: Record<string, string> = {}): Promise<Stream> =>
  new Promise((resolve, reject) => {
    const authorization = 'Bearer runtime-token'
    const options = { host: '127.0.0.1', port: server.port, path, agent: false, headers: { authorization, ...headers } }
    const sent: ClientRequest = httpRequest(options)
    sent.on('error', reject)
    sent.on('response', (response) => {
      let got = ''
      let look = () => {}
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        got += chunk
        look()
      })
      const ended = new Promise<void>((done) => response.on('close', () => done()))
      resolve({
        response,
        ended,
        until: (text) =>
          new Promise((found) => {
            look = () => {
              if (got.includes(text)) found(got)
            }
            look()
          }),
        [Symbol.dispose]: () => sent.destroy(),
      })
    })
    sent.end()
  })

const listening = async (streams: ServerOptions['streams'] = {}) => listen({ streams })

test('the headers come at once, before any signal, and forbid buffering and storing', async () => {
  await using server = await listening()
  using signals = await open(server)
  const { headers, statusCode } = signals.response
  assert.equal(statusCode, 200)
  assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8')
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['x-accel-buffering'], 'no')
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.ok(headers['x-request-id'])
  assert.equal(await signals.until('\n\n'), 'retry: 3000\n\n')
})

test('frames are id, event and one line of data', async () => {
  await using server = await listening()
  server.bridge.frames = (signal) => stream([suspended, { ...suspended, id: '4\r\n2', event: 'resumed' }], signal)
  using signals = await open(server)
  const second = frame.replace('id: 41', 'id: 42').replace('event: suspended', 'event: resumed')
  assert.equal(await signals.until('event: resumed\ndata: {"seq":41'), `retry: 3000\n\n${frame}${second}`)
})

test('the stream resumes after the header, or the query for those that cannot set one', async () => {
  await using server = await listening()
  using _header = await open(server, '/v1/signals?lastEventId=3', { 'last-event-id': 'g1-7' })
  using _query = await open(server, '/v1/signals?lastEventId=3')
  using _none = await open(server)
  assert.deepEqual(server.bridge.calls.lastEventIds, ['g1-7', '3', undefined])
})

test('silence is broken by comments', async () => {
  await using server = await listening({ heartbeatMs: 5 })
  using signals = await open(server)
  assert.match(await signals.until(':\n\n:\n\n'), /^retry: 3000\n\n(:\n\n){2,}$/)
})

test('a consumer that leaves ends its source', async () => {
  await using server = await listening()
  let left = false
  server.bridge.frames = async function* (signal) {
    yield suspended
    await untilAborted(signal)
    left = true
  }
  const signals = await open(server)
  await signals.until(frame)
  signals[Symbol.dispose]()
  await until(() => left)
})

test('a reload that takes the token, the role or other bounds ends the stream; one that does not, does not', async () => {
  const client = clientOf('runtime')
  for (const [after, ends] of [
    [[], true],
    [[{ ...client, roles: ['reader'] }], true],
    [[{ ...client, labels: { unit: 'sales' } }], true],
    [[{ ...client, tokenSha256: [...client.tokenSha256, hashOf('next')] }], false],
  ] as const) {
    let clients: readonly Client[] = [client]
    await using server = await listen({ streams: { heartbeatMs: 5 }, clients: () => clients })
    using signals = await open(server)
    await signals.until(':\n\n')
    clients = after
    if (ends) await signals.ended
    else await signals.until(':\n\n:\n\n:\n\n:\n\n')
  }
})

test('a source that ends, ends the stream cleanly; one that fails is logged and ends it too', async () => {
  await using server = await listening()
  server.bridge.frames = async function* () {
    yield suspended
  }
  using first = await open(server)
  await first.ended
  assert.ok(first.response.complete)
  server.bridge.frames = async function* () {
    yield suspended
    throw new Error('store is gone')
  }
  using second = await open(server)
  await second.ended
  assert.ok(server.lines.some((line) => line.includes('signal stream failed') && line.includes('store is gone')))
})

test('closing the server ends every stream, and no connection is left', async () => {
  const server = await listening()
  server.bridge.frames = (signal) => stream([suspended], signal)
  using first = await open(server)
  using second = await open(server)
  await Promise.all([first.until(frame), second.until(frame)])
  await server.app.close()
  await Promise.all([first.ended, second.ended])
  assert.ok(first.response.complete && second.response.complete)
})

const flood = (produced: { count: number; ended: boolean }) =>
  async function* (signal: AbortSignal): AsyncGenerator<SignalFrame> {
    const data = { text: 'x'.repeat(64 * 1024) }
    try {
      while (!signal.aborted) {
        produced.count++
        yield { id: String(produced.count), event: 'suspended', data }
      }
    } finally {
      produced.ended = true
    }
  }

/** A consumer that asks and then reads nothing. */
const silent = (server: Listening): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write('GET /v1/signals HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer runtime-token\r\n\r\n')
      resolve(socket)
    })
    socket.pause()
  })

test('a consumer that does not read is waited for, then cut; memory stays bounded', async () => {
  await using server = await listening({ drainMs: 150, heartbeatMs: 5 })
  const produced = { count: 0, ended: false }
  server.bridge.frames = flood(produced)
  const socket = await silent(server)
  await until(() => produced.ended)
  // What the two kernels buffer, and one frame in ours: megabytes, not the gigabytes that were on offer.
  assert.ok(produced.count > 0 && produced.count < 2000, String(produced.count))
  socket.destroy()
})

test('a consumer that reads slowly is not cut', async () => {
  await using server = await listening({ drainMs: 2000 })
  const produced = { count: 0, ended: false }
  server.bridge.frames = flood(produced)
  const socket = await silent(server)
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
  socket.resume()
  await until(() => bytes > 4 * 1024 * 1024)
  assert.equal(produced.ended, false)
  socket.destroy()
  await until(() => produced.ended)
})

test('streams are bounded, in all and for a client', async () => {
  await using server = await listening({ maxPerClient: 1 })
  const first = await open(server)
  const refused = await server.ask('/v1/signals', { as: 'runtime' })
  assert.equal(refused.status, 429)
  assert.equal(refused.json?.code, 'E_BUDGET')
  assert.equal(refused.headers['retry-after'], '30')
  first[Symbol.dispose]()
  await until(() => server.lines.some((line) => line.includes('"aborted":true')))
  using again = await open(server)
  assert.equal(again.response.statusCode, 200)
})

test('open streams are counted, and left out of the times of requests', async () => {
  await using server = await listening()
  const metric = async () => (await server.ask('/metrics')).text
  const signals = await open(server)
  await eventually(metric, /^idp_bridge_signals_clients 1$/m)
  signals[Symbol.dispose]()
  await eventually(metric, /^idp_bridge_signals_clients 0$/m)
  const text = await eventually(metric, /http_requests_total\{route="\/v1\/signals",method="GET",status="2xx"\} 1/)
  assert.doesNotMatch(text, /http_request_seconds_count\{route="\/v1\/signals"/)
})

test('an acknowledgement is 204, of a whole number', async () => {
  await using server = await listening()
  const answer = await server.ask('/v1/signals/41/ack', { as: 'runtime', method: 'POST' })
  assert.deepEqual([answer.status, answer.text], [204, ''])
  assert.deepEqual(server.bridge.calls.acks, [41])
  for (const seq of ['0', '-1', '1.5', 'x']) {
    assert.equal((await server.ask(`/v1/signals/${seq}/ack`, { as: 'runtime', method: 'POST' })).status, 400, seq)
  }
})
