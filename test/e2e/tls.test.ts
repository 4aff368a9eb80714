import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { request as plainRequest } from 'node:http'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { authority, certificate, type Made, serverCertificate } from '../http/certificates.ts'
import { parsed } from './json.ts'
import { until } from './until.ts'
import { clientEntry, people, startWorld, tokenOf, type World } from './world.ts'

const trustDomain = 'spiffe://example.org'
const root = authority()
const trust = authority({ uris: [trustDomain] })

interface Asking {
  readonly path?: string
  readonly method?: string
  readonly token?: string
  readonly by?: Made
  readonly body?: object
  readonly agent?: Agent
}

const ask = (origin: string, { path = '/v1/whoami', method, token, by, body, agent }: Asking = {}) =>
  new Promise<{ status: number | undefined; body: unknown; hsts: unknown }>((resolve, reject) => {
    const sent = request(new URL(path, origin), {
      agent: agent ?? false,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      ca: [root.pem],
      ...(by && { cert: by.pem, key: by.key }),
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        const hsts = response.headers['strict-transport-security']
        resolve({ status: response.statusCode, body: parsed(text), hsts })
      })
    })
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })

/** The certificate that a new connection is shown. */
const shown = (origin: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(origin).port), ca: [root.pem] }, () => {
      resolve(socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase())
      socket.destroy()
    })
    socket.once('error', reject)
  })

/** As whoever renews certificates writes them: whole or not at all. */
const put = ({ folder }: World, name: string, text: string): void => {
  writeFileSync(join(folder, `${name}.new`), text, { mode: 0o600 })
  renameSync(join(folder, `${name}.new`), join(folder, name))
}

const serving = async (world: World, own: Made) => {
  put(world, 'tls.crt', own.pem)
  put(world, 'tls.key', own.key)
  put(world, 'clients.pem', trust.pem)
  const file = (name: string) => ({ file: join(world.folder, name) })
  const clients = Object.entries(people).map(([name, role]) => clientEntry(name, role))
  const workload = { name: 'agt-9', role: ['runtime'], spiffeId: `${trustDomain}/agt-9` }
  world.configure({
    server: { tls: { cert: file('tls.crt'), key: file('tls.key'), clientCa: file('clients.pem') } },
    auth: { clients: [...clients, workload] },
  })
  return world.daemon()
}

test('a daemon with certificates answers by TLS alone, knows workloads by theirs, and ends cleanly', async () => {
  await using world = await startWorld()
  await using daemon = await serving(world, serverCertificate(root))
  const { origin, process } = daemon
  assert.match(origin, /^https:/)
  const { status, body, hsts } = await ask(origin, { token: tokenOf('alice') })
  assert.equal(status, 200)
  assert.partialDeepStrictEqual(body, { name: 'alice' })
  assert.match(String(hsts), /max-age/)
  assert.equal((await ask(origin, { path: '/readyz' })).status, 200)
  const inTheClear = new Promise((resolve, reject) => {
    plainRequest(new URL('/healthz', origin.replace('https:', 'http:')), { agent: false }, resolve)
      .on('error', reject)
      .end()
  })
  await assert.rejects(inTheClear)

  const by = certificate({ uris: [`${trustDomain}/agt-9`] }, trust)
  assert.partialDeepStrictEqual((await ask(origin, { by })).body, { name: 'agt-9', roles: ['runtime'] })
  const did = 'did:agentmesh:tls'
  const killed = await ask(origin, { path: '/v1/kill', by, body: { agentId: did, reason: 'r' } })
  assert.equal(killed.status, 202, JSON.stringify(killed.body))
  const denied = await ask(origin, { path: '/v1/decisions', token: tokenOf('gateway'), body: { did } })
  assert.partialDeepStrictEqual(denied.body, { allow: false, codes: ['R_SUSPENDED'] })
  const stranger = certificate({ uris: [`${trustDomain}/agt-9`] }, authority({ uris: [trustDomain] }))
  assert.equal((await ask(origin, { by: stranger })).status, 401)

  process.signal('SIGTERM')
  assert.equal((await process.ended(60_000)).code, 0)
})

test('a certificate that was renewed is shown to new connections, and one that cannot be used is not', async () => {
  await using world = await startWorld()
  const first = serverCertificate(root)
  await using daemon = await serving(world, first)
  const { origin } = daemon
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const token = tokenOf('alice')
  assert.equal((await ask(origin, { token, agent })).status, 200)
  assert.equal(await shown(origin), first.fingerprint)
  const second = serverCertificate(root)
  put(world, 'tls.crt', second.pem)
  put(world, 'tls.key', second.key)
  await until('it is shown', async () => (await shown(origin)) === second.fingerprint, 90_000)
  assert.equal((await ask(origin, { token, agent })).status, 200, 'the connection from before goes on')
  agent.destroy()
  put(world, 'tls.crt', 'not a certificate')
  await until('it is told', () => daemon.process.lines.some((line) => line.includes('certificate-faulty')), 90_000)
  assert.equal(await shown(origin), second.fingerprint)
})
