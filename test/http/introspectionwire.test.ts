import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { observeRequests } from '../../src/http/requests.ts'
import { soc } from '../engine/harness.ts'
import { type FaceWorld, faceWorld } from './faceworld.ts'
import { eventually } from './listen.ts'

const path = '/oauth2/introspect'

const requestOf = (token: string, more: Readonly<Record<string, string>> = {}, method = 'POST'): string => {
  const body = method === 'POST' ? `token=${token}` : ''
  const headers = {
    host: 'localhost',
    authorization: 'Bearer gateway-token',
    ...(method === 'POST' && {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': `${body.length}`,
    }),
    ...more,
  }
  const lines = Object.entries(headers).map((one) => `${one.join(': ')}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

const opened = async ({ server }: FaceWorld): Promise<Socket> => {
  const socket = connect({ host: '127.0.0.1', port: server.port })
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket.setEncoding('latin1')
}

/** What a connection answers to these bytes, byte by byte, once it is so many whole answers. */
const answersTo = (socket: Socket, bytes: string, count = 1): Promise<string[]> =>
  new Promise((resolve, reject) => {
    let text = ''
    const gone = () => reject(new Error(`closed after ${text}`))
    const take = (chunk: string) => {
      text += chunk
      const answers: string[] = []
      for (let rest = text; ; ) {
        const head = rest.indexOf('\r\n\r\n') + 4
        const length = /\r\ncontent-length: (\d+)/i.exec(rest.slice(0, head))?.[1]
        const end = head + (answers.length < count && bytes.startsWith('HEAD') ? 0 : Number(length))
        if (head < 4 || rest.length < end) return
        answers.push(rest.slice(0, end))
        if (answers.length === count) {
          socket.off('data', take).off('close', gone)
          return resolve(answers)
        }
        rest = rest.slice(end)
      }
    }
    socket.on('data', take).once('close', gone)
    socket.write(bytes)
  })

const answerTo = async (socket: Socket, bytes: string): Promise<string> => (await answersTo(socket, bytes))[0] ?? ''

const dated = (answer: string): string => answer.replace(/\r\nDate: [^\r]+/, '\r\nDate: now')

test('an answer is these bytes, asked alone and among others', async () => {
  await using faces = await faceWorld()
  await faces.world.agent('a')
  const token = await faces.token({ sub: 'a' })
  const [first, ...others] = await Promise.all(Array.from({ length: 40 }, () => opened(faces)))
  assert.ok(first)
  const one = dated(await answerTo(first, requestOf(token, { 'x-request-id': 'mine' })))
  const body = one.slice(one.indexOf('\r\n\r\n') + 4)
  assert.equal(JSON.parse(body).active, true)
  const wanted = (id: string) =>
    [
      'HTTP/1.1 200 OK',
      'x-content-type-options: nosniff',
      'cache-control: no-store',
      "content-security-policy: default-src 'none'; frame-ancestors 'none'",
      'referrer-policy: no-referrer',
      `x-request-id: ${id}`,
      'pragma: no-cache',
      'content-type: application/json; charset=utf-8',
      `content-length: ${body.length}`,
      'Date: now',
      'Connection: keep-alive',
      'Keep-Alive: timeout=75',
      '',
      body,
    ].join('\r\n')
  assert.equal(one, wanted('mine'))
  const all = await Promise.all(
    others.map((socket, n) => answerTo(socket, requestOf(token, { 'x-request-id': `of-${n}` }))),
  )
  for (const [n, answer] of all.entries()) assert.equal(dated(answer), wanted(`of-${n}`))
  const three = ['x', 'y', 'z'].map((id) => requestOf(token, { 'x-request-id': id })).join('')
  const inOrder = (await answersTo(first, three, 3)).map(dated)
  assert.deepEqual(inOrder, ['x', 'y', 'z'].map(wanted), 'sent at once over one connection, answered in order')
  const made = [
    await answerTo(first, requestOf(token)),
    await answerTo(first, requestOf(token, { 'x-request-id': ' ' })),
  ]
  const ids = made.map((answer) => /\r\nx-request-id: ([\da-f-]{36})\r\n/.exec(answer)?.[1])
  assert.equal(new Set(ids).size, 2)
  assert.ok(!ids.includes(undefined))
  for (const socket of [first, ...others]) socket.destroy()
})

test('a hold denies at the very next request over the same connection', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  const did = await world.agent('a')
  const request = requestOf(await faces.token({ sub: 'a' }))
  const socket = await opened(faces)
  for (let n = 0; n < 3; n += 1) assert.match(await answerTo(socket, request), /"active":true/)
  await world.bridge.place(did, { severity: 'suspend', reason: 'case 4711' }, soc)
  for (let n = 0; n < 3; n += 1) assert.match(await answerTo(socket, request), /\r\n\r\n\{"active":false\}$/)
  socket.destroy()
})

test('every request is counted once, whatever became of it', async () => {
  await using faces = await faceWorld()
  const { server, world } = faces
  await world.agent('a')
  const request = requestOf(await faces.token({ sub: 'a' }))
  const sockets = await Promise.all(Array.from({ length: 20 }, () => opened(faces)))
  const [first] = sockets
  assert.ok(first)
  for (let n = 0; n < 3; n += 1) await Promise.all(sockets.map((socket) => answerTo(socket, request)))
  await answerTo(first, requestOf('x'))
  const refusals: readonly [string, RegExp][] = [
    [requestOf('x', { authorization: 'Bearer nobody' }), /^HTTP\/1\.1 401 .*"error":"invalid_client"/s],
    [requestOf('x', { 'content-type': 'text/plain' }), /^HTTP\/1\.1 415 .*"code":"E_MEDIA_TYPE"/s],
    [requestOf('x', {}, 'GET'), /^HTTP\/1\.1 405 .*\r\nallow: POST\r\n/s],
    [requestOf('x', {}, 'OPTIONS'), /^HTTP\/1\.1 405 .*\r\nallow: POST\r\n/s],
    [requestOf('x', {}, 'HEAD'), /^HTTP\/1\.1 405 .*\r\nallow: POST\r\n.*\r\n\r\n$/s],
  ]
  for (const [bytes, pattern] of refusals) {
    const socket = await opened(faces)
    assert.match(await answerTo(socket, bytes), pattern)
    socket.destroy()
  }
  // Gone before its answer: the rest of the body never comes.
  const [leaving] = sockets.slice(-1)
  leaving?.write(requestOf('x', { 'content-length': '500' }))
  leaving?.destroy()
  const metric = async () => (await server.ask('/metrics')).text
  const requests = '_http_request_seconds_count{route="/oauth2/introspect",method="POST"} 64'
  const text = await eventually(metric, new RegExp(requests.replaceAll(/[{}]/g, '\\$&')))
  const counted = [...text.matchAll(/_http_requests_total\{route="\/oauth2\/introspect",method="POST",(.*) (\d+)/g)]
  assert.equal(
    counted.reduce((sum, [, , count]) => sum + Number(count), 0),
    64,
  )
  assert.match(text, /decisions_total\{face="introspection",allow="true"\} 60\n/)
  assert.match(text, /decisions_total\{face="introspection",allow="false"\} 1\n/)
  assert.match(text, /idp_bridge_decision_seconds_count 61\n/)
  assert.match(text, /idp_bridge_decision_seconds_bucket\{le="\+Inf"\} 61\n/)
  const buckets = [...text.matchAll(/decision_seconds_bucket\{le="[^"]+"\} (\d+)/g)].map(([, count]) => Number(count))
  assert.equal(buckets.length, 11)
  assert.deepEqual(
    buckets,
    buckets.toSorted((a, b) => a - b),
  )
  const sum = Number(/idp_bridge_decision_seconds_sum (\S+)/.exec(text)?.[1])
  assert.ok(sum > 0)
  for (const socket of sockets) socket.destroy()
})

test('an answer that cannot be sent is the end of its connection alone', async () => {
  const requests = observeRequests()
  await using faces = await faceWorld({
    requests: {
      ...requests,
      watch: (request, reply) => {
        if (request.headers['x-break'] !== undefined) reply.header('x-broken', 'a\nb')
        requests.watch(request, reply)
      },
    },
  })
  await faces.world.agent('a')
  const token = await faces.token({ sub: 'a' })
  const sockets = await Promise.all(Array.from({ length: 6 }, () => opened(faces)))
  const answers = await Promise.allSettled(
    sockets.map((socket, n) => answerTo(socket, requestOf(token, n === 2 ? { 'x-break': '1' } : {}))),
  )
  assert.deepEqual(
    answers.map((one) => one.status === 'fulfilled' && one.value.startsWith('HTTP/1.1 200')),
    sockets.map((_, n) => n !== 2),
  )
  const [first] = sockets
  assert.ok(first)
  assert.match(await answerTo(first, requestOf(token)), /"active":true/)
  assert.equal(faces.server.lines.filter((line) => line.includes('an answer could not be sent')).length, 1)
  const counted = (status: string, n: number) =>
    new RegExp(`requests_total\\{route="/oauth2/introspect",method="POST",status="${status}"\\} ${n}\\n`)
  await eventually(requests.text, counted('5xx', 1))
  await eventually(requests.text, counted('2xx', 6))
  for (const socket of sockets) socket.destroy()
})
