import assert from 'node:assert/strict'
import { connect as connectPlain } from 'node:net'
import { test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { Accounts, Standing } from '../../src/engine/callers.ts'
import { createTls } from '../../src/http/tls.ts'
import { authority, certificate, serverCertificate } from './certificates.ts'
import { certified, client } from './certified.ts'
import { hashOf } from './listen.ts'

const domain = 'spiffe://example.org'
const trust = authority({ uris: [domain] })
const workload = (path = '/gateway', more = {}) => certificate({ uris: [`${domain}${path}`], ...more }, trust)
const gateway = client('gateway-1', { ids: [`${domain}/gateway`] })
const bearer = client('by-token', { tokenSha256: [hashOf('secret')] })

const shake = (options: ConnectionOptions): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', ...options }, () => resolve(socket))
    socket.once('error', reject)
  })

test('the API over TLS: 1.2 and newer, forward secret, and a browser is told to stay', async () => {
  await using it = await certified(undefined, [bearer], {}, false)
  const { status, headers } = await it.ask({ token: 'secret' })
  assert.equal(status, 200)
  assert.match(String(headers['strict-transport-security']), /max-age=\d+/)
  const ca = [it.root.pem]
  const { port } = it.server
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await shake({ port, ca, minVersion: version, maxVersion: version })
    assert.equal(socket.getProtocol(), version)
    socket.destroy()
  }
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  await assert.rejects(shake({ port, ca, ...old }))
  await assert.rejects(shake({ port, ca, maxVersion: 'TLSv1.2', ciphers: 'AES256-GCM-SHA384' }))
})

test('what speaks no TLS is cut off, and the API goes on', async () => {
  await using it = await certified(undefined, [bearer], {}, false)
  const heard = await new Promise<string>((resolve) => {
    const socket = connectPlain(it.server.port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
    socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
  })
  assert.doesNotMatch(heard, /ok/)
  assert.equal((await it.ask({ token: 'secret' })).status, 200)
})

test('a certificate that was replaced is used at once, and no connection is dropped', async () => {
  await using it = await certified(undefined, [bearer], {}, false)
  const { agent } = it
  const first = await it.ask({ token: 'secret', agent })
  const before = await shake({ port: it.server.port, ca: [it.root.pem] })
  const next = serverCertificate(it.root)
  it.files.cert = next.pem
  it.tls.refresh()
  assert.deepEqual(it.alerts, [], 'the key may come a moment later')
  it.files.key = next.key
  it.tls.refresh()
  assert.deepEqual(it.alerts, [])
  const after = await shake({ port: it.server.port, ca: [it.root.pem] })
  assert.notEqual(before.getPeerCertificate().fingerprint256, after.getPeerCertificate().fingerprint256)
  const second = await it.ask({ token: 'secret', agent })
  assert.equal(second.status, 200)
  assert.equal(second.socket, first.socket)
  before.destroy()
  after.destroy()
})

test('files that cannot be used leave what was there in force, with one alert', async () => {
  await using it = await certified(undefined, [bearer], {}, false)
  it.files.key = serverCertificate(it.root).key
  for (let look = 0; look < 4; look += 1) it.tls.refresh()
  assert.deepEqual(it.alerts, ['certificate-faulty'])
  assert.equal((await it.ask({ token: 'secret' })).status, 200)
})

test('a certificate that ends soon, or has ended, is told once', async () => {
  await using it = await certified(undefined, [bearer], {}, false)
  const now = Date.now()
  it.clock.now = () => now + 0.9 * 86_400_000
  for (let look = 0; look < 2; look += 1) it.tls.refresh()
  it.clock.now = () => now + 2 * 86_400_000
  for (let look = 0; look < 2; look += 1) it.tls.refresh()
  assert.deepEqual(it.alerts, ['certificate-expiring', 'certificate-expired'])
})

test('a key of another certificate is a fault of the configuration', () => {
  const root = authority()
  const text = (value: string) => ({ read: () => value })
  const parts = { clock: Date, log: { info: () => undefined, warn: () => undefined }, alert: () => undefined }
  const settings = {
    cert: text(serverCertificate(root).pem),
    key: text(root.key),
    clientCa: undefined,
    asks: false,
  }
  assert.throws(() => createTls(settings, { ...parts, metrics: { set: () => undefined } }), { code: 'E_CONFIG' })
})

test('an SVID is a credential: by its SPIFFE ID and an authority of ours', async () => {
  await using it = await certified([trust], [gateway])
  const { status, name } = await it.ask({ by: workload() })
  assert.equal(status, 200)
  assert.equal(name, 'gateway-1')
  const none = await it.ask()
  assert.deepEqual([none.status, none.code], [401, 'E_UNAUTHENTICATED'])
})

const day = 86_400_000
const other = authority({ uris: ['spiffe://other.org'] })
const plain = authority()
const between = authority({}, trust)

test('an SVID that breaks a rule is no credential', async () => {
  const clients = [gateway, client('other', { ids: ['spiffe://other.org/gateway'] }), client('root', { ids: [domain] })]
  await using it = await certified([trust, plain], clients)
  const id = `${domain}/gateway`
  const table = {
    expired: workload('/gateway', { from: Date.now() - 2 * day, until: Date.now() - day }),
    'not good yet': workload('/gateway', { from: Date.now() + day, until: Date.now() + 2 * day }),
    'of an authority that is not believed': certificate({ uris: [id] }, authority({ uris: [domain] })),
    'signed by the authority of another trust domain': certificate({ uris: [id] }, other),
    'of another trust domain, by its own authority': certificate({ uris: ['spiffe://other.org/gateway'] }, other),
    'of another trust domain, by an authority of ours': certificate({ uris: ['spiffe://other.org/gateway'] }, trust),
    'with two URIs': certificate({ uris: [id, `${domain}/other`] }, trust),
    'with a URI that is no SPIFFE ID beside it': certificate({ uris: [id, 'https://example.org'] }, trust),
    'with no URI': certificate({ hosts: ['gateway'] }, trust),
    'of the trust domain itself': certificate({ uris: [domain] }, trust),
    'of another path': workload('/gateway2'),
    'in other letters': workload('/Gateway'),
    'an authority itself': certificate({ uris: [id], isAuthority: true, usage: 0x80 }, trust),
    'that may sign certificates': workload('/gateway', { usage: 0x84 }),
    'that may sign revocations': workload('/gateway', { usage: 0x82 }),
    'that may not sign': workload('/gateway', { usage: 0x08 }),
    'that does not say what its key is for': workload('/gateway', { usage: undefined }),
    'below an authority that was not sent': certificate({ uris: [id] }, between),
    'signed by itself': certificate({ uris: [id] }),
  }
  for (const [why, by] of Object.entries(table)) {
    const { status, code, hint, headers } = await it.ask({ by })
    assert.deepEqual([status, code], [401, 'E_UNAUTHENTICATED'], `an SVID ${why}`)
    assert.equal(headers['www-authenticate'], 'Bearer')
    // Another certificate takes another connection.
    assert.equal(headers.connection, 'close')
    assert.doesNotMatch(hint, /undefined/)
  }
  const chained = certificate({ uris: [id] }, between)
  assert.equal((await it.ask({ by: chained, between: [between] })).name, 'gateway-1')
  // An authority that names no trust domain speaks for the one of its file.
  assert.equal((await it.ask({ by: certificate({ uris: [id] }, plain) })).name, 'gateway-1')
})

test('a pinned certificate is a credential, whoever issued it, until it ends', async () => {
  const own = certificate()
  const ended = certificate({ from: Date.now() - 2 * day, until: Date.now() - day })
  const pin = (name: string, { fingerprint }: { fingerprint: string }) =>
    client(name, { certificateSha256: [fingerprint] })
  await using it = await certified(undefined, [pin('pinned', own), pin('ended', ended)])
  assert.equal((await it.ask({ by: own })).name, 'pinned')
  assert.equal((await it.ask({ by: ended })).status, 401)
  assert.equal((await it.ask({ by: certificate() })).status, 401)
  // Nobody is believed by its authority where none was named.
  it.clients.push(gateway)
  assert.equal((await it.ask({ by: workload() })).status, 401)
})

test('a token decides, and a certificate of another client beside it is refused', async () => {
  const both = client('both', { tokenSha256: [hashOf('mine')], ids: [`${domain}/both`] })
  await using it = await certified([trust], [gateway, bearer, both])
  assert.equal((await it.ask({ by: workload('/both'), token: 'mine' })).name, 'both')
  assert.equal((await it.ask({ by: workload('/nobody'), token: 'secret' })).name, 'by-token')
  assert.equal((await it.ask({ by: certificate(), token: 'secret' })).name, 'by-token')
  const mixed = await it.ask({ by: workload(), token: 'secret' })
  assert.deepEqual([mixed.status, mixed.code], [401, 'E_UNAUTHENTICATED'])
  const wrong = await it.ask({ by: workload(), token: 'wrong' })
  assert.equal(wrong.status, 401, 'a certificate does not mend a token')
})

test('a certificate that two clients could mean is of neither', async () => {
  const svid = workload()
  await using it = await certified([trust], [gateway, client('twin', { certificateSha256: [svid.fingerprint] })])
  assert.equal((await it.ask({ by: svid })).status, 401)
})

test('what is believed is looked up for each request of a connection', async () => {
  await using it = await certified([trust], [gateway])
  const { agent } = it
  const by = workload()
  const first = await it.ask({ by, agent })
  assert.equal(first.status, 200)
  const second = await it.ask({ by, agent })
  assert.equal(second.socket, first.socket)
  // Removed by a reload.
  it.clients.splice(it.clients.indexOf(gateway), 1)
  assert.equal((await it.ask({ by, agent })).status, 401)
  it.clients.push(gateway)
  const again = await it.ask({ by, agent })
  assert.equal(again.status, 200)
  // It ended meanwhile.
  it.clock.now = () => Date.now() + 2 * day
  assert.equal((await it.ask({ by, agent })).status, 401)
})

test('authorities that are replaced count for connections that are open, too', async () => {
  await using it = await certified([trust], [gateway])
  const { agent } = it
  const by = workload()
  const first = await it.ask({ by, agent })
  it.files.clientCa = trust.pem + plain.pem
  it.tls.refresh()
  const second = await it.ask({ by, agent })
  assert.deepEqual([second.status, second.socket], [200, first.socket])
  it.files.clientCa = trust.pem + other.pem
  for (let look = 0; look < 2; look += 1) it.tls.refresh()
  assert.deepEqual(it.alerts, ['certificate-faulty'], 'of several trust domains')
  it.files.clientCa = plain.pem
  it.tls.refresh()
  assert.equal((await it.ask({ by, agent })).status, 401)
  const fresh = authority({ uris: [domain] })
  it.files.clientCa = fresh.pem
  it.tls.refresh()
  assert.equal((await it.ask({ by })).status, 401)
  assert.equal((await it.ask({ by: certificate({ uris: [`${domain}/gateway`] }, fresh) })).status, 200)
})

test('no session is resumed: what was believed then is not believed again unseen', async () => {
  await using it = await certified([trust], [gateway])
  const { port } = it.server
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { port, ca: [it.root.pem], maxVersion: version, minVersion: version }
    const socket = await shake(options)
    const session = socket.getSession()
    socket.destroy()
    const next = await shake({ ...options, ...(session && { session }) })
    assert.equal(next.isSessionReused(), false, version)
    next.destroy()
  }
})

test('an agent that is held has no role, and none is an operator', async () => {
  let standing: Standing = { dids: [], held: false }
  const asked: (readonly string[])[] = []
  const standings = {
    of: ({ ids }: { ids: readonly string[] }) => {
      asked.push(ids)
      return Promise.resolve(standing)
    },
  }
  const roles = ['operator', 'gateway'] as const
  const agent = client('agent-1', { ids: [`${domain}/gateway`], roles })
  await using it = await certified([trust], [agent, { ...bearer, roles: ['operator'] }], { standings })
  const by = workload()
  const path = '/v1/status'
  assert.equal((await it.ask({ by, path })).status, 200)
  assert.deepEqual(asked, [[`${domain}/gateway`]])
  standing = { dids: ['did:mesh:a'], held: false }
  assert.equal((await it.ask({ by, path })).status, 403)
  assert.equal((await it.ask({ by })).status, 200)
  standing = { dids: ['did:mesh:a'], held: true }
  const held = await it.ask({ by })
  assert.deepEqual([held.status, held.code], [403, 'E_FORBIDDEN'])
  // Whoever shows an agent's certificate is that agent, whatever token it has.
  assert.equal((await it.ask({ by: workload('/nobody'), token: 'secret' })).status, 403)
})

test('a client that the file says is an agent is that agent by a static token as well', async () => {
  const standings = {
    of: ({ ids, adapter }: Accounts): Standing => ({
      dids: ['did:mesh:a'],
      held: adapter === 'contoso' && ids.includes('x'),
    }),
  }
  const roles = ['operator', 'gateway'] as const
  const agent = { ...bearer, roles, own: [{ ids: [`${domain}/a`] }] }
  const held = client('held', {
    tokenSha256: [hashOf('other')],
    roles,
    own: [{ ids: ['y'] }, { adapter: 'contoso', ids: ['x'] }],
  })
  await using it = await certified([trust], [agent, held], { standings })
  assert.equal((await it.ask({ token: 'secret' })).status, 200)
  assert.equal((await it.ask({ token: 'secret', path: '/v1/status' })).status, 403, 'never an operator')
  const refused = await it.ask({ token: 'other' })
  assert.deepEqual([refused.status, refused.code], [403, 'E_FORBIDDEN'])
})
