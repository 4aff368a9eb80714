import assert from 'node:assert/strict'
import { request as https } from 'node:https'
import { test } from 'node:test'
import { type ListenSettings, listenAll } from '../../src/http/listening.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import { createDouble } from './bridge.ts'
import { authority, serverCertificate } from './certificates.ts'
import { clientOf } from './listen.ts'

const listening = async (more: Partial<ListenSettings>) => {
  const lines: string[] = []
  const log = createLogger({ level: 'info', destination: { write: (line) => lines.push(line) } })
  const settings: ListenSettings = {
    host: '127.0.0.1',
    port: 0,
    publicUrl: undefined,
    trustProxy: [],
    hooksPort: undefined,
    managementPort: undefined,
    policySocket: undefined,
    tls: undefined,
    ...more,
  }
  const all = await listenAll(settings, {
    bridge: createDouble(),
    clients: () => [clientOf('reader')],
    log,
    metrics: createMetrics(),
    clock: systemClock,
    alert: () => undefined,
    version: '1.2.3',
  })
  const at = (setting: string) =>
    new RegExp(`"at":"([^"]+)"[^}]*"listening by ${setting}"`).exec(lines.join(''))?.[1] ?? ''
  return { all, hooks: at('server.hooksPort'), management: at('server.managementPort') }
}

const statusOf = async (origin: string, path: string) => (await fetch(new URL(path, origin))).status

const paths = ['/healthz', '/readyz', '/metrics', '/hooks/contoso', '/openapi.json', '/errors/E_BUG', '/v1/status']

test('one port serves everything unless told otherwise', async () => {
  const { all } = await listening({})
  await using _ = all
  const found = await Promise.all(paths.map((path) => statusOf(all.origin, path)))
  assert.deepEqual(found, [200, 200, 200, 200, 200, 200, 401])
})

test('what has a port of its own is there and nowhere else', async () => {
  const { all, hooks, management } = await listening({ hooksPort: 0, managementPort: 0 })
  await using _ = all
  const found = async (origin: string) => Promise.all(paths.map((path) => statusOf(origin, path)))
  assert.deepEqual(await found(all.origin), [404, 404, 404, 404, 200, 200, 401])
  assert.deepEqual(await found(hooks), [200, 404, 404, 200, 404, 404, 404])
  assert.deepEqual(await found(management), [200, 200, 200, 404, 404, 404, 404])
  assert.equal((await fetch(`${hooks}/hooks/contoso`, { method: 'POST', body: '{}' })).status, 200)
  assert.equal((await fetch(`${management}/healthz`, { method: 'POST' })).status, 405)
  const counted = await (await fetch(`${management}/metrics`)).text()
  assert.match(counted, /idp_bridge_http_requests_total\{route="\/hooks\/:adapter",method="POST",status="2xx"\} 1/)
})

test('with TLS hooks have the certificate of the API and ask for none, and probes need no authority', async () => {
  const root = authority()
  const own = serverCertificate(root)
  const text = (value: string) => ({ read: () => value })
  const tls = { cert: text(own.pem), key: text(own.key), clientCa: text(root.pem), asks: true }
  const { all, hooks, management } = await listening({ hooksPort: 0, managementPort: 0, tls })
  await using _ = all
  assert.match(all.origin, /^https:/)
  assert.equal(all.asks, true)
  const status = await new Promise((resolve, reject) => {
    const sent = https(new URL('/hooks/contoso', hooks), { ca: root.pem, agent: false }, (answer) => {
      resolve(answer.resume().statusCode)
    })
    sent.on('error', reject).end()
  })
  assert.equal(status, 200)
  assert.equal(await statusOf(management, '/readyz'), 200)
})

test('a port that is taken is a fault that names its setting, and nothing stays open', async () => {
  const { all } = await listening({})
  await using _ = all
  const managementPort = Number(new URL(all.origin).port)
  await assert.rejects(listening({ managementPort }), (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error && 'hint' in error)
    assert.equal(error.code, 'E_CONFIG')
    assert.match(String(error.hint), /server\.managementPort/)
    return true
  })
})
