import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, listen, until } from './listen.ts'

test('the bytes of a delivery reach the adapter as they came, under any content type', async () => {
  await using server = await listen()
  const types = [
    'application/json',
    'application/cloudevents+json; charset=utf-8',
    'application/cloudevents-batch+json',
    'text/plain',
    'application/x-www-form-urlencoded',
  ]
  for (const type of types) {
    const body = `[ {"not":"touched"} ]é ${type}`
    const { status, json, headers } = await server.ask('/hooks/contoso', { body, headers: { 'content-type': type } })
    assert.equal(status, 200, type)
    assert.equal(headers['cache-control'], 'no-store')
    assert.deepEqual(json, { got: Buffer.byteLength(body) })
    const call = server.bridge.calls.hooks.at(-1)
    assert.equal(call?.body, body)
    assert.equal(call?.headers['content-type'], type)
  }
})

test('handshakes by GET and OPTIONS, and a delivery without a body, pass through', async () => {
  await using server = await listen()
  const options = await server.ask('/hooks/contoso', { method: 'OPTIONS', headers: { 'webhook-request-origin': 'eg' } })
  assert.deepEqual([options.status, options.text, options.headers['webhook-allowed-rate']], [200, '', '*'])
  assert.equal(server.bridge.calls.hooks.at(-1)?.headers['webhook-request-origin'], 'eg')
  assert.equal((await server.ask('/hooks/contoso?validationToken=a%20b')).status, 200)
  assert.equal((await server.ask('/hooks/contoso', { method: 'POST' })).json?.got, 0)
  assert.deepEqual(
    server.bridge.calls.hooks.map(({ method }) => method),
    ['OPTIONS', 'GET', 'POST'],
  )
})

test('a forged delivery is 401, an unknown adapter 404, too much 413', async () => {
  await using server = await listen()
  const forged = await server.ask('/hooks/contoso?key=wrong', { body: '[]' })
  assert.equal(forged.status, 401)
  assert.equal(forged.json?.code, 'E_HOOK_UNVERIFIED')
  assert.ok(forged.headers['www-authenticate'])
  assert.equal((await server.ask('/hooks/nobody', { body: '[]' })).status, 404)
  const large = await server.ask('/hooks/contoso', { body: Buffer.alloc(1280 * 1024 + 1) })
  assert.equal(large.status, 413)
  assert.equal((await server.ask('/hooks/contoso', { body: Buffer.alloc(1280 * 1024) })).status, 200)
})

test('the key of a hook, bodies and tokens are never logged', async () => {
  await using server = await listen()
  await server.ask('/hooks/contoso?key=hunter2secret', { body: '{"password":"in-the-body"}' })
  await server.ask('/hooks/contoso?key=wrong&code=hunter2secret', { body: '{"password":"in-the-body"}' })
  await server.ask('/v1/tokens/verify', { as: 'gateway', body: { token: 'in-the-body' } })
  const answered = () => server.lines.filter((line) => line.includes('"msg":"request"')).length
  await until(() => answered() === 3)
  const log = server.lines.join('')
  assert.ok(log.includes('"path":"/hooks/contoso"'))
  for (const secret of ['hunter2secret', 'in-the-body', 'gateway-token', 'key='])
    assert.ok(!log.includes(secret), secret)
})

test('deliveries are counted by adapter; a name nobody configured is no label', async () => {
  await using server = await listen()
  await server.ask('/hooks/contoso', { body: '[]' })
  await server.ask('/hooks/contoso?key=wrong', { body: '[]' })
  await server.ask('/hooks/made-up', { body: '[]' })
  const metric = async () => (await server.ask('/metrics')).text
  const text = await eventually(metric, /hook_deliveries_total\{adapter="contoso",outcome="accepted"\} 1/)
  assert.match(text, /hook_deliveries_total\{adapter="contoso",outcome="refused"\} 1/)
  assert.doesNotMatch(text, /made-up/)
})
